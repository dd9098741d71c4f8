"""README, the page that it leaves trained models to, and the commands of both, for tests that run them."""

import re

from closure import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
TRAINED_MODELS = (ROOT / "docs" / "trained-models.md").read_text(encoding="utf-8")
_PROGRAMS = r"export|dvc|ecg-temporal|find|mlflow|curl|pip|make|TRAIN_LAUNCHER=\S+"
_FOUND = [
    *re.findall(rf"^    ((?:{_PROGRAMS}) .+?)(?: +# .*)?$", f"{README}\n{TRAINED_MODELS}", re.MULTILINE),
    *re.findall(r"`((?:dvc|ecg-temporal) (?:register|export|checkout)[^`]*)`", README + TRAINED_MODELS),
]
COMMANDS = list(dict.fromkeys(_FOUND))


def given(start):
    """Return the one command that begins with `start`."""
    (command,) = {command for command in COMMANDS if command.startswith(start)}
    return command
