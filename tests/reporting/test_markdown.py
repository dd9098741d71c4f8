import re
from dataclasses import replace

import numpy as np
import pandas as pd

from ecg_temporal.comparison.bootstrap import of_metric
from ecg_temporal.comparison.verdict import Verdict
from ecg_temporal.evaluation.summary import THRESHOLDED
from ecg_temporal.reporting import figures
from ecg_temporal.reporting.markdown import CALIBRATION, RULE_METRICS, _after_holm, comparison_page
from ecg_temporal.reporting.style import trained_on
from ecg_temporal.reporting.tables import METRICS, SYNTHETIC, data_faults
from made_up import RECIPE, manifest, rows_of, table_of


def table_after(page, words):
    """Return the first Markdown table after `words` as text, by its first column."""
    block = next(part for part in page.split(words, 1)[1].split("\n\n") if part.startswith("|"))
    head, _, *lines = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in block.splitlines()]
    return pd.DataFrame([line[1:] for line in lines], [line[0] for line in lines], head[1:])


def test_every_table_of_the_page_shows_what_the_words_above_it_say(case, splits):
    _, labels, results, findings = case
    cost = findings.cost.assign(
        multiply_accumulates=[1e6, 2e6, 3e6, 4e6],
        latency_ms=[5.0, 6, 7, 8],
        training_step_ms=[50.0, 70, 800, 9000],
        training_step_bytes=[9e6, 8e6, 7e6, 6e6],
    )
    findings = replace(findings, cost=cost)
    table = table_of(labels, results)
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
    classes = findings.classes[findings.classes["architecture"] == findings.best_recurrent].set_index(
        "subclass"
    )
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


def test_every_figure_draws_and_synthetic_data_says_so(case, splits, tmp_path):
    _, labels, results, findings = case
    table = table_of(labels, results)
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


def test_rules_that_nothing_could_be_cross_validated_by_are_not_ranked(case, splits):
    _, labels, results, findings = case
    measured = ["micro_f1", "macro_f1", "hamming_loss", "subset_accuracy"]
    rules = results.rules.copy()
    rules.loc[rules["fold"] == "validation", measured] = np.nan
    table = table_of(labels, results)
    about = splits["test"].description
    page = comparison_page(RECIPE, table, replace(results, rules=rules), findings, about, 300, [], [])
    assert "has fewer than 5 patients, too few to cross-validate" in page and "by mean rank" not in page


def test_where_the_test_fold_is_too_small_no_difference_is_sure(case, splits):
    _, labels, results, findings = case
    table = table_of(labels, results)
    undecided = {metric: replace(each, low=None, high=None) for metric, each in findings.verdicts.items()}
    about = splits["test"].description
    pages = [
        comparison_page(RECIPE, table, results, replace(findings, verdicts=verdicts), about, 300, [], [])
        for verdicts in (findings.verdicts, undecided)
    ]
    sections = [page.split("## Differences from cnn\n")[1].split("## What the models")[0] for page in pages]
    assert ["**+" in section for section in sections] == [True, False]
    assert "none here, where the test fold is too small" in sections[1]


def test_the_hardware_of_most_trainings_is_named_and_who_was_trained_elsewhere(case, splits):
    _, labels, results, findings = case
    assert trained_on(findings.cost["training_hardware"]) == "a machine; model on another machine"
    two = pd.Series({"cnn": ["a", "b"], "cnn_gru": ["a", "b"], "cnn_lstm": ["b"]})
    assert trained_on(two) == "a and b; cnn_lstm on b"
    assert "recurrent layers are then fp16" in trained_on(pd.Series({"cnn": ["NVIDIA H200 in bf16"]}))
    for other in ("NVIDIA H200 in fp32", "AMD EPYC, 1 thread in bf16"):
        assert trained_on(pd.Series({"cnn": [other]})) == other
    about = splits["test"].description
    table = table_of(labels, results)
    page = comparison_page(RECIPE, table, results, findings, about, 300, [], [])
    assert "Trained on a machine; model on another machine. Measured on a machine, in fp32" in page
    assert "Learning rate: 0.1; 0.02 for cnn_mixed. " in page


def test_bold_is_what_holms_correction_leaves_of_those_that_are_compared():
    table = pd.DataFrame({"architecture": ["a", "b", "model"], "p": [0.01, 0.04, 0.01]})
    found = _after_holm(table.assign(p_holm=[0.02, 0.08, 0.01]), Verdict("macro_auprc", "a", "a", 0, 0, 0))
    assert found["sure"].tolist() == [True, False, False]
