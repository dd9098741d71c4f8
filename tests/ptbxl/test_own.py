import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb
import yaml

from closure import ROOT
from defaults import KEEP_ALL
from ecg_temporal.ptbxl import raw
from ecg_temporal.ptbxl.amplitude import span_mv
from ecg_temporal.ptbxl.own import collect_own, deal
from ecg_temporal.ptbxl.preprocess import preprocess
from ecg_temporal.ptbxl.settings import LabelSettings
from ecg_temporal.ptbxl.waveforms import LEADS, read_record


def write_at_400_a_millivolt(folder, name, rate, leads, millivolts):
    properties = {"fmt": ["16"] * 12, "adc_gain": [400.0] * 12, "baseline": [0] * 12}
    where = str(folder / "clinic")
    wfdb.wrsamp(name, rate, ["mV"] * 12, list(leads), millivolts, write_dir=where, **properties)


def write_own(folder, rng, records=40, rate=250, seconds=12):
    """Write records that are not PTB-XL's: another rate, length, gain and names, with labels of their own."""
    (folder / "clinic").mkdir(parents=True, exist_ok=True)
    rows = []
    for k in range(records):
        name, labels = f"ecg_{k:03d}", [label for label in ("AF", "sinus", "LBBB") if rng.random() < 0.5]
        millivolts = rng.normal(0, 0.3, (rate * seconds, 12)) + len(labels) / 10
        write_at_400_a_millivolt(folder, name, rate, LEADS[::-1], millivolts)
        rows.append({"record": f"clinic/{name}", "labels": "; ".join(labels), "patient": f"p{k // 2}"})
    table = pd.DataFrame(rows)
    table.to_csv(folder / "labels.csv", index=False)
    return table


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    return folder, write_own(folder, np.random.default_rng(0))


@pytest.fixture
def own(written, tmp_path):
    """A copy of 40 records and their table, to be spoilt."""
    folder, table = written
    return Path(shutil.copytree(folder, tmp_path / "own")), table.copy()


def collected(folder, out):
    out.mkdir()
    collect_own(folder, out, "fail")
    return raw.read_raw(out)


def test_own_records_become_a_dataset_like_ptbxl(own, tmp_path):
    folder, table = own
    dataset = collected(folder, tmp_path / "raw")
    assert dataset.signals.shape == (40, 12, 1000) and dataset.manifest.dataset == "own records"
    splits = preprocess(dataset, KEEP_ALL)
    assert splits["train"].description.classes == ["AF", "LBBB", "sinus"]
    assert sum(len(split) for split in splits.values()) == 40
    found = np.concatenate([split.labels.sum(axis=1) for split in splits.values()])
    ids = np.concatenate([split.ecg_id for split in splits.values()])
    expected = [len([x for x in text.split(";") if x.strip()]) for text in table["labels"]]
    assert [expected[k - 1] for k in ids] == found.tolist()
    level = np.array([signals.mean() for signals in dataset.signals])  # a label adds a tenth of a millivolt
    np.testing.assert_allclose(level, np.array(expected) * 100, atol=30)


def test_blanks_around_a_name_make_no_other_patient_and_no_other_record(own, tmp_path):
    folder, table = own
    expected = collected(folder, tmp_path / "raw").table
    table["patient"] = [f"{name} " if k % 2 else f" {name}" for k, name in enumerate(table["patient"])]
    table.assign(record=" " + table["record"]).to_csv(folder / "labels.csv", index=False)
    pd.testing.assert_frame_equal(collected(folder, tmp_path / "again").table, expected)


def test_the_first_ten_seconds_count(own, tmp_path):
    folder, _ = own
    expected = read_record(folder / "clinic/ecg_007", any_length=True)
    assert expected.shape == (12, 1200)
    found = collected(folder, tmp_path / "raw").signals[7]
    np.testing.assert_array_equal(found, expected[:, :1000])


def test_a_dataset_is_the_same_when_it_is_read_again(own, tmp_path):
    folder, _ = own
    one, other = collected(folder, tmp_path / "a"), collected(folder, tmp_path / "b")
    assert one.manifest == other.manifest
    pd.testing.assert_frame_equal(one.table, other.table)


def test_dealt_patients_stay_whole_and_labels_are_spread(rng):
    labels = [["rare"] if k % 10 == 0 else ["common"] for k in range(400)]
    patients = [f"p{k // 2}" for k in range(400)]
    folds = deal(labels, patients)
    assert set(folds) == set(range(1, 11))
    for k in range(0, 400, 2):
        assert folds[k] == folds[k + 1]
    rare = np.bincount([fold for fold, of_one in zip(folds, labels, strict=True) if of_one == ["rare"]])[1:]
    assert rare.min() == rare.max() == 4
    np.testing.assert_array_equal(folds, deal(labels, patients))


def test_the_order_of_the_rows_changes_nobodys_fold(rng):
    labels, patients = [["AF"], ["LVH"], []] * 40, [f"p{k}" for k in range(120)]
    folds = dict(zip(patients, deal(labels, patients).tolist(), strict=True))
    order = rng.permutation(120)
    again = deal([labels[k] for k in order], [patients[k] for k in order])
    assert dict(zip([patients[k] for k in order], again.tolist(), strict=True)) == folds


def test_of_a_label_with_few_records_each_split_has_one():
    labels = [["AF"] if k < 8 else [] for k in range(18)]
    folds = deal(labels, [f"p{k}" for k in range(18)])[:8]
    assert sorted(folds) == [1, 2, 3, 4, 5, 6, 9, 10]


def test_a_label_of_fewer_patients_than_splits_is_for_training():
    labels = [["rare"], ["rare"], ["one", "AF"], *[["AF"]] * 20, ["three"], ["three"], ["three"], ["three"]]
    patients = [*"aab", *(f"p{k}" for k in range(20)), *"xyyz"]
    folds = deal(labels, patients)
    assert max(folds[:3]) <= 8 and sorted({*folds[-4:].tolist()}) == [1, 9, 10]
    notes = [["AF", f"note {k}"] for k in range(24)]  # of nobody else: too few would be left to deal
    assert {*deal(notes, [f"p{k}" for k in range(24)]).tolist()} == {*range(1, 11)}


@pytest.mark.parametrize("kinds", [2, 5])
def test_labels_that_are_as_frequent_as_each_other_are_spread_too(kinds):
    labels = [[f"L{k % kinds}"] for k in range(kinds * 20)]
    folds = deal(labels, [f"p{k}" for k in range(len(labels))])
    for name in range(kinds):
        assert np.bincount(folds[name::kinds], minlength=11)[1:].tolist() == [2] * 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="labels"), "has no column 'labels'; it has record, patient"),
        (
            lambda t: t.rename(columns={"labels": "diagnosis"}),
            "has no column 'labels'; it has record, diagnosis",
        ),
        (lambda t: t.assign(labels=""), "no record has a label"),
        (lambda t: t.assign(labels="AF;findings"), "no label can be called 'findings'"),
        *(
            (lambda t, text=text: t.assign(labels=[text, *t["labels"][1:]]), "semicolons separate labels")
            for text in ("AF,LBBB", "AF|LBBB", "{'NORM': 100.0}")
        ),
        (
            lambda t: t.assign(labels=["AF", "af", *t["labels"][2:]]),
            "'AF' and 'af' differ in their case alone",
        ),
        (
            lambda t: t.assign(labels=["A\nB", *t["labels"][1:]]),
            r"label 'A.nB' has a character that can't be",
        ),
        (lambda t: t.assign(labels="AF;LVH"), "every record has the same labels .AF, LVH.: nothing to learn"),
        (
            lambda t: t.assign(record=["/data/x", *t["record"][1:]]),
            "record '/data/x' leaves .* write the path from",
        ),
        (lambda t: t.iloc[:0], "names no record"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "record 'clinic/ecg_000' is there twice"),
        (
            lambda t: t.assign(record=["./clinic//ecg_001.hea", *t["record"][1:]]),
            "record 'clinic/ecg_001' is there twice",
        ),
        (lambda t: t.assign(record=["clinic\\x", *t["record"][1:]]), r"record 'clinic.*x': write / for"),
        (lambda t: t.assign(patient=""), "record 'clinic/ecg_000' has no patient"),
        (
            lambda t: t.assign(fold=["3", "train", *["1"] * 38]),
            "record 'clinic/ecg_001' has fold 'train'.*1 to 10",
        ),
        (lambda t: t.assign(fold=["3", "", *["1"] * 38]), "record 'clinic/ecg_001' has no fold"),
        (lambda t: t.assign(record=["../secret", *t["record"][1:]]), r"csv: record '\.\./secret' leaves the"),
        (lambda t: t.assign(record=["clinic/ecg_000", " ", *t["record"][2:]]), "csv: line 3 names no record"),
        (
            lambda t: t.rename(columns={"patient": "labels"}),
            r"csv: the column 'labels' is there twice",
        ),
        (lambda t: t.rename(columns={"patient": "Patient "}), "column 'Patient ' must be written 'patient'"),
        (
            lambda t: t.rename(columns={"patient": "patient_id"}),
            "column 'patient_id' is none of record, labels,",
        ),
        (
            lambda t: t.assign(fold=["9", "10", *["1"] * 38]),
            "patient 'p0' is in folds 9, 10, in two splits",
        ),
        (lambda t: t.assign(fold=["9", "9", *["1"] * 38]), "no record is in fold 10, the test split"),
        (lambda t: t.iloc[:18], "has 9 patients; 10 are the least"),
        (
            lambda t: t.assign(record=["clinic/none", *t["record"][1:]]),
            r"1 with a missing file(?s:.*)none\.hea",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_file_and_the_record(own, tmp_path, change, message):
    folder, table = own
    change(table).to_csv(folder / "labels.csv", index=False)
    (tmp_path / "raw").mkdir()
    with pytest.raises(ValueError, match=message):
        collect_own(folder, tmp_path / "raw", "fail")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"record;labels;patient\na;AF;p\n",
            "labels.csv: commas must separate the columns, .*'record;labels;patient'",
        ),
        (b"record\tlabels\na\tAF\n", "commas must separate the columns"),
        (b"record;labels\na;AF,LVH\nb;AF\n", "commas must separate the columns"),
        ("record,labels\na,Ischämie\n".encode("latin1"), "labels.csv is not in UTF-8"),
        ("record,labels\na,AF\n".encode("utf-16"), "labels.csv is not in UTF-8"),
        (b"", "labels.csv is empty"),
    ],
)
def test_a_file_that_a_spreadsheet_wrote_otherwise_is_refused_with_what_to_do(
    own, tmp_path, content, message
):
    folder, _ = own
    (folder / "labels.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        collect_own(folder, tmp_path, "fail")


def test_a_lead_far_from_zero_loses_its_mean_and_that_is_said(own, tmp_path, capsys):
    folder, _ = own
    before = collected(folder, tmp_path / "before")
    assert "from zero" not in capsys.readouterr().out
    record = wfdb.rdrecord(folder / "clinic/ecg_003")
    lead = record.sig_name.index("V2")
    record.p_signal[:, lead] += 12
    write_at_400_a_millivolt(folder, "ecg_003", 250, record.sig_name, record.p_signal)
    after = collected(folder, tmp_path / "after")
    assert "1 of 40 records have leads 1 mV or more from zero" in capsys.readouterr().out
    found = np.abs(after.signals.astype(int) - before.signals).max(axis=2)
    k = LEADS.index("V2")
    assert abs(after.signals[3, k].mean()) < 1
    wave = before.signals[3, k] - before.signals[3, k].mean()
    np.testing.assert_allclose(after.signals[3, k], wave, atol=20)  # the resampling's edges
    found[3, k] = 0
    assert not found.any()
    record.p_signal[:, lead] = 6 + 0 * record.p_signal[:, lead]
    record.p_signal[1000:1100, lead] = -28  # 34 millivolts from the mean, which 16 bits don't hold
    write_at_400_a_millivolt(folder, "ecg_003", 250, record.sig_name, record.p_signal)
    with pytest.raises(ValueError, match=r"ecg_003: a sample is more than 32767 microvolts from its"):
        collected(folder, tmp_path / "refused")


def test_the_same_signal_in_two_splits_is_refused_and_in_one_taken(own, tmp_path):
    folder, table = own
    fold = np.where(np.arange(40) // 2 % 10 < 8, 1, 9 + np.arange(40) // 2 % 10 - 8)
    table.assign(fold=fold).to_csv(folder / "labels.csv", index=False)
    for suffix in ("hea", "dat"):
        text = (folder / f"clinic/ecg_000.{suffix}").read_bytes()
        for copy in ("ecg_004", "ecg_017"):
            (folder / f"clinic/{copy}.{suffix}").write_bytes(text.replace(b"ecg_000", copy.encode()))
    with pytest.raises(
        ValueError,
        match=r"1 with the signal of another split(?s:.*)ecg_017 \(validation\) has the signal of .*ecg_000 ",
    ):
        collected(folder, tmp_path / "refused")
    table.assign(fold=fold).drop(index=17).to_csv(folder / "labels.csv", index=False)
    assert len(collected(folder, tmp_path / "taken").signals) == 39


def test_bad_records_are_named_up_to_twenty(own, tmp_path):
    folder, _ = own
    for path in (folder / "clinic").glob("*.dat"):
        path.unlink()
    with pytest.raises(ValueError, match="40 with a missing file") as refused:
        collect_own(folder, tmp_path, "fail")
    lines = str(refused.value).splitlines()
    assert len(lines) == 22 and all(f"ecg_{k:03d}.dat" in lines[k + 1] for k in range(20))
    assert lines[-1] == "  and 20 more"


def test_the_labels_are_counted(own, tmp_path, capsys):
    folder, table = own
    (tmp_path / "raw").mkdir()
    collect_own(folder, tmp_path / "raw", "fail")
    first = table["labels"].str.split(";").explode().str.strip().value_counts()
    assert (
        f"{first[first.index != ''].index[0]} ({first[first.index != ''].iloc[0]})" in capsys.readouterr().out
    )


def test_a_record_of_less_than_ten_seconds_is_refused(tmp_path, rng):
    write_own(tmp_path / "own", rng, records=20, seconds=8)
    (tmp_path / "raw").mkdir()
    with pytest.raises(ValueError, match=r"ecg_000: 8 s are fewer than 10"):
        collect_own(tmp_path / "own", tmp_path / "raw", "fail")
    with pytest.raises(ValueError, match=r"nothing/labels\.csv: no such file"):
        collect_own(tmp_path / "nothing", tmp_path / "raw", "fail")


def test_labels_may_look_like_numbers_or_like_nothing(own, tmp_path):
    folder, table = own
    codes = {"AF": "164889003", "sinus": "NA", "LBBB": "007"}
    table["labels"] = [";".join(codes[x.strip()] for x in t.split(";") if x.strip()) for t in table["labels"]]
    table.to_csv(folder / "labels.csv", index=False)
    splits = preprocess(collected(folder, tmp_path / "raw"), KEEP_ALL)
    assert splits["train"].description.classes == ["007", "164889003", "NA"]


@pytest.mark.parametrize(
    ("column", "value"),
    [("age", "90+"), ("age", "-1"), ("age", "inf"), ("age", "1930"), ("sex", "F"), ("sex", "2")],
)
def test_an_age_or_a_sex_that_is_none_is_refused_with_its_record(own, tmp_path, column, value):
    folder, table = own
    table[column] = [""] * 5 + [value] + ["1"] * 34
    table.to_csv(folder / "labels.csv", index=False)
    with pytest.raises(
        ValueError, match=rf"labels.csv: record 'clinic/ecg_005' has {column} '{re.escape(value)}'"
    ):
        collected(folder, tmp_path / "raw")
    table.loc[5, column] = ""
    table.to_csv(folder / "labels.csv", index=False)
    assert collected(folder, tmp_path / "again").table[column].isna().sum() == 6


def test_folds_and_patients_are_those_of_the_table_and_every_label_counts(own, tmp_path):
    folder, table = own
    table["fold"] = [k // 4 + 1 for k in range(40)]
    table.to_csv(folder / "labels.csv", index=False)
    found = collected(folder, tmp_path / "out").table
    assert found["strat_fold"].tolist() == table["fold"].tolist()
    assert found["patient_id"].tolist() == [k // 2 + 1 for k in range(40)]
    surest = LabelSettings(min_likelihood=100, unlabelled="keep")
    labelled = sum(
        int(split.labels.any(axis=1).sum())
        for split in preprocess(raw.read_raw(tmp_path / "out"), surest).values()
    )
    assert labelled == (table["labels"] != "").sum()
    table.drop(columns="patient").to_csv(folder / "labels.csv", index=False)
    assert collected(folder, tmp_path / "alone").table["patient_id"].nunique() == 40


def test_a_record_of_exactly_ten_seconds_is_taken(tmp_path, rng):
    write_own(tmp_path / "own", rng, records=20, seconds=10)
    assert collected(tmp_path / "own", tmp_path / "out").manifest.records == 20


def test_rows_with_more_cells_than_the_header_are_refused(own, tmp_path):
    folder, _ = own
    head, *rows = (folder / "labels.csv").read_text().splitlines()
    names = head.count(",") + 1
    (folder / "labels.csv").write_text("\n".join([head, *(f"{row}," for row in rows)]) + "\n")
    more = (
        rf"labels\.csv is not a table .*semicolons, not commas \(line 2 has {names + 1} cells, not {names}\)"
    )
    with pytest.raises(ValueError, match=more):
        collected(folder, tmp_path / "raw")


def test_a_row_that_was_cut_off_is_not_one_without_labels(own, tmp_path):
    folder, _ = own
    text = (folder / "labels.csv").read_text().rstrip("\n")
    head, *_, last = text.split("\n")
    (folder / "labels.csv").write_text(text.removesuffix(last) + last.partition(",")[0] + "\n\n")
    told = rf"line {text.count(chr(10)) + 1} has 1 cells, not {head.count(',') + 1}"
    with pytest.raises(ValueError, match=told):
        collected(folder, tmp_path / "raw")


def test_a_record_without_a_signal_is_refused_and_an_unlikely_amplitude_told(own, tmp_path, capsys):
    folder, table = own
    collected(folder, tmp_path / "raw")
    assert "are unit and gain right?" not in capsys.readouterr().out
    for name, signal in (("ecg_000", np.zeros((2500, 12))), ("ecg_001", np.arange(2500)[:, None] % 9 / 1000)):
        wfdb.wrsamp(
            name,
            250,
            ["mV"] * 12,
            list(LEADS),
            signal + np.zeros((2500, 12)),
            fmt=["16"] * 12,
            adc_gain=[4000.0] * 12,
            baseline=[0] * 12,
            write_dir=str(folder / "clinic"),
        )
    (tmp_path / "again").mkdir()
    with pytest.raises(ValueError, match=r"1 with no signal[^!]*ecg_000: all twelve leads are constant"):
        collect_own(folder, tmp_path / "again", "fail")
    table[1:].to_csv(folder / "labels.csv", index=False)
    collected(folder, tmp_path / "told")
    said = capsys.readouterr().out
    assert re.search(r"leads of 1 of 39 records .*ecg_001: 0.00\d+ mV\): are unit and gain right", said)


def test_a_relative_folder_is_one_from_the_project_also_in_the_copy_of_an_experiment(own, tmp_path):
    params = yaml.safe_load((ROOT / "params.yaml").read_text()) | {"dataset": "own"}
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/params.yaml").write_text(yaml.safe_dump(params))
    environment = os.environ | {"DVC_ROOT": str(tmp_path), "OWN_DIR": "own", "PYTHONPATH": str(ROOT / "src")}
    fetch = [sys.executable, ROOT / "stages/fetch.py"]
    subprocess.run(fetch, cwd=tmp_path / "copy", env=environment, check=True, capture_output=True)
    assert len(raw.read_raw(tmp_path / "copy/data/raw").table) == 40


def test_a_table_without_patients_says_what_that_means(own, tmp_path, capsys):
    folder, table = own
    table.drop(columns="patient").to_csv(folder / "labels.csv", index=False)
    collected(folder, tmp_path / "raw")
    assert "each record counts as a patient of its own" in capsys.readouterr().out


def test_sex_and_age_are_those_of_the_table(own, tmp_path):
    folder, table = own
    table = table.assign(sex=[int(k % 3 == 0) for k in range(len(table))], age=range(20, 20 + len(table)))
    table.to_csv(folder / "labels.csv", index=False)
    found = collected(folder, tmp_path / "raw").table
    assert found["sex"].tolist() == table["sex"].tolist() and found["age"].tolist() == table["age"].tolist()


def test_ages_are_taken_as_they_are(own, tmp_path):
    folder, table = own
    table.assign(age=[300, 120, 0] + [50] * 37).to_csv(folder / "labels.csv", index=False)
    assert collected(folder, tmp_path / "raw").table["age"].tolist()[:3] == [300, 120, 0]


def test_the_span_is_the_typical_leads():
    signals = np.zeros((12, 100), np.int16)
    signals[:3, 0] = 1000
    assert span_mv(signals) == 1


def test_a_rare_labels_patients_are_for_training_where_ten_are_left_to_deal():
    labels = [["rare"], ["rare"], *[["AF"]] * 10]
    folds = deal(labels, [f"p{k}" for k in range(12)])
    assert max(folds[:2]) <= 8 and sorted(folds[2:]) == list(range(1, 11))


def test_a_patient_counts_by_the_rarest_label_of_all_records():
    # Twenty patients with two records: ten have the rare label in the first of them.
    labels = [label for k in range(20) for label in (["rare"] if k < 10 else ["AF"], ["AF"])]
    folds = deal(labels, [f"p{k // 2}" for k in range(40)])
    assert sorted(folds[:20:2]) == list(range(1, 11))
