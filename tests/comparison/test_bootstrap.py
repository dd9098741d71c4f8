import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from closure import ROOT
from ecg_temporal.comparison import bootstrap
from ecg_temporal.comparison.bootstrap import (
    class_differences,
    differences,
    draw,
    holm,
    interval,
    intervals,
    order_effect,
    p_value,
    resample,
    trained_again,
)
from ecg_temporal.evaluation.metrics import average_precision, nanmean, roc_auc
from ecg_temporal.evaluation.summary import headline_metrics


def random_case(seed, records, classes, seeds=1, decimals=1):
    rng = np.random.default_rng(seed)
    labels = (rng.random((records, classes)) < 0.3).astype(np.uint8)
    return labels, rng.random((seeds, records, classes)).round(decimals)


def test_draws_are_resamples_of_the_records():
    draws = draw(np.arange(50), 2000, 0)
    assert draws.shape == (50, 2000)
    assert (draws.sum(axis=0) == 50).all()
    assert draws.var() == pytest.approx(1 - 1 / 50, rel=0.05)  # binomial(50, 1/50)
    np.testing.assert_array_equal(draws, draw(np.arange(50), 2000, 0))
    assert (draws != draw(np.arange(50), 2000, 1)).any()


def test_a_patients_records_are_drawn_together():
    patients = np.array([7, 3, 7, 9, 3, 7])
    draws = draw(patients, 500, 0)
    of_each = draws[[1, 0, 3]]  # patients 3, 7 and 9
    np.testing.assert_array_equal(draws, of_each[[1, 0, 1, 2, 0, 1]])
    assert (of_each.sum(axis=0) == 3).all() and (of_each.var(axis=1) > 0.5).all()


def test_records_that_are_there_twice_tell_no_more_than_once():
    labels, noise = random_case(6, 100, 3, decimals=8)
    once = resample(labels, noise, noise >= 0.5, draw(np.arange(100), 50, 0))
    twice = np.repeat(labels, 2, axis=0), np.repeat(noise, 2, axis=1)
    copied = resample(*twice, twice[1] >= 0.5, draw(np.repeat(np.arange(100), 2), 50, 0))
    for name in ("macro_auprc", "macro_auroc", "micro_f1", "hamming_loss", "subset_accuracy"):
        np.testing.assert_allclose(copied.replicates[name], once.replicates[name], atol=1e-9)


@given(st.integers(0, 2**32 - 1), st.integers(1, 25), st.integers(1, 4), st.sampled_from([0, 1, 8]))
@settings(max_examples=60)
def test_every_metric_equals_that_of_the_resample_taken_for_real(seed, records, classes, decimals):
    labels, probabilities = random_case(seed, records, classes, seeds=2, decimals=decimals)
    draws = draw(np.arange(records), 4, seed)
    decisions = probabilities >= 0.5
    sample = resample(labels, probabilities, decisions, draws)
    common = labels.sum(axis=0) >= 10
    for replicate in range(4):
        rows = np.repeat(np.arange(records), draws[:, replicate].astype(int))
        seeds = list(zip(probabilities, decisions, strict=True))
        each = [headline_metrics(labels[rows], p[rows], d[rows]) for p, d in seeds]
        precision = np.mean([average_precision(labels[rows], p[rows]) for p, _ in seeds], axis=0)
        np.testing.assert_allclose(sample.class_replicates[:, replicate], precision, atol=1e-9)
        for name, values in sample.replicates.items():
            expected = np.mean([e[name] for e in each])
            if name == "macro_auprc_common":  # which classes are common is decided on all records
                expected = nanmean(precision[common])
            elif name == "macro_auroc_common":
                expected = np.mean([nanmean(roc_auc(labels[rows], p[rows])[common]) for p, _ in seeds])
            assert values[replicate] == pytest.approx(expected, abs=1e-9, nan_ok=True), name


def test_ranking_metrics_equal_scikit_learn_with_sample_weights():
    labels, probabilities = random_case(1, 300, 5, decimals=2)
    draws = draw(np.arange(300), 20, 0)
    found = resample(labels, probabilities, probabilities >= 0.5, draws).replicates
    for k in range(20):
        weights, scores = draws[:, k], probabilities[0]
        ap = sk.average_precision_score(labels, scores, average="macro", sample_weight=weights)
        auc = np.mean([sk.roc_auc_score(labels[:, c], scores[:, c], sample_weight=weights) for c in range(5)])
        assert found["macro_auprc"][k] == pytest.approx(ap, abs=1e-9)
        assert found["macro_auroc"][k] == pytest.approx(auc, abs=1e-9)


def test_the_same_predictions_differ_by_nothing_and_better_ones_by_something():
    labels, noise = random_case(3, 400, 4, decimals=8)
    better = 0.5 * noise + 0.5 * labels
    draws = draw(np.arange(400), 300, 0)
    scores = {"a": noise, "same": noise, "better": better}
    samples = {name: resample(labels, s, s >= 0.5, draws) for name, s in scores.items()}
    rows = differences(samples, "a").set_index(["architecture", "metric"])
    same, gain = rows.loc[("same", "macro_auprc")], rows.loc[("better", "macro_auprc")]
    assert (same["difference"], same["low"], same["high"], same["p"]) == (0, 0, 0, 1)
    assert gain["low"] > 0.2 and gain["p_holm"] < 0.05
    assert "a" not in rows.index.get_level_values("architecture")
    table = intervals({name: samples[name] for name in ("a", "same")})
    assert (table["low"] <= table["value"]).all() and (table["value"] <= table["high"]).all()
    classes = class_differences(samples, "a", dict.fromkeys("wxyz", 100)).set_index(
        ["architecture", "subclass"]
    )
    assert (classes.loc["better", "low"] > 0).all() and (classes.loc["same", "difference"] == 0).all()
    assert (classes["undefined"] == 0).all()


def test_a_class_that_resamples_miss_is_undefined_as_often_as_they_do():
    labels, noise = random_case(4, 200, 2)
    labels[:, 1] = 0
    labels[7, 1] = 1
    draws = draw(np.arange(200), 4000, 0)
    samples = {name: resample(labels, noise, noise >= 0.5, draws) for name in "ab"}
    undefined = class_differences(samples, "a", {"common": 60, "rare": 1})
    assert undefined["positives"].tolist() == [60, 1]
    undefined = undefined.set_index("subclass")["undefined"]
    assert undefined["common"] == 0
    assert undefined["rare"] == (draws[7] == 0).mean() == pytest.approx(np.exp(-1), abs=0.03)


def test_the_order_effect_is_the_change_under_permutation_averaged_over_permutations():
    labels, noise = random_case(5, 300, 3, seeds=2, decimals=8)
    good = 0.5 * noise + 0.5 * labels
    draws = draw(np.arange(300), 200, 0)
    sample = resample(labels, good, good >= 0.5, draws)
    both = order_effect(labels, sample, np.stack([noise, good], axis=1), draws).set_index("metric")
    effect = both.loc["macro_auprc"]
    pd.testing.assert_series_equal(both.loc["macro_auprc_common"], effect, check_names=False)
    worse = np.mean([average_precision(labels, s).mean() for s in noise])
    assert effect["permuted"] == pytest.approx((worse + effect["intact"]) / 2)
    assert effect["low"] < effect["difference"] < effect["high"] < 0
    unchanged = order_effect(labels, sample, np.stack([good] * 3, axis=1), draws)
    assert unchanged["difference"].tolist() == pytest.approx([0, 0], abs=1e-12)
    assert unchanged["low"].tolist() == pytest.approx([0, 0], abs=1e-12)
    labels[9:, 2] = 0  # that class is rare now
    rare = order_effect(labels, resample(labels, good, good >= 0.5, draws), noise[:, None], draws)
    lost = np.mean(
        [
            average_precision(labels, s) - average_precision(labels, g)
            for s, g in zip(noise, good, strict=True)
        ],
        axis=0,
    )
    assert rare["difference"].tolist() == pytest.approx([lost.mean(), lost[:2].mean()])


def test_the_interval_and_p_equal_scipy_and_agree(rng):
    data = (rng.gamma(2, size=50),)
    theirs = stats.bootstrap(data, np.mean, method="percentile", n_resamples=999, rng=rng)
    found = interval(np.append(theirs.bootstrap_distribution, np.nan))
    np.testing.assert_allclose(found, theirs.confidence_interval, atol=1e-12)
    replicates = rng.gamma(3, size=10_000)
    for end in interval(replicates):
        assert p_value(replicates - end) == pytest.approx(0.05, abs=0.002)
    assert p_value(replicates) == pytest.approx(2 / 10_001) and p_value(replicates * 0) == 1


def test_a_difference_that_is_none_is_found_in_one_of_twenty_even_where_classes_are_rare():
    rng = np.random.default_rng(8)
    missed, wrong, runs = 0, 0, 200
    for _ in range(runs):
        labels = (rng.random((300, 8)) < [0.4, 0.1, 0.03, 0.01, 0.01, 0.007, 0.007, 0.007]).astype(np.uint8)
        draws = draw(np.arange(300), 200, int(rng.integers(2**31)))
        shared = 2.0 * labels + rng.normal(size=labels.shape)
        scores = [(shared + 0.7 * rng.normal(size=labels.shape))[None] for _ in "ab"]
        samples = {name: resample(labels, s, s > 1, draws) for name, s in zip("ab", scores, strict=True)}
        row = differences(samples, "a").set_index("metric").loc["macro_auprc"]
        missed += not row["low"] <= 0 <= row["high"]
        wrong += row["p"] < 0.05
    assert missed <= 0.08 * runs and abs(missed - wrong) <= 2, (missed, wrong)


def test_another_training_counts_as_in_the_t_test_of_all_architectures(rng):
    seeds, others, third = rng.normal(size=(3, 4))
    difference = seeds.mean() - others.mean()
    low, high = trained_again(difference, np.zeros(10), [seeds, others], (4, 4))
    theirs = stats.ttest_ind(seeds, others).confidence_interval()
    assert (low, high) == pytest.approx((theirs.low, theirs.high))
    pooled = np.sqrt(np.mean([each.var(ddof=1) for each in (seeds, others, third)]))
    reach = stats.t.ppf(0.975, 9) * pooled * np.sqrt(2 / 4)
    found = trained_again(difference, np.zeros(10), [seeds, others, third], (4, 4))
    assert found == pytest.approx((difference - reach, difference + reach))
    fewer = trained_again(seeds.mean() - others[:2].mean(), np.zeros(10), [seeds, others[:2]], (4, 2))
    theirs = stats.ttest_ind(seeds, others[:2]).confidence_interval()
    assert fewer == pytest.approx((theirs.low, theirs.high))
    replicates = np.append(rng.normal(size=1000), np.nan)
    low, high = trained_again(difference, replicates, [seeds * 0, others * 0], (4, 4))
    assert (high - low) / 2 == pytest.approx(1.96 * np.nanstd(replicates, ddof=1), rel=1e-3)
    wider = trained_again(difference, replicates, [seeds, others], (4, 4))
    assert wider[1] - wider[0] > high - low
    assert np.isnan(trained_again(difference, replicates, [seeds[:1], others[:1]], (1, 1))).all()


def test_losses_are_means_of_the_drawn_records():
    labels, noise = random_case(2, 40, 3, seeds=2, decimals=8)
    draws, loss = draw(np.arange(40) // 2, 30, 0), np.random.default_rng(0).random((2, 40))
    sample = resample(labels, noise, noise >= 0.5, draws, {"loss": loss})
    assert sample.value["loss"] == pytest.approx(loss.mean())
    np.testing.assert_allclose(sample.by_seed["loss"], loss.mean(axis=1))
    for k in range(30):
        rows = np.repeat(np.arange(40), draws[:, k].astype(int))
        assert sample.replicates["loss"][k] == pytest.approx(loss[:, rows].mean())


def test_what_is_not_defined_has_no_interval_and_no_p():
    nothing = np.full(10, np.nan)
    assert np.isnan([*interval(nothing), p_value(nothing)]).all()
    some = np.append(nothing, np.linspace(-1, 1, 1001))
    assert interval(some) == pytest.approx((-0.95, 0.95))
    assert p_value(some) == 1


def test_resamples_that_are_all_the_same_tell_nothing():
    labels, noise = random_case(7, 12, 3, decimals=8)
    draws = draw(np.zeros(12), 200, 0)  # one patient has all records
    scores = {"a": noise, "b": noise[:, ::-1], "same": noise}
    samples = {name: resample(labels, s, s >= 0.5, draws) for name, s in scores.items()}
    ends = ["low", "high", "again_low", "again_high"]
    rows = differences(samples, "a").set_index("architecture")
    changed = rows.loc["b"][rows.loc["b", "difference"] != 0]
    assert len(changed) and changed[[*ends, "p", "p_holm"]].isna().all(axis=None)
    same = rows.loc["same", ["low", "high", "p"]].dropna()
    assert (same == [0, 0, 1]).all(axis=None)
    table = intervals(samples)
    assert table.loc[table["value"] > 0, ["low", "high"]].isna().all(axis=None)


def test_the_interval_covers_the_mean_of_such_folds_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    share = [0.4, 0.1, 0.03, 0.02, 0.01]  # of the last, three records
    samples = []
    for _ in range(200):
        labels = (rng.random((300, 5)) < share).astype(np.uint8)
        scores = 2.0 * labels + rng.normal(size=labels.shape)
        draws = draw(np.arange(300), 200, int(rng.integers(2**31)))
        samples.append(resample(labels, scores[None], (scores > 1.5)[None], draws))
    for metric in ("macro_auprc", "macro_auroc", "micro_f1", "subset_accuracy"):
        value, low, high = np.transpose([(s.value[metric], *interval(s.replicates[metric])) for s in samples])
        assert 0.88 <= ((low <= value.mean()) & (value.mean() <= high)).mean() <= 0.99, metric


def test_differences_and_intervals_are_of_their_own_samples():
    labels, noise = random_case(9, 200, 3, seeds=3, decimals=8)
    draws = draw(np.arange(200), 300, 0)
    scores = {
        "a": noise,
        "b": noise[:, ::-1],
        "c": 0.9 * noise + 0.1 * labels,
        "d": 0.92 * noise + 0.08 * labels[::-1],
    }
    samples = {name: resample(labels, s, s >= 0.5, draws) for name, s in scores.items()}
    table, a = differences(samples, "a"), samples["a"]
    for metric, of_one in table.groupby("metric"):
        np.testing.assert_array_equal(of_one["p_holm"], holm(of_one["p"]))
        for row in of_one.itertuples():
            s = samples[row.architecture]
            change = s.replicates[metric] - a.replicates[metric]
            seeds = [each.by_seed[metric] for each in samples.values()]
            again = trained_again(row.difference, change, seeds, (len(seeds[0]), len(seeds[0])))
            assert (row.low, row.high) == interval(change)
            assert (row.again_low, row.again_high) == again
    assert (table["p_holm"] > table["p"]).any()
    for row in intervals(samples).itertuples():
        assert (row.low, row.high) == interval(samples[row.architecture].replicates[row.metric])
    classes = class_differences(samples, "a", {"x": 10, "y": 20, "z": 9})
    for _, of_one in classes.groupby("architecture"):
        less, more = sorted(of_one["p"][:2])  # of the two that are common, the smaller p is doubled
        assert sorted(of_one["q"][:2]) == [min(2 * less, more), more] and np.isnan(of_one["q"].iloc[2])
    assert (classes["q"] > classes["p"]).any()
    classes = classes.query("architecture == 'c'")
    c, a = (np.mean([average_precision(labels, s) for s in scores[name]], axis=0) for name in "ca")
    np.testing.assert_allclose(classes["difference"], c - a)


def test_a_metric_without_its_weighted_form_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(bootstrap, "headline_metrics", lambda *each: headline_metrics(*each) | {"lrap": 1.0})
    labels = np.eye(4, dtype=np.uint8)
    with pytest.raises(ValueError, match="do not both have lrap"):
        resample(labels, labels[None].astype(float), labels[None].astype(bool), draw(np.arange(4), 5, 0))


def test_holm_is_the_step_down_correction():
    p = pd.Series([0.01, 0.04, np.nan, 0.03, 0.5])
    assert holm(p).round(10).tolist()[:2] == [0.04, 0.09]
    assert np.isnan(holm(p)[2])
    assert holm(p).round(10).tolist()[3:] == [0.09, 0.5]


@pytest.mark.usefixtures("committed")
def test_macro_auprc_of_one_fold_is_too_high():
    """As docs/findings.md says: PTB-XL's classes at `cnn`'s AUROCs, against a fold of 100,000 records."""
    classes = pd.read_csv(ROOT / "metrics/per_class/cnn.csv")
    records = 2198
    shift = np.sqrt(2) * stats.norm.ppf(classes["roc_auc"].clip(0.5, 0.995).to_numpy())
    share = classes["positives"].to_numpy() / records
    common = share * records >= 10
    rng = np.random.default_rng(0)

    def precision(size):
        labels = (rng.random((size, len(share))) < share).astype(np.uint8)
        return average_precision(labels, rng.normal(size=labels.shape) + labels * shift)

    large, small = precision(100_000), [precision(records) for _ in range(60)]
    assert np.mean([nanmean(each) for each in small]) - large.mean() == pytest.approx(0.02, abs=0.007)
    alone = np.mean([nanmean(each[common]) for each in small]) - large[common].mean()
    assert alone == pytest.approx(0.01, abs=0.005)


def test_a_candidate_that_stands_apart_changes_nothing_of_the_others():
    labels, noise = random_case(6, 200, 3, seeds=3, decimals=8)
    draws = draw(np.arange(200), 200, 0)
    better = noise + 0.1 * labels
    scores = {"a": noise, "b": better, "c": noise[:, ::-1], "model": better}
    samples = {name: resample(labels, score, score >= 0.5, draws) for name, score in scores.items()}
    without = differences({name: samples[name] for name in "abc"}, "a", "model")
    found = differences(samples, "a", "model").set_index("architecture")
    assert without["again_low"].notna().all()
    pd.testing.assert_frame_equal(found.loc[["b", "c"]].reset_index()[without.columns], without)
    assert (found.loc["model", "p_holm"] == found.loc["model", "p"]).all()


def test_the_variance_of_the_replicates_is_that_of_a_sample(rng):
    replicates, seeds = rng.normal(size=5), [np.zeros(3)] * 2
    low, high = trained_again(0.0, replicates, seeds, (3, 3))
    assert high == -low == pytest.approx(stats.norm.ppf(0.975) * replicates.std(ddof=1))


def test_no_corrected_p_is_more_than_one():
    assert holm(pd.Series([0.4, 0.6, 0.9])).tolist() == [1, 1, 1]
