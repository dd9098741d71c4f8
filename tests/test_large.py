"""Long and large: minutes and gigabytes each, so `pytest -m large` runs them, and `make test` does not."""

import subprocess
import sys
import time

import mlflow
import pytest

from project import Project

pytestmark = pytest.mark.large

PEAK_OF_A_CHILD = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""
GIGABYTE = 1e9


def peak(project, *arguments):
    """Run a stage and return the peak of its resident memory in bytes."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK_OF_A_CHILD, sys.executable, *arguments],
        cwd=project.folder,
        env={**project.environment, "PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return int(done.stdout.splitlines()[-1])


def test_200_000_records_go_through_in_24_gb_and_epochs_add_nothing(tmp_path):
    project = Project(tmp_path, epochs=1, batch_size=512)
    params = project.params()
    params["synthetic"]["records"] = 200_000
    project.write_params(params)
    peaks = {stage: peak(project, f"stages/{stage}.py") for stage in ("fetch", "preprocess")}
    peaks["one epoch"] = peak(project, "stages/train.py", "cnn", "0")
    params["train"]["epochs"] = 3
    project.write_params(params)
    peaks["three epochs"] = peak(project, "stages/train.py", "cnn", "0")
    print({stage: f"{bytes_ / GIGABYTE:.2f} GB" for stage, bytes_ in peaks.items()})
    assert max(peaks.values()) < 24 * GIGABYTE
    assert peaks["three epochs"] < 1.05 * peaks["one epoch"]


def test_500_experiments_and_500_runs_later_a_training_starts_no_slower(tmp_path):
    project = Project(tmp_path)
    project("dvc repro train@cnn-0 && git add -A && git commit -qm results")

    def seconds():
        times = []
        for _ in range(3):
            start = time.perf_counter()
            project("dvc repro -f -s train@cnn-0")
            times.append(time.perf_counter() - start)
        return min(times)

    before = seconds()
    # An experiment is a commit on the baseline with a ref of its own: what `dvc exp run` leaves.
    project("dvc exp run --temp -n one -S train.weight_decay=0.02 train@cnn-0")
    name = project("git for-each-ref --format='%(refname)' 'refs/exps/**/one'").split()[0]
    commit = project(f"git rev-parse {name}").strip()
    refs = "".join(f"create {name.removesuffix('one')}copy{k} {commit}\n" for k in range(500))
    (tmp_path / "refs").write_text(refs)
    project("git update-ref --stdin < refs && rm refs")
    assert project("dvc exp list --name-only").count("copy") == 500
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    mlflow.set_experiment("ecg-temporal-synthetic")
    for k in range(500):
        with mlflow.start_run(run_name=f"old-{k}"):
            mlflow.log_metrics({"loss": 1.0, "macro_auprc": 0.5}, step=1)
    assert len(project.runs()) > 500
    after = seconds()
    print(f"{before:.1f} s before, {after:.1f} s after")
    assert after < 1.5 * before
