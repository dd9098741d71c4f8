"""Calibration: probabilities that come true as often as they say, and how far they are from it.

Platt, Probabilistic outputs for support vector machines, 1999; Guo et al., On Calibration of Modern Neural
Networks (arXiv:1706.04599); Kull et al., arXiv:1910.12656 (classwise expected calibration error).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
NEWTON_STEPS = 100


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
        return sigmoid(self.logits(logits))


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
    truth = labels.astype(np.float64)
    positives, negatives = truth.sum(axis=0), (1 - truth).sum(axis=0)
    targets = np.where(truth == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    # Standardised logits condition Newton's method; the result is turned back at the end.
    centre, spread = logits.mean(axis=0, dtype=np.float64), logits.std(axis=0, dtype=np.float64)
    spread = np.where(spread > 0, spread, 1.0)
    z = (logits - centre) / spread
    slope, intercept = np.zeros(z.shape[1]), np.log((positives + 1) / (negatives + 1))
    loss = _loss(targets, slope * z + intercept)
    for _ in range(NEWTON_STEPS):
        p = sigmoid(slope * z + intercept)
        error, weight = p - targets, p * (1 - p) + 1e-12
        g0, g1 = error.sum(axis=0), (error * z).sum(axis=0)
        h00, h01, h11 = weight.sum(axis=0), (weight * z).sum(axis=0), (weight * z * z).sum(axis=0)
        determinant = np.maximum(h00 * h11 - h01**2, 1e-12)
        step0, step1 = (h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant
        # A full Newton step may overshoot: halve it in those classes where the loss would rise.
        size = np.ones(len(slope))
        for _ in range(30):
            tried = _loss(targets, (slope - size * step1) * z + intercept - size * step0)
            rises = tried > loss + 1e-12
            if not rises.any():
                break
            size[rises] /= 2
        slope, intercept, loss = slope - size * step1, intercept - size * step0, np.minimum(tried, loss)
        if max(np.abs(size * step0).max(), np.abs(size * step1).max()) < 1e-10:
            break
    fitted = (positives > 0) & (negatives > 0) & (slope > 0)
    slope, intercept = slope / spread, intercept - slope * centre / spread
    return Platt(np.where(fitted, slope, 1.0), np.where(fitted, intercept, 0.0))


def sigmoid(logits: NDArray[np.floating]) -> Array:
    """Return 1 / (1 + exp(-logits)), without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0, -logits.astype(np.float64))))


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


def _error_of_class(labels: NDArray[np.integer], probabilities: NDArray[np.floating], bins: int) -> float:
    mean, share, count = reliability_curve(labels, probabilities, bins)
    return float((np.abs(mean - share) * count).sum() / count.sum())


def _bin(p: Array, bins: int) -> NDArray[np.int64]:
    # As scikit-learn: an edge belongs to the interval below it.
    return np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], p).astype(np.int64)


def _loss(targets: Array, logits: Array) -> Array:
    return np.asarray((np.logaddexp(0, logits) - targets * logits).sum(axis=0))
