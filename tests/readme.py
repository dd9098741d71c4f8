"""README, the pages that it leaves details to, and their commands, for tests that run them."""

import re

from closure import ROOT


def _page(name):
    return (ROOT / name).read_text(encoding="utf-8")


README, TRAINED_MODELS = _page("README.md"), _page("docs/trained-models.md")
_PROGRAMS = r"export|dvc|ecg-temporal|find|mlflow|curl|pip|make|TRAIN_LAUNCHER=\S+"
_TEXT = "\n".join([README, _page("docs/scaling.md"), TRAINED_MODELS, _page("docs/experiments.md")])
_FOUND = [
    *re.findall(rf"^    ((?:{_PROGRAMS}) .+?)(?: +# .*)?$", _TEXT, re.MULTILINE),
    *re.findall(r"`((?:dvc|ecg-temporal) (?:register|export|checkout)[^`]*)`", _TEXT),
]
COMMANDS = list(dict.fromkeys(_FOUND))


def given(start):
    """Return the one command that begins with `start`."""
    (command,) = {command for command in COMMANDS if command.startswith(start)}
    return command
