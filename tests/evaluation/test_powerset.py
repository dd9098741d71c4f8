import itertools

import numpy as np
import pytest
from scipy.special import expit
from sklearn import metrics as sk

from ecg_temporal.evaluation import powerset
from ecg_temporal.evaluation.fitting import fit_rule
from ecg_temporal.evaluation.powerset import fit_weight, label_sets


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


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_sets_and_their_lift_are_those_that_numpy_counts(rng, order):
    labels = np.array(rng.random((200, 9)) < 0.2, np.uint8, order=order)
    sets, lift = label_sets(labels)
    rows, count = np.unique(labels, axis=0, return_counts=True)
    np.testing.assert_array_equal(sets, rows)
    share = (labels.sum(axis=0) + 1) / (len(labels) + 2)
    independent = np.where(rows, share, 1 - share).prod(axis=1)
    np.testing.assert_allclose(lift, np.log(count / len(labels) / independent))


def test_the_weight_is_one_at_most():
    labels, _, marginal, _ = known_joint(20_000)
    known = label_sets(labels)
    flatter = known._replace(lift=known.lift / 2)  # of which twice as much would be likeliest
    assert fit_weight(flatter, labels, marginal) == pytest.approx(1, abs=0.01)
