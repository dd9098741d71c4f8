"""Predictions of an architecture: the workspace's, or those of a DVC experiment or another Git revision."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from dvc.api import DVCFileSystem
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.scm import RevError, resolve_rev
from dvc_data.index.index import DataIndexError

from ecg_temporal.evaluation.predictions import Predictions, read_predictions
from ecg_temporal.evaluation.settings import DecisionSettings
from ecg_temporal.lock import (
    file_md5,
    folder_md5,
    inputs,
    outputs,
    parameters,
    read_stages,
    stage_name,
)
from ecg_temporal.models.settings import CANDIDATE, ArchitectureSettings
from ecg_temporal.settings import read_params, section
from ecg_temporal.store import Split
from ecg_temporal.training.settings import TrainSettings


@dataclass(frozen=True)
class Contender:
    """An architecture's predictions, and what the params.yaml beside them says.

    Attributes
    ----------
    name : str
    predictions : Predictions
    rule : str
        The decision rule.
    settings : dict of str to object
        What it was trained with: the architecture's own by their plain names, others as `section.key`.
    made_with : dict of str to set of str
        The MD5 of the code and data that its seeds were trained and predicted with, by path, from dvc.lock.

    """

    name: str
    predictions: Predictions
    rule: str
    settings: dict[str, Any]
    made_with: dict[str, set[str]]


def read_contender(name: str, splits: dict[str, Split]) -> Contender:
    """Return ARCHITECTURE as it is in the workspace, or ARCHITECTURE@REVISION.

    Parameters
    ----------
    name : str
        A revision is a branch, tag or commit of Git, or the name of a DVC experiment. Its files come from
        DVC's cache or its default remote; the workspace stays as it is.
    splits : dict of str to Split
        The workspace's, whose records and labels the predictions must be of.

    Raises
    ------
    ValueError
        There is no such revision or architecture; its predictions are not at hand, not of its
        params.yaml, or of other records or labels.

    """
    architecture, at, revision = name.partition("@")
    try:
        if not at:
            return _read(Path(), architecture, splits, name, *_written(Path(), architecture, DVCFileSystem()))
        with Repo() as repo:
            if not revision:  # which DVC would take for the workspace
                raise ValueError("no revision is named after the @")
            try:
                resolve_rev(repo.scm, revision)
            except RevError as error:  # unknown, or of several experiments
                raise ValueError(f"{error}; `dvc exp list -A` names the experiments") from None
        with TemporaryDirectory() as folder:
            written = _fetch(Path(folder), architecture, revision, splits)
            return _read(Path(folder), architecture, splits, name, *written)
    except (ValueError, DvcException) as error:
        raise ValueError(f"{name}: {error}") from None


def refuse_stale_data(lock: Path) -> None:
    """Refuse data/processed that was made from other records than data/raw, whose patients are drawn.

    Raises:
        ValueError: it was, by dvc.lock, or that does not say.

    """
    stages = read_stages(lock)
    if not {"fetch", "preprocess"} <= stages.keys():
        raise ValueError(f"{lock.name} lacks fetch or preprocess: `git checkout {lock.name}`, or `dvc repro`")
    if inputs(stages["preprocess"]).get("data/raw") != outputs(stages["fetch"]).get("data/raw"):
        raise ValueError(
            "data/processed was made from other records than data/raw has: `dvc repro preprocess`"
        )


def _fetch(
    folder: Path, architecture: str, revision: str, splits: dict[str, Split]
) -> tuple[str, dict[str, set[str]]]:
    """Copy what `_read` needs of a revision into `folder`, and return what `_written` does."""
    files = DVCFileSystem(rev=revision)
    for path in ("params.yaml", "dvc.lock"):
        if not files.isfile(path):
            raise ValueError(f"that revision has no {path}")
        _get(files, path, folder)
    written = _written(folder, architecture, files)
    # Ids alone would not tell records of one's own, which fetch numbers, nor other rules for labels.
    for split, here in splits.items():
        for kind, known in (("ecg_id", here.ecg_id), ("labels", here.labels)):
            found = np.load(_get(files, f"data/processed/{split}/{kind}.npy", folder))
            if not np.array_equal(found, known):
                raise ValueError(f"its {split} split has other records or labels than the workspace's")
    _get(files, f"predictions/{architecture}.npz", folder)
    return written


def _get(files: DVCFileSystem, path: str, folder: Path) -> Path:
    """Copy a file of a revision into `folder`, under its path, and return the copy."""
    copy = folder / path
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        files.get_file(path, str(copy))
    except (FileNotFoundError, DataIndexError, ImportError) as error:  # of a remote's package, too
        raise ValueError(
            f"{path} is not in DVC's cache: `dvc pull` it there, or run the experiment again "
            f"(dvc exp run -f); DVC says: {error}"
        ) from None
    return copy


def _read(
    folder: Path,
    architecture: str,
    splits: dict[str, Split],
    name: str,
    written: str,
    made_with: dict[str, set[str]],
) -> Contender:
    params = read_params(folder / "params.yaml")
    path = folder / "predictions" / f"{architecture}.npz"
    if not path.is_file() or file_md5(path) != written:
        stage = stage_name("predict", architecture)
        raise ValueError(f"predictions/{path.name} is not there as {stage} wrote it; run `dvc repro {stage}`")
    ecg_id = {split: data.ecg_id for split, data in splits.items()}
    predictions = read_predictions(path, section(params, "train", TrainSettings).seeds, ecg_id)
    rule = section(params, "decision", DecisionSettings).rule
    return Contender(name, predictions, rule, _settings(params, architecture), made_with)


def _settings(params: dict[str, Any], architecture: str) -> dict[str, Any]:
    key = CANDIDATE if architecture == CANDIDATE else f"architectures.{architecture}"
    own = section(params, key, ArchitectureSettings).in_effect
    others = {f"{name}.{k}": value for name in ("trunk", "train") for k, value in params[name].items()}
    del others["train.device"]  # where it ran, not what
    return own | others


def _written(folder: Path, architecture: str, files: DVCFileSystem) -> tuple[str, dict[str, set[str]]]:
    """Return the MD5 of an architecture's predictions, if params.yaml asks for them, and its `made_with`.

    That is, made with the params, models and data that params.yaml and dvc.lock have now.
    An experiment that ran some stages alone has the other architectures, or its predictions, as they were
    before.

    Raises:
        ValueError: they are not, or there is no such architecture.

    """
    params, lock = read_params(folder / "params.yaml"), read_stages(folder / "dvc.lock")
    known = [*params.get("architectures", {}), CANDIDATE]
    if architecture not in known:
        raise ValueError(f"there is no architecture {architecture!r}; there are {', '.join(known)}")
    predict = stage_name("predict", architecture)
    remedy = f"run {predict} (`dvc repro`, or `dvc exp run` with it as target)"
    stages = []
    for seed in section(params, "train", TrainSettings).seeds:
        trained = lock.get(stage_name("train", architecture, seed))
        if trained is None:
            raise ValueError(f"{architecture} was not trained with seed {seed}; {remedy}")
        for key, value in parameters(trained).items():
            if _value(params, key) != value:
                raise ValueError(
                    f"{architecture} was trained with another {key} than params.yaml has; {remedy}"
                )
        stages.append(trained)
    predicted = lock.get(predict, {})
    written = outputs(predicted).get(f"predictions/{architecture}.npz")
    if written is None:
        raise ValueError(f"{architecture} was not predicted with; {remedy}")
    # Trained again since, or the model of a seed that is no longer asked for still lay beside the others; or
    # labelled again.
    for path, what in ((f"models/{architecture}", "models"), ("data/processed", "records or labels")):
        found = _folder(files, path)
        if found is not None and inputs(predicted).get(path) != found:
            raise ValueError(
                f"{architecture} was predicted with other {what} than dvc.lock has now; "
                f"`dvc checkout`, then {remedy}"
            )
    made_with: dict[str, set[str]] = {}
    for stage in (*stages, predicted):
        for path, md5 in inputs(stage).items():
            if path != f"models/{architecture}":
                made_with.setdefault(path, set()).add(md5)
    return written, made_with


def _folder(files: DVCFileSystem, folder: str) -> str | None:
    """Return what DVC has as MD5 of a folder of several outputs; None where their lists are not at hand.

    dvc.lock itself has one MD5 for each output, such as a seed's folder, as its stage wrote it, and one for
    them together, as they were predicted with.
    """
    try:
        found = files.find(folder, detail=True, dvc_only=True)
    except DataIndexError:
        return None
    return folder_md5(
        {path.partition(f"{folder}/")[2]: about["dvc_info"]["md5"] for path, about in found.items()}
    )


def _value(params: dict[str, Any], key: str) -> Any:
    values: Any = params
    for part in key.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values
