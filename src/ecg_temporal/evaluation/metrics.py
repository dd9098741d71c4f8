"""Multi-label metrics, defined as in scikit-learn, for all classes at once.

They differ from scikit-learn in one thing: where a figure is undefined, because a class has no positive (or
for ROC no negative) record, it is NaN and left out of the macro mean, never 0.
"""

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer] | NDArray[np.bool_]
Scores = NDArray[np.floating]


def average_precision(labels: Labels, scores: Scores) -> NDArray[np.float64]:
    """Area under the precision–recall curve, as sklearn.metrics.average_precision_score.

    Parameters
    ----------
    labels : int or bool array [records, classes]
    scores : float array [records, classes]

    Returns
    -------
    float64 array [classes]
        NaN for a class without a positive record.

    """
    _check(labels, scores)
    return np.array([_average_precision(y, s) for y, s in zip(labels.T, scores.T, strict=True)])


def roc_auc(labels: Labels, scores: Scores) -> NDArray[np.float64]:
    """Area under the ROC curve, as sklearn.metrics.roc_auc_score.

    Parameters
    ----------
    labels : int or bool array [records, classes]
    scores : float array [records, classes]

    Returns
    -------
    float64 array [classes]
        NaN for a class whose records are all positive or all negative.

    """
    _check(labels, scores)
    return np.array([_roc_auc(y, s) for y, s in zip(labels.T, scores.T, strict=True)])


def thresholded_metrics(labels: Labels, decisions: Labels) -> dict[str, float]:
    """Return micro_f1, macro_f1, hamming_loss and subset_accuracy of `decisions` [records, classes].

    As sklearn.metrics.f1_score (average micro and macro), hamming_loss and accuracy_score; but macro_f1
    leaves out a class that is neither present nor predicted, and micro_f1 is NaN where all classes are such.
    """
    _check(labels, decisions)
    truth, guess = labels.astype(bool), decisions.astype(bool)
    hits = (truth & guess).sum(axis=0)
    both = truth.sum(axis=0) + guess.sum(axis=0)
    with np.errstate(invalid="ignore"):
        f1 = 2 * hits / both
    return {
        "micro_f1": float(2 * hits.sum() / both.sum()) if both.any() else float("nan"),
        "macro_f1": nanmean(f1),
        "hamming_loss": float((truth != guess).mean()),
        "subset_accuracy": float((truth == guess).all(axis=1).mean()),
    }


def multilabel_metrics(labels: Labels, probabilities: Scores) -> dict[str, float]:
    """Return six metrics of `probabilities` [records, classes]: macro_auprc, macro_auroc, and those of
    `thresholded_metrics` at a threshold of 0.5.
    """
    return {
        "macro_auprc": nanmean(average_precision(labels, probabilities)),
        "macro_auroc": nanmean(roc_auc(labels, probabilities)),
        **thresholded_metrics(labels, probabilities >= 0.5),
    }


def nanmean(values: NDArray[np.floating]) -> float:
    """Return the mean of those `values` that are defined; NaN, without a warning, if none is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def _average_precision(labels: Labels, scores: Scores) -> float:
    positives = int(labels.astype(bool).sum())
    if positives == 0:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    # Records with the same score pass the threshold together: one point of the curve for each value.
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    hits = np.cumsum(labels[order].astype(np.int64))[last]
    return float(np.sum(np.diff(hits, prepend=0) * (hits / (last + 1))) / positives)


def _roc_auc(labels: Labels, scores: Scores) -> float:
    truth = labels.astype(bool)
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if positives == 0 or negatives == 0:
        return float("nan")
    # Mann–Whitney: the share of (positive, negative) pairs in the right order, half of those with a tie.
    _, index, size = np.unique(scores, return_inverse=True, return_counts=True)
    rank = np.cumsum(size) - (size - 1) / 2
    return float((rank[index][truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _check(labels: Labels, values: NDArray[np.generic]) -> None:
    if labels.ndim != 2 or labels.shape != values.shape:
        raise ValueError(
            f"labels {labels.shape} and predictions {values.shape} must both be [records, classes]"
        )
    if not len(labels):
        raise ValueError("there is no record to measure on")
    if np.isnan(values.astype(float)).any():
        raise ValueError("a prediction is NaN")
