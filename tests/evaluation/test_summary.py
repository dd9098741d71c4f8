import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn import metrics as sk

from ecg_temporal.evaluation.calibration import expected_calibration_error
from ecg_temporal.evaluation.cross_validation import cross_validate
from ecg_temporal.evaluation.fitting import fit_rule
from ecg_temporal.evaluation.predictions import SPLITS, Predictions, read_predictions, rows, write_predictions
from ecg_temporal.evaluation.settings import RULES
from ecg_temporal.evaluation.summary import (
    by_class,
    by_rule,
    by_seed,
    fit_ensemble_rules,
    fit_seed_rules,
    headline,
    headline_metrics,
)

RULE = "platt+likeliest"
PATIENTS = np.arange(120) // 2


@pytest.fixture
def case(rng):
    labels = {split: (rng.random((120, 5)) < 0.3).astype(np.uint8) for split in SPLITS}
    logits = {
        split: (2 * truth - 1.5 + rng.normal(size=(3, *truth.shape))).astype(np.float32)[:, rows(split, 120)]
        for split, truth in labels.items()
    }
    return labels, Predictions(
        [4, 5, 6], logits, {split: np.arange(120)[rows(split, 120)] for split in SPLITS}, 1000
    )


def test_the_headline_is_the_mean_over_seeds_and_the_ensemble_beside_it(case):
    labels, predictions = case
    seeds = by_seed(labels, predictions, RULE)
    found = headline(seeds, labels, predictions, RULE)
    assert len(found) == 20 and found["parameters"] == 1000  # small enough for `dvc metrics diff`
    truth, test = labels["test"], predictions.logits["test"]
    decisions = [r.decide(x) for r, x in zip(fit_seed_rules(labels, predictions, RULE), test, strict=True)]
    expected = {
        "macro_auprc": np.mean([sk.average_precision_score(truth, x, average="macro") for x in test]),
        "macro_auroc": np.mean([sk.roc_auc_score(truth, x, average="macro") for x in test]),
        "micro_f1": np.mean([sk.f1_score(truth, d, average="micro") for d in decisions]),
        "hamming_loss": np.mean([sk.hamming_loss(truth, d) for d in decisions]),
        "subset_accuracy": np.mean([sk.accuracy_score(truth, d) for d in decisions]),
        "micro_f1_at_half": np.mean([sk.f1_score(truth, expit(x) >= 0.5, average="micro") for x in test]),
        "ensemble_macro_auprc": sk.average_precision_score(truth, test.mean(axis=0), average="macro"),
        "validation_macro_auprc": np.mean(
            [
                sk.average_precision_score(labels["validation"], x, average="macro")
                for x in predictions.logits["validation"]
            ]
        ),
        "validation_loss": seeds.query("split == 'validation'")["loss"].mean(),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name
    assert found["ensemble_macro_auprc"] > found["macro_auprc"]  # three noisy looks are better than one
    table = by_class(list("abcde"), labels, predictions)
    assert table["positives"].tolist() == truth.sum(axis=0).tolist()
    assert table["average_precision"].mean() == pytest.approx(found["macro_auprc"])
    assert table["roc_auc"].mean() == pytest.approx(found["macro_auroc"])
    assert found["macro_auprc_common"] == pytest.approx(found["macro_auprc"])
    few = {split: y * (y.cumsum(axis=0) < 10) for split, y in labels.items()}
    rare = headline(by_seed(few, predictions, RULE), few, predictions, RULE)
    assert rare["macro_auprc_common"] is None and rare["ensemble_macro_auprc_common"] is None
    ensemble = predictions.ensemble("test")
    rule = fit_rule(RULE, labels["validation"], predictions.ensemble("validation"), labels["train"])
    assert found["ensemble_micro_f1"] == pytest.approx(
        sk.f1_score(truth, rule.decide(ensemble), average="micro")
    )
    assert found["hamming_loss_at_half"] == pytest.approx(
        np.mean([sk.hamming_loss(truth, x >= 0) for x in test])
    )


def test_each_seed_has_its_loss_on_every_split(case):
    labels, predictions = case
    table = by_seed(labels, predictions, "half").set_index(["seed", "split"])
    for split in SPLITS:
        p, truth = expit(predictions.logits[split][1]), labels[split][rows(split, 120)]
        expected = np.mean([sk.log_loss(truth[:, k], p[:, k]) for k in range(5)])
        assert table.loc[(5, split), "loss"] == pytest.approx(expected, abs=1e-6)


def test_every_rule_is_measured_on_both_folds(case):
    table = by_rule(*case, PATIENTS).set_index(["fold", "rule"])
    for fold in ("validation", "test"):
        assert list(table.loc[fold].index) == list(RULES)
    assert table.loc["test"].notna().all(axis=None)
    labels, predictions = case
    logits = predictions.logits
    rules = [fit_rule("f1", labels["validation"], x, labels["train"]) for x in logits["validation"]]
    made = [rule.decide(x) for rule, x in zip(rules, logits["test"], strict=True)]
    expected = np.mean([sk.f1_score(labels["test"], each, average="micro") for each in made])
    assert table.loc[("test", "f1"), "micro_f1"] == pytest.approx(expected)
    errors = [
        expected_calibration_error(labels["test"], rule.probabilities(x))
        for rule, x in zip(rules, logits["test"], strict=True)
    ]
    assert table.loc[("test", "f1"), "calibration_error"] == pytest.approx(np.mean(errors))
    assert table.loc[("test", "platt"), "brier_score"] < table.loc[("test", "half"), "brier_score"]
    truth, known = labels["validation"], labels["train"]
    rules = [fit_rule("powerset", truth, x, known) for x in logits["validation"]]
    made = [rule.decide(x) for rule, x in zip(rules, logits["test"], strict=True)]
    expected = np.mean([sk.accuracy_score(labels["test"], each) for each in made])
    assert table.loc[("test", "powerset"), "subset_accuracy"] == pytest.approx(expected)
    crossed = pd.concat([cross_validate(truth, x, known, PATIENTS) for x in logits["validation"]])
    crossed = crossed.groupby("rule").mean()
    np.testing.assert_allclose(table.loc["validation"].loc[crossed.index, crossed.columns], crossed)


def test_what_is_learned_does_not_see_the_test_fold(case, rng):
    # Thresholds and calibration: fold 10's labels shuffled.
    labels, predictions = case
    shuffled = {**labels, "test": rng.permutation(labels["test"])}
    for rule in RULES:
        pairs = zip(
            fit_seed_rules(labels, predictions, rule),
            fit_seed_rules(shuffled, predictions, rule),
            strict=True,
        )
        for one, other in pairs:
            assert one.fields() == other.fields()
    # Nor do the ensemble's rules and the table from which the headline rule is chosen, other logits beside.
    others = dataclasses.replace(
        predictions, logits={**predictions.logits, "test": predictions.logits["test"] + 1}
    )
    for rule in RULES:
        ours = fit_ensemble_rules(labels, predictions, [rule])[rule].fields()
        assert ours == fit_ensemble_rules(shuffled, others, [rule])[rule].fields()
    tables = [by_rule(labels, predictions, PATIENTS), by_rule(shuffled, others, PATIENTS)]
    one, other = (table[table["fold"] == "validation"].dropna(axis=1) for table in tables)
    pd.testing.assert_frame_equal(one, other)


def test_predictions_survive_the_disk(case, tmp_path):
    _, predictions = case
    write_predictions(tmp_path / "p.npz", predictions)
    ids = dict.fromkeys(SPLITS, np.arange(120))
    back = read_predictions(tmp_path / "p.npz", [4, 5, 6], ids)
    assert back.parameters == predictions.parameters
    for split in SPLITS:
        np.testing.assert_array_equal(back.logits[split], predictions.logits[split])
        np.testing.assert_array_equal(back.ecg_id[split], predictions.ecg_id[split])
    with pytest.raises(ValueError, match=r"p\.npz is of the seeds \[4, 5, 6\], not \[4, 5\]"):
        read_predictions(tmp_path / "p.npz", [4, 5], ids)
    for split in SPLITS:
        with pytest.raises(ValueError, match=rf"p\.npz has other records than the {split} split"):
            read_predictions(tmp_path / "p.npz", [4, 5, 6], {**ids, split: np.arange(120) + 1})
    whole = (tmp_path / "p.npz").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for damaged in (b"junk", b"", whole[: len(whole) // 2], bytes(flipped)):
        (tmp_path / "p.npz").write_bytes(damaged)
        with pytest.raises(ValueError, match="not a file of predictions"):
            read_predictions(tmp_path / "p.npz", [4, 5, 6], {})


def test_of_the_training_folds_an_eighth_is_predicted():
    assert len(range(100)[rows("train", 100)]) == 13
    assert len(range(100)[rows("test", 100)]) == 100


def test_classes_with_fewer_than_ten_positives_are_left_out_of_the_common_ones(rng):
    truth = np.zeros((100, 3), np.uint8)
    truth[:9, 0] = truth[20:30, 1] = truth[40:70, 2] = 1
    scores = rng.normal(size=truth.shape)
    common = [sk.average_precision_score(truth[:, k], scores[:, k]) for k in (1, 2)]
    assert headline_metrics(truth, scores, scores > 0)["macro_auprc_common"] == pytest.approx(np.mean(common))


@pytest.mark.parametrize("name", RULES)
def test_rules_are_learned_from_a_seeds_own_validation_logits_and_the_training_sets(case, name):
    labels, predictions = case
    truth, known, logits = labels["validation"], labels["train"], predictions.logits["validation"]
    of_each = [fit_rule(name, truth, of_seed, known).fields() for of_seed in logits]
    assert [rule.fields() for rule in fit_seed_rules(labels, predictions, name)] == of_each
    of_all = fit_rule(name, truth, logits.mean(axis=0), known)
    assert fit_ensemble_rules(labels, predictions, [name])[name].fields() == of_all.fields()


def test_predictions_of_as_many_other_seeds_are_refused(case, tmp_path):
    _, predictions = case
    write_predictions(tmp_path / "p.npz", predictions)
    with pytest.raises(ValueError, match=r"is of the seeds \[4, 5, 6\], not \[4, 5, 7\]"):
        read_predictions(tmp_path / "p.npz", [4, 5, 7], dict.fromkeys(SPLITS, np.arange(120)))
