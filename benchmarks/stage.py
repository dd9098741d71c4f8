"""The training stage as a process, in a small copy of the project."""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ecg_temporal.settings import read_params
from ecg_temporal.store import Split, write_split

ROOT = Path(__file__).resolve().parents[1]

UNTIL_THE_FIRST_STEP = """
import os, runpy, sys
sys.path.insert(0, "src")
from ecg_temporal.training.batches import Batches
read = Batches.read
def stop(*arguments):
    read(*arguments)
    os._exit(0)  # on a GPU before a graph is captured
Batches.read = stop
sys.argv = ["stages/train.py", "cnn", "0"]
runpy.run_path("stages/train.py", run_name="__main__")
"""


# A process inherits the peak of the one that starts it: between the benchmark and the stage stands a small
# one.
PEAK_OF_A_CHILD = """
import pathlib, resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
pathlib.Path("peak.txt").write_text(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""


@dataclass(frozen=True)
class Finished:
    """A training stage that has ended; `peak_bytes` is its largest resident set."""

    seconds_per_epoch: float
    peak_bytes: int


def copy_project(folder: Path, train: Split, validation: Split, **settings: Any) -> Path:
    """Write a project whose section `train` has these `settings`, and return `folder`."""
    for part in ("src", "stages"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    params = read_params(ROOT / "params.yaml")
    params["train"] |= settings
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    for name, split in (("train", train), ("validation", validation)):
        (folder / "data" / "processed" / name).mkdir(parents=True)
        write_split(folder / "data" / "processed" / name, split)
    return folder


def start(project: Path, arguments: Sequence[str], **environment: str) -> subprocess.Popen[str]:
    """Start Python with `arguments` in `project`."""
    variables = {**os.environ, "PYTHONPATH": "src", "DVC_ROOT": str(project), **environment}
    variables.pop("MLFLOW_TRACKING_URI", None)
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=project, env=variables, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> None:
    """Wait for `process`.

    Raises:
        RuntimeError: it failed; the message is what it said.

    """
    _, said = process.communicate()
    if process.returncode:
        raise RuntimeError(said[-2000:])


def train(project: Path, architecture: str) -> Finished:
    """Train seed 0 of `architecture`; the time is that of the fastest epoch."""
    process = start(project, ["-c", PEAK_OF_A_CHILD, sys.executable, "stages/train.py", architecture, "0"])
    finish(process)
    about = json.loads((project / "models" / architecture / "0" / "run.json").read_text(encoding="utf-8"))
    peak = int((project / "peak.txt").read_text(encoding="utf-8"))
    return Finished(min(about["seconds"]), peak * (1 if platform.system() == "Darwin" else 1024))
