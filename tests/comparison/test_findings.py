from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn import metrics as sk

from ecg_temporal.comparison import bootstrap
from ecg_temporal.comparison.bootstrap import class_differences, draw, intervals, of_metric, resample
from ecg_temporal.comparison.contrasts import contrasts
from ecg_temporal.comparison.findings import find
from ecg_temporal.evaluation.calibration import expected_calibration_error, reliability_curve
from ecg_temporal.evaluation.fitting import fit_platt, fit_rule
from ecg_temporal.evaluation.predictions import SPLITS, rows
from ecg_temporal.reporting.tables import verdict_rows
from made_up import ARCHITECTURES, BOOTSTRAP, CLASSES, PATIENTS, PROBES, RECIPE, read_case


def test_the_findings_say_what_was_put_into_the_data(case):
    _, labels, results, findings = case
    assert findings.best == "cnn_mixed" and findings.best_recurrent == "cnn_mixed"
    assert findings.verdict.least in ("cnn_bilstm", "cnn_mixed")  # cnn is measurably worse
    worse = findings.from_best.set_index(["architecture", "metric"]).loc[("cnn", "macro_auprc")]
    assert worse["high"] < 0 and worse["p_holm"] < 0.05
    order = of_metric(findings.order, "macro_auprc")
    assert order.loc["cnn", "difference"] == pytest.approx(0, abs=1e-9)
    assert order.loc["cnn_bilstm", "high"] < 0
    context = findings.context.set_index(["architecture", "metric", "seconds"])["value"]
    assert context["cnn", "macro_auprc", 10.0] == pytest.approx(results.headline.loc["cnn", "macro_auprc"])
    assert list(context["cnn", "macro_auprc"].index) == [1, 2.5, 5, 10]
    # At each length less noise was added, alike to all.
    longer = of_metric(findings.longer, "macro_auprc_common")
    assert list(longer.index) == [
        *ARCHITECTURES,
        "without recurrence",
        "with recurrence",
        "with minus without",
    ]
    assert (longer["low"][:-1] > 0).all()
    assert longer.loc["without recurrence", "difference"] == longer.loc["cnn", "difference"]
    both = longer.loc[["cnn_bilstm", "cnn_mixed"], "difference"].mean()
    assert longer.loc["with recurrence", "difference"] == pytest.approx(both)
    more = longer.loc["with minus without"]
    assert more["difference"] == pytest.approx(both - longer.loc["cnn", "difference"])
    assert more["low"] < more["difference"] < more["high"]
    rare = findings.classes.set_index(["architecture", "subclass"]).loc[("cnn_bilstm", "PMI")]
    assert rare["undefined"] > 0
    no_label = ~labels["test"].any(axis=1)
    assert no_label.any()
    assert (findings.labelled["subset_accuracy"] != results.headline["subset_accuracy"]).any()


def losses_of(labels, predictions):
    """Return the mean cross-entropy of every test record, by scikit-learn."""
    truth, scale = (
        labels["test"],
        [fit_platt(labels["validation"], x) for x in predictions.logits["validation"]],
    )
    logits = predictions.logits["test"].astype(float)
    made = {
        "log_loss": expit(logits),
        "log_loss_calibrated": np.stack([s.probabilities(x) for s, x in zip(scale, logits, strict=True)]),
    }
    return {
        name: np.array(
            [[sk.log_loss(y, q, labels=[0, 1]) for y, q in zip(truth, p, strict=True)] for p in seeds]
        )
        for name, seeds in made.items()
    }


def test_every_table_is_of_what_its_name_says(case):
    folder, labels, results, findings = case
    truth = labels["test"]
    draws = draw(PATIENTS, BOOTSTRAP.replicates, BOOTSTRAP.seed)
    predictions, _ = read_case(folder)
    logits = {name: each.logits["test"] for name, each in predictions.items()}
    losses = {name: losses_of(labels, each) for name, each in predictions.items()}
    samples = {name: resample(truth, x, x >= 0, draws, losses[name]) for name, x in logits.items()}
    table = findings.intervals.set_index(["architecture", "metric"])["value"]
    loss = results.seeds.query("split == 'test'").groupby("architecture")["loss"].mean()
    for name in logits:
        assert table[name, "log_loss"] == pytest.approx(loss[name])
    assert (table[:, "log_loss_calibrated"] < table[:, "log_loss"]).all()
    pd.testing.assert_frame_equal(findings.contrasts, contrasts(samples, RECIPE.compared))
    pd.testing.assert_frame_equal(findings.intervals, intervals(samples))
    for found, against in ((findings.from_reference, "cnn"), (findings.from_best, "cnn_mixed")):
        pd.testing.assert_frame_equal(found, bootstrap.differences(samples, against, "model"))
    positives = dict(zip(CLASSES, truth.sum(axis=0).tolist(), strict=True))
    pd.testing.assert_frame_equal(findings.classes, class_differences(samples, "cnn", positives))
    labelled = truth.any(axis=1)
    for name, x in logits.items():
        with np.load(folder / "probes" / name / "logits.npz") as arrays:
            order, context = arrays["order"], arrays["context"]
        for k, seconds in enumerate(PROBES.seconds):
            score = np.mean([sk.average_precision_score(truth, y) for y in context[:, k]])
            found = findings.context.groupby(["architecture", "seconds"]).get_group((name, seconds))
            found = found.set_index("metric")["value"]
            assert found["macro_auprc"] == pytest.approx(score)
            common = truth.sum(axis=0) >= 10
            score = np.mean(
                [sk.average_precision_score(truth[:, common], y[:, common]) for y in context[:, k]]
            )
            assert found["macro_auprc_common"] == pytest.approx(score)
        for k, subclass in enumerate(CLASSES):
            intact = np.mean([sk.average_precision_score(truth[:, k], y[:, k]) for y in x])
            flat = order.reshape(-1, *truth.shape)
            permuted = np.mean([sk.average_precision_score(truth[:, k], y[:, k]) for y in flat])
            assert findings.order_classes.loc[subclass, name] == pytest.approx(permuted - intact)
        f1 = [sk.f1_score(truth[labelled], y[labelled] >= 0, average="micro") for y in x]
        assert findings.labelled.loc[name, "micro_f1"] == pytest.approx(np.mean(f1))
        seeds = results.seeds[results.seeds["architecture"] == name]
        for split in SPLITS:
            loss = seeds.loc[seeds["split"] == split, "loss"].mean()
            assert findings.gaps.loc[name, f"loss {split}"] == pytest.approx(loss)


def test_each_metric_has_a_verdict_of_its_own(case):
    folder, labels, results, _ = case
    logits, probes = read_case(folder)
    # The one that ranks best is made to decide worst: everyone has everything.
    best = logits["cnn_mixed"]
    biased = replace(best, logits={split: x + 9 for split, x in best.logits.items()})
    found = find(RECIPE, CLASSES, labels, PATIENTS, {**logits, "cnn_mixed": biased}, probes, results)
    ranking, deciding = ("macro_auprc", "macro_auroc"), ("micro_f1", "hamming_loss", "subset_accuracy")
    assert {found.verdicts[metric].best for metric in ranking} == {"cnn_mixed"}
    assert {found.verdicts[metric].best for metric in deciding} == {"cnn_bilstm"}
    assert found.verdict == found.verdicts["macro_auprc"] and len(found.verdicts) == 6
    table = {row[0]: row for row in verdict_rows(found.verdicts, found.intervals)}
    values = found.intervals.set_index(["architecture", "metric"])["value"]
    loss = found.verdicts["hamming_loss"]
    best, value, least, of_least, difference = table["Hamming loss ↓"][1:]
    assert (best, value) == ("cnn_bilstm", f"{values['cnn_bilstm', 'hamming_loss']:.4f}")
    assert (least, of_least) == (loss.least, f"{values[loss.least, 'hamming_loss']:.4f}")
    assert difference == "–" if least == best else difference.startswith(f"{loss.difference:+.4f} [")


def test_the_best_with_recurrence_is_set_against_what_is_enough_without(case, rng):
    folder, labels, results, findings = case
    assert findings.recurrence is None  # where it is the best
    logits, probes = read_case(folder)
    best, second = logits["cnn_mixed"], logits["cnn_bilstm"]
    found = find(
        RECIPE, CLASSES, labels, PATIENTS, logits | {"cnn": best, "cnn_mixed": second}, probes, results
    )
    assert found.best == found.verdict.least == "cnn"
    row = of_metric(found.from_reference, "macro_auprc").loc["cnn_bilstm"]
    assert found.recurrence["architecture"] == "cnn_bilstm" and row["difference"] < 0
    assert all(found.recurrence[key] == row[key] for key in ("difference", "low", "high"))
    elsewhere = replace(RECIPE, bootstrap=BOOTSTRAP.model_copy(update={"reference": "cnn_mixed"}))
    given = logits | {"cnn": best, "cnn_mixed": second}
    assert find(elsewhere, CLASSES, labels, PATIENTS, given, probes, results).recurrence == found.recurrence
    # A little worse than the best, and enough: the reliability is its own.
    noise = {split: x + rng.normal(0, 0.2, x.shape).astype(np.float32) for split, x in best.logits.items()}
    near = replace(best, logits=noise)
    found = find(RECIPE, CLASSES, labels, PATIENTS, logits | {"cnn": near}, probes, results)
    assert (found.best, found.verdict.least, found.recurrence) == ("cnn_mixed", "cnn", None)
    truth, (one, other) = np.concatenate([labels["test"]] * 2), noise["validation"]
    calibrated = [fit_platt(labels["validation"], x).probabilities for x in (one, other)]
    of_seeds = [scale(x) for scale, x in zip(calibrated, noise["test"], strict=True)]
    by_chance = [expected_calibration_error(rng.binomial(1, p), p) for p in of_seeds for _ in range(50)]
    assert found.calibration_floor == pytest.approx(np.mean(by_chance), rel=0.05)
    for name, p in (("as trained", expit(noise["test"])), ("calibrated", of_seeds)):
        for shown, value in zip(
            found.reliability[name], reliability_curve(truth, np.concatenate(p)), strict=True
        ):
            np.testing.assert_allclose(shown, value)


def test_the_candidate_is_never_the_best(case):
    folder, labels, results, _ = case
    logits, probes = read_case(folder)
    mixed = logits["cnn_mixed"]
    better = {split: labels[split][rows(split, 300)] + x for split, x in mixed.logits.items()}
    given = logits | {"model": replace(mixed, logits=better)}
    found = find(RECIPE, CLASSES, labels, PATIENTS, given, probes, results)
    assert of_metric(found.from_reference, "macro_auprc")["difference"].idxmax() == "model"
    assert found.best == "cnn_mixed" and "model" not in {each.best for each in found.verdicts.values()}


@pytest.mark.parametrize("common", ["no class", "every record"])
def test_labels_that_tell_nothing_apart_decide_nothing(case, common):
    folder, labels, results, _ = case
    logits, probes = read_case(folder)
    truth = np.ones_like(labels["test"])
    if common == "no class":  # each has nine positive records
        truth[9:] = 0
    found = find(RECIPE, CLASSES, labels | {"test": truth}, PATIENTS, logits, probes, results)
    assert not found.verdict.decided and found.recurrence is None


def test_orders_are_drawn_with_the_patients_of_the_intact_records(case, monkeypatch):
    folder, labels, results, _ = case
    logits, probes = read_case(folder)
    monkeypatch.setattr("ecg_temporal.comparison.findings.PROBE_REPLICATES", 50)
    order = find(RECIPE, CLASSES, labels, PATIENTS, logits, probes, results).order
    same = order[order["architecture"] == "cnn"]  # whose permuted logits are its own
    np.testing.assert_allclose(same[["low", "high"]], 0, atol=1e-12)


def test_the_reliability_diagram_shows_what_calibration_changes(case):
    curves = case[-1].reliability
    assert curves["as trained"][0].tolist() != curves["calibrated"][0].tolist()


def test_intervals_are_under_the_rule_and_the_seed_of_the_recipe(case):
    folder, labels, results, _ = case
    predictions, probes = read_case(folder)
    other = replace(RECIPE, rule="micro_f1", bootstrap=BOOTSTRAP.model_copy(update={"seed": 1}))
    found = find(other, CLASSES, labels, PATIENTS, predictions, probes, results).intervals
    draws = draw(PATIENTS, BOOTSTRAP.replicates, 1)
    samples = {}
    for name, each in predictions.items():
        x = each.logits["test"]
        rules = [
            fit_rule("micro_f1", labels["validation"], v, labels["train"]) for v in each.logits["validation"]
        ]
        made = np.stack([rule.decide(of_seed) for rule, of_seed in zip(rules, x, strict=True)])
        samples[name] = resample(labels["test"], x, made, draws)
    expected = intervals(samples).set_index(["architecture", "metric"])
    found = found.set_index(["architecture", "metric"]).loc[expected.index]
    pd.testing.assert_frame_equal(found, expected)
