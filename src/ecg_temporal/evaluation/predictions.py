"""Predicted probabilities of every seed of an architecture, on the two folds that training does not fit."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg_temporal import files


@dataclass(frozen=True)
class Predictions:
    """Probabilities, float32 [seeds, records, classes], and the ids of the records, int64 [records]."""

    validation: NDArray[np.float32]
    validation_ecg_id: NDArray[np.int64]
    test: NDArray[np.float32]
    test_ecg_id: NDArray[np.int64]


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write a .npz file with the fields of `predictions`."""
    with files.replacing_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **vars(predictions))


def read_predictions(path: Path) -> Predictions:
    """Read what write_predictions wrote.

    Raises:
        ValueError: the file is missing or is not such a file.

    """
    try:
        with np.load(path) as arrays:
            return Predictions(**{name: arrays[name] for name in arrays.files})
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{path} is not a file of predictions ({error}); run `dvc repro evaluate`") from None
