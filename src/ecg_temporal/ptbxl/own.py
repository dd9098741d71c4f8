"""One's own WFDB records and a table of labels to the raw dataset, as if they were PTB-XL's."""

import csv
import hashlib
import posixpath
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_temporal.ptbxl import raw
from ecg_temporal.ptbxl.amplitude import PLAUSIBLE_MV, is_plausible, span_mv
from ecg_temporal.ptbxl.collect import pack
from ecg_temporal.ptbxl.labels import FOLDS
from ecg_temporal.ptbxl.waveforms import SAMPLES, SECONDS, RecordError, read_record

TABLE = "labels.csv"
COLUMNS = ("record", "labels", "patient", "fold", "sex", "age")
N_FOLDS = 10
OFFSET_MV = 1.0
"""From here on a lead's distance from zero is the electrodes' or the converter's, and no ECG's."""
NO_LABELS = {"record", "seconds", "findings", "codes"}
"""Columns of what `ecg-temporal predict` writes, beside one for each label."""


def collect_own(tree: Path, folder: Path, on_bad_record: Literal["fail", "skip"]) -> raw.Manifest:
    """Read the records that labels.csv in `tree` names, and write them as a raw dataset into `folder`.

    A lead whose mean and median are both OFFSET_MV or more from zero, on the same side, loses its mean: a few
    such records would widen the scale that all are divided by.

    Parameters
    ----------
    tree : Path
        Holds labels.csv with the columns record (a path below `tree`, without suffix) and labels (separated
        by semicolons; empty for none), and if known patient, fold (1 to 10), sex (0 male, 1 female) and age,
        and no other.
        Where there is no patient, every record is one; where there is no fold, patients are dealt to ten.
    folder : Path
        Exists and is empty.
    on_bad_record : {"fail", "skip"}

    Returns
    -------
    Manifest

    Raises
    ------
    ValueError
        The table is missing or can't be used, or records can't, as in `collect`; one that has the signal of a
        record in another split is such a record.

    """
    path = tree / TABLE
    found = _read_labels(path)
    labels = _labels(path, found["labels"])
    patients = _patients(path, found)
    folds = _folds(path, found, labels, patients)
    age_is = "0 to 120 years (or 300, which stands for 90 or more, as in PTB-XL)"
    table = pd.DataFrame(
        {
            "patient_id": pd.factorize(patients)[0] + 1,
            "age": _numbers(path, found, "age", lambda age: age.between(0, 120) | (age == 300), age_is),
            "sex": _numbers(path, found, "sex", lambda sex: sex.isin([0, 1]), "0 (male) or 1 (female)"),
            "scp_codes": [str(dict.fromkeys(of_one, 100.0)) for of_one in labels],
            "strat_fold": folds,
            "filename_lr": found["record"],
        }
    )
    table.index = pd.RangeIndex(1, len(table) + 1, name="ecg_id")
    names = sorted({name for of_one in labels for name in of_one})
    statements = pd.DataFrame(
        {"description": names, "diagnostic": 1.0, "diagnostic_class": names, "diagnostic_subclass": names},
        index=pd.Index(names, name=""),
    )
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    origin = raw.Origin(raw.OWN, sha256[:12], {TABLE: f"SHA-256 {sha256}"})
    split = {tree / record: name for record, name in zip(found["record"], _splits(folds), strict=True)}
    reader = _Reader(split)
    manifest = pack(tree, table, statements, folder, origin, on_bad_record, reader.read)
    reader.print_notes()
    return manifest


class _Reader:
    """Reads records, and notes which of them are odd; `split` has that of each record."""

    def __init__(self, split: dict[Path, str]) -> None:
        self.split = split
        self.seen: dict[bytes, Path] = {}
        self.odd: list[str] = []
        self.moved: list[Path] = []

    def read(self, record: Path) -> NDArray[np.int16]:
        """Return the first ten seconds, int16 microvolts [12, 1000]; leads far from zero lose their mean."""
        signals = _first_ten_seconds(record)
        before = self.seen.setdefault(hashlib.sha256(signals.tobytes()).digest(), record)
        if self.split[before] != self.split[record]:
            raise RecordError(
                "the signal of another split",
                f"{record} ({self.split[record]}) has the signal of {before} ({self.split[before]}): they "
                "need one patient, or one of them is to go",
            )
        if (offsets := _offsets(signals)).any():
            self.moved.append(record)
            signals = _within_range(record, signals - offsets[:, None])
        if not is_plausible(signals):
            self.odd.append(f"{record}: {span_mv(signals):.3g} mV")
        return signals

    def print_notes(self) -> None:
        """Print how many records are odd, and the first."""
        if self.moved:
            print(
                f"{len(self.moved):,} of {len(self.split):,} records have leads {OFFSET_MV:g} mV or more "
                f"from zero ({self.moved[0]}): their mean is taken away."
            )
        if self.odd:
            low, high = PLAUSIBLE_MV
            print(
                f"The leads of {len(self.odd):,} of {len(self.split):,} records span less than {low:g} or "
                f"more than {high:g} mV (their median; {self.odd[0]}): are unit and gain right?"
            )


def deal(labels: list[list[str]], patients: list[str]) -> NDArray[np.int64]:
    """Return a fold, 1 to 10, for each record: patients stay whole, and every label is spread over the folds.

    Patients are dealt like cards, those with the rarest label first, those of one label in an order that
    depends on their names alone; folds 10 and 9, which figures come from, get theirs before the others. Of a
    label with fewer patients than there are splits all are for training: no model could have learned it else.
    But not where fewer than N_FOLDS patients would be left to deal.
    """
    count = pd.Series([name for of_one in labels for name in of_one], dtype=str).value_counts().to_dict()
    rarest: dict[str, tuple[int, str]] = {}
    for of_one, patient in zip(labels, patients, strict=True):
        here = min(((count[name], name) for name in of_one), default=(len(labels) + 1, ""))
        rarest[patient] = min(here, rarest.get(patient, here))
    order = sorted(rarest, key=lambda p: (rarest[p], hashlib.sha256(p.encode()).hexdigest()))
    having = {
        name: {p for of_one, p in zip(labels, patients, strict=True) if name in of_one} for name in count
    }
    few = {patient for of_it in having.values() if len(of_it) < len(FOLDS) for patient in of_it}
    few = few if len(order) - len(few) >= N_FOLDS else set()
    training, dealt = FOLDS["train"], (10, 9, *range(1, 9))
    fold = {patient: training[k % len(training)] for k, patient in enumerate(p for p in order if p in few)}
    fold |= {patient: dealt[k % N_FOLDS] for k, patient in enumerate(p for p in order if p not in few)}
    return np.array([fold[patient] for patient in patients])


def _column_names(path: Path) -> list[str]:
    """Return the names of the columns.

    A row of more or fewer cells is refused: pandas would take a missing label for none.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        names = next(filter(None, rows), [])
        for row in rows:
            if row and len(row) != len(names):
                raise ValueError(f"line {rows.line_num} has {len(row)} cells, not {len(names)}")
    return names


def _read_labels(path: Path) -> pd.DataFrame:
    """Return labels.csv, whose columns and records are what they must be."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file; OWN_DIR must be a folder with records and {TABLE}")
    _refuse_separator(path)
    try:
        columns = _column_names(path)
        text = dict.fromkeys(("record", "labels", "patient"), str)
        found = pd.read_csv(path, dtype=text, keep_default_na=False, index_col=False)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not in UTF-8; save it as 'CSV UTF-8' ({error})") from None
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path} is empty") from None
    except (ValueError, OSError, csv.Error) as error:
        raise ValueError(
            f"{path} is not a table with a cell under each name of its first line; several labels of a "
            f"record are separated by semicolons, not commas ({error})"
        ) from None
    _refuse_columns(path, columns)
    if found.empty:
        raise ValueError(f"{path} names no record")
    for column in {"record", "patient"} & {*found.columns}:
        found[column] = found[column].str.strip()
    found["record"] = _record_names(path, found["record"])
    return found


def _refuse_separator(path: Path) -> None:
    with path.open("rb") as file:
        first = file.readline().strip()
    if b"," not in first and re.search(rb"[;\t]", first):
        raise ValueError(
            f"{path}: commas must separate the columns, whose first line is "
            f"{first.decode(errors='replace')!r}; semicolons separate several labels of a record"
        )


def _refuse_columns(path: Path, columns: list[str]) -> None:
    if twice := [column for column, count in Counter(columns).items() if count > 1]:
        raise ValueError(f"{path}: the column {twice[0]!r} is there twice")
    for column in columns:
        meant = column.strip().lower()
        if column not in COLUMNS and meant in COLUMNS:
            raise ValueError(f"{path}: the column {column!r} must be written {meant!r}")
    for column in ("record", "labels"):
        if column not in columns:
            raise ValueError(f"{path} has no column {column!r}; it has {', '.join(columns)}")
    if unknown := [column for column in columns if column not in COLUMNS]:
        raise ValueError(f"{path}: the column {unknown[0]!r} is none of {', '.join(COLUMNS)}")


def _record_names(path: Path, names: pd.Series) -> pd.Series:
    """Return the names of the records, each spelt in one way: else it could be in two folds."""
    for line, name in enumerate(names, 2):
        if not name:
            raise ValueError(f"{path}: line {line} names no record")
        if "\\" in name:
            raise ValueError(f"{path}: record {name!r}: write / for \\")
        if raw.leaves_folder(name):
            raise ValueError(
                f"{path}: record {name!r} leaves the folder; write the path from {path.parent} to the record"
            )
    bare = names.str.replace(r"\.(hea|dat|mat)$", "", regex=True).map(posixpath.normpath)  # without ./ and //
    if twice := bare[bare.duplicated()].tolist():
        raise ValueError(f"{path}: record {twice[0]!r} is there twice")
    return bare


def _labels(path: Path, cells: pd.Series) -> list[list[str]]:
    """Return the labels of each record, and print how many records have each."""
    labels = [[name.strip() for name in text.split(";") if name.strip()] for text in cells]
    names = sorted({name for of_one in labels for name in of_one})
    if not names:
        raise ValueError(f"{path}: no record has a label")
    spelt: dict[str, str] = {}
    for name in names:
        if name in NO_LABELS:
            raise ValueError(f"{path}: no label can be called {name!r}, as a column of predictions is")
        if not name.isprintable():
            raise ValueError(f"{path}: the label {name!r} has a character that can't be printed")
        if re.search("[,|{}]", name):
            raise ValueError(f"{path}: the label {name!r} has one of , | {{ }}: semicolons separate labels")
        if (other := spelt.setdefault(name.casefold(), name)) != name:
            raise ValueError(f"{path}: the labels {other!r} and {name!r} differ in their case alone")
    if len({frozenset(of_one) for of_one in labels}) == 1:
        raise ValueError(f"{path}: every record has the same labels ({', '.join(names)}): nothing to learn")
    counts = Counter(name for of_one in labels for name in dict.fromkeys(of_one))
    print(f"Labels: {', '.join(f'{name} ({count})' for name, count in counts.most_common())}.")
    return labels


def _patients(path: Path, found: pd.DataFrame) -> pd.Series:
    if "patient" not in found:
        print(f"{path} has no column 'patient': each record counts as a patient of its own.")
        return found["record"]
    if empty := found["record"][found["patient"] == ""].tolist():
        raise ValueError(
            f"{path}: record {empty[0]!r} has no patient; fill them all in, or leave the column out"
        )
    return found["patient"]


def _folds(path: Path, found: pd.DataFrame, labels: list[list[str]], patients: pd.Series) -> pd.Series:
    """Return the fold of each record: that of the table, or of those that are dealt."""
    if "fold" not in found:
        if patients.nunique() < N_FOLDS:
            raise ValueError(
                f"{path} has {patients.nunique()} patients; {N_FOLDS} are the least, one for each fold"
            )
        folds = pd.Series(deal(labels, patients.tolist()), found.index)
    else:
        valid = range(1, N_FOLDS + 1)
        folds = _numbers(path, found, "fold", lambda fold: fold.isin(valid), f"1 to {N_FOLDS}")
        if empty := found["record"][folds.isna()].tolist():
            raise ValueError(
                f"{path}: record {empty[0]!r} has no fold; fill them all in, or leave the column out"
            )
    _refuse_splits(path, patients, folds)
    return folds


def _refuse_splits(path: Path, patients: pd.Series, folds: pd.Series) -> None:
    """Refuse a split without a record, and a patient in two."""
    split = _splits(folds)
    for name, of_split in FOLDS.items():
        if not (split == name).any():
            raise ValueError(
                f"{path}: no record is in fold {' or '.join(map(str, of_split))}, the {name} split"
            )
    apart = split.groupby(patients).nunique()
    if several := apart.index[apart > 1].tolist():
        found = sorted(folds[patients == several[0]].astype(int).unique().tolist())
        raise ValueError(
            f"{path}: patient {several[0]!r} is in folds {', '.join(map(str, found))}, in two splits "
            "(1 to 8 train, 9 validates, 10 tests)"
        )


def _splits(folds: pd.Series) -> pd.Series:
    return folds.map({fold: name for name, of_split in FOLDS.items() for fold in of_split})


def _numbers(
    path: Path, table: pd.DataFrame, column: str, valid: Callable[[pd.Series], pd.Series], what: str
) -> pd.Series:
    """Return a column that may be missing, or empty in some rows."""
    if column not in table:
        return pd.Series(np.nan, table.index)
    text = table[column].astype(str).str.strip()
    numbers = pd.to_numeric(text, errors="coerce")
    if odd := table.index[(text != "") & ~valid(numbers)].tolist():
        record = table["record"][odd[0]]
        raise ValueError(f"{path}: record {record!r} has {column} {text[odd[0]]!r}, which is not {what}")
    return numbers


def _offsets(signals: NDArray[np.int16]) -> NDArray[np.int32]:
    """Return the mean of the leads that are far from zero, int32 microvolts [leads], 0 of the others."""
    mean, median = signals.mean(axis=1), np.median(signals, axis=1)
    far = np.minimum(mean * np.sign(median), np.abs(median)) >= 1000 * OFFSET_MV
    return np.where(far, np.rint(mean), 0).astype(np.int32)


def _within_range(record: Path, signals: NDArray[np.int32]) -> NDArray[np.int16]:
    limit = np.iinfo(np.int16).max
    if np.abs(signals).max() > limit:
        raise RecordError(
            "a sample too large", f"{record}: a sample is more than {limit} microvolts from its lead's mean"
        )
    return signals.astype(np.int16)


def _first_ten_seconds(path: Path) -> NDArray[np.int16]:
    signals = read_record(path, any_length=True)
    if signals.shape[1] < SAMPLES:
        seconds = signals.shape[1] * SECONDS / SAMPLES
        raise RecordError("another length", f"{path}: {seconds:g} s are fewer than {SECONDS:g}")
    if not np.ptp(signals[:, :SAMPLES], axis=1).any():
        raise RecordError("no signal", f"{path}: all twelve leads are constant")
    return signals[:, :SAMPLES]
