"""Calibration: probabilities that come true as often as they say, and how far they are from it.

Platt, Probabilistic outputs for support vector machines, 1999; Guo et al., On Calibration of Modern Neural
Networks (arXiv:1706.04599); Kull et al., arXiv:1910.12656 (classwise expected calibration error).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

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
