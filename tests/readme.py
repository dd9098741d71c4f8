"""The README and the commands that it gives, for tests that run them."""

import re

from closure import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
_PROGRAMS = r"export|dvc|ecg-temporal|find|mlflow|curl|pip|make|TRAIN_LAUNCHER=\S+"
COMMANDS = re.findall(rf"^    ((?:{_PROGRAMS}) .+?)(?: +# .*)?$", README, re.MULTILINE)
COMMANDS += re.findall(r"`((?:dvc|ecg-temporal) (?:register|export|checkout)[^`]*)`", README)


def given(start):
    """Return the one command of the README that begins with `start`."""
    (command,) = {command for command in COMMANDS if command.startswith(start)}
    return command
