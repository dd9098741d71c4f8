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
NO_LABELS = {"record", "seconds", "findings", "codes"}
"""Columns of what `ecg-temporal predict` writes, beside one for each label."""


def collect_own(tree: Path, folder: Path, on_bad_record: Literal["fail", "skip"]) -> raw.Manifest:
    """Read the records that labels.csv in `tree` names, and write them as a raw dataset into `folder`.

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
        The table is missing or can't be used, or records can't, as in `collect`.

    """
    path = tree / TABLE
    found = _read_labels(path)
    labels = [[name.strip() for name in text.split(";") if name.strip()] for text in found["labels"]]
    names = sorted({name for of_one in labels for name in of_one})
    if not names:
        raise ValueError(f"{path}: no record has a label")
    if taken := sorted(NO_LABELS.intersection(names)):
        raise ValueError(f"{path}: no label can be called {taken[0]!r}, as a column of predictions is")
    if odd_names := [name for name in names if not name.isprintable()]:
        raise ValueError(f"{path}: the label {odd_names[0]!r} has a character that can't be printed")
    if len({frozenset(of_one) for of_one in labels}) == 1:
        raise ValueError(f"{path}: every record has the same labels ({', '.join(names)}): nothing to learn")
    counts = Counter(name for of_one in labels for name in dict.fromkeys(of_one))
    print(f"Labels: {', '.join(f'{name} ({count})' for name, count in counts.most_common())}.")
    patients = found["patient"] if "patient" in found else found["record"]
    if empty := found["record"][patients == ""].tolist():
        raise ValueError(
            f"{path}: record {empty[0]!r} has no patient; fill them all in, or leave the column out"
        )
    if "patient" not in found:
        print(f"{path} has no column 'patient': each record counts as a patient of its own.")
    if "fold" not in found:
        if patients.nunique() < N_FOLDS:
            raise ValueError(
                f"{path} has {patients.nunique()} patients; {N_FOLDS} are the least, one for each fold"
            )
        found["fold"] = deal(labels, patients.tolist())
    folds = _numbers(path, found, "fold", lambda fold: fold.isin(range(1, N_FOLDS + 1)), f"1 to {N_FOLDS}")
    if empty := found["record"][folds.isna()].tolist():
        raise ValueError(
            f"{path}: record {empty[0]!r} has no fold; fill them all in, or leave the column out"
        )
    _refuse_splits(path, patients, folds)
    table = pd.DataFrame(
        {
            "patient_id": pd.factorize(patients)[0] + 1,
            "age": _numbers(
                path,
                found,
                "age",
                lambda age: ((age >= 0) & (age <= 120)) | (age == 300),
                "0 to 120 years (or 300, which stands for 90 or more, as in PTB-XL)",
            ),
            "sex": _numbers(path, found, "sex", lambda sex: sex.isin([0, 1]), "0 (male) or 1 (female)"),
            "scp_codes": [str(dict.fromkeys(of_one, 100.0)) for of_one in labels],
            "strat_fold": folds,
            "filename_lr": found["record"],
        }
    )
    table.index = pd.RangeIndex(1, len(table) + 1, name="ecg_id")
    statements = pd.DataFrame(
        {"description": names, "diagnostic": 1.0, "diagnostic_class": names, "diagnostic_subclass": names},
        index=pd.Index(names, name=""),
    )
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    origin = raw.Origin(raw.OWN, sha256[:12], {TABLE: f"SHA-256 {sha256}"})
    odd: list[str] = []

    def read(record: Path) -> NDArray[np.int16]:
        signals = _first_ten_seconds(record)
        if not is_plausible(signals):
            odd.append(f"{record}: {span_mv(signals):.3g} mV")
        return signals

    manifest = pack(tree, table, statements, folder, origin, on_bad_record, read)
    if odd:
        low, high = PLAUSIBLE_MV
        print(
            f"The leads of {len(odd):,} of {len(table):,} records span less than {low:g} or more than "
            f"{high:g} mV (their median; {odd[0]}): are unit and gain right?"
        )
    return manifest


def deal(labels: list[list[str]], patients: list[str]) -> NDArray[np.int64]:
    """Return a fold, 1 to 10, for each record: patients stay whole, and every label is spread over the folds.

    Patients are dealt like cards, those with the rarest label first, those of one label in an order that
    depends on their names alone; folds 10 and 9, which figures come from, get theirs before the others.
    """
    count = pd.Series([name for of_one in labels for name in of_one], dtype=str).value_counts().to_dict()
    rarest: dict[str, tuple[int, str]] = {}
    for of_one, patient in zip(labels, patients, strict=True):
        here = min(((count[name], name) for name in of_one), default=(len(labels) + 1, ""))
        rarest[patient] = min(here, rarest.get(patient, here))
    order = sorted(rarest, key=lambda p: (rarest[p], hashlib.sha256(p.encode()).hexdigest()))
    dealt = (10, 9, *range(1, 9))
    fold = {patient: dealt[k % N_FOLDS] for k, patient in enumerate(order)}
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


def _refuse_columns(path: Path, columns: list[str]) -> None:
    if twice := [column for column, count in Counter(columns).items() if count > 1]:
        raise ValueError(f"{path}: the column {twice[0]!r} is there twice")
    if len(columns) == 1 and re.search("[;\t]", columns[0]):
        raise ValueError(
            f"{path}: commas must separate the columns, whose first line is {columns[0]!r}; semicolons "
            "separate several labels of a record"
        )
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


def _refuse_splits(path: Path, patients: pd.Series, folds: pd.Series) -> None:
    """Refuse a split without a record, and a patient in two."""
    split = folds.map({fold: name for name, of_split in FOLDS.items() for fold in of_split})
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


def _first_ten_seconds(path: Path) -> NDArray[np.int16]:
    signals = read_record(path, any_length=True)
    if signals.shape[1] < SAMPLES:
        seconds = signals.shape[1] * SECONDS / SAMPLES
        raise RecordError("another length", f"{path}: {seconds:g} s are fewer than {SECONDS:g}")
    if not np.ptp(signals[:, :SAMPLES], axis=1).any():
        raise RecordError("no signal", f"{path}: all twelve leads are constant")
    return signals[:, :SAMPLES]
