import dataclasses

import numpy as np
import pytest

from defaults import KEEP_ALL
from ecg_temporal.ptbxl.labels import FOLDS, LabelError
from ecg_temporal.ptbxl.preprocess import class_counts, lead_statistics, preprocess
from ecg_temporal.ptbxl.settings import LabelSettings
from ecg_temporal.store import read_split, write_split


def test_records_go_where_their_fold_says_with_their_own_signal(synthetic_raw, splits):
    table = synthetic_raw.table
    for name, split in splits.items():
        assert set(table.loc[split.ecg_id, "strat_fold"]) == set(FOLDS[name])
        np.testing.assert_array_equal(split.signals, synthetic_raw.signals[split.ecg_id - 1])
    assert sum(map(len, splits.values())) == len(table)
    patients = [set(table.loc[split.ecg_id, "patient_id"]) for split in splits.values()]
    assert not patients[0] & patients[1] and not patients[0] & patients[2] and not patients[1] & patients[2]


def test_the_scaling_is_that_of_the_training_folds(splits):
    signals = splits["train"].signals.astype(np.float64)
    about = splits["train"].description
    np.testing.assert_allclose(about.mean, signals.mean(axis=(0, 2)))
    np.testing.assert_allclose(about.scale, signals.std(axis=(0, 2)))
    assert splits["test"].description.mean == about.mean


def test_a_flat_lead_has_scale_one(rng):
    signals = rng.integers(-9, 9, (4, 12, 50)).astype(np.int16)
    signals[:, 3] = 5
    mean, scale = lead_statistics(signals, np.arange(4))
    assert (mean[3], scale[3]) == (5, 1)


def test_nothing_of_the_test_fold_reaches_training(synthetic_raw, splits):
    test = synthetic_raw.table["strat_fold"] == 10
    table = synthetic_raw.table.copy()
    table.loc[test, "scp_codes"] = "{'PMI': 100.0}"
    signals = np.array(synthetic_raw.signals)
    signals[test] = 30_000
    changed = preprocess(dataclasses.replace(synthetic_raw, table=table, signals=signals), KEEP_ALL)
    assert changed["test"].description.sha256 != splits["test"].description.sha256
    for name in ("train", "validation"):
        assert changed[name].description == splits[name].description


def test_unlabelled_records_are_kept_or_dropped(synthetic_raw):
    table = synthetic_raw.table.copy()
    table.loc[table.index[:20], "scp_codes"] = "{'SR': 0.0}"
    odd = dataclasses.replace(synthetic_raw, table=table)
    kept = preprocess(odd, KEEP_ALL)
    dropped = preprocess(odd, LabelSettings(min_likelihood=0, unlabelled="drop"))
    assert sum(map(len, kept.values())) - sum(map(len, dropped.values())) == 20
    assert all(split.labels.any(axis=1).all() for split in dropped.values())


def test_what_leaves_nothing_to_train_on_or_has_no_ids_is_refused(synthetic_raw):
    strict = LabelSettings(min_likelihood=100, unlabelled="drop")
    table = synthetic_raw.table.assign(scp_codes="{'NORM': 50.0}")
    with pytest.raises(LabelError, match="train split .*min_likelihood"):
        preprocess(dataclasses.replace(synthetic_raw, table=table), strict)
    codes = synthetic_raw.table["scp_codes"].where(synthetic_raw.table["strat_fold"] != 10, "{}")
    without = dataclasses.replace(synthetic_raw, table=synthetic_raw.table.assign(scp_codes=codes))
    with pytest.raises(LabelError, match="test split has a label"):  # before anything is trained
        preprocess(without, KEEP_ALL)
    named = synthetic_raw.table.set_axis([f"r{k}" for k in range(len(table))])
    with pytest.raises(LabelError, match="ecg_id"):
        preprocess(dataclasses.replace(synthetic_raw, table=named), KEEP_ALL)


def test_class_counts(splits):
    counts = class_counts(splits)
    assert counts.index[0] == "NORM"
    assert (counts["all"] == counts["train"] + counts["validation"] + counts["test"]).all()
    k = splits["test"].description.classes.index("AMI")
    assert counts.loc["AMI", "test"] == splits["test"].labels[:, k].sum()


def test_a_class_without_a_record_is_absent(splits):
    split = splits["train"]
    assert split.absent == []
    labels = split.labels.copy()
    labels[:, [0, 5]] = 0
    assert dataclasses.replace(split, labels=labels).absent == [split.description.classes[k] for k in (0, 5)]


def test_a_split_survives_the_disk(splits, tmp_path):
    write_split(tmp_path, splits["test"])
    back = read_split(tmp_path)
    assert back.description == splits["test"].description
    for name in ("signals", "labels", "statements", "ecg_id"):
        np.testing.assert_array_equal(getattr(back, name), getattr(splits["test"], name))
    for name in ("labels", "signals", "statements"):
        whole = getattr(splits["test"], name)
        np.save(tmp_path / f"{name}.npy", whole[:-1])
        with pytest.raises(ValueError, match="signals .* labels"):
            read_split(tmp_path)
        np.save(tmp_path / f"{name}.npy", whole)
    for damaged in (b"\x93NUMPY", b"", b"PK"):
        (tmp_path / "labels.npy").write_bytes(damaged)
        with pytest.raises(ValueError, match="not a processed split"):
            read_split(tmp_path)


@pytest.mark.parametrize("what", ["labels", "signals"])
def test_the_digest_of_a_split_covers_its_labels_and_its_signals(synthetic_raw, splits, what):
    of_fold = synthetic_raw.table["strat_fold"] == 1
    table, signals = synthetic_raw.table.copy(), np.array(synthetic_raw.signals)
    if what == "labels":
        table.loc[of_fold, "scp_codes"] = "{'PMI': 100.0}"
    else:
        signals[of_fold, 0, 0] += 1
    changed = preprocess(dataclasses.replace(synthetic_raw, table=table, signals=signals), KEEP_ALL)
    assert changed["train"].description.sha256 != splits["train"].description.sha256


def test_a_part_of_a_split_is_the_same_records_of_every_array(splits):
    some = splits["train"].part(slice(0, 100, 8))
    for name in ("signals", "labels", "statements", "ecg_id"):
        np.testing.assert_array_equal(getattr(some, name), getattr(splits["train"], name)[:100:8])


@pytest.mark.parametrize("fold", [9, 10])
def test_statements_are_chosen_by_the_training_folds_alone(synthetic_raw, splits, fold):
    kept, table = splits["train"].description.statements, synthetic_raw.table.copy()
    subclass = synthetic_raw.statements["diagnostic_subclass"].dropna()
    size = subclass.value_counts()
    rare = next(name for name, its in subclass.items() if name not in kept and size[its] > 1)
    table.loc[table["strat_fold"] == fold, "scp_codes"] = f"{{'NORM': 100.0, '{rare}': 100.0}}"
    changed = preprocess(dataclasses.replace(synthetic_raw, table=table), KEEP_ALL)
    assert changed["train"].description.statements == kept


def test_statistics_are_of_all_records_beyond_a_block(rng):
    signals = rng.integers(-9, 9, (257, 2, 5)).astype(np.int16)
    mean, scale = lead_statistics(signals, np.arange(257))
    np.testing.assert_allclose(mean, signals.mean(axis=(0, 2)))
    np.testing.assert_allclose(scale, signals.std(axis=(0, 2)))


def test_the_digest_of_a_split_covers_its_statements(synthetic_raw, splits):
    table, before = synthetic_raw.table.copy(), splits["train"]
    assert "LAFB" in before.description.statements  # a subclass with LPFB: the labels stay as they are
    one = table.index[(table["strat_fold"] == 1) & table["scp_codes"].str.contains("LAFB")][0]
    table.loc[one, "scp_codes"] = table.loc[one, "scp_codes"].replace("LAFB", "LPFB")
    changed = preprocess(dataclasses.replace(synthetic_raw, table=table), KEEP_ALL)["train"]
    np.testing.assert_array_equal(changed.labels, before.labels)
    assert changed.description.statements == before.description.statements
    assert changed.description.sha256 != before.description.sha256


def test_the_digest_of_a_split_covers_its_ids(synthetic_raw, splits):
    named = synthetic_raw.table.set_axis(synthetic_raw.table.index + 1000)
    changed = preprocess(dataclasses.replace(synthetic_raw, table=named), KEEP_ALL)
    assert changed["train"].description.sha256 != splits["train"].description.sha256


def test_a_split_that_lacks_a_lead_is_refused(splits, tmp_path):
    write_split(tmp_path, splits["test"])
    np.save(tmp_path / "signals.npy", splits["test"].signals[:, :11])
    with pytest.raises(ValueError, match="signals .* labels"):
        read_split(tmp_path)
