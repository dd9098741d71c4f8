"""Predictions of an architecture: the workspace's, or those of a DVC experiment or another Git revision."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from dvc.api import DVCFileSystem
from dvc.repo import Repo
from dvc.scm import RevError, resolve_rev
from dvc_data.index.index import DataIndexError

from ecg_temporal.comparison.verdict import CANDIDATE
from ecg_temporal.evaluation.predictions import Predictions, read_predictions
from ecg_temporal.settings import read_params, section
from ecg_temporal.store import Split
from ecg_temporal.training.settings import TrainSettings


def read_contender(name: str, splits: dict[str, Split]) -> Predictions:
    """Return the predictions of ARCHITECTURE, or of ARCHITECTURE@REVISION.

    Parameters
    ----------
    name : str
        A revision is a branch, tag or commit of Git, or the name of a DVC experiment. Its files come from
        DVC's cache or its default remote; the workspace stays as it is.
    splits : dict of str to Split
        The workspace's, whose records and labels the predictions must be of.

    Raises:
        ValueError: there is no such revision or architecture, its predictions are not at hand, or they are of
            other records or labels.

    """
    architecture, at, revision = name.partition("@")
    if not at:
        return _read(Path(), architecture, splits)
    if not (revision and _is_known(revision)):  # DVC would take none for the workspace
        raise ValueError(
            f"{name}: no revision or experiment is called {revision!r}; `dvc exp list` has those there are"
        )
    with TemporaryDirectory() as folder:
        copy = Path(folder)
        files = DVCFileSystem(rev=revision)
        try:
            _get(files, "params.yaml", copy)
            _seeds(copy, architecture)
            # Ids alone would not tell records of one's own, which fetch numbers, nor other rules for labels.
            for split, here in splits.items():
                for kind, known in (("ecg_id", here.ecg_id), ("labels", here.labels)):
                    found = np.load(_get(files, f"data/processed/{split}/{kind}.npy", copy))
                    if not np.array_equal(found, known):
                        raise ValueError(
                            f"its {split} split has other records or labels than the workspace's"
                        )
            _get(files, f"predictions/{architecture}.npz", copy)
            return _read(copy, architecture, splits)
        except ValueError as error:
            raise ValueError(f"{name}: {str(error).replace(f'{folder}/', '')}") from None


def _is_known(revision: str) -> bool:
    with Repo() as repo:
        try:
            resolve_rev(repo.scm, revision)
        except RevError:
            return False
    return True


def _get(files: DVCFileSystem, path: str, folder: Path) -> Path:
    """Copy a file of a revision into `folder`, under its path, and return the copy."""
    copy = folder / path
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        files.get_file(path, str(copy))
    except (FileNotFoundError, DataIndexError):
        raise ValueError(
            f"{path} is not in DVC's cache; `dvc pull` it there, or run the stage again"
        ) from None
    return copy


def _seeds(folder: Path, architecture: str) -> list[int]:
    params = read_params(folder / "params.yaml")
    known = [*params["architectures"], CANDIDATE]
    if architecture not in known:
        raise ValueError(f"there is no architecture {architecture!r}; there are {', '.join(known)}")
    return section(params, "train", TrainSettings).seeds


def _read(folder: Path, architecture: str, splits: dict[str, Split]) -> Predictions:
    ecg_id = {split: data.ecg_id for split, data in splits.items()}
    path = folder / "predictions" / f"{architecture}.npz"
    return read_predictions(path, _seeds(folder, architecture), ecg_id)
