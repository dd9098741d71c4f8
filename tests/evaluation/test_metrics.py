import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from ecg_temporal.evaluation.metrics import (
    average_precision,
    multilabel_metrics,
    nanmean,
    roc_auc,
    thresholded_metrics,
)


@st.composite
def cases(draw):
    """Labels and scores of few records, with many ties and classes that may be absent."""
    records, classes = draw(st.integers(1, 30)), draw(st.integers(1, 4))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    labels = (rng.random((records, classes)) < rng.random(classes)).astype(np.uint8)
    scores = rng.random((records, classes)).round(draw(st.sampled_from([0, 1, 8])))
    return labels, scores


@given(cases())
@settings(max_examples=300)
def test_ranking_metrics_equal_scikit_learn(case):
    labels, scores = case
    for k, (ap, auc) in enumerate(zip(average_precision(*case), roc_auc(*case), strict=True)):
        y, s = labels[:, k], scores[:, k]
        if y.any():
            assert ap == pytest.approx(sk.average_precision_score(y, s), abs=1e-12)
        else:
            assert np.isnan(ap)
        if y.any() and not y.all():
            assert auc == pytest.approx(sk.roc_auc_score(y, s), abs=1e-12)
        else:
            assert np.isnan(auc)


@given(cases())
@settings(max_examples=200)
def test_thresholded_metrics_equal_scikit_learn(case):
    labels, scores = case
    decisions = (scores >= 0.5).astype(np.uint8)
    found = thresholded_metrics(labels, decisions)
    assert found["hamming_loss"] == pytest.approx(sk.hamming_loss(labels, decisions), abs=1e-12)
    assert found["subset_accuracy"] == pytest.approx((labels == decisions).all(axis=1).mean(), abs=1e-12)
    if labels.shape[1] > 1:
        assert found["subset_accuracy"] == pytest.approx(sk.accuracy_score(labels, decisions), abs=1e-12)
    if labels.any() or decisions.any():
        micro = sk.f1_score(labels.ravel(), decisions.ravel(), zero_division=0)
        assert found["micro_f1"] == pytest.approx(micro, abs=1e-12)
        seen = labels.any(axis=0) | decisions.any(axis=0)
        macro = np.mean(
            [sk.f1_score(labels[:, k], decisions[:, k], zero_division=0) for k in np.flatnonzero(seen)]
        )
        assert found["macro_f1"] == pytest.approx(macro, abs=1e-12)
    else:
        assert np.isnan(found["micro_f1"])


def test_a_large_random_case_equals_scikit_learn(rng):
    labels = (rng.random((2198, 23)) < 0.07).astype(np.uint8)
    scores = rng.random((2198, 23))
    found = multilabel_metrics(labels, scores)
    assert found["macro_auprc"] == pytest.approx(sk.average_precision_score(labels, scores, average="macro"))
    assert found["macro_auroc"] == pytest.approx(sk.roc_auc_score(labels, scores, average="macro"))
    assert found["macro_f1"] == pytest.approx(sk.f1_score(labels, scores >= 0.5, average="macro"))
    assert found["micro_f1"] == pytest.approx(sk.f1_score(labels, scores >= 0.5, average="micro"))


def test_an_absent_class_is_left_out_not_zero():
    labels = np.array([[1, 0], [0, 0]])
    assert multilabel_metrics(labels, np.array([[0.9, 0.1], [0.2, 0.3]]))["macro_auprc"] == 1.0
    assert np.isnan(nanmean(np.array([np.nan])))


@pytest.mark.parametrize(
    ("labels", "scores"),
    [(np.ones(3), np.ones(3)), (np.ones((3, 2)), np.ones((2, 3))), (np.ones((0, 2)), np.ones((0, 2)))],
)
def test_shapes_that_do_not_fit_are_refused(labels, scores):
    with pytest.raises(ValueError, match=r"\[records, classes\]|no record"):
        average_precision(labels, scores)


def test_nan_predictions_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        roc_auc(np.ones((2, 1)), np.array([[0.1], [np.nan]]))
