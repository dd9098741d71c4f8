"""Decision rules and their calibration, learned from records that training did not fit.

Apart from evaluation/decisions.py, so that a trained model decides without scikit-learn.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from ecg_temporal.evaluation.calibration import Array, Platt, identity
from ecg_temporal.evaluation.decisions import DecisionRule, Labels, Logits, PowersetRule, ThresholdRule
from ecg_temporal.evaluation.powerset import fit_weight, label_sets


def fit_rules(
    names: Sequence[str], labels: Labels, logits: Logits, train_labels: Labels
) -> dict[str, DecisionRule]:
    """Learn the rules `names` (of `evaluation.settings.RULES`) from records that training did not fit.

    Parameters
    ----------
    names : sequence of str
    labels : uint8 array [records, classes]
    logits : float array [records, classes]
    train_labels : uint8 array [training records, classes]
        Which sets there are, for `powerset`.

    """
    platt = fit_platt(labels, logits)
    return {name: _fit_rule(name, platt, labels, logits, train_labels) for name in names}


def fit_rule(name: str, labels: Labels, logits: Logits, train_labels: Labels) -> DecisionRule:
    """Learn one rule; `fit_rules`, whose parameters these are, learns several in little more time."""
    return fit_rules([name], labels, logits, train_labels)[name]


def _fit_rule(name: str, platt: Platt, labels: Labels, logits: Logits, train_labels: Labels) -> DecisionRule:
    kind, _, fill = name.partition("+")
    classes = labels.shape[1]
    calibration = identity(classes) if kind == "half" else platt
    if kind == "powerset":
        sets, lift = found = label_sets(train_labels)
        return PowersetRule(calibration, sets, fit_weight(found, labels, logits) * lift)
    p = calibration.probabilities(logits)
    if kind == "f1":
        thresholds = np.array([_best_f1(y, s) for y, s in zip(labels.T, p.T, strict=True)])
    elif kind == "micro_f1":
        thresholds = np.full(classes, _best_f1(labels.ravel(), p.ravel()))
    else:
        thresholds = np.full(classes, 0.5)
    return ThresholdRule(calibration, thresholds, fill == "likeliest")


def fit_platt(labels: NDArray[np.integer], logits: NDArray[np.floating]) -> Platt:
    """Fit a logistic regression of each class on its logit, with Platt's smoothed targets.

    Parameters
    ----------
    labels : int array [records, classes]
    logits : float array [records, classes]

    Returns
    -------
    Platt
        The identity for a class that has no positive or no negative record, and for one whose positives lie
        below its negatives: its order would be turned round.

    """
    found = [_fit_class(y, x) for y, x in zip(labels.T == 1, logits.T.astype(np.float64), strict=True)]
    return Platt(*np.array(found).T)


def _fit_class(positive: NDArray[np.bool_], logits: Array) -> tuple[float, float]:
    """Return slope and intercept."""
    positives, spread = np.count_nonzero(positive), logits.std()
    negatives = len(positive) - positives
    if not (positives and negatives and spread):
        return 1.0, 0.0
    # Each record counts in part as a positive and in part as a negative one.
    share = np.where(positive, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    # Newton's method needs logits of about 1; the result is turned back.
    z = (logits - logits.mean()) / spread
    regression = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12)
    regression.fit(
        np.tile(z, 2)[:, np.newaxis], np.repeat([1, 0], len(z)), np.concatenate([share, 1 - share])
    )
    slope = float(regression.coef_.item() / spread)
    return (slope, float(regression.intercept_.item() - slope * logits.mean())) if slope > 0 else (1.0, 0.0)


def _best_f1(labels: Labels, scores: Array) -> float:
    """Return the highest threshold with the largest F1; 0.5 without a positive record."""
    if not labels.any():
        return 0.5
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    hits = np.cumsum(labels[order].astype(np.int64))[last]
    f1 = 2 * hits / (last + 1 + labels.sum(dtype=np.int64))
    return float(ranked[last][f1.argmax()])
