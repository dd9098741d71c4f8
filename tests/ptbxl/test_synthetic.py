import numpy as np
import pytest

from ecg_temporal.ptbxl import synthetic
from ecg_temporal.ptbxl.labels import label_matrix, parse_codes, split_rows
from ecg_temporal.ptbxl.settings import SyntheticSettings
from ecg_temporal.ptbxl.synthetic import generate, statements
from ecg_temporal.ptbxl.waveforms import LEADS


@pytest.fixture(scope="module")
def dataset():
    signals, table = generate(SyntheticSettings(records=1200, seed=0))
    return signals.astype(float), table, table["scp_codes"].map(parse_codes)


def test_the_same_seed_gives_the_same_records():
    first, again, other = (generate(SyntheticSettings(records=300, seed=s)) for s in (3, 3, 4))
    np.testing.assert_array_equal(first[0], again[0])
    assert first[1].equals(again[1])
    assert (first[0] != other[0]).any()


def test_every_subclass_of_ptbxl_is_in_every_split(dataset):
    _, table, _ = dataset
    labels, classes = label_matrix(table, statements(), 0)
    assert len(classes) == 23
    for rows in split_rows(table).values():
        assert labels[rows].any(axis=0).all()
    share = labels.mean(axis=0)
    assert share.max() > 0.35 and share.min() < 0.03  # imbalanced, as PTB-XL is
    assert 1.3 < labels.sum(axis=1).mean() < 2.0  # and multi-label


def test_the_limb_leads_obey_einthoven_up_to_noise(dataset):
    signals = dataset[0]
    i, ii, iii = signals[:, 0], signals[:, 1], signals[:, 2]
    # Noise and wander are each lead's own; the heart is common, so the beats cancel.
    assert np.median(np.abs(i + iii - ii).max(axis=1)) < 0.5 * np.median(np.abs(ii).max(axis=1))


def average(dataset, code, lead):
    """Mean over the records that have `code` and no other diagnosis, of a statistic of a lead."""
    signals, _, codes = dataset
    rows = [k for k, c in enumerate(codes) if code in c and set(c) <= {code, "SR"}]
    assert rows
    return signals[rows, LEADS.index(lead)]


def test_statements_change_what_they_change_in_medicine(dataset):
    def height(code, lead):
        return average(dataset, code, lead).max(axis=1).mean()

    def depth(code, lead):
        return -average(dataset, code, lead).min(axis=1).mean()

    assert height("LVH", "V5") > 1.4 * height("NORM", "V5")
    assert height("CRBBB", "V1") > 2 * height("NORM", "V1")  # the second R
    assert depth("LAFB", "III") > 2 * depth("NORM", "III")  # left axis
    assert depth("IMI", "AVF") > 1.3 * depth("NORM", "AVF")  # inferior Q
    assert height("ASMI", "V3") < height("NORM", "V3")  # lost R
    assert height("RVH", "V1") > 2 * height("NORM", "V1")


@pytest.mark.parametrize("code", synthetic._FREQUENCY)
def test_every_statement_shows_in_some_lead(code, monkeypatch):
    def drawn():
        present = {code: np.full(32, True)}
        others = dict.fromkeys({*synthetic._EFFECTS} - {code}, np.full(32, False))
        rng = np.random.default_rng(0)
        return synthetic._signals(present | others, np.full(32, False), rng).astype(float)

    with_it = drawn()
    monkeypatch.setitem(synthetic._EFFECTS, code, ())
    change = np.sqrt(((with_it - drawn()) ** 2).mean(axis=(0, 2)))
    assert change.max() > 20  # microvolts


def test_blocks_of_one_bundle_exclude_each_other(dataset):
    codes = [set(of_record) for of_record in dataset[2]]
    for group in ({"CLBBB", "CRBBB", "IRBBB", "ILBBB", "IVCD", "WPW"}, {"LAFB", "LPFB"}, {"1AVB", "2AVB"}):
        assert max(len(group & of_record) for of_record in codes) == 1
