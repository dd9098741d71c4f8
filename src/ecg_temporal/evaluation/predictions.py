"""Logits of every seed of an architecture: validation fold, test fold, and a part of the training folds."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg_temporal import files

SPLITS = ("train", "validation", "test")
TRAIN_STEP = 8
"""Of the training folds every eighth record is predicted: enough to see how well they were fitted."""


@dataclass(frozen=True)
class Predictions:
    """Logits float32 [seeds, records, classes] of `seeds`, and the records' ids int64 [records], by split.

    `parameters` is the number of trainable parameters of a model.
    """

    seeds: list[int]
    logits: dict[str, NDArray[np.float32]]
    ecg_id: dict[str, NDArray[np.int64]]
    parameters: int

    def ensemble(self, split: str) -> NDArray[np.float32]:
        """Return the mean over seeds, [records, classes]."""
        return np.asarray(self.logits[split].mean(axis=0), np.float32)


def rows(split: str, records: int) -> slice:
    """Return which records of a split are predicted."""
    return slice(0, records, TRAIN_STEP if split == "train" else 1)


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write a .npz file with the arrays of `predictions`."""
    arrays: dict[str, NDArray[np.generic]] = {
        "seeds": np.array(predictions.seeds, np.int64),
        "parameters": np.array(predictions.parameters, np.int64),
    }
    for split in SPLITS:
        arrays[split] = predictions.logits[split]
        arrays[f"{split}_ecg_id"] = predictions.ecg_id[split]
    with files.replacing_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_predictions(path: Path, seeds: list[int], ecg_id: dict[str, NDArray[np.int64]]) -> Predictions:
    """Read what write_predictions wrote, of these `seeds` and of splits with the records `ecg_id`.

    Raises:
        ValueError: the file is missing, is not such a file, or is of other seeds or records.

    """
    try:
        with np.load(path) as arrays:
            found = Predictions(
                arrays["seeds"].tolist(),
                {split: arrays[split] for split in SPLITS},
                {split: arrays[f"{split}_ecg_id"] for split in SPLITS},
                int(arrays["parameters"]),
            )
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a file of predictions ({error}); run `dvc repro`") from None
    if found.seeds != seeds:
        raise ValueError(f"{path} is of the seeds {found.seeds}, not {seeds}; run `dvc repro`")
    for split, known in ecg_id.items():
        if not np.array_equal(found.ecg_id[split], known[rows(split, len(known))]):
            raise ValueError(f"{path} has other records than the {split} split; run `dvc repro`")
    return found
