import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.transforms import Bbox
from scipy.special import expit
from sklearn import metrics as sk

from closure import ROOT
from conftest import TRAINING
from ecg_temporal.comparison import bootstrap
from ecg_temporal.comparison.bootstrap import class_differences, draw, intervals, of_metric, resample
from ecg_temporal.comparison.contrasts import contrasts
from ecg_temporal.comparison.findings import find
from ecg_temporal.comparison.recipe import Recipe
from ecg_temporal.comparison.results import read_csv, read_probes, read_results
from ecg_temporal.comparison.settings import BootstrapSettings
from ecg_temporal.comparison.trivial import trivial_lines
from ecg_temporal.comparison.verdict import Verdict
from ecg_temporal.evaluation.calibration import expected_calibration_error, reliability_curve
from ecg_temporal.evaluation.fitting import fit_platt
from ecg_temporal.evaluation.predictions import (
    SPLITS,
    Predictions,
    read_predictions,
    rows,
    write_predictions,
)
from ecg_temporal.evaluation.settings import RULES
from ecg_temporal.evaluation.summary import HEADLINE, THRESHOLDED, by_class, by_rule, by_seed, headline
from ecg_temporal.models.settings import ArchitectureSettings
from ecg_temporal.probing.settings import ProbeSettings
from ecg_temporal.ptbxl.raw import OWN
from ecg_temporal.reporting import figures, svg
from ecg_temporal.reporting.examples import choose_examples, predicted_of_each
from ecg_temporal.reporting.html import Shown, _row_of, line_class, report_page
from ecg_temporal.reporting.markdown import CALIBRATION, RULE_METRICS, _after_holm, comparison_page
from ecg_temporal.reporting.style import (
    COSTS,
    RULE_TEXTS,
    context_shown,
    describe,
    leaning,
    order_shown,
    trained_on,
)
from ecg_temporal.reporting.tables import (
    METRICS,
    PAPER,
    STEADY,
    SYNTHETIC,
    comparison,
    context_table,
    contrast_table,
    data_faults,
    figure_table,
    markdown,
    population,
    sentence,
    verdict_rows,
)
from ecg_temporal.settings import read_params

ARCHITECTURES = {
    "cnn": ArchitectureSettings(rnn="none", learning_rate=0.1),
    "cnn_bilstm": ArchitectureSettings(rnn="bilstm", learning_rate=0.1),
    "cnn_mixed": ArchitectureSettings(rnn="bilstm+gru", learning_rate=0.02),
    "model": ArchitectureSettings(rnn="gru", learning_rate=0.3),
}
NOISE = {"cnn": 2.0, "cnn_bilstm": 0.6, "cnn_mixed": 0.5, "model": 3.0, "removed": 1.0}
CLASSES = ["AMI", "NORM", "PMI"]
SEEDS = [0, 1]
PATIENTS = np.arange(300) // 2
IDS = dict.fromkeys(SPLITS, np.arange(300))
BOOTSTRAP = BootstrapSettings(replicates=200, seed=0, reference="cnn")
SETTINGS = TRAINING.model_copy(update={"epochs": 2, "seeds": SEEDS})
PROBES = ProbeSettings(permutations=2, seconds=[1, 2.5, 5], seed=0)
RECIPE = Recipe(ARCHITECTURES, "half", SETTINGS, BOOTSTRAP, PROBES)
COST = {
    "training_step_bytes": 10_000_000,
    "latency_ms": 2.5,
    "hardware": "a machine",
    "multiply_accumulates": 61_000_000,
    "receptive_field_samples": 185,
    "training_step_ms": 600.0,
    "training_hardware": ["a machine"],
}


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Results of a made-up comparison on disk, with predictions that are better the less noise they have."""
    folder = tmp_path_factory.mktemp("results")
    rng = np.random.default_rng(0)
    labels = {split: (rng.random((300, 3)) < [0.4, 0.5, 0.01]).astype(np.uint8) for split in SPLITS}
    labels["test"][0, 2] = 1
    found = {}
    for k, (name, noise) in enumerate(NOISE.items()):
        logits = {s: 3.0 * y - 2 + noise * rng.normal(size=(2, *y.shape)) for s, y in labels.items()}
        logits = {split: x[:, rows(split, 300)].astype(np.float32) for split, x in logits.items()}
        predictions = Predictions(
            SEEDS, logits, {split: np.arange(300)[rows(split, 300)] for split in SPLITS}, 1000 * (k + 1)
        )
        seeds = by_seed(labels, predictions, "half")
        tables = {
            "seeds": seeds,
            "rules": by_rule(labels, predictions, PATIENTS),
            "per_class": by_class(CLASSES, labels, predictions),
            "history": pd.DataFrame(
                {"epoch": [1, 2] * 2, "train_loss": [0.3, 0.2] * 2, "macro_auprc": 0.4, "seed": [0, 0, 1, 1]}
            ),
        }
        for kind, table in tables.items():
            (folder / "metrics" / kind).mkdir(parents=True, exist_ok=True)
            table.to_csv(folder / "metrics" / kind / f"{name}.csv", index=False)
        figures_of_it = headline(seeds, labels, predictions, "half")
        (folder / "metrics" / f"{name}.json").write_text(json.dumps(figures_of_it))
        (folder / "probes" / name).mkdir(parents=True)
        test = logits["test"]
        apart = np.random.default_rng(k)
        worse = [test + s * apart.normal(size=test.shape).astype(np.float32) for s in (3, 2, 1)]
        order = [test] * 2 if name == "cnn" else worse[1:]
        arrays = {"order": np.stack(order, axis=1), "context": np.stack(worse, axis=1), "seeds": SEEDS}
        np.savez(folder / "probes" / name / "logits.npz", **arrays)
        machine = {"training_hardware": ["another machine"]} if name == "model" else {}
        (folder / "probes" / name / "cost.json").write_text(json.dumps(COST | machine))
        write_predictions(folder / f"{name}.npz", predictions)
        found[name] = predictions
    del found["removed"]
    results = read_results(folder / "metrics", list(ARCHITECTURES), epochs=2)
    probes = read_probes(folder / "probes", list(ARCHITECTURES), SEEDS)
    findings = find(RECIPE, CLASSES, labels, PATIENTS, found, probes, results)
    return folder, labels, results, findings


def test_results_are_those_of_params_not_of_whatever_lies_there(case):
    folder, _, results, _ = case
    assert list(results.headline.index) == list(ARCHITECTURES)
    assert set(results.per_class["architecture"]) == set(ARCHITECTURES)
    with pytest.raises(ValueError, match="no results of 'new'"):
        read_results(folder / "metrics", ["cnn", "new"], epochs=2)
    for name, stage in (("cnn", "train@cnn-0"), ("model", "train_model@0")):
        told = rf"history/{name}\.csv: seed 0 was trained for 2 epochs, not 3.* `dvc repro -f -s {stage} "
        with pytest.raises(ValueError, match=told):
            read_results(folder / "metrics", [name], epochs=3)
    history = folder / "metrics/history/cnn.csv"
    whole = history.read_text()
    history.write_text(whole.replace("seed", "sead", 1))
    with pytest.raises(ValueError, match="no results of 'cnn' .*seed"):
        read_results(folder / "metrics", ["cnn"], epochs=2)
    history.write_text(whole)
    with pytest.raises(ValueError, match=r"no probes of 'cnn' \(they are of the seeds \[0, 1\], not \[0\]"):
        read_probes(folder / "probes", ["cnn"], [0])
    with pytest.raises(ValueError, match="no probes of 'new'"):
        read_probes(folder / "probes", ["new"], SEEDS)


def test_the_table_has_every_architecture_beside_the_trivial_lines_and_the_paper(case):
    _, labels, results, _ = case
    trivial = trivial_lines(CLASSES, labels["test"], labels["train"])
    table = comparison(results, ARCHITECTURES, trivial, True)
    assert table["name"].tolist() == [*ARCHITECTURES, "nothing", "always NORM", "arXiv:2601.18830"]
    rows = table.set_index("name")
    assert rows.loc["cnn_bilstm", "parameters"] == 2000
    seeds = results.seeds.query("architecture == 'cnn' and split == 'test'")["micro_f1"]
    assert rows.loc["cnn", "micro_f1_std"] == pytest.approx(seeds.std(ddof=1))
    lines = markdown(table).splitlines()
    assert len({len(line) for line in lines}) == 1  # aligned as plain text too
    best = next(line for line in lines if "cnn_mixed" in line)
    assert best.count("**") == 12 and " ± " in best and "3,000" in best
    for line in lines:  # in bold elsewhere is only what looks the same
        assert set(re.findall(r"\*\*(\S+)", line)) <= set(re.findall(r"\*\*(\S+)", best))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"rnn": "none"}, "no recurrence"),
        ({"rnn": "none", "widen": 1.25}, "no recurrence, channels × 1.25"),
        ({"rnn": "bilstm", "layers": 2}, "2 × BiLSTM(128)"),
        ({"rnn": "bilstm+gru", "hidden": 64}, "BiLSTM(64) → GRU(64)"),
    ],
)
def test_architectures_are_described_in_words(settings, text):
    assert describe(ArchitectureSettings(learning_rate=0.1, **settings)) == text


def test_the_findings_say_what_was_put_into_the_data(case):
    _, labels, results, findings = case
    assert findings.best == "cnn_mixed" and findings.recurrent == "cnn_mixed"
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
        "with less without",
    ]
    assert (longer["low"][:-1] > 0).all()
    assert longer.loc["without recurrence", "difference"] == longer.loc["cnn", "difference"]
    both = longer.loc[["cnn_bilstm", "cnn_mixed"], "difference"].mean()
    assert longer.loc["with recurrence", "difference"] == pytest.approx(both)
    more = longer.loc["with less without"]
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
    logits = {
        name: read_predictions(folder / f"{name}.npz", SEEDS, IDS).logits["test"] for name in ARCHITECTURES
    }
    losses = {
        name: losses_of(labels, read_predictions(folder / f"{name}.npz", SEEDS, IDS)) for name in logits
    }
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
    logits = {name: read_predictions(folder / f"{name}.npz", SEEDS, IDS) for name in ARCHITECTURES}
    probes = read_probes(folder / "probes", list(ARCHITECTURES), SEEDS)
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
    probes = read_probes(folder / "probes", list(ARCHITECTURES), SEEDS)
    logits = {name: read_predictions(folder / f"{name}.npz", SEEDS, IDS) for name in ARCHITECTURES}
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
    logits = {name: read_predictions(folder / f"{name}.npz", SEEDS, IDS) for name in ARCHITECTURES}
    probes = read_probes(folder / "probes", list(ARCHITECTURES), SEEDS)
    mixed = logits["cnn_mixed"]
    better = {split: labels[split][rows(split, 300)] + x for split, x in mixed.logits.items()}
    given = logits | {"model": replace(mixed, logits=better)}
    found = find(RECIPE, CLASSES, labels, PATIENTS, given, probes, results)
    assert of_metric(found.from_reference, "macro_auprc")["difference"].idxmax() == "model"
    assert found.best == "cnn_mixed" and "model" not in {each.best for each in found.verdicts.values()}


@pytest.mark.parametrize("common", ["no class", "every record"])
def test_labels_that_tell_nothing_apart_decide_nothing(case, common):
    folder, labels, results, _ = case
    logits = {name: read_predictions(folder / f"{name}.npz", SEEDS, IDS) for name in ARCHITECTURES}
    probes = read_probes(folder / "probes", list(ARCHITECTURES), SEEDS)
    truth = np.ones_like(labels["test"])
    if common == "no class":  # each has nine positive records
        truth[9:] = 0
    found = find(RECIPE, CLASSES, labels | {"test": truth}, PATIENTS, logits, probes, results)
    assert not found.verdict.decided and found.recurrence is None


def test_orders_are_drawn_with_the_patients_of_the_intact_records(case, monkeypatch):
    folder, labels, results, _ = case
    logits = {name: read_predictions(folder / f"{name}.npz", SEEDS, IDS) for name in ARCHITECTURES}
    probes = read_probes(folder / "probes", list(ARCHITECTURES), SEEDS)
    monkeypatch.setattr("ecg_temporal.comparison.findings.PROBE_REPLICATES", 50)
    order = find(RECIPE, CLASSES, labels, PATIENTS, logits, probes, results).order
    same = order[order["architecture"] == "cnn"]  # whose permuted logits are its own
    np.testing.assert_allclose(same[["low", "high"]], 0, atol=1e-12)


@pytest.mark.parametrize("names", [["cnn"], ["cnn_bilstm"], ["cnn_mixed"]])
def test_a_report_of_one_architecture_says_nothing_that_is_not_so(case, splits, names):
    folder, labels, _, _ = case
    few = {name: ARCHITECTURES[name] for name in [*names, "model"]}
    results = read_results(folder / "metrics", list(few), epochs=2)
    predictions = {name: read_predictions(folder / f"{name}.npz", SEEDS, IDS) for name in few}
    probes = read_probes(folder / "probes", list(few), SEEDS)
    reference = BOOTSTRAP.model_copy(update={"reference": names[0]})
    alone = replace(RECIPE, architectures=few, bootstrap=reference)
    found = find(alone, CLASSES, labels, PATIENTS, predictions, probes, results)
    assert found.recurrent is None
    page = unescape(page_of(labels, results, found, splits, alone))
    assert "with less temporal modelling" not in page and "starts at" not in page
    none, itself = "No recurrent architecture is compared.", "The best with recurrence, cnn_"
    assert "There is nothing to compare it with" in page
    assert (none in page) == (names == ["cnn"]) and (itself in page) == (names != ["cnn"])


def test_the_reliability_diagram_shows_what_calibration_changes(case):
    curves = case[-1].reliability
    assert curves["as trained"][0].tolist() != curves["calibrated"][0].tolist()


def test_every_headline_metric_has_a_name_in_the_tables():
    assert list(METRICS) == list(HEADLINE)


def test_the_verdict_reads_as_a_sentence():
    values = pd.Series({"cnn": 0.5, "cnn_bilstm": 0.52})
    enough = Verdict("macro_auprc", "cnn_bilstm", "cnn", -0.02, -0.05, 0.01)
    text = sentence(enough, values, ARCHITECTURES)
    assert text.startswith(
        "**No gain from a recurrent layer was found**: the best macro-AUPRC, 0.5200, is that of cnn_bilstm "
        "(BiLSTM(128)), and cnn has 0.5000; "
    )
    assert "-0.0200 [-0.0500, +0.0100]" in text
    best = Verdict("macro_auprc", "cnn", "cnn", 0, 0, 0)
    text = sentence(best, values, ARCHITECTURES)
    assert text == (
        "**No gain from a recurrent layer was found**: the best macro-AUPRC, 0.5000, is that of cnn "
        "(no recurrence)."
    )
    alone = Verdict("macro_auprc", "cnn_bilstm", "cnn_bilstm", 0, 0, 0)
    text = sentence(alone, values, ARCHITECTURES)
    assert text.startswith("**BiLSTM(128) is enough**: the best") and "measurably worse" in text
    recurrent = {name: each for name, each in ARCHITECTURES.items() if name != "cnn"}
    assert "BiLSTM(128) is enough of those compared, all with recurrence**" in sentence(
        alone, values, recurrent
    )
    wide = {**ARCHITECTURES, "wide": ArchitectureSettings(rnn="none", widen=2, learning_rate=0.1)}
    smaller = Verdict("macro_auprc", "wide", "cnn", -0.01, -0.05, 0.01)
    text = sentence(smaller, pd.Series({"cnn": 0.5, "wide": 0.51}), wide)
    assert (
        text.startswith("**No gain from a recurrent layer was found**: the best")
        and "is that of wide (" in text
    )
    recurrent = {"architecture": "cnn_bilstm", "difference": 0.003, "low": -0.02, "high": 0.04}
    values_of_three = pd.Series({"cnn": 0.5, "wide": 0.51, "cnn_bilstm": 0.503})
    assert sentence(smaller, values_of_three, wide, recurrent) == (
        "**No gain from a recurrent layer was found**: cnn_bilstm, the best with one, has a macro-AUPRC of "
        "0.5030, cnn without has 0.5000; the 95% interval of the difference, +0.0030 [-0.0200, +0.0400], "
        "spans 0. The best of all is wide (no recurrence, channels × 2), 0.5100, from which cnn differs by "
        "-0.0100 [-0.0500, +0.0100]."
    )
    worse = {**recurrent, "difference": -0.03, "high": -0.01}
    text = sentence(best, values_of_three, wide, worse)
    assert text.startswith("**No gain") and text.endswith("from cnn by -0.0300 [-0.0200, -0.0100].")
    ahead = {**recurrent, "low": 0.001}
    text = sentence(smaller, values_of_three, wide, ahead)
    assert text.startswith("**cnn is enough**: ") and text.endswith("by +0.0030 [+0.0010, +0.0400].")
    small = Verdict("macro_auprc", "cnn_bilstm", "cnn", -0.02, None, None)
    text = sentence(small, values, ARCHITECTURES)
    assert text.startswith("**The test fold is too small to say**: the best") and text.endswith("is -0.0200.")
    unknown = {**recurrent, "low": np.nan, "high": np.nan}
    text = sentence(replace(smaller, low=None, high=None), values_of_three, wide, unknown)
    assert text.startswith("**The test fold is too small to say**") and "spans 0" not in text
    same = Verdict("macro_auprc", "cnn_bilstm", "cnn_bilstm", 0, None, None)
    assert "measurably" not in sentence(same, values, ARCHITECTURES)


def test_the_candidate_is_said_to_be_what_it_equals():
    assert RECIPE.candidate == "model is the candidate of params.yaml"
    same = {**ARCHITECTURES, "model": ARCHITECTURES["cnn_bilstm"]}
    assert replace(RECIPE, architectures=same).candidate.endswith("here with the architecture of cnn_bilstm")
    slower = same["model"].model_copy(update={"learning_rate": 0.05})
    at_a_rate = "with the architecture of cnn_bilstm at a learning rate of 0.05"
    assert replace(RECIPE, architectures=same | {"model": slower}).candidate.endswith(at_a_rate)
    other = slower.model_copy(update={"hidden": 7})
    plain = ARCHITECTURES["cnn"].model_copy(update={"hidden": 7, "layers": 3})
    for model, said in ((other, "of params.yaml"), (plain, "architecture of cnn")):
        assert replace(RECIPE, architectures=same | {"model": model}).candidate.endswith(said)


def test_a_rare_class_neither_gains_nor_loses():
    assert [leaning({"difference": x, "q": q}) for x, q in ((0.2, 0.01), (-0.2, 0.04), (0.2, 0.06))] == [
        1,
        -1,
        0,
    ]
    assert leaning({"difference": 0.2, "q": np.nan}) == 0


def test_order_is_drawn_of_all_classes_where_none_is_common(case):
    order = case[-1].order
    odd = order.assign(difference=order["difference"].where(order["metric"] != "macro_auprc_common"))
    rows, what = order_shown(odd)
    assert what == "macro-AUPRC" and rows["difference"].notna().all()


def test_every_decision_rule_is_told_in_words():
    assert set(RULE_TEXTS) == {part for rule in RULES for part in re.findall(r"\+?[^+]+", rule)}


def test_what_looks_the_same_is_best_together():
    found = figure_table(
        pd.DataFrame({"micro_f1": {"a": 0.50001, "b": 0.50002, "c": 0.4}}), "", {"micro_f1": "F1"}
    )
    assert found.count("**0.5000**") == 2 and found.count("**") == 4
    found = figure_table(
        pd.DataFrame({"micro_f1": {"a": 0.5, "b": 0.4, "model": 0.6}}), "", {"micro_f1": "F1"}
    )
    assert re.findall(r"\*\*(\S+)\*\*", found) == ["0.5000"]  # the candidate is not among the compared
    found = figure_table(pd.DataFrame({"micro_f1": {"a": 0.5, "model": 0.5}}), "", {"micro_f1": "F1"})
    assert found.count("**") == 2
    low = {name: [0.1, 0.2] for name in ("hamming_loss", "brier_score", "calibration_error")}
    found = figure_table(pd.DataFrame(low, ["a", "b"]), "", {name: name for name in low})
    a, b = found.splitlines()[2:]
    assert a.count("**0.1000**") == 3 and "**" not in b  # what is better low is bold where it is low


def test_on_the_page_too_the_candidate_is_never_bold():
    compared = pd.DataFrame({"name": ["a"], "micro_f1": [0.5]})
    for name, value, bold in (("a", 0.5, True), ("model", 0.5, False), ("model", 0.6, False)):
        row = {"name": name, "kind": "architecture", "temporal": "GRU", "micro_f1": value}
        assert ("<strong>" in _row_of(row, compared, {"micro_f1": "micro_f1"}, {}, "")) == bold


def test_lines_of_one_colour_differ_in_their_dashes():
    kinds = {
        "f-lstm": ArchitectureSettings(learning_rate=0.1, rnn="lstm"),
        "f-lstm dashed": ArchitectureSettings(learning_rate=0.1, rnn="lstm", layers=2),
        "f-lstm dotted": ArchitectureSettings(learning_rate=0.1, rnn="lstm", layers=3),
        "f-no-recurrence": ArchitectureSettings(learning_rate=0.1, rnn="none"),
        "f-no-recurrence dashed": ArchitectureSettings(learning_rate=0.1, rnn="none", widen=1.25),
    }
    assert {css: line_class(each) for css, each in kinds.items()} == {css: css for css in kinds}


def test_a_recurrent_reference_is_not_set_against_itself(case, splits):
    folder, labels, results, _ = case
    predictions = {name: read_predictions(folder / f"{name}.npz", SEEDS, IDS) for name in ARCHITECTURES}
    probes = read_probes(folder / "probes", list(ARCHITECTURES), SEEDS)
    reference = BOOTSTRAP.model_copy(update={"reference": "cnn_mixed"})
    against = replace(RECIPE, bootstrap=reference)
    found = find(against, CLASSES, labels, PATIENTS, predictions, probes, results)
    assert found.recurrent is None
    page = page_of(labels, results, found, splits, against)
    assert "The best with recurrence, cnn_mixed, is what the others are set against." in page


def test_rules_that_nothing_could_be_cross_validated_by_are_not_ranked(case, splits):
    _, labels, results, findings = case
    measured = ["micro_f1", "macro_f1", "hamming_loss", "subset_accuracy"]
    rules = results.rules.copy()
    rules.loc[rules["fold"] == "validation", measured] = np.nan
    table = comparison(results, ARCHITECTURES, trivial_lines(CLASSES, labels["test"], labels["train"]), True)
    about = splits["test"].description
    page = comparison_page(RECIPE, table, replace(results, rules=rules), findings, about, 300, [], [])
    assert "has fewer than 5 patients, too few to cross-validate" in page and "by mean rank" not in page


def test_labels_of_digits_and_na_stay_text(tmp_path):
    (tmp_path / "t.csv").write_text("subclass,all\n01,3\nNA,4\n,5\n")
    table = read_csv(tmp_path / "t.csv")
    assert table["subclass"].tolist()[:2] == ["01", "NA"] and table["all"].tolist() == [3, 4, 5]


def test_the_paper_is_drawn_beside_ptb_xl_alone(case):
    _, labels, results, _ = case
    trivial = trivial_lines(CLASSES, labels["test"], labels["train"])
    for on_ptbxl in (True, False):
        table = comparison(results, ARCHITECTURES, trivial, on_ptbxl)
        figure = figures.score_against_size(table, ARCHITECTURES, "")
        texts = [text.get_text() for text in figure.axes[0].texts]
        assert (any("arXiv:2601.18830" in text for text in texts)) == on_ptbxl


def test_names_in_the_first_figure_cover_no_other_name_no_point_and_no_error_bar():
    table = pd.read_csv(ROOT / "reports" / "tables" / "comparison.csv")
    params = read_params(ROOT / "params.yaml")["architectures"]
    compared = {name: ArchitectureSettings(**settings) for name, settings in params.items()}
    figure = figures.score_against_size(table, compared, "")
    figure.savefig(io.BytesIO())
    (axes,) = figure.axes
    names = [text.get_window_extent() for text in axes.texts if text.get_text()]
    assert len(names) == len(compared) + 1
    for one, other in combinations(names, 2):
        assert not one.overlaps(other)
    paper = axes.transData.transform((0, PAPER["macro_auprc"]))[1]
    crossed = [
        t.get_text() for t in axes.texts if t.get_window_extent().y0 < paper < t.get_window_extent().y1
    ]
    assert crossed == []
    models = table.set_index("name").loc[list(compared)]
    for x, y, spread in models[["parameters", "macro_auprc", "macro_auprc_std"]].to_numpy():
        ends = axes.transData.transform([(x / 1e6, y - spread), (x / 1e6, y + spread)])
        assert not any(name.overlaps(Bbox(np.add(ends, [[-2, 0], [2, 0]]))) for name in names)


def test_the_drawings_name_what_they_draw(case):
    _, _, results, findings = case

    def drawn(axes):
        """Return what is drawn at each name of the vertical axis, the zero line left out."""
        names = [text.get_text().split(" (")[0] for text in axes.get_yticklabels()]
        return pd.Series([line.get_xdata()[0] for line in axes.lines[1::2]], names)

    per_class = results.per_class
    axes = figures.class_heat_map(per_class, ["cnn_mixed", "cnn"], "").axes[0]
    names = [text.get_text().split(" (")[0] for text in axes.get_yticklabels()]
    value = per_class.pivot(index="subclass", columns="architecture", values="average_precision")
    np.testing.assert_array_equal(axes.images[0].get_array(), value.loc[names, ["cnn_mixed", "cnn"]])
    assert [text.get_text() for text in axes.get_xticklabels()] == ["cnn_mixed", "cnn"]
    counts = per_class.query("architecture == 'cnn'").sort_values("positives", ascending=False)
    assert names == list(counts["subclass"])
    of_classes = findings.classes.query("architecture == 'cnn_mixed'").set_index("subclass")["difference"]
    found = drawn(figures.class_forest(findings.classes, per_class, "cnn_mixed", "cnn", "").axes[0])
    assert found.to_dict() == of_classes.to_dict()
    of_all = of_metric(findings.from_reference, "macro_auprc")["difference"]
    found = drawn(figures.differences(findings.from_reference, RECIPE.compared, "cnn", "").axes[0])
    assert found.to_dict() == of_all[found.index].to_dict() and len(found) == 2
    order, _ = order_shown(findings.order)
    axes, right = figures.time_probes(findings, RECIPE.compared, "").axes
    assert drawn(axes).to_dict() == order["difference"][drawn(axes).index].to_dict()
    context, _, what = context_shown(findings.context, findings.longer)
    assert what in right.get_ylabel() and what == "macro-AUPRC, ≥ 10 positives"
    for line, name in zip(right.lines, RECIPE.compared, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), context.loc[name])
    scores = pd.Series({name: 0.5 + k / 10 for k, name in enumerate(RECIPE.compared)})
    for axes, (column, (_, unit)) in zip(
        figures.pareto(findings.cost, scores, RECIPE.compared, "").axes, COSTS.items(), strict=True
    ):
        points = [line.get_xydata()[0].tolist() for line in axes.lines[: len(scores)]]
        assert points == [[findings.cost.loc[name, column] / unit, scores[name]] for name in RECIPE.compared]
    values = of_metric(findings.intervals, "macro_auprc").loc[list(RECIPE.compared), "value"]
    axes = figures.depth(findings.intervals, RECIPE.compared, pd.Series(dtype=float), "").axes[0]
    marked = [line.get_ydata() for line in axes.lines if line.get_marker() != "None"]
    assert sorted(np.concatenate(marked)) == sorted(values)
    assert any(len(line.get_ydata()) == 2 and line.get_linewidth() == 1.2 for line in axes.lines)
    left, right = figures.learning_curves(results.history, RECIPE.compared, "").axes[:2]
    assert (
        left.lines[0].get_ydata().tolist() == [0.3, 0.2] and right.lines[0].get_ydata().tolist() == [0.4] * 2
    )
    mean, share, _ = next(iter(findings.reliability.values()))
    line = figures.reliability(findings.reliability, "cnn", "").axes[0].lines[1]
    np.testing.assert_array_equal(line.get_xydata(), np.stack([mean, share], axis=1))


def test_every_table_of_the_page_shows_what_the_words_above_it_say(case, splits):
    _, labels, results, findings = case
    cost = findings.cost.assign(
        multiply_accumulates=[1e6, 2e6, 3e6, 4e6],
        latency_ms=[5.0, 6, 7, 8],
        training_step_ms=[50.0, 70, 800, 9000],
        training_step_bytes=[9e6, 8e6, 7e6, 6e6],
    )
    findings = replace(findings, cost=cost)
    table = comparison(results, ARCHITECTURES, trivial_lines(CLASSES, labels["test"], labels["train"]), True)
    at_half = [f"{metric}_at_half" for metric in THRESHOLDED]
    table[at_half] /= 2  # under this rule they would be the headline's figures
    about = splits["test"].description
    page = comparison_page(RECIPE, table, results, findings, about, 300, [], [])
    head, tests = results.headline, results.rules.query("fold == 'test'")
    measured = [*RULE_METRICS, *CALIBRATION]
    of_rules = tests[tests["architecture"] != "model"].groupby("rule", sort=False)[measured].mean()
    calibration = tests.set_index(["architecture", "rule"])[list(CALIBRATION)].unstack()
    calibration = calibration[[(metric, rule) for metric in CALIBRATION for rule in ("half", "platt")]]
    order = [
        of_metric(findings.order, metric)[["intact", "permuted"]]
        for metric in ("macro_auprc", "macro_auprc_common")
    ]
    classes = findings.classes[findings.classes["architecture"] == findings.recurrent].set_index("subclass")
    best = of_metric(findings.from_best, "macro_auprc")[["difference"]]
    costs = cost[["multiply_accumulates", "latency_ms", "training_step_ms", "training_step_bytes"]]
    costs /= [1e6, 1, 1, 1e6]
    for words, columns, expected, tolerance in (
        ("**Ensemble of the seeds**", slice(None), head[[f"ensemble_{m}" for m in METRICS]], 5.1e-5),
        ("**Without the test records", slice(None), findings.labelled[list(METRICS)], 5.1e-5),
        ("**At a threshold of 0.5**", slice(None), head[at_half] / 2, 5.1e-5),
        ("On the test fold, with the calibration", slice(None), of_rules, 5.1e-5),
        ("Calibration by architecture", slice(None), calibration, 5.1e-5),
        ("**Order.**", [0, 1, 3, 4], pd.concat(order, axis=1), 5.1e-5),
        ("## Differences from the best", [0], best, 5.1e-5),
        ("## Which diagnoses", [3], classes[["difference"]], 5.1e-5),
        ("## Overfitting", slice(None), findings.gaps, 5.1e-5),
        ("## What it costs", [0], head[["macro_auprc"]], 5.1e-5),
        ("## What it costs", [2, 3, 4, 5], costs, 0.0501),
    ):
        shown = table_after(page, words).iloc[:, columns]
        values = shown.map(lambda cell: float(cell.split()[0])).to_numpy()
        np.testing.assert_allclose(
            values, expected.loc[shown.index].to_numpy(), rtol=0, atol=tolerance, err_msg=words
        )


def test_what_a_longer_signal_and_one_thing_more_change_is_in_bold_where_it_is_sure(case):
    findings = case[-1]
    context, longer, _ = context_shown(findings.context, findings.longer)
    rows = rows_of(context_table(context, longer, ["a", "b", "c", "d"]), " a |")
    assert rows["cnn"][:4] == [f"{value:.4f}" for value in context.loc["cnn"]]
    assert rows["with recurrence"][:4] == [""] * 4 and rows["with recurrence"][4].startswith("**+")
    surely = of_metric(findings.longer, "macro_auprc_common").loc["with less without"]
    assert rows["with less without"][4].startswith("**") == (surely["low"] > 0 or surely["high"] < 0)
    effects = [(0.1, 0.05, 0.2), (0.1, -0.05, 0.2), (-0.1, -0.2, -1e-19), (-0.1, -0.2, -0.05)]
    made = pd.DataFrame(effects, columns=["difference", "low", "high"])
    made = made.assign(contrast="GRU instead of LSTM", pairs=3, metric=list(STEADY))
    _, (words, number, *cells) = contrast_table(made)
    assert (words, number) == ("GRU instead of LSTM", "3")
    assert [cell.startswith("**") for cell in cells] == [True, False, False, True]


def test_the_hardware_of_most_trainings_is_named_and_who_was_trained_elsewhere(case, splits):
    _, labels, results, findings = case
    assert trained_on(findings.cost["training_hardware"]) == "a machine; model on another machine"
    two = pd.Series({"cnn": ["a", "b"], "cnn_gru": ["a", "b"], "cnn_lstm": ["b"]})
    assert trained_on(two) == "a and b; cnn_lstm on b"
    assert "recurrent layers are then fp16" in trained_on(pd.Series({"cnn": ["NVIDIA H200 in bf16"]}))
    for other in ("NVIDIA H200 in fp32", "AMD EPYC, 1 thread in bf16"):
        assert trained_on(pd.Series({"cnn": [other]})) == other
    about = splits["test"].description
    table = comparison(results, ARCHITECTURES, trivial_lines(CLASSES, labels["test"], labels["train"]), True)
    page = comparison_page(RECIPE, table, results, findings, about, 300, [], [])
    assert "Trained on a machine; model on another machine. Measured on a machine, in fp32" in page
    assert "Learning rate: 0.1; 0.02 for cnn_mixed. " in page


def table_after(page, words):
    """Return the first Markdown table after `words` as text, by its first column."""
    block = next(part for part in page.split(words, 1)[1].split("\n\n") if part.startswith("|"))
    head, _, *lines = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in block.splitlines()]
    return pd.DataFrame([line[1:] for line in lines], [line[0] for line in lines], head[1:])


NAMES_BY_ID = pd.Series({9: "clinic/nine"})


def manifest(dataset, skipped, flat_leads):
    return {"dataset": dataset, "skipped": skipped, "flat_leads": flat_leads}


def test_own_records_are_called_by_their_names():
    given = manifest(OWN, {"7": "clinic/seven.dat: no such file"}, {"9": ["V3"]})
    assert data_faults(given, NAMES_BY_ID, []) == [
        "a record was left out: clinic/seven.dat: no such file",
        "record clinic/nine has a constant lead: V3",
    ]


def test_every_figure_draws_and_synthetic_data_says_so(case, splits, tmp_path):
    _, labels, results, findings = case
    table = comparison(results, ARCHITECTURES, trivial_lines(CLASSES, labels["test"], labels["train"]), True)
    # The paper's figure is among the scores, has no cost, and may be the best.
    better = table.assign(macro_auprc=table["macro_auprc"].where(table["kind"] != "paper", 2))
    drawn = figures.draw_all(RECIPE, better, results, findings, SYNTHETIC)
    assert len(drawn) == 9
    for figure in drawn.values():
        assert SYNTHETIC in figure.get_suptitle()
        figure.savefig(tmp_path / "f.png")
        assert (tmp_path / "f.png").stat().st_size > 5000
    page = comparison_page(
        RECIPE,
        table,
        results,
        findings,
        splits["test"].description,
        300,
        ["figures/a.png"],
        data_faults(
            manifest("PTB-XL", {"7": "r7.dat: no such file"}, {"9": ["V3"]}), pd.Series({9: 9}), ["PMI"]
        ),
    )
    for part in (
        SYNTHETIC,
        "](figures/a.png)",
        "record 7 was left out: r7.dat: no such file",
        "record 9 has a constant lead: V3",
        "PMI: no training record has it",
        "Ensemble of the seeds",
        "| macro-AUPRC, ≥ 10 positives ↑ |",
        "One frame of the trunk sees 1.85 s",
        "## Overfitting",
    ):
        assert part in page, part
    _, rest = page.split("## Differences from cnn\n")
    blocks = [block.splitlines() for block in rest.split("\n\n") if block.startswith("|")]
    after_holm, steady, again, steady_again = (block for block in blocks[:4])
    assert "cross-entropy, calibrated ↓" in steady[0] and steady[0] == steady_again[0]
    assert (
        len(after_holm) == len(steady) == len(again) == 5 and "**+" in after_holm[2]
    )  # better, and surely so
    candidate = of_metric(findings.from_reference, "macro_auprc").loc["model"]
    assert candidate["p_holm"] < 0.05 and "**" not in after_holm[-1]
    assert f"**{candidate['difference']:+.4f} [{candidate['again_low']:+.4f}, " in again[-1]
    for block in page.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1
    assert rows_of(page, "training step, ms")["cnn"][-2] == "600"
    change = findings.order_classes.loc[["AMI", "NORM"], ["cnn_bilstm", "cnn_mixed"]]  # PMI is rare
    told = re.findall(r"`(\w+)` \(([-+.\d]+) on average; falls in (\d) of 2\)", page)
    assert [name for name, *_ in told] == list(change.mean(axis=1).sort_values().index)
    for name, mean, falls in told:
        assert mean == f"{change.loc[name].mean():+.4f}" and int(falls) == (change.loc[name] < 0).sum()
    permuted = {name: row[-1].startswith("**") for name, row in rows_of(page, "frames permuted").items()}
    assert permuted == {"cnn": False, "cnn_bilstm": True, "cnn_mixed": True, "model": permuted["model"]}
    precision = results.per_class.set_index(["architecture", "subclass"])["average_precision"]
    for subclass, row in rows_of(page, "replicates without it").items():
        both = [f"{precision[name, subclass]:.4f}" for name in ("cnn", "cnn_mixed")]
        assert row[1:3] == both
    rules = results.rules[
        (results.rules["fold"] == "validation") & (results.rules["architecture"] != "model")
    ]
    means = rules.groupby("rule")[["micro_f1", "subset_accuracy", "hamming_loss"]].mean()
    ranks = means.assign(hamming_loss=-means["hamming_loss"]).rank(ascending=False).mean(axis=1)
    best = ranks.index[ranks == ranks.min()]
    assert all(f"**{name}" in page or f"{name}**" in page for name in best)
    assert len(best) == len(re.search(r"thresholded metrics is \*\*(.*?)\*\*:", page)[1].split(" and "))


def test_where_the_test_fold_is_too_small_no_difference_is_sure(case, splits):
    _, labels, results, findings = case
    table = comparison(results, ARCHITECTURES, trivial_lines(CLASSES, labels["test"], labels["train"]), True)
    undecided = {metric: replace(each, low=None, high=None) for metric, each in findings.verdicts.items()}
    about = splits["test"].description
    pages = [
        comparison_page(RECIPE, table, results, replace(findings, verdicts=verdicts), about, 300, [], [])
        for verdicts in (findings.verdicts, undecided)
    ]
    sections = [page.split("## Differences from cnn\n")[1].split("## What the models")[0] for page in pages]
    assert ["**+" in section for section in sections] == [True, False]
    assert "none here, where the test fold is too small" in sections[1]


def rows_of(page, head):
    """Return the cells of the Markdown table whose head names `head`, by their first."""
    (block,) = [
        block for block in page.split("\n\n") if block.startswith("|") and head in block.split("\n")[0]
    ]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines()[2:]]
    return {first.strip("*"): rest for first, *rest in cells}


def page_of(labels, results, findings, splits, recipe=RECIPE):
    truth = labels["test"]
    table = comparison(results, recipe.architectures, trivial_lines(CLASSES, truth, truth), True)
    decisions = np.roll(truth, 1, axis=0).astype(bool)
    examples = choose_examples(truth, decisions, 0.5 + 0.4 * decisions, CLASSES)
    signals = np.resize(splits["test"].signals, (300, 12, 1000))
    about = replace(splits["test"].description, classes=CLASSES)
    counts = pd.DataFrame({"subclass": CLASSES, "all": [10, 20, 3]})
    shown = Shown(predicted_of_each(truth, decisions), examples, signals, list(map(str, range(300))))
    faults = data_faults(manifest("PTB-XL", {"7": "<r7>.dat: no such file"}, {}), NAMES_BY_ID, [])
    records = pd.DataFrame({"patient_id": PATIENTS, "sex": PATIENTS % 2, "age": 50.0}, range(300))
    people = population(records, {"train": np.arange(200), "test": np.arange(200, 300)})
    return report_page(recipe, table, results, findings, about, people, counts, faults, shown)


@pytest.fixture(scope="module")
def html(case, splits, tmp_path_factory):
    """The report page on disk."""
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(page_of(*case[1:], splits), encoding="utf-8")
    return path


def test_the_page_is_whole_and_needs_no_network(html):
    page = html.read_text(encoding="utf-8")
    assert len(page) < 3e6
    assert not re.search(r"(src|href)=\"(?!#)|url\(|@import|https?:", page)
    assert "Learning rate: 0.1; 0.02 for cnn_mixed.</li>" in page
    assert SYNTHETIC in page and "<li>record 7 was left out: &lt;r7&gt;.dat: no such file</li>" in page
    for section in re.findall(r'<section id="(\w+)".*?</section>', page, re.DOTALL):
        assert f'href="#{section}"' in page
    outline = ElementTree.fromstring(re.search(r"<main>.*</main>", page, re.DOTALL)[0])
    facts = outline.findall(".//section[@id='data']//tbody")[0]
    said = {row.find("th").text: [cell.text for cell in row.findall("td")] for row in facts}
    assert said == {
        "train": ["200", "100", "50", "50"],
        "test": ["100", "50", "50", "50"],
        "all": ["300", "150", "50", "50"],
    }
    charts = outline.findall(".//svg")
    assert len(charts) >= 14
    for chart in charts:  # every figure has its data, and says in words what it shows
        assert chart.get("aria-label") and any(
            chart.findall(f".//{mark}") for mark in ("circle", "rect", "path[@class='trace']")
        )
        assert "nan" not in ElementTree.tostring(chart, encoding="unicode")
    figures, by_metric, ensembles = outline.findall(".//section[@id='comparison']//tbody")
    assert [row.find("th").text for row in by_metric] == [*METRICS.values()]
    for row in by_metric:  # sorted as numbers
        last = row.findall("td")[-1]
        shown = 0 if last.text == "–" else float(last.text.split()[0])
        assert float(last.get("data-value")) == pytest.approx(shown, abs=5e-5)
    assert [row.find("th").text for row in ensembles] == list(ARCHITECTURES)
    rows = figures.findall("tr")
    assert [row.find("th").text for row in rows] == [
        *ARCHITECTURES,
        "nothing",
        "always NORM",
        "arXiv:2601.18830",
    ]


def test_the_charts_and_bold_figures_are_those_of_the_findings(case, html):
    _, labels, results, findings = case
    page = unescape(html.read_text(encoding="utf-8"))
    truth = labels["test"]
    said = predicted_of_each(truth, np.roll(truth, 1, axis=0).astype(bool))
    assert f"NORM, predicted for records with AMI: {said[0, 1]:.0%}<" in page and said[0, 1] != said[1, 0]
    from_best = of_metric(findings.from_best, "macro_auprc")
    order, what = order_shown(findings.order)
    assert what == "macro-AUPRC, ≥ 10 positives"
    for row in (from_best.loc["cnn"], order.loc["cnn_bilstm"]):
        title = f"{row.name}: {row['difference']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]"
        assert f"<title>{title}</title>" in page
    outline = ElementTree.fromstring(
        re.search(r"<main>.*</main>", html.read_text(encoding="utf-8"), re.DOTALL)[0]
    )
    table, _, ensembles = outline.findall(".//section[@id='comparison']//tbody")
    for row in ensembles:
        value = results.headline.loc[row.find("th").text, "ensemble_macro_auprc"]
        assert float(row.find("td").get("data-value")) == pytest.approx(value)
    for row in table.findall("tr")[: len(ARCHITECTURES)]:
        cell = of_metric(findings.intervals, "macro_auprc").loc[row.find("th").text]
        assert row.find("td").findall("small")[0].text == f"{cell['low']:.4f} – {cell['high']:.4f}"
    score = of_metric(findings.intervals, "macro_auprc")["value"]
    context, _, of_context = context_shown(findings.context, findings.longer)
    for name in RECIPE.compared:
        for column, (label, unit) in COSTS.items():
            spent = svg._short(findings.cost.loc[name, column] / unit)
            assert f"<title>{name}: {label} {spent}, macro-AUPRC {score[name]:.4f}</title>" in page
        for seconds, value in context.loc[name].items():
            assert f"<title>{name}: seconds of signal {seconds:g}, {of_context} {value:.4f}</title>" in page
    assert f"<title>BiLSTM: recurrent layers 1, macro-AUPRC {score['cnn_bilstm']:.4f}</title>" in page
    for what, values in (("training loss", [0.3, 0.2]), ("macro-AUPRC, validation", [0.4, 0.4])):
        for epoch, value in enumerate(values, 1):
            assert f"<title>cnn: epoch {epoch}, {what} {value:.4f}</title>" in page
    mean, share, _ = findings.reliability["calibrated"]
    point = f"predicted probability {mean[0]:.4g}, share of positive records {share[0]:.4f}"
    assert f"<title>calibrated: {point}</title>" in page
    for metric, best in (("hamming_loss", min), ("micro_f1", max)):
        assert f"<strong>{best(results.headline[metric].drop('model')):.4f}</strong>" in page


def test_an_ecg_is_drawn_to_scale_and_nothing_of_it_is_cut_off():
    signals = np.zeros((2, 500), np.int16)
    signals[0, 100], signals[0, 200], signals[1, 300] = 4000, -3000, 1000
    chart = ElementTree.fromstring(svg.ecg(signals, ("V1", "II"), 100, "a record"))
    (v1, two) = [
        np.array([point.split() for point in path.get("d")[1:].split("L")], float)
        for path in chart.findall("path[@class='trace']")
    ]
    assert v1[0, 1] - v1[100, 1] == pytest.approx(4 * 28) and v1[200, 1] - v1[0, 1] == pytest.approx(3 * 28)
    assert two[0, 1] - two[300, 1] == pytest.approx(28) and two[:, 1].min() > v1[:, 1].max()
    height = float(chart.get("viewBox").split()[3])
    assert v1[:, 1].min() > 0 and two[:, 1].max() < height


def test_the_page_leads_back_to_its_commit(html, tmp_path):
    page = html.read_text(encoding="utf-8")
    (command,) = re.findall(r"<pre><code>(git checkout .*)", unescape(page))

    def run(text):
        done = subprocess.run(text, shell=True, cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    run("git init -q . && git config user.email a@b && git config user.name a")
    (tmp_path / "index.html").write_text("another\n", encoding="utf-8")
    run("git add . && git commit -qm before")
    (tmp_path / "index.html").write_text(page, encoding="utf-8")
    run("git commit -qam this")
    (tmp_path / "index.html").write_text("another\n", encoding="utf-8")
    run("git commit -qam after")
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "index.html").write_text(page, encoding="utf-8")
    run(command.replace("index.html", "saved/index.html"))
    assert run("git log -1 --format=%s") == "this"


@pytest.mark.parametrize("chart", ["forest", "heat"])
@pytest.mark.parametrize(
    ("long", "letter"),
    [
        ("left bundle branch block of one's own", 6.5),
        ("完全性左脚ブロックおよび心房細動の疑い", 12),
        ("M" * 20, 8),
    ],
)
def test_long_names_have_room(chart, long, letter):
    drawn = (
        svg.forest([svg.Mark(0.1, 0, long, "f", 0.0, 0.2)], "difference")
        if chart == "forest"
        else svg.heat(np.eye(2), [long, "b"], ["a", long], "said")
    )
    (text,) = [t for t in ElementTree.fromstring(drawn).iter("text") if t.text == long and t.get("x")]
    assert float(text.get("x")) > letter * len(long)


def test_names_in_a_scatter_plot_stand_apart_and_none_is_lost_while_there_is_room(rng):
    names = [f"cnn_{k}" for k in range(12)]
    marks = [svg.Mark(k % 4, k // 4 + 0.02 * rng.random(), name, "f") for k, name in enumerate(names)]
    chart = ElementTree.fromstring(svg.scatter(marks, "x", "y", names))
    texts = [text for text in chart.findall("text") if text.get("class") == "name"]
    assert [text.text for text in texts] == names
    boxes = [(float(text.get("x")), float(text.get("y"))) for text in texts]
    for (ax, ay), (bx, by) in combinations(boxes, 2):
        assert abs(ax - bx) > 35 or abs(ay - by) > 12


def test_a_browser_shows_the_page_without_an_error_and_sorts_the_table(html, tmp_path):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("NO CHROMIUM: install it to see the report page in a browser")
    act = """
      const heads = [...document.querySelectorAll("#comparison th button")];
      const rows = () => [...document.querySelector("#comparison tbody").rows];
      const names = () => rows().map((row) => row.cells[0].firstChild.data);
      const seen = {};
      heads[1].click(); seen.down = names(); heads[1].click(); seen.up = names();
      heads[0].click(); seen.byName = names();
      heads[5].click(); seen.least = rows()[0].cells[5].dataset.value;
      seen.all = rows().map((row) => row.cells[5].dataset.value).filter(Boolean);
      const mark = document.querySelector("svg circle");
      mark.dispatchEvent(new PointerEvent("pointerover", {bubbles: true}));
      seen.tip = document.getElementById("tip").textContent;
      const late = document.querySelectorAll("#time svg [tabindex]")[0];
      late.focus();
      setTimeout(() => {
        const shown = !document.getElementById("tip").hidden && document.getElementById("tip").textContent;
        document.title = JSON.stringify({...JSON.parse(document.title), focused: shown});
      }, 300);
      const fits = document.documentElement.scrollWidth <= document.documentElement.clientWidth;
      document.title = JSON.stringify({...seen, fits});
    """
    copy = tmp_path / "index.html"
    copy.write_text(
        html.read_text(encoding="utf-8").replace("</script>", f"{act}</script>"), encoding="utf-8"
    )
    flags = "--headless --no-sandbox --disable-gpu --disable-background-networking --enable-logging=stderr"
    size = f"--window-size=500,900 --user-data-dir={tmp_path / 'profile'}"
    wait = ["--virtual-time-budget=2000", "--dump-dom"]
    command = [browser, *flags.split(), *size.split(), *wait, copy.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    seen = json.loads(unescape(re.search(r"<title>(\{.*?\})</title>", done.stdout)[1]))
    value = pd.Series({"cnn_mixed": 3, "cnn_bilstm": 2, "cnn": 1, "model": 0})
    assert [name for name in seen["down"] if name in value] == list(value.index)
    assert [name for name in seen["up"] if name in value] == list(value.index[::-1])
    models, others = seen["byName"][:4], seen["byName"][4:]
    assert set(models) == set(value.index)
    for group in (models, others):
        assert group == sorted(group, key=str.lower, reverse=True)
    assert float(seen["least"]) == min(map(float, seen["all"][:4]))  # of a loss the least on top
    assert re.fullmatch(r"\S+: .+, macro-AUPRC 0\.\d{4}", seen["tip"])
    assert re.match(r"cnn: [+-]0\.\d{4} \[", seen["focused"])  # though the page scrolled to it
    assert seen["fits"], "the page is wider than a phone"


def test_examples_are_the_surest_of_their_kind():
    labels = np.array([[0, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 1, 1], [0, 0, 0]], np.uint8)
    decisions = np.array([[0, 1, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 1, 1], [1, 0, 0]], bool)
    probabilities = np.where(decisions, [[0.9], [0.6], [0.8], [0.7], [0.95], [0.99]], 0.1)
    found = choose_examples(labels, decisions, probabilities, CLASSES)
    assert [(e.row, e.right) for e in found] == [(2, True), (4, False)]  # NORM alone is no example
    assert [(e.about, e.probability) for e in found] == [("AMI", 0.8), ("AMI", 0.95)]
    assert found[1].truth == ["NORM", "PMI"] and found[1].predicted == ["AMI", "NORM", "PMI"]
    said = predicted_of_each(labels, decisions)
    np.testing.assert_allclose(said[1], [0.5, 1, 0.5])
    assert np.isnan(predicted_of_each(labels * 0, decisions)).all()
    labels = np.array([[0, 1, 0]] * 3, np.uint8)
    decisions = np.array([[1, 1, 1], [1, 0, 1], [1, 0, 0]], bool)
    probabilities = np.array([[0.6, 0.9, 0.99], [0.7, 0.1, 0.98], [0.9, 0.1, 0.2]])
    wrong = choose_examples(labels, decisions, probabilities, CLASSES)
    assert [(e.row, e.about) for e in wrong] == [(0, "PMI"), (2, "AMI")]  # each about another


def test_nothing_cheaper_beats_what_is_on_the_pareto_front():
    cost = pd.Series({"a": 1, "b": 2, "c": 3, "d": 3, "e": 4})
    score = pd.Series({"a": 0.5, "b": 0.4, "c": 0.6, "d": 0.7, "e": 0.7})
    assert figures.pareto_front(cost, score) == ["a", "d"]


def test_bold_is_what_holms_correction_leaves_of_those_that_are_compared():
    table = pd.DataFrame({"architecture": ["a", "b", "model"], "p": [0.01, 0.04, 0.01]})
    found = _after_holm(table.assign(p_holm=[0.02, 0.08, 0.01]), Verdict("macro_auprc", "a", "a", 0, 0, 0))
    assert found["sure"].tolist() == [True, False, False]
