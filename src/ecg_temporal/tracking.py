"""Everything that knows MLflow: where the store is, how runs are named and tagged, what is logged.

One MLflow experiment per dataset, one run per training stage. The store is mlflow.db of the main repository,
also for `dvc exp run --temp` and `--queue`, whose copies of the project are deleted; MLFLOW_TRACKING_URI
names another.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import mlflow
from filelock import FileLock

from ecg_temporal import workspace

EXPERIMENT = "ecg-temporal"


def configure(dataset: str) -> str:
    """Choose the store, create the experiment of `dataset` if need be, and return the experiment's id."""
    root = workspace.project_root()
    local = not os.environ.get("MLFLOW_TRACKING_URI")
    if local:
        mlflow.set_tracking_uri(f"sqlite:///{root / 'mlflow.db'}")
    lock = workspace.scratch("mlflow.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    # Several processes that create the database at once would damage it for good.
    with FileLock(lock):
        name = f"{EXPERIMENT}-{dataset}"
        experiment = mlflow.get_experiment_by_name(name)
        if experiment is not None:
            return str(experiment.experiment_id)
        location = (root / "mlartifacts").as_uri() if local else None
        return str(mlflow.create_experiment(name, artifact_location=location))


@contextmanager
def run(
    dataset: str, name: str, params: dict[str, Any], tags: dict[str, str], resume: str | None = None
) -> Iterator["Run"]:
    """Log to a new MLflow run named `name`, or go on with the run of id `resume`.

    An exception inside marks the run as failed.
    """
    experiment_id = configure(dataset)
    if resume is not None and not _exists(resume):
        resume = None
    tags = tags | origin()
    # Candidates of several DVC experiments share a stage's name: the experiment's name tells them apart.
    run_name = " ".join(filter(None, [name, tags.get("dvc.experiment")]))
    with mlflow.start_run(
        run_id=resume,
        experiment_id=experiment_id,
        run_name=run_name,
        tags=tags,
        description=_description(tags),
    ) as active:
        if resume is None:
            mlflow.log_params(params)
        yield Run(active.info.run_id)


@dataclass(frozen=True)
class Run:
    """The MLflow run that is open."""

    run_id: str

    def log_epoch(self, row: dict[str, float]) -> None:
        """Log a row of the training history at its epoch."""
        mlflow.log_metrics({k: v for k, v in row.items() if k != "epoch"}, step=int(row["epoch"]))

    def log_summary(self, values: dict[str, float]) -> None:
        """Log figures of the whole run."""
        mlflow.log_metrics(values)


def origin() -> dict[str, str]:
    """Return tags that lead from a run to its code: DVC experiment and baseline, and git commit."""
    tags = {
        "dvc.experiment": os.environ.get("DVC_EXP_NAME", ""),
        "dvc.baseline": os.environ.get("DVC_EXP_BASELINE_REV", ""),
        "git.commit": _git("rev-parse", "HEAD", fallback=os.environ.get("DVC_EXP_BASELINE_REV", "")),
    }
    return {key: value for key, value in tags.items() if value}


def _exists(run_id: str) -> bool:
    # The store may have been deleted since the checkpoint was written.
    try:
        return str(mlflow.get_run(run_id).info.lifecycle_stage) == "active"
    except mlflow.exceptions.MlflowException:
        return False


def _description(tags: dict[str, str]) -> str:
    """Say in Markdown, for the run's page in the UI, how to come from the run to its code and outputs."""
    stage, experiment = tags.get("dvc.stage", ""), tags.get("dvc.experiment")
    lines = [f"DVC stage `{stage}` at git commit `{tags.get('git.commit', 'unknown')}`."]
    if experiment:
        lines.append(
            f"DVC experiment `{experiment}`: `dvc exp apply {experiment}` brings it into the workspace."
        )
    return "\n\n".join(lines)


def _git(*arguments: str, fallback: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return fallback
    return done.stdout.strip() if done.returncode == 0 else fallback
