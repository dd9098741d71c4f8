import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.calibration import _SigmoidCalibration, calibration_curve

from ecg_temporal.evaluation.calibration import (
    brier_score,
    expected_calibration_error,
    fit_platt,
    reliability_curve,
    sigmoid,
)
from ecg_temporal.evaluation.decisions import cross_validate, fit_rule
from ecg_temporal.evaluation.settings import RULES


def case(seed, records=400, classes=5, slope=2.0, shift=-1.0):
    """Logits that are overconfident and shifted: the truth has the logit (logits - shift) / slope."""
    rng = np.random.default_rng(seed)
    true = rng.normal(-1.5, 2, (records, classes))
    labels = (rng.random((records, classes)) < sigmoid(true)).astype(np.uint8)
    return labels, (slope * true + shift).astype(np.float32)


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 5), st.floats(-3, 3))
@settings(max_examples=40)
def test_platt_scaling_equals_that_of_scikit_learn(seed, slope, shift):
    labels, logits = case(seed, 300, 3, slope, shift)
    found = fit_platt(labels, logits)
    for k in range(3):
        if labels[:, k].min() == labels[:, k].max():
            continue
        theirs = _SigmoidCalibration().fit(logits[:, k].astype(float), labels[:, k])
        np.testing.assert_allclose(
            found.probabilities(logits)[:, k], theirs.predict(logits[:, k].astype(float)), atol=2e-4
        )


def test_platt_scaling_finds_the_distortion_again():
    labels, logits = case(0, 40_000, 2)
    found = fit_platt(labels, logits)
    np.testing.assert_allclose(found.slope, 0.5, rtol=0.05)
    np.testing.assert_allclose(found.intercept, 0.5, atol=0.05)


@pytest.mark.parametrize("records", [1, 2, 50])
def test_a_class_that_is_all_alike_or_upside_down_is_left_as_it_is(records, rng):
    logits = rng.normal(size=(records, 3))
    labels = np.zeros((records, 3), np.uint8)
    labels[:, 1] = 1
    labels[logits[:, 2].argmin(), 2] = 1
    found = fit_platt(labels, logits)
    np.testing.assert_array_equal(found.slope, 1)
    np.testing.assert_array_equal(found.intercept, 0)


def test_separable_classes_and_equal_logits_stay_finite():
    labels = np.repeat([[0], [1]], 20, axis=0).astype(np.uint8)
    for logits in (labels * 1000.0 - 500, labels * 0.0, labels * 1e-9):
        p = fit_platt(labels, logits).probabilities(logits)
        assert np.isfinite(p).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.sampled_from([1, 2, 8]))
@settings(max_examples=60)
def test_the_reliability_curve_equals_that_of_scikit_learn(seed, records, decimals):
    rng = np.random.default_rng(seed)
    p = rng.random((records, 1)).round(decimals)
    labels = (rng.random((records, 1)) < p).astype(np.uint8)
    mean, share, count = reliability_curve(labels, p, 10)
    truth, theirs = calibration_curve(labels[:, 0], p[:, 0], n_bins=10)
    np.testing.assert_allclose(mean, theirs)
    np.testing.assert_allclose(share, truth)
    assert count.sum() == records
    expected = (np.abs(truth - theirs) * count).sum() / records
    assert expected_calibration_error(labels, p, 10) == pytest.approx(expected, abs=1e-12)
    assert brier_score(labels, p) == pytest.approx(sk.brier_score_loss(labels[:, 0], p[:, 0]), abs=1e-12)


def test_calibration_lowers_the_error_on_other_records():
    labels, logits = case(1, 4000)
    rule = fit_rule("platt", labels[:2000], logits[:2000])
    before = expected_calibration_error(labels[2000:], sigmoid(logits[2000:]))
    assert expected_calibration_error(labels[2000:], rule.probabilities(logits[2000:])) < before / 3


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_the_thresholds_are_those_that_an_exhaustive_search_finds(seed):
    labels, logits = case(seed, 60, 3)
    logits = logits.round(1)
    each, pooled = fit_rule("f1", labels, logits), fit_rule("micro_f1", labels, logits)
    for k in range(3):
        found = sk.f1_score(labels[:, k], each.decide(logits)[:, k], zero_division=0)
        best = max(sk.f1_score(labels[:, k], logits[:, k] >= t, zero_division=0) for t in logits[:, k])
        assert found == pytest.approx(best) or not labels[:, k].any()
    p = pooled.probabilities(logits)
    best = max(sk.f1_score(labels, p >= t, average="micro", zero_division=0) for t in p.ravel())
    assert sk.f1_score(labels, pooled.decide(logits), average="micro", zero_division=0) == pytest.approx(best)


@pytest.mark.parametrize("name", RULES)
def test_likeliest_fills_the_empty_sets_alone(name):
    labels, logits = case(3)
    decisions = fit_rule(name, labels, logits).decide(logits)
    if not name.endswith("+likeliest"):
        assert not decisions.any(axis=1).all()
        return
    plain = fit_rule(name.removesuffix("+likeliest"), labels, logits).decide(logits)
    empty = ~plain.any(axis=1)
    np.testing.assert_array_equal(decisions[~empty], plain[~empty])
    p = fit_rule(name, labels, logits).probabilities(logits)
    np.testing.assert_array_equal(decisions[empty].argmax(axis=1), p[empty].argmax(axis=1))
    assert (decisions.sum(axis=1) >= 1).all()


def test_cross_validation_never_learns_from_what_it_decides_on():
    # Labels that are pure chance: thresholds learned on the same records would look better than they are.
    rng = np.random.default_rng(0)
    labels = (rng.random((300, 40)) < 0.05).astype(np.uint8)
    logits = rng.normal(size=labels.shape)
    table = cross_validate(labels, logits).set_index("rule")
    assert list(table.index) == list(RULES)
    learned = sk.f1_score(labels, fit_rule("f1", labels, logits).decide(logits), average="micro")
    assert table.loc["f1", "micro_f1"] < learned - 0.03
