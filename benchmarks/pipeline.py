"""What DVC adds: a repro with nothing to do, and an experiment before its first stage starts."""

import os
import subprocess
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks.measure import Row, in_turn, row, seconds
from benchmarks.stage import ROOT

SMALL = [
    "dataset=synthetic",
    "synthetic.records=300",
    "train.epochs=1",
    "trunk.channels=[4,8]",
]


def pipeline(hardware: str) -> list[Row]:
    """Compare `dvc repro` and `dvc exp run --temp` of the last commit with an empty and a small project.

    Raises:
        RuntimeError: a command fails, or the committed results can't be checked out: nothing to measure.

    """
    with tempfile.TemporaryDirectory() as temporary:
        full = _clone(Path(temporary) / "full")
        _run(full, "dvc", "cache", "dir", "--local", str(ROOT / ".dvc" / "cache"))
        _run(full, "dvc", "config", "--local", "cache.type", "hardlink,symlink,copy")
        _run(full, "dvc", "checkout", "-q", "--allow-missing")
        try:
            to_do = "Running stage" in _run(full, "dvc", "repro", "--dry")
        except RuntimeError:  # a dry run makes nothing, so a later stage can lack what it reads
            to_do = True
        if to_do:
            raise RuntimeError("`dvc repro` of the last commit has something to do; run it, and commit")
        stages = len(_run(full, "dvc", "stage", "list", "--name-only").split())
        empty = _empty(Path(temporary) / "empty", stages)
        nothing = in_turn(
            lambda: seconds(lambda: _run(full, "dvc", "repro")),
            lambda: seconds(lambda: _run(empty, "dvc", "repro")),
            5,
        )
        small = _clone(Path(temporary) / "small")
        _run(small, "dvc", "exp", "run", *[word for s in SMALL for word in ("-S", s)])
        _run(small, "git", "commit", "-qam", "small")
        seed = iter(range(1, 100))
        experiment = in_turn(
            lambda: _first_stage(full, next(seed)), lambda: _first_stage(small, next(seed)), 5
        )
    return [
        row(
            f"`dvc repro` with nothing to do, against an empty project of {stages} stages",
            *nothing,
            "≤ 1.5",
            "s",
            hardware,
        ),
        row(
            "`dvc exp run --temp` before its first stage starts, against the same on synthetic data",
            *experiment,
            "≤ 1.5",
            "s",
            hardware,
        ),
    ]


def _environment() -> dict[str, str]:
    names = ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))},
        **dict.fromkeys(names, "benchmark"),
        "DVC_NO_ANALYTICS": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONUNBUFFERED": "1",
    }


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env=_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


def _clone(folder: Path) -> Path:
    _run(ROOT, "git", "clone", "-q", str(ROOT), str(folder))
    return folder


def _empty(folder: Path, stages: int) -> Path:
    folder.mkdir()
    _run(folder, "git", "init", "-q")
    _run(folder, "dvc", "init", "-q")
    (folder / "in").write_text("in", encoding="utf-8")
    fields = {f"s{k}": {"cmd": f"cp in out{k}", "deps": ["in"], "outs": [f"out{k}"]} for k in range(stages)}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": fields}), encoding="utf-8")
    _run(folder, "dvc", "repro", "-q")
    return folder


def _first_stage(folder: Path, seed: int) -> float:
    """Return how long `dvc exp run --temp` takes until it starts a stage."""
    start = time.perf_counter()
    process = subprocess.Popen(
        ["dvc", "exp", "run", "--temp", "-S", f"bootstrap.seed={seed}"],
        cwd=folder,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said, found = [], None
    for line in process.stdout:
        said.append(line)
        if found is None and line.startswith("Running stage"):
            found = time.perf_counter() - start
    if process.wait() or found is None:
        raise RuntimeError("".join(said)[-2000:])
    return found
