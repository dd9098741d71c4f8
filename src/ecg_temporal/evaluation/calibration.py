"""Calibration: probabilities that come true as often as they say, and how far they are from it.

Platt, Probabilistic outputs for support vector machines, 1999; Guo et al., On Calibration of Modern Neural
Networks (arXiv:1706.04599); Kull et al., arXiv:1910.12656 (classwise expected calibration error).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

Array = NDArray[np.float64]


class Platt(NamedTuple):
    """Per class, `slope` and `intercept` of the calibrated logit, float64 [classes]."""

    slope: Array
    intercept: Array

    @property
    def is_identity(self) -> NDArray[np.bool_]:
        """Whether it changes nothing, by class."""
        return np.asarray((self.slope == 1) & (self.intercept == 0))

    def logits(self, logits: NDArray[np.floating]) -> Array:
        """Return the calibrated logits of `logits`, both [records, classes]."""
        return np.asarray(self.slope * logits.astype(np.float64) + self.intercept)

    def probabilities(self, logits: NDArray[np.floating]) -> Array:
        """Return the calibrated probabilities of `logits` [records, classes]."""
        return np.asarray(expit(self.logits(logits)))


def identity(classes: int) -> Platt:
    """Return the calibration that changes nothing."""
    return Platt(np.ones(classes), np.zeros(classes))


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


def expected_calibration_error(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating], bins: int = 15
) -> float:
    """Return the classwise expected calibration error, the mean over classes.

    In each of `bins` equal intervals of the probability, the distance between the mean probability and the
    share of positive records, weighted by the records in it. Labels and probabilities are [records, classes].
    """
    return float(
        np.mean([_error_of_class(y, p, bins) for y, p in zip(labels.T, probabilities.T, strict=True)])
    )


def brier_score(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> float:
    """Return the mean squared distance of probabilities from labels, both [records, classes]."""
    return float(np.mean((probabilities.astype(np.float64) - labels) ** 2))


def reliability_curve(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating], bins: int = 15
) -> tuple[Array, Array, NDArray[np.int64]]:
    """Return mean probability, share of positives and number of decisions in each bin that has any.

    Pooled over records and classes, in equal intervals of the probability, as
    sklearn.calibration.calibration_curve with strategy "uniform".
    """
    p, y = probabilities.ravel().astype(np.float64), labels.ravel()
    place = _bin(p, bins)
    count = np.bincount(place, minlength=bins)
    filled = count > 0
    mean = np.bincount(place, p, bins)[filled] / count[filled]
    share = np.bincount(place, y, bins)[filled] / count[filled]
    return mean, share, count[filled]


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


def _error_of_class(labels: NDArray[np.integer], probabilities: NDArray[np.floating], bins: int) -> float:
    mean, share, count = reliability_curve(labels, probabilities, bins)
    return float((np.abs(mean - share) * count).sum() / count.sum())


def _bin(p: Array, bins: int) -> NDArray[np.int64]:
    # As scikit-learn: an edge belongs to the interval below it.
    return np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], p).astype(np.int64)
