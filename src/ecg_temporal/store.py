"""The processed dataset on disk, as training and evaluation read it: one folder per split.

A folder a split, so that a training stage depends on `train` and `validation` and can't open `test`.
Each holds signals.npy (int16 [records, leads, samples], microvolts), labels.npy (uint8 [records, classes]),
statements.npy (uint8 [records, statements]), ecg_id.npy (int64 [records]) and split.json (the fields of
`Description`).
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Description:
    """What a split's arrays mean.

    `statements` are auxiliary targets of training: SCP-ECG statements that are no class. `sha256` covers
    the signals, labels, statements and ids; `mean` and `scale` are the leads' mean and standard
    deviation in microvolts over the training folds, the same in every split.
    """

    dataset: str
    synthetic: bool
    classes: list[str]
    statements: list[str]
    leads: list[str]
    sampling_rate_hz: int
    mean: list[float]
    scale: list[float]
    sha256: str


@dataclass(frozen=True)
class Split:
    """One split; `signals` is memory-mapped when read from disk."""

    signals: NDArray[np.int16]
    labels: NDArray[np.uint8]
    statements: NDArray[np.uint8]
    ecg_id: NDArray[np.int64]
    description: Description

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def absent(self) -> list[str]:
        """The classes that no record has."""
        return [name for k, name in enumerate(self.description.classes) if not self.labels[:, k].any()]

    def part(self, rows: slice) -> "Split":
        """Return the records `rows`."""
        return replace(
            self,
            signals=self.signals[rows],
            labels=self.labels[rows],
            statements=self.statements[rows],
            ecg_id=self.ecg_id[rows],
        )


def write_split(folder: Path, split: Split) -> None:
    """Write `split` into the existing `folder`."""
    np.save(folder / "signals.npy", split.signals)
    np.save(folder / "labels.npy", split.labels)
    np.save(folder / "statements.npy", split.statements)
    np.save(folder / "ecg_id.npy", split.ecg_id)
    text = json.dumps(asdict(split.description), indent=2)
    (folder / "split.json").write_text(text + "\n", encoding="utf-8")


def read_split(folder: Path) -> Split:
    """Read a split.

    Raises:
        ValueError: a file is missing, damaged, or does not fit the others.

    """
    try:
        description = Description(**json.loads((folder / "split.json").read_text(encoding="utf-8")))
        signals = np.load(folder / "signals.npy", mmap_mode="r")
        labels, statements = np.load(folder / "labels.npy"), np.load(folder / "statements.npy")
        ecg_id = np.load(folder / "ecg_id.npy")
    except (OSError, ValueError, TypeError, EOFError, BadZipFile) as error:  # np.load raises all of them
        raise ValueError(f"{folder} is not a processed split ({error}); run `dvc repro preprocess`") from None
    found = (signals.shape[:2], labels.shape, statements.shape)
    named = (description.leads, description.classes, description.statements)
    if found != tuple((len(ecg_id), len(names)) for names in named):
        raise ValueError(
            f"{folder}: signals {signals.shape}, labels {labels.shape}, statements {statements.shape}, "
            f"ids {ecg_id.shape}"
        )
    return Split(signals, labels, statements, ecg_id, description)
