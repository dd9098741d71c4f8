import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from ecg_temporal.evaluation.calibration import (
    brier_score,
    expected_calibration_error,
    reliability_curve,
)


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


def test_the_calibration_error_has_fifteen_bins():
    p, labels = np.array([[0.31], [0.35]]), np.array([[0], [1]])  # of fifteen bins in two, of ten in one
    assert expected_calibration_error(labels, p) == pytest.approx((0.31 + 0.65) / 2)
