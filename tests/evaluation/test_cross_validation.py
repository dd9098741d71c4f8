import numpy as np
import pytest
from sklearn import metrics as sk

from ecg_temporal.evaluation import cross_validation
from ecg_temporal.evaluation.cross_validation import PARTS, cross_validate
from ecg_temporal.evaluation.fitting import fit_rule
from ecg_temporal.evaluation.settings import RULES


def test_it_never_learns_from_what_it_decides_on(rng):
    # Labels that are pure chance: thresholds learned on the same records would look better than they are.
    labels = (rng.random((300, 40)) < 0.05).astype(np.uint8)
    logits = rng.normal(size=labels.shape)
    table = cross_validate(labels, logits, labels, np.arange(300)).set_index("rule")
    assert list(table.index) == list(RULES)
    learned = sk.f1_score(labels, fit_rule("f1", labels, logits, labels).decide(logits), average="micro")
    assert table.loc["f1", "micro_f1"] < learned - 0.03


@pytest.mark.parametrize("name", ["f1", "powerset"])
def test_a_patients_records_stay_together(name, rng, monkeypatch):
    monkeypatch.setattr(cross_validation, "PARTS", 2)
    labels = (rng.random((60, 5)) < 0.3).astype(np.uint8)
    logits = (2.0 * labels - 1.5 + rng.normal(size=labels.shape)).astype(np.float32)
    patients = rng.permutation(60) % 2  # two patients, two parts
    expected = np.empty(labels.shape, bool)
    for one in (patients == 0, patients == 1):
        expected[one] = fit_rule(name, labels[~one], logits[~one], labels).decide(logits[one])
    table = cross_validate(labels, logits, labels, patients).set_index("rule")
    assert table.loc[name, "micro_f1"] == pytest.approx(sk.f1_score(labels, expected, average="micro"))


def test_with_fewer_patients_than_parts_nothing_is_said(rng):
    labels, patients = (rng.random((60, 5)) < 0.3).astype(np.uint8), np.arange(60) % (PARTS - 1)
    table = cross_validate(labels, rng.normal(size=labels.shape), labels, patients)
    assert table["rule"].tolist() == list(RULES) and table.drop(columns="rule").isna().all(axis=None)
