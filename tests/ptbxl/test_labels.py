import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg_temporal.ptbxl import raw
from ecg_temporal.ptbxl.labels import (
    LabelError,
    label_matrix,
    parse_codes,
    split_rows,
    statement_matrix,
    subclasses,
)

# Positives in all, train, validation and test of PTB-XL v1.0.3, every listed code counted.
COUNTS = {
    "NORM": (9514, 7596, 955, 963), "ISC_": (1272, 1019, 125, 128), "CLBBB": (536, 428, 54, 54),
    "IMI": (3271, 2618, 326, 327), "IRBBB": (1118, 894, 112, 112), "LAO/LAE": (426, 341, 43, 42),
    "AMI": (3078, 2466, 306, 306), "ISCA": (941, 756, 92, 93), "ISCI": (397, 318, 39, 40),
    "STTC": (2239, 1792, 225, 222), "_AVB": (823, 658, 83, 82), "LMI": (201, 161, 20, 20),
    "LVH": (2132, 1708, 210, 214), "IVCD": (787, 630, 78, 79), "RVH": (126, 102, 12, 12),
    "LAFB/LPFB": (1797, 1437, 181, 179), "NST_": (767, 615, 75, 77), "RAO/RAE": (99, 79, 10, 10),
    "CRBBB": (541, 432, 55, 54), "WPW": (79, 64, 7, 8), "ILBBB": (77, 62, 7, 8),
    "SEHYP": (29, 24, 3, 2), "PMI": (17, 13, 2, 2),
}  # fmt: skip

STATEMENTS = pd.DataFrame(
    {"diagnostic": [1, 1, 1, np.nan], "diagnostic_subclass": ["NORM", "AMI", "AMI", None]},
    index=["NORM", "ASMI", "ALMI", "SR"],
)


def table(codes, folds=None, patients=None):
    n = len(codes)
    return pd.DataFrame(
        {
            "scp_codes": codes,
            "strat_fold": folds or [1] * n,
            "patient_id": patients or range(n),
            "sex": 0,
            "age": 60.0,
        },
        index=pd.RangeIndex(1, n + 1, name="ecg_id"),
    )


def test_the_counts_of_the_real_ptbxl(full_tables):
    packed = full_tables / "ptbxl_database.csv.xz"
    path = packed if packed.exists() else full_tables / raw.TABLE
    records = pd.read_csv(path, index_col=0, low_memory=False)
    labels, classes = label_matrix(records, raw.read_statements(full_tables / raw.STATEMENTS), 0)
    rows = split_rows(records)
    assert (len(records), [len(r) for r in rows.values()]) == (21_799, [17_418, 2_183, 2_198])
    assert records["patient_id"].nunique() == 18_869
    found = {
        name: (int(labels[:, k].sum()), *(int(labels[r, k].sum()) for r in rows.values()))
        for k, name in enumerate(classes)
    }
    assert found == COUNTS
    assert int((~labels.any(axis=1)).sum()) == 411


@pytest.mark.parametrize(("min_likelihood", "targets"), [(0, 47), (50, None), (100, None)])
def test_the_statements_of_the_real_ptbxl_equal_those_that_pandas_finds(full_tables, min_likelihood, targets):
    packed = full_tables / "ptbxl_database.csv.xz"
    path = packed if packed.exists() else full_tables / raw.TABLE
    records = pd.read_csv(path, index_col=0, low_memory=False)
    statements = raw.read_statements(full_tables / raw.STATEMENTS)
    labels, _ = label_matrix(records, statements, min_likelihood)
    rows = split_rows(records)["train"]
    matrix, names = statement_matrix(records, statements, min_likelihood, labels, rows)
    found = records["scp_codes"].str.extractall(r"'(?P<code>[\w/]+)': (?P<likelihood>[\d.]+)")
    found = found.droplevel("match").astype({"likelihood": float})
    diagnostic = statements.index[statements["diagnostic"] == 1]
    found = found[~found["code"].isin(diagnostic) | (found["likelihood"] >= min_likelihood)]
    theirs = pd.crosstab(found.index, found["code"]).reindex(records.index, fill_value=0).clip(upper=1)
    np.testing.assert_array_equal(matrix, theirs[names])
    theirs = theirs[records["strat_fold"] <= 8]
    common = theirs.columns[theirs.sum() >= 20]
    subclass = statements.loc[diagnostic, "diagnostic_subclass"]
    left_out = set(common) - set(names)
    # A subclass's only statement, or the only one that its training records have, says what that says.
    of_subclass = theirs.T.groupby(subclass).any().T
    same = {name for name, of in subclass.items() if theirs[name].astype(bool).equals(of_subclass[of])}
    assert left_out == same & set(common) and "NORM" in left_out
    assert targets in (None, len(names))


def test_statements_are_those_of_the_training_records_that_tell_more():
    codes = ["{'ASMI': 100.0}"] * 20 + ["{'ALMI': 0}"] * 20 + ["{'NORM': 80.0, 'SR': 0}"] * 25 + ["{}"]
    rare = table([*codes, "{'ALMI': 50}"])
    labels, _ = label_matrix(rare, STATEMENTS, 0)
    matrix, names = statement_matrix(rare, STATEMENTS, 0, labels, np.arange(66))
    assert names == ["ALMI", "ASMI"]  # NORM and SR are in the same training records: what NORM says
    assert matrix.sum(axis=0).tolist() == [21, 20]
    matrix, names = statement_matrix(rare, STATEMENTS, 0, labels, np.arange(1, 66))
    assert names == ["ALMI"]  # of ASMI, 19 are left
    labels, _ = label_matrix(rare, STATEMENTS, 90)
    matrix, names = statement_matrix(rare, STATEMENTS, 90, labels, np.arange(66))
    assert names == ["SR"]  # ALMI has no record at 90, which leaves ASMI what AMI says; NORM has none
    with pytest.raises(LabelError, match="record 1: 'XXX' is not in"):
        statement_matrix(table(["{'XXX': 100.0}"]), STATEMENTS, 0, labels, np.arange(1))


def test_statements_become_sorted_subclasses():
    labels, classes = label_matrix(
        table(["{'ASMI': 100.0, 'ALMI': 0.0}", "{'SR': 0}", "{'NORM': 80.0}"]), STATEMENTS, 0
    )
    assert classes == ["AMI", "NORM"]
    assert labels.tolist() == [[1, 0], [0, 0], [0, 1]]
    assert label_matrix(table(["{'ASMI': 49.9}", "{'ASMI': 50}"]), STATEMENTS, 50)[0][:, 0].tolist() == [0, 1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nan",
        "[]",
        "{'NORM'}",
        "{{'NORM': 1.0}}",
        "{'NORM': 'x'}",
        "{'NORM': -1}",
        "{1: 1.0}",
        "__import__('os')",
        "(" * 500,
    ],
)
def test_malformed_codes_are_refused_with_the_record(text):
    with pytest.raises(LabelError, match="record 2: scp_codes"):
        label_matrix(table(["{}", text]), STATEMENTS, 0)


@given(st.text())
def test_any_text_is_parsed_or_refused(text):
    try:
        assert isinstance(parse_codes(text), dict)
    except LabelError:
        pass


def test_an_unknown_statement_is_refused_with_the_record():
    with pytest.raises(LabelError, match="record 1: 'XXX'"):
        label_matrix(table(["{'XXX': 100.0}"]), STATEMENTS, 0)


def test_statements_without_a_diagnosis_are_refused():
    with pytest.raises(LabelError, match="no column 'diagnostic'"):
        subclasses(STATEMENTS.drop(columns="diagnostic"))
    with pytest.raises(LabelError, match="no statement is diagnostic"):
        subclasses(STATEMENTS.assign(diagnostic=0))


@pytest.mark.parametrize("column", ["scp_codes", "strat_fold", "patient_id", "sex", "age"])
def test_a_table_without_a_column_is_refused_with_its_name(column):
    without = table(["{}"] * 10, folds=list(range(1, 11))).drop(columns=column)
    with pytest.raises(LabelError, match=f"ptbxl_database.csv has no column '{column}'"):
        label_matrix(without, STATEMENTS, 0)
        split_rows(without)


def test_a_diagnostic_statement_without_a_subclass_is_refused_by_name():
    with pytest.raises(LabelError, match="ASMI is diagnostic and has no diagnostic_subclass"):
        subclasses(STATEMENTS.assign(diagnostic_subclass=["NORM", None, "AMI", None]))


def test_a_record_without_a_patient_is_refused():
    with pytest.raises(LabelError, match="record 3 has no patient_id"):
        split_rows(table(["{}"] * 10, folds=list(range(1, 11)), patients=[1, 2, np.nan, *range(4, 11)]))


def test_folds_are_split_as_recommended():
    rows = split_rows(table(["{}"] * 10, folds=list(range(1, 11))))
    assert {name: r.tolist() for name, r in rows.items()} == {
        "train": list(range(8)),
        "validation": [8],
        "test": [9],
    }


@pytest.mark.parametrize("fold", [0, 11, float("nan"), 1.5])
def test_a_fold_outside_1_to_10_is_refused_with_the_record(fold):
    with pytest.raises(LabelError, match="record 10: strat_fold"):
        split_rows(table(["{}"] * 10, folds=[*range(1, 10), fold]))


def test_a_patient_in_two_splits_is_refused():
    with pytest.raises(LabelError, match="patient 7 is in two splits, train and test"):
        split_rows(table(["{}"] * 10, folds=list(range(1, 11)), patients=[7, *range(20, 28), 7]))


def test_an_empty_split_is_refused():
    with pytest.raises(LabelError, match="test split"):
        split_rows(table(["{}"] * 9, folds=list(range(1, 10))))


@pytest.mark.parametrize("likelihood", ["100.1", "1e9", "1e999"])
def test_more_than_a_hundred_percent_is_refused_with_the_record(likelihood):
    with pytest.raises(LabelError, match="record 2: scp_codes"):
        label_matrix(table(["{}", f"{{'NORM': {likelihood}}}"]), STATEMENTS, 0)
