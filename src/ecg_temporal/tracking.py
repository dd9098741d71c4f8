"""MLflow's runs: where the store is, how they are named and tagged, what is logged.

One MLflow experiment per dataset, one run per training stage. The store is mlflow.db of the main repository,
also for `dvc exp run --temp` and `--queue`, whose copies of the project are deleted; MLFLOW_TRACKING_URI
names another.

A training never waits for MLflow before its first epoch is done (importing it takes longer than importing
PyTorch), and never fails for it: what the store does not take is kept on disk for the next training to log.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ecg_temporal import files, workspace

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# A server that does not answer holds a training up for seconds, not for MLflow's half hour; a database that
# is spoken to directly, for the two minutes that MLflow tries it.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")

EXPERIMENT = "ecg-temporal"
SQLITE = "sqlite:///"
CODE = ("src", "stages")
KEY = "training.key"
"""The tag by which a training finds its MLflow run again."""
DIGEST = 36
"""Characters that MLflow takes of a dataset's digest."""
OF_NO_FOLD = ("learning_rate", "seconds", "records_per_second")
"""What a row of the history has beside the figures of a fold."""


class Run:
    """An MLflow run and all that is to be logged to it.

    Attributes
    ----------
    record : dict
        The run as JSON: what is to be logged, and `id` and `logged`, how much of it MLflow has taken. Given
        to `run` as `resume`, it goes on where it stopped.

    """

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record
        self._told = False

    def log_epoch(self, row: dict[str, float]) -> None:
        """Note a row of the training history; `push` sends it."""
        self.record["rows"].append({**row, "time": _now()})

    def push(self) -> None:
        """Send what MLflow does not have yet.

        To be called once `record` is safe on disk: killed at any moment, the run that goes on from there
        finds its MLflow run again; what it sends twice is the same to the millisecond, and kept once.
        """
        if not self._told:
            self._push()

    def end(self, status: str) -> None:
        """Log what is left; what MLflow still does not take is kept for the next run."""
        self.record["status"] = status
        logged = False
        try:
            logged = self._push()
        finally:
            if not logged:
                with files.replacing_file(_kept(self.record)) as temporary:
                    temporary.write_text(json.dumps(self.record), encoding="utf-8")

    def _push(self) -> bool:
        try:
            # After a Ctrl-C the next one is meant for MLflow.
            with nullcontext() if self.record["status"] == "KILLED" else _interrupts_held_back():
                push(self.record)
        except Exception as error:  # MLflow, SQLAlchemy and requests raise all kinds
            if not self._told:
                reason = without_secrets(f"{type(error).__name__}: {error}").splitlines()[0]
                goes_on = "The training goes on; the" if self.record["status"] == "RUNNING" else "The"
                print(
                    f"MLflow does not take this run ({reason}). {goes_on} next one that reaches MLflow logs "
                    "what is missing.",
                    file=sys.stderr,
                )
            self._told = True
            return False
        return True


@contextmanager
def run(
    dataset: str,
    name: str,
    params: dict[str, Any],
    tags: dict[str, str],
    resume: dict[str, Any] | None = None,
) -> Iterator[Run]:
    """Log to a new MLflow run named `name`, or go on with the `record` of an earlier one.

    MLflow has it as FINISHED afterwards, as KILLED after Ctrl-C, and as FAILED after another exception.
    """
    tags = tags | origin()
    # Candidates of several DVC experiments share a stage's name: the experiment's name tells them apart.
    name = " ".join(filter(None, [name, tags.get("dvc.experiment")]))
    run = Run(
        {
            "dataset": dataset,
            "name": name,
            # MLflow refuses a param that changes, as those of data may that stayed the same.
            "params": resume["params"] if resume else {key: str(value) for key, value in params.items()},
            "tags": tags | {"mlflow.note.content": _description(tags)},
            "begun": resume["begun"] if resume else _now(),
            "key": resume["key"] if resume else uuid.uuid4().hex,
            "id": resume and resume["id"],
            "logged": resume["logged"] if resume else 0,
            "rows": list(resume["rows"]) if resume else [],
            "status": "RUNNING",
        }
    )
    try:
        yield run
    except BaseException as error:
        run.end("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise
    run.end("FINISHED")


def push(record: dict[str, Any]) -> None:
    """Bring MLflow up to date with `record`, note in it how far it came, and log what was kept on disk."""
    _push_one(record)
    kept = _kept(record)
    # Where the lock is not to be had, another training logs what was kept.
    with suppress(Timeout), FileLock(kept.parent.with_suffix(".lock"), timeout=60):
        kept.unlink(missing_ok=True)  # the same run before it went on
        for path in sorted(kept.parent.glob("*.json")):
            with suppress(Exception):  # what MLflow refuses of one must not hold up the others
                _push_one(json.loads(path.read_text(encoding="utf-8")))
                path.unlink()


def _push_one(record: dict[str, Any]) -> None:
    import mlflow
    from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag
    from mlflow.exceptions import MlflowException
    from mlflow.tracking.context.registry import resolve_tags

    experiment = configure(record["dataset"])
    client = mlflow.MlflowClient()
    if record["id"] is None:
        made_before = client.search_runs([experiment], f"tags.`{KEY}` = '{record['key']}'")
        record["id"] = made_before[0].info.run_id if made_before else None
    if record["id"] is None or not _exists(client, record["id"]):
        made = client.create_run(
            experiment,
            record["begun"],
            resolve_tags({**record["tags"], KEY: record["key"]}),
            run_name=record["name"],
        )
        record["id"], record["logged"] = made.info.run_id, 0
    elif record["status"] == "RUNNING":
        # It may go on in another experiment, at another commit or on other hardware.
        client.update_run(record["id"], status="RUNNING", name=record["name"])
        client.log_batch(record["id"], tags=[RunTag(*item) for item in record["tags"].items()])
    # The server may have died once the run was created; params and dataset that are sent twice are kept once.
    if not record["logged"]:
        client.log_batch(record["id"], params=[Param(*item) for item in record["params"].items()])
        if sha256 := record["tags"].get("dataset.sha256"):
            name = record["tags"]["dataset"].replace(" ", "-")
            dataset = Dataset(name, sha256[:DIGEST], "local", json.dumps({"uri": "data/processed"}))
            given = [DatasetInput(dataset)]
            try:
                client.log_inputs(record["id"], given)
            except MlflowException:  # another training named the same dataset first, at the same moment
                client.log_inputs(record["id"], given)
    for row in record["rows"][record["logged"] :]:
        about = ("epoch", "time")
        metrics = [
            Metric(_metric_name(key), value, row["time"], int(row["epoch"]))
            for key, value in row.items()
            if key not in about
        ]
        client.log_batch(record["id"], metrics=metrics)
        record["logged"] += 1
    if record["status"] != "RUNNING":
        client.set_terminated(record["id"], record["status"])


def _metric_name(key: str) -> str:
    """Return the name in MLflow, which says of which fold a figure is, as DVC's metrics do."""
    return key if key in OF_NO_FOLD or key.startswith(("train_", "validation_")) else f"validation_{key}"


def configure(dataset: str) -> str:
    """Choose the store, create the experiment of `dataset` if need be, and return the experiment's id.

    Raises
    ------
    MlflowException
        If the experiment was deleted in MLflow, or the store does not answer.

    """
    import mlflow
    from mlflow.exceptions import MlflowException

    root = workspace.project_root()
    uri = os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    if uri.startswith(SQLITE):  # relative to the main repository, not to the copy that an experiment runs in
        uri = SQLITE + str(root / uri.removeprefix(SQLITE))
    mlflow.set_tracking_uri(uri)
    lock = workspace.scratch("mlflow.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    # Several processes that create the database at once would damage it for good.
    with FileLock(lock) if uri.startswith("sqlite") else nullcontext():
        name = f"{EXPERIMENT}-{dataset}"
        if experiment := mlflow.get_experiment_by_name(name):
            if experiment.lifecycle_stage == "deleted":
                restore = f"mlflow experiments restore -x {experiment.experiment_id}"
                raise MlflowException(
                    f"the experiment {name} was deleted; "
                    f"`MLFLOW_TRACKING_URI={shlex.quote(uri)} {restore}` brings it back"
                )
            return str(experiment.experiment_id)
        location = (root / "mlartifacts").as_uri() if uri.startswith(SQLITE) else None  # a server has its own
        try:
            return str(mlflow.create_experiment(name, artifact_location=location))
        except MlflowException:
            if experiment := mlflow.get_experiment_by_name(name):  # another training was quicker
                return str(experiment.experiment_id)
            raise


def origin() -> dict[str, str]:
    """Return tags that lead from a run to its code: DVC experiment and baseline, and git commit.

    `git.dirty` is "true" where src or stages have changes that are in no commit.
    """
    tags = {
        "dvc.experiment": os.environ.get("DVC_EXP_NAME", ""),
        "dvc.baseline": os.environ.get("DVC_EXP_BASELINE_REV", ""),
        "git.commit": git("rev-parse", "HEAD", fallback=os.environ.get("DVC_EXP_BASELINE_REV", "")),
        "git.dirty": "true" if git("status", "--porcelain", "--", *CODE, fallback="") else "false",
    }
    return {key: value for key, value in tags.items() if value}


def without_secrets(text: str) -> str:
    """Return `text` without the user names, passwords and tokens of the URLs in it."""
    text = re.sub(r"://\S*@", "://***@", text)
    return re.sub(r"([?&][^=\s]*(?:pass|pwd|token|secret|key)[^=\s]*=)[^&\s'\"]*", r"\1***", text, flags=re.I)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Let a Ctrl-C or SIGTERM wait; a second one breaks in.

    Where the first did, MLflow would be half imported, or its session would hold the database's lock, and the
    run could not be ended.
    """
    held: list[int] = []

    def hold(number: int, _: Any) -> None:
        held.append(number)
        if len(held) > 1:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # where no signal arrives
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handlers = {number: each for number, each in handlers.items() if each not in (signal.SIG_IGN, None)}
    for number in handlers:
        signal.signal(number, hold)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if len(held) == 1:
            signal.raise_signal(held[0])


def _kept(record: dict[str, Any]) -> Path:
    folder = workspace.scratch("mlflow-not-logged")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{record['key']}.json"


def _now() -> int:
    return int(1000 * time.time())


def _exists(client: Any, run_id: str) -> bool:
    # The store may have been deleted since the checkpoint was written.
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode

    try:
        return str(client.get_run(run_id).info.lifecycle_stage) == "active"
    except MlflowException as error:
        if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            return False
        raise


def _description(tags: dict[str, str]) -> str:
    """Say in Markdown, for the run's page in the UI, how to come from the run to its code and outputs."""
    stage, experiment = tags.get("dvc.stage", ""), tags.get("dvc.experiment")
    lines = [f"DVC stage `{stage}` at git commit `{tags.get('git.commit', 'unknown')}`."]
    if tags.get("git.dirty") == "true":
        lines.append(f"The code had changes in {' or '.join(CODE)} that the commit does not have.")
    if experiment:
        lines.append(
            f"DVC experiment `{experiment}`: `dvc exp apply {experiment}` brings it into the workspace."
        )
    return "\n\n".join(lines)


def git(*arguments: str, fallback: str) -> str:
    """Return what git prints, `fallback` where there is no git, no repository or no such thing."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return fallback
    return done.stdout.strip() if done.returncode == 0 else fallback
