import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn import metrics as sk
from sklearn.calibration import _SigmoidCalibration

from ecg_temporal.evaluation.calibration import (
    expected_calibration_error,
)
from ecg_temporal.evaluation.fitting import fit_platt, fit_rule
from overconfident import overconfident


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 5), st.floats(-3, 3))
@settings(max_examples=40)
def test_platt_scaling_equals_that_of_scikit_learn(seed, slope, shift):
    labels, logits = overconfident(seed, 300, 3, slope, shift)
    found = fit_platt(labels, logits)
    for k in range(3):
        if labels[:, k].min() == labels[:, k].max():
            continue
        theirs = _SigmoidCalibration().fit(logits[:, k].astype(float), labels[:, k])
        np.testing.assert_allclose(
            found.probabilities(logits)[:, k], theirs.predict(logits[:, k].astype(float)), atol=2e-4
        )


def test_platt_scaling_finds_the_distortion_again():
    labels, logits = overconfident(0, 40_000, 2)
    found = fit_platt(labels, logits)
    np.testing.assert_allclose(found.slope, 0.5, rtol=0.05)
    np.testing.assert_allclose(found.intercept, 0.5, atol=0.05)
    assert not found.is_identity.any()


@pytest.mark.parametrize("records", [1, 2, 50])
def test_a_class_that_is_all_alike_or_upside_down_is_left_as_it_is(records, rng):
    logits = rng.normal(size=(records, 3))
    labels = np.zeros((records, 3), np.uint8)
    labels[:, 1] = 1
    labels[logits[:, 2].argmin(), 2] = 1
    found = fit_platt(labels, logits)
    np.testing.assert_array_equal(found.slope, 1)
    np.testing.assert_array_equal(found.intercept, 0)
    assert found.is_identity.all()


def test_separable_classes_and_equal_logits_stay_finite():
    labels = np.repeat([[0], [1]], 20, axis=0).astype(np.uint8)
    for logits in (labels * 1000.0 - 500, labels * 0.0, labels * 1e-9):
        p = fit_platt(labels, logits).probabilities(logits)
        assert np.isfinite(p).all()


def test_calibration_lowers_the_error_on_other_records():
    labels, logits = overconfident(1, 4000)
    rule = fit_rule("platt", labels[:2000], logits[:2000], labels[:2000])
    before = expected_calibration_error(labels[2000:], expit(logits[2000:]))
    assert expected_calibration_error(labels[2000:], rule.probabilities(logits[2000:])) < before / 3


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_the_thresholds_are_those_that_an_exhaustive_search_finds(seed):
    labels, logits = overconfident(seed, 60, 3)
    logits = logits.round(1)
    each, pooled = (fit_rule(name, labels, logits, labels) for name in ("f1", "micro_f1"))
    for k in range(3):
        found = sk.f1_score(labels[:, k], each.decide(logits)[:, k], zero_division=0)
        best = max(
            sk.f1_score(labels[:, k], logits[:, k] >= t, zero_division=0) for t in np.unique(logits[:, k])
        )
        assert found == pytest.approx(best) or not labels[:, k].any()
    p = pooled.probabilities(logits)
    best = max(sk.f1_score(labels, p >= t, average="micro", zero_division=0) for t in np.unique(p))
    assert sk.f1_score(labels, pooled.decide(logits), average="micro", zero_division=0) == pytest.approx(best)


def test_of_thresholds_with_the_same_f1_the_highest_is_taken():
    labels, logits = np.array([[1], [0], [0], [1]], np.uint8), np.array([[3.0], [2.0], [1.0], [0.0]])
    decided = fit_rule("f1", labels, logits, labels).decide(logits)
    assert decided[:, 0].tolist() == [True, False, False, False]


@pytest.mark.parametrize("name", ["f1", "micro_f1"])
def test_without_a_positive_record_the_threshold_is_one_half(name, rng):
    labels, logits = np.zeros((50, 2), np.uint8), rng.normal(size=(50, 2))
    decided = fit_rule(name, labels, logits, labels).decide(logits)
    np.testing.assert_array_equal(decided, logits >= 0)
