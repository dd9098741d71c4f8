"""SCP-ECG statements to the 23 diagnostic subclasses and to auxiliary targets, and records to folds."""

import ast
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FOLDS: dict[str, tuple[int, ...]] = {"train": (1, 2, 3, 4, 5, 6, 7, 8), "validation": (9,), "test": (10,)}
"""The strat_fold values of each split, as PTB-XL's authors recommend them."""


FEWEST_RECORDS = 20
"""A statement with fewer training records than this is no auxiliary target: too few to learn from."""


class LabelError(ValueError):
    """The tables can't be used; the message names the table, the record and the reason."""


def subclasses(statements: pd.DataFrame) -> dict[str, str]:
    """Return the diagnostic subclass of each diagnostic statement.

    Parameters
    ----------
    statements : DataFrame
        scp_statements.csv, indexed by statement.

    Raises
    ------
    LabelError
        A column is missing or no statement is diagnostic.

    """
    for column in ("diagnostic", "diagnostic_subclass"):
        if column not in statements:
            raise LabelError(f"scp_statements.csv has no column {column!r}")
    diagnostic = statements[statements["diagnostic"] == 1]
    if diagnostic.empty:
        raise LabelError("scp_statements.csv: no statement is diagnostic")
    if unnamed := diagnostic.index[diagnostic["diagnostic_subclass"].isna()].tolist():
        raise LabelError(f"scp_statements.csv: {unnamed[0]} is diagnostic and has no diagnostic_subclass")
    return {str(code): str(name) for code, name in diagnostic["diagnostic_subclass"].items()}


def parse_codes(text: object) -> dict[str, float]:
    """Return statement → likelihood in percent of one scp_codes cell, such as "{'NORM': 100.0}".

    Raises:
        LabelError: the text is not a literal of that form. Nothing is evaluated.

    """
    try:
        codes = ast.literal_eval(str(text))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        codes = None
    if not isinstance(codes, dict) or not all(
        isinstance(code, str) and isinstance(value, int | float) and 0 <= value <= 100
        for code, value in codes.items()
    ):
        raise LabelError(f"scp_codes is not of the form {{'NORM': 100.0}}: {str(text)[:80]}")
    return codes


def label_matrix(
    table: pd.DataFrame, statements: pd.DataFrame, min_likelihood: float
) -> tuple[NDArray[np.uint8], list[str]]:
    """Return which subclasses each record has, and the names of the subclasses.

    Parameters
    ----------
    table : DataFrame
        ptbxl_database.csv, indexed by ecg_id.
    statements : DataFrame
        scp_statements.csv, indexed by statement.
    min_likelihood : float
        A statement counts from this likelihood on, in percent.

    Returns
    -------
    labels : uint8 array [records, classes]
    classes : list of str
        Sorted by name.

    Raises
    ------
    LabelError
        scp_codes is missing or malformed, or has a statement that scp_statements.csv lacks.

    """
    subclass = subclasses(statements)
    classes = sorted(set(subclass.values()))
    column = {name: k for k, name in enumerate(classes)}
    labels = np.zeros((len(table), len(classes)), np.uint8)
    for row, codes in enumerate(_codes(table, statements)):
        for code, likelihood in codes.items():
            if code in subclass and likelihood >= min_likelihood:
                labels[row, column[subclass[code]]] = 1
    return labels, classes


def statement_matrix(
    table: pd.DataFrame,
    statements: pd.DataFrame,
    min_likelihood: float,
    labels: NDArray[np.uint8],
    rows: NDArray[np.intp],
) -> tuple[NDArray[np.uint8], list[str]]:
    """Return which of the statements that tell more than `labels` each record has, and their names.

    Subclasses are coarser than what the cardiologists wrote: form, rhythm and the place of an infarction are
    lost. A model that must say these, too, learns better features (Caruana, Multitask Learning, 1997).

    Parameters
    ----------
    table, statements, min_likelihood
        As in `label_matrix`. Statements of form and rhythm, which have no likelihood, count always.
    labels : uint8 array [records, classes]
    rows : int array
        The training records: a statement that fewer than FEWEST_RECORDS of them have is left out, and one
        whose records are exactly those of a class.

    Returns
    -------
    matrix : uint8 array [records, statements]
    names : list of str
        Sorted.

    """
    names = sorted(map(str, statements.index))
    column = {name: k for k, name in enumerate(names)}
    matrix = np.zeros((len(table), len(names)), np.uint8)
    diagnostic = subclasses(statements)
    for row, codes in enumerate(_codes(table, statements)):
        for code, likelihood in codes.items():
            if code not in diagnostic or likelihood >= min_likelihood:
                matrix[row, column[code]] = 1
    known = {of_class.tobytes() for of_class in labels[rows].T}
    kept = [
        k
        for k, of_one in enumerate(matrix[rows].T)
        if of_one.sum(dtype=int) >= FEWEST_RECORDS and of_one.tobytes() not in known
    ]
    return matrix[:, kept], [names[k] for k in kept]


def _codes(table: pd.DataFrame, statements: pd.DataFrame) -> Iterator[dict[str, float]]:
    if "scp_codes" not in table:
        raise LabelError("ptbxl_database.csv has no column 'scp_codes'")
    for ecg_id, text in table["scp_codes"].items():
        try:
            codes = parse_codes(text)
        except LabelError as error:
            raise LabelError(f"ptbxl_database.csv: record {ecg_id}: {error}") from None
        for code in codes:
            if code not in statements.index:
                raise LabelError(
                    f"ptbxl_database.csv: record {ecg_id}: {code!r} is not in scp_statements.csv"
                )
        yield codes


def split_rows(table: pd.DataFrame) -> dict[str, NDArray[np.intp]]:
    """Return the rows of `table` that belong to each split.

    Raises:
        LabelError: a column is missing, a fold is not 1 to 10, a split is empty, or a patient is in two.

    """
    for name in ("strat_fold", "patient_id", "sex", "age"):
        if name not in table:
            raise LabelError(f"ptbxl_database.csv has no column {name!r}")
    fold = table["strat_fold"]
    if odd := table.index[~fold.isin(range(1, 11))].tolist():
        raise LabelError(f"ptbxl_database.csv: record {odd[0]}: strat_fold {fold[odd[0]]} is not 1 to 10")
    if nameless := table.index[table["patient_id"].isna()].tolist():
        raise LabelError(f"ptbxl_database.csv: record {nameless[0]} has no patient_id")
    rows = {split: np.flatnonzero(fold.isin(folds)) for split, folds in FOLDS.items()}
    seen: dict[object, str] = {}
    for split, members in rows.items():
        if not len(members):
            folds = " or ".join(map(str, FOLDS[split]))
            raise LabelError(f"no usable record is in fold {folds}, the {split} split")
        for patient in table["patient_id"].iloc[members].unique():
            if patient in seen:
                name = str(patient).removesuffix(".0")
                raise LabelError(
                    f"ptbxl_database.csv: patient {name} is in two splits, {seen[patient]} and {split}"
                )
            seen[patient] = split
    return rows
