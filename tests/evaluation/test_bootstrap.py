import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from ecg_temporal.evaluation.bootstrap import compare, draw, holm, replicate_metrics
from ecg_temporal.evaluation.metrics import multilabel_metrics


def random_case(seed, records, classes, seeds=1, decimals=1):
    rng = np.random.default_rng(seed)
    labels = (rng.random((records, classes)) < 0.3).astype(np.uint8)
    return labels, rng.random((seeds, records, classes)).round(decimals)


def test_draws_are_resamples_of_the_records():
    draws = draw(50, 2000, 0)
    assert draws.shape == (50, 2000)
    assert (draws.sum(axis=0) == 50).all()
    assert draws.var() == pytest.approx(1 - 1 / 50, rel=0.05)  # binomial(50, 1/50)
    np.testing.assert_array_equal(draws, draw(50, 2000, 0))
    assert (draws != draw(50, 2000, 1)).any()


@given(st.integers(0, 2**32 - 1), st.integers(1, 25), st.integers(1, 4), st.sampled_from([0, 1, 8]))
@settings(max_examples=60)
def test_every_metric_equals_that_of_the_resample_taken_for_real(seed, records, classes, decimals):
    labels, probabilities = random_case(seed, records, classes, seeds=2, decimals=decimals)
    draws = draw(records, 4, seed)
    found = replicate_metrics(labels, probabilities, draws)
    for replicate in range(4):
        rows = np.repeat(np.arange(records), draws[:, replicate].astype(int))
        each = [multilabel_metrics(labels[rows], p[rows]) for p in probabilities]
        for name, values in found.items():
            expected = np.mean([e[name] for e in each])
            assert values[replicate] == pytest.approx(expected, abs=1e-9, nan_ok=True), name


def test_ranking_metrics_equal_scikit_learn_with_sample_weights():
    labels, probabilities = random_case(1, 300, 5, decimals=2)
    draws = draw(300, 20, 0)
    found = replicate_metrics(labels, probabilities, draws)
    for k in range(20):
        weights, scores = draws[:, k], probabilities[0]
        ap = sk.average_precision_score(labels, scores, average="macro", sample_weight=weights)
        auc = np.mean([sk.roc_auc_score(labels[:, c], scores[:, c], sample_weight=weights) for c in range(5)])
        assert found["macro_auprc"][k] == pytest.approx(ap, abs=1e-9)
        assert found["macro_auroc"][k] == pytest.approx(auc, abs=1e-9)


def test_the_same_predictions_differ_by_nothing_and_better_ones_by_something():
    labels, noise = random_case(3, 400, 4, decimals=8)
    better = 0.5 * noise + 0.5 * labels
    table = compare(labels, {"a": noise, "same": noise, "better": better}, "a", draw(400, 300, 0))
    rows = table.set_index(["architecture", "metric"])
    same, gain = rows.loc[("same", "macro_auprc")], rows.loc[("better", "macro_auprc")]
    assert (same["difference"], same["difference_low"], same["difference_high"], same["p"]) == (0, 0, 0, 1)
    assert gain["difference_low"] > 0.2 and gain["p_holm"] < 0.05
    assert rows.loc[("a", "macro_auprc"), ["difference", "p", "p_holm"]].isna().all()
    assert (table["low"] <= table["value"]).all() and (table["value"] <= table["high"]).all()


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(200):  # accuracy of a coin with a bias of 0.7
        labels = np.ones((120, 1), np.uint8)
        scores = (rng.random((1, 120, 1)) < 0.7).astype(float)
        values = replicate_metrics(labels, scores, draw(120, 200, int(rng.integers(2**31))))[
            "subset_accuracy"
        ]
        low, high = np.quantile(values, [0.025, 0.975])
        covered += low <= 0.7 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_holm_is_the_step_down_correction():
    p = pd.Series([0.01, 0.04, np.nan, 0.03, 0.5])
    assert holm(p).round(10).tolist()[:2] == [0.04, 0.09]
    assert np.isnan(holm(p)[2])
    assert holm(p).round(10).tolist()[3:] == [0.09, 0.5]
