import hashlib
import shutil

import numpy as np
import pandas as pd
import pytest
import wfdb

from ecg_temporal.ptbxl import raw
from ecg_temporal.ptbxl.collect import collect
from ecg_temporal.ptbxl.raw import read_raw
from ecg_temporal.ptbxl.synthetic import statements
from ecg_temporal.ptbxl.waveforms import LEADS

RECORDS = 6


@pytest.fixture
def tree(tmp_path, rng):
    """A tree as PhysioNet lays it out, with six records."""
    tree = tmp_path / "tree"
    folder = tree / "records100" / "00000"
    folder.mkdir(parents=True)
    for k in range(1, RECORDS + 1):
        wfdb.wrsamp(
            f"{k:05}_lr",
            fs=100,
            units=["mV"] * 12,
            sig_name=list(LEADS),
            d_signal=rng.integers(-900, 900, (1000, 12)),
            fmt=["16"] * 12,
            adc_gain=[1000.0] * 12,
            baseline=[0] * 12,
            write_dir=str(folder),
        )
    table = pd.DataFrame(
        {
            "patient_id": range(RECORDS),
            "scp_codes": "{'NORM': 100.0}",
            "strat_fold": [1, 1, 1, 1, 9, 10],
            "filename_lr": [f"records100/00000/{k:05}_lr" for k in range(1, RECORDS + 1)],
        },
        pd.RangeIndex(1, RECORDS + 1, name="ecg_id"),
    )
    table.to_csv(tree / raw.TABLE)
    statements().to_csv(tree / raw.STATEMENTS)
    return tree


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def damage(tree):
    """Truncate record 2, flip a bit of record 3 and remove record 5; lead V1 of record 1 is flat."""
    folder = tree / "records100" / "00000"
    data = folder / "00002_lr.dat"
    data.write_bytes(data.read_bytes()[:-1000])
    data = folder / "00003_lr.dat"
    data.write_bytes(bytes([data.read_bytes()[0] ^ 1]) + data.read_bytes()[1:])
    (folder / "00005_lr.dat").unlink()
    samples = wfdb.rdrecord(str(folder / "00001_lr"), physical=False).d_signal
    samples[:, LEADS.index("V1")] = 4
    wfdb.wrsamp(
        "00001_lr",
        fs=100,
        units=["mV"] * 12,
        sig_name=list(LEADS),
        d_signal=samples,
        fmt=["16"] * 12,
        adc_gain=[1000.0] * 12,
        baseline=[0] * 12,
        write_dir=str(folder),
    )


def test_a_sound_tree_is_taken_as_it_is(tree, out):
    manifest = collect(tree, out, {}, "fail")
    assert (manifest.records, manifest.skipped, manifest.flat_leads) == (RECORDS, {}, {})
    assert (out / raw.TABLE).read_bytes() == (tree / raw.TABLE).read_bytes()
    back = read_raw(out)
    for k, name in enumerate(back.table["filename_lr"]):
        expected = wfdb.rdrecord(str(tree / name), physical=False).d_signal.T
        np.testing.assert_array_equal(back.signals[k], expected)
    for damaged in (b"\x93NUMPY", b"", b"PK"):
        (out / "signals.npy").write_bytes(damaged)
        with pytest.raises(ValueError, match="not a raw dataset"):
            read_raw(out)


def test_the_digest_is_that_of_every_sample(rng):
    signals = rng.integers(-9, 9, (1030, 2, 3)).astype(np.int16)
    assert raw.digest(signals) == hashlib.sha256(signals.astype("<i2").tobytes()).hexdigest()


def test_bad_records_are_counted_by_problem_and_the_first_is_named(tree, out):
    damage(tree)
    with pytest.raises(ValueError) as refusal:
        collect(tree, out, {}, "fail")
    said = str(refusal.value)
    assert "3 of 6 records can't be used" in said
    for kind in ("1 with a truncated file", "1 with a wrong checksum", "1 with a missing file"):
        assert kind in said
    assert "00002_lr.dat" in said and "on_bad_record: skip" in said


def test_bad_records_are_skipped_and_named_in_the_manifest(tree, out, capsys):
    damage(tree)
    collect(tree, out, {}, "skip")
    assert "3 of 6" in capsys.readouterr().out
    back = read_raw(out)
    assert back.table.index.tolist() == [1, 4, 6]
    assert back.signals.shape == (3, 12, 1000)
    assert list(back.manifest.skipped) == ["2", "3", "5"]
    assert back.manifest.skipped["5"] == "records100/00000/00005_lr.dat: no such file"
    assert str(tree) not in str(back.manifest)
    assert back.manifest.flat_leads == {"1": ["V1"]}
    for k, ecg_id in enumerate(back.table.index):
        expected = wfdb.rdrecord(str(tree / back.table["filename_lr"][ecg_id]), physical=False).d_signal.T
        np.testing.assert_array_equal(back.signals[k], expected)


def test_a_record_that_cannot_be_opened_is_skipped_too(tree, out):
    data = tree / "records100" / "00000" / "00004_lr.dat"
    data.unlink()
    data.mkdir()
    manifest = collect(tree, out, {}, "skip")
    assert manifest.skipped == {"4": "records100/00000/00004_lr: Is a directory"}


def test_a_name_stays_the_text_that_it_is(tmp_path):
    pd.DataFrame({"filename_lr": ["00121", "2"], "age": [1, None]}, index=[1, 2]).to_csv(tmp_path / "t.csv")
    table = raw.read_table(tmp_path / "t.csv")
    assert table["filename_lr"].tolist() == ["00121", "2"] and table["age"].tolist()[0] == 1


def test_a_tree_without_any_usable_record_is_refused(tree, out):
    shutil.rmtree(tree / "records100")
    with pytest.raises(ValueError, match=r"6 of 6 records.*Mend them:"):  # skipped they are already
        collect(tree, out, {}, "skip")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a\\..\\b", ""])
def test_a_path_that_leaves_the_tree_is_refused_with_the_record(tree, out, name):
    table = raw.read_table(tree / raw.TABLE)
    table.loc[4, "filename_lr"] = name
    table.to_csv(tree / raw.TABLE)
    with pytest.raises(ValueError, match="record 4: filename_lr"):
        collect(tree, out, {}, "skip")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text + text.splitlines()[2] + "\n", "ecg_id 2 is there twice"),
        (lambda text: text.splitlines()[0] + "\n", "has no rows"),
        (lambda text: "", "is not a CSV table"),
        (lambda text: text.replace("filename_lr", "filename"), "has no column 'filename_lr'"),
    ],
)
def test_a_table_that_is_empty_or_names_a_record_twice_is_refused(tree, out, damage, message):
    path = tree / raw.TABLE
    path.write_text(damage(path.read_text()))
    with pytest.raises(ValueError, match=rf"ptbxl_database\.csv.* {message}"):
        collect(tree, out, {}, "skip")
    assert list(out.iterdir()) == []


def test_signals_and_a_table_of_another_length_are_refused(tree, out):
    collect(tree, out, {}, "fail")
    raw.read_table(out / raw.TABLE).iloc[:-1].to_csv(out / raw.TABLE)
    with pytest.raises(ValueError, match="6 signals, 5 rows"):
        read_raw(out)


def test_of_signals_that_are_shortened_the_first_stay_in_their_order(tmp_path):
    raw.create_signals(tmp_path, 2600)[:, 0, 0] = np.arange(2600)
    assert raw.shorten_signals(tmp_path, 2500)[:, 0, 0].tolist() == list(range(2500))
    assert [path.name for path in tmp_path.iterdir()] == ["signals.npy"]


def test_the_manifest_says_what_it_is_and_where_it_came_from(tree, out):
    manifest = collect(tree, out, {"all files": "here"}, "fail")
    back = read_raw(out)
    assert back.manifest == manifest
    assert (manifest.dataset, manifest.synthetic, manifest.sources) == (
        "PTB-XL",
        False,
        {"all files": "here"},
    )
    assert manifest.sha256 == raw.digest(back.signals)
