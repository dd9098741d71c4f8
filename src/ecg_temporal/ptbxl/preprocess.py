"""Raw dataset to splits: labels, folds, and scaling statistics from the training folds alone."""

import hashlib

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_temporal.ptbxl.labels import LabelError, label_matrix, split_rows, statement_matrix
from ecg_temporal.ptbxl.raw import RawDataset
from ecg_temporal.ptbxl.settings import LabelSettings
from ecg_temporal.store import Description, Split


def preprocess(raw: RawDataset, settings: LabelSettings) -> dict[str, Split]:
    """Return the splits train, validation and test of `raw`.

    Raises:
        LabelError: the tables can't be used; see ptbxl.labels.

    """
    labels, classes = label_matrix(raw.table, raw.statements, settings.min_likelihood)
    rows = split_rows(raw.table)
    if settings.unlabelled == "drop":
        rows = {name: members[labels[members].any(axis=1)] for name, members in rows.items()}
    for name, members in rows.items():
        if not labels[members].any():
            lower = "lower labels.min_likelihood, or " if settings.min_likelihood else ""
            raise LabelError(f"no record of the {name} split has a label: {lower}put some there")
    if not pd.api.types.is_integer_dtype(raw.table.index):
        raise LabelError("ptbxl_database.csv: its first column, ecg_id, is not all whole numbers")
    statements, names = statement_matrix(
        raw.table, raw.statements, settings.min_likelihood, labels, rows["train"]
    )
    mean, scale = lead_statistics(raw.signals, rows["train"])
    ecg_id = raw.table.index.to_numpy(np.int64)
    splits = {}
    for split, members in rows.items():
        signals = raw.signals[members]
        splits[split] = Split(
            signals,
            labels[members],
            statements[members],
            ecg_id[members],
            Description(
                dataset=f"{raw.manifest.dataset} {raw.manifest.version}",
                synthetic=raw.manifest.synthetic,
                classes=classes,
                statements=names,
                leads=raw.manifest.leads,
                sampling_rate_hz=raw.manifest.sampling_rate_hz,
                mean=mean.tolist(),
                scale=scale.tolist(),
                sha256=_digest(signals, labels[members], statements[members], ecg_id[members]),
            ),
        )
    return splits


def lead_statistics(
    signals: NDArray[np.int16], rows: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each lead's mean and standard deviation in microvolts over the records `rows`.

    In exact integer sums, a block of records at a time, so that no copy of the signals is made. A lead that
    is flat everywhere gets scale 1.
    """
    total = np.zeros(signals.shape[1], np.int64)
    squares = np.zeros(signals.shape[1], np.int64)
    for start in range(0, len(rows), 256):
        block = signals[rows[start : start + 256]].astype(np.int64)
        total += block.sum(axis=(0, 2))
        squares += (block * block).sum(axis=(0, 2))
    count = len(rows) * signals.shape[2]
    mean = total / count
    scale = np.sqrt(np.maximum(squares / count - mean**2, 0))
    return mean, np.where(scale > 0, scale, 1.0)


def class_counts(splits: dict[str, Split]) -> pd.DataFrame:
    """Return the number of positives: a row per subclass, a column per split and `all`, commonest first."""
    classes = splits["train"].description.classes
    counts = pd.DataFrame(
        {name: split.labels.sum(axis=0, dtype=int) for name, split in splits.items()}, classes
    )
    counts.insert(0, "all", counts.sum(axis=1))
    return counts.rename_axis("subclass").sort_values("all", ascending=False, kind="stable")


def _digest(*arrays: NDArray[np.generic]) -> str:
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.dtype.str}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()
