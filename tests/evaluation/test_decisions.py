import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn import metrics as sk
from sklearn.calibration import _SigmoidCalibration, calibration_curve

from ecg_temporal.evaluation import powerset
from ecg_temporal.evaluation.calibration import (
    brier_score,
    expected_calibration_error,
    reliability_curve,
)
from ecg_temporal.evaluation.decisions import (
    EnsembleRules,
    read_rules,
    write_rules,
)
from ecg_temporal.evaluation.fitting import fit_platt, fit_rule
from ecg_temporal.evaluation.powerset import fit_weight, label_sets
from ecg_temporal.evaluation.settings import RULES


def case(seed, records=400, classes=5, slope=2.0, shift=-1.0):
    """Logits that are overconfident and shifted: the truth has the logit (logits - shift) / slope."""
    rng = np.random.default_rng(seed)
    true = rng.normal(-1.5, 2, (records, classes))
    labels = (rng.random((records, classes)) < expit(true)).astype(np.uint8)
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
    rule = fit_rule("platt", labels[:2000], logits[:2000], labels[:2000])
    before = expected_calibration_error(labels[2000:], expit(logits[2000:]))
    assert expected_calibration_error(labels[2000:], rule.probabilities(logits[2000:])) < before / 3


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_the_thresholds_are_those_that_an_exhaustive_search_finds(seed):
    labels, logits = case(seed, 60, 3)
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


@pytest.mark.parametrize("name", RULES)
def test_likeliest_fills_the_empty_sets_alone(name):
    labels, logits = case(3)
    decisions = fit_rule(name, labels, logits, labels).decide(logits)
    if not name.endswith("+likeliest"):
        assert not decisions.any(axis=1).all()
        return
    plain = fit_rule(name.removesuffix("+likeliest"), labels, logits, labels).decide(logits)
    empty = ~plain.any(axis=1)
    np.testing.assert_array_equal(decisions[~empty], plain[~empty])
    p = fit_rule(name, labels, logits, labels).probabilities(logits)
    np.testing.assert_array_equal(decisions[empty].argmax(axis=1), p[empty].argmax(axis=1))
    assert (decisions.sum(axis=1) >= 1).all()


def known_joint(records, seed=0):
    """Labels with a known distribution of four sets, and a feature of each class that depends on it alone."""
    rng = np.random.default_rng(seed)
    sets = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 1], [0, 0, 1]], np.uint8)
    prior = np.array([0.1, 0.5, 0.3, 0.1])
    labels = sets[rng.choice(4, records, p=prior)]
    x = 2.0 * labels + rng.normal(size=labels.shape)
    share = prior @ sets
    marginal = 2 * x - 2 + np.log(share / (1 - share))  # the exact logit of a class, given its own feature
    exact = np.log(prior) + (2 * x - 2) @ sets.T  # and of a set, given all features
    return labels, sets, marginal, exact


def test_the_powerset_rule_is_exact_where_the_truth_is_known():
    labels, sets, marginal, exact = known_joint(20_000)
    known = label_sets(labels)
    assert fit_weight(known, labels, marginal) == pytest.approx(1, abs=0.05)
    decisions = fit_rule("powerset", labels, marginal, labels).decide(marginal)
    best = sets[exact.argmax(axis=1)]
    assert (decisions == best).all(axis=1).mean() > 0.98
    half = fit_rule("half+likeliest", labels, marginal, labels).decide(marginal)
    assert sk.accuracy_score(labels, decisions) > sk.accuracy_score(labels, half) + 0.01


def test_the_weight_is_none_where_the_logits_know_each_other():
    labels, sets, _, exact = known_joint(20_000)
    # Logits whose sum over a set's classes is the set's own log-probability, but for a constant.
    joint = np.linalg.lstsq(sets[1:].astype(float), (exact[:, 1:] - exact[:, :1]).T, rcond=None)[0].T
    assert fit_weight(label_sets(labels), labels, joint) == pytest.approx(0, abs=0.05)


def test_where_classes_are_independent_the_likeliest_set_is_that_of_the_likely_classes(rng):
    known = np.array(list(itertools.product([0, 1], repeat=4)), np.uint8)
    logits = rng.normal(size=(200, 4))
    labels = (rng.random((200, 4)) < expit(logits)).astype(np.uint8)
    np.testing.assert_allclose(label_sets(known).lift, 0, atol=1e-12)
    np.testing.assert_array_equal(fit_rule("powerset", labels, logits, known).decide(logits), logits >= 0)


def test_the_powerset_rule_says_known_sets_alone_and_survives_what_it_does_not_know(rng, monkeypatch):
    known = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0]], np.uint8)
    logits, labels = rng.normal(size=(50, 3)), np.ones((50, 3), np.uint8)  # a set that nobody knows
    rule = fit_rule("powerset", labels, logits, known)
    assert not rule.bonus.any()
    assert {row.tobytes() for row in rule.decide(logits)} <= {row.astype(bool).tobytes() for row in known}
    labels[:10] = known[0]
    before = fit_rule("powerset", labels, logits, known)
    monkeypatch.setattr(powerset, "BLOCK", 7)  # in pieces of three records: the same
    after = fit_rule("powerset", labels, logits, known)
    np.testing.assert_allclose(before.bonus, after.bonus)
    np.testing.assert_array_equal(before.decide(logits), after.decide(logits))


@pytest.mark.parametrize("name", RULES)
def test_a_rule_survives_the_disk(name, tmp_path):
    labels, logits = case(5)
    rules = {other: fit_rule(other, labels, logits, labels) for other in RULES}
    rule = rules[name]
    write_rules(tmp_path / "cnn.json", EnsembleRules([0, 3], ["a", "b"], rules))
    back = read_rules(tmp_path / "cnn.json")
    assert back.seeds == [0, 3] and back.classes == ["a", "b"]
    np.testing.assert_array_equal(back.rules[name].decide(logits), rule.decide(logits))
    np.testing.assert_array_equal(back.rules[name].probabilities(logits), rule.probabilities(logits))
    fewer = {other: each for other, each in rules.items() if other != name}
    write_rules(tmp_path / "cnn.json", EnsembleRules([0], ["a", "b"], fewer))
    with pytest.raises(
        ValueError, match=f"cnn.json is not a file of decision rules .it lacks '{re.escape(name)}'"
    ):
        read_rules(tmp_path / "cnn.json")


@pytest.mark.parametrize("name", RULES)
def test_probabilities_are_calibrated_but_under_half(name):
    labels, logits = case(7)
    half = name.startswith("half")
    expected = expit(logits.astype(float)) if half else fit_platt(labels, logits).probabilities(logits)
    np.testing.assert_allclose(fit_rule(name, labels, logits, labels).probabilities(logits), expected)


def test_the_fields_of_a_set_rule_decide_as_the_onnx_file_says():
    labels, logits = case(8)
    rule = fit_rule("powerset", labels, logits, labels)
    fields = rule.fields()
    sets = np.array([[int(said) for said in one] for one in fields["sets"]])
    found = sets[(logits.astype(float) @ sets.T + fields["bonus"]).argmax(axis=1)]
    np.testing.assert_array_equal(found, rule.decide(logits))
