import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk
from sklearn.model_selection import GroupKFold

from ecg_temporal.comparison.settings import BootstrapSettings
from ecg_temporal.evaluation.cross_validation import PARTS, cross_fit
from ecg_temporal.evaluation.fitting import fit_rule
from ecg_temporal.evaluation.predictions import SPLITS, Predictions, rows
from ecg_temporal.evaluation.summary import log_loss
from ecg_temporal.experiments.compare import Pair, compare
from ecg_temporal.experiments.page import TITLES, pair_page, recipe_page
from ecg_temporal.experiments.revisions import Contender

RECORDS, CLASSES = 200, list("abcd")
PATIENTS = np.arange(RECORDS) // 2
BOOTSTRAP = BootstrapSettings(replicates=400, seed=0, reference="cnn")


def compared(first, second, labels, patients=PATIENTS, split="test", rules=("half", "half")):
    both = (Contender(n, p, r, {}, {}) for n, p, r in zip("ab", (first, second), rules, strict=True))
    return compare(*both, labels, CLASSES, patients, split, BOOTSTRAP)


@pytest.fixture
def case(rng):
    """Labels, and predictions of three seeds and of two, these by far the better."""
    labels = {split: (rng.random((RECORDS, 4)) < 0.3).astype(np.uint8) for split in SPLITS}
    kept = {split: rows(split, RECORDS) for split in SPLITS}

    def predicted(seeds, noise):
        logits = {
            split: (
                (2 * truth - 1.5 + noise * rng.normal(size=(len(seeds), *truth.shape)))[:, kept[split]]
            ).astype(np.float32)
            for split, truth in labels.items()
        }
        return Predictions(seeds, logits, {s: np.arange(RECORDS)[kept[s]] for s in SPLITS}, 1000)

    return labels, predicted([0, 1, 2], 3.0), predicted([5, 6], 1.0)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_figures_are_scikit_learns_means_over_seeds_and_no_record_decides_about_itself(case, split):
    labels, first, second = case
    pair = compared(first, second, labels, split=split, rules=("f1", "micro_f1"))
    truth = labels[split]
    for column, predictions, rule in (("first", first, "f1"), ("second", second, "micro_f1")):
        found: dict[str, list[float]] = {name: [] for name in ("macro_auprc", "micro_f1", "log_loss")}
        for validation, x in zip(predictions.logits["validation"], predictions.logits[split], strict=True):
            decided = np.empty(truth.shape, bool)
            if split == "test":
                decided[:] = fit_rule(rule, labels["validation"], validation, labels["train"]).decide(x)
            else:
                parts = GroupKFold(PARTS, shuffle=True, random_state=0)
                for others, part in parts.split(x, groups=PATIENTS):
                    fitted = fit_rule(rule, truth[others], x[others], labels["train"])
                    decided[part] = fitted.decide(x[part])
            found["macro_auprc"].append(sk.average_precision_score(truth, x, average="macro"))
            found["micro_f1"].append(sk.f1_score(truth, decided, average="micro"))
            probabilities = 1 / (1 + np.exp(-x.astype(float)))
            losses = [sk.log_loss(y, p) for y, p in zip(truth.T, probabilities.T, strict=True)]
            found["log_loss"].append(np.mean(losses))
        figures = pair.figures.set_index("metric")[column]
        for name, values in found.items():
            assert figures[name] == pytest.approx(np.mean(values)), (column, name)
        area = [
            [sk.average_precision_score(y, s) for y, s in zip(truth.T, x.T, strict=True)]
            for x in predictions.logits[split]
        ]
        assert pair.classes[column].to_numpy() == pytest.approx(np.mean(area, axis=0))
    for table in (pair.figures, pair.classes):
        gained = (table["second"] - table["first"]).to_numpy()
        assert table["difference"].to_numpy() == pytest.approx(gained)
    row = pair.figures.set_index("metric").loc["macro_auprc"]
    assert 0 < row["low"] < row["difference"] < row["high"] and row["again_low"] < row["low"]
    assert list(pair.classes["positives"]) == truth.sum(axis=0).tolist()


def test_what_is_said_in_words_knows_which_way_is_better(case):
    labels, first, second = case
    pair = compared(first, second, labels)
    said = pair_page(pair, "plain", "plain@better")
    assert "plain@better is better in macro-AUPRC;" in said and "worse" not in said
    assert "Hamming loss;" in said and "other trainings.\n" in said
    assert "Average precision by diagnosis (false discovery rate below 5%): a +" in said
    table = [line for line in said.splitlines() if line.startswith("|")]
    assert len(table) == len(TITLES) + 2 and len({len(line) for line in table}) == 1
    of_each = pair.figures.set_index("metric")
    for line, metric in zip(table[2:], TITLES, strict=True):
        cells = [cell.strip(" *") for cell in line.split("|")]
        assert cells[2:4] == [f"{of_each.loc[metric, name]:.4f}" for name in ("first", "second")]
    turned = compared(second, first, labels)
    assert "plain is worse in macro-AUPRC;" in pair_page(turned, "plain@better", "plain")


def test_the_same_predictions_are_told_from_nothing(case):
    labels, first, _ = case
    one = dataclasses.replace(first, seeds=[0], logits={split: x[:1] for split, x in first.logits.items()})
    pair = compared(one, one, labels)
    said = pair_page(pair, "a", "b")
    assert "No metric differs by more than the chance of other patients. What another training" in said
    assert "No diagnosis differs" in said
    assert "nan" not in said  # with a seed each, what another training would give is not known


def test_what_another_training_could_undo_is_not_called_a_difference():
    row = {"metric": "", "first": 0.5, "second": 0.6, "difference": 0.1, "low": 0.05, "high": 0.15, "p": 0.01}
    again = dict.fromkeys(TITLES, (-0.01, 0.21)) | {"hamming_loss": (0.02, 0.18)}
    rows = [row | {"metric": m, "again_low": low, "again_high": high} for m, (low, high) in again.items()]
    said = pair_page(Pair(pd.DataFrame(rows), pd.DataFrame()), "a", "b")
    assert "b is worse in Hamming loss, by more than the chance of other patients and other" in said
    assert said.count("**") == 2


def test_what_differs_of_params_code_and_data_is_named(case):
    _, predictions, _ = case
    plain, deep = (
        Contender(
            "", predictions, "half", {"rnn": rnn, "train.epochs": 24} | layers, {"src/a.py": {"1"}} | code
        )
        for rnn, layers, code in (
            ("none", {}, {"src/b.py": {"2"}, "src/c.py": {"3"}}),
            ("gru", {"layers": 2}, {"src/b.py": {"2", "4"}}),
        )
    )
    others = " Code or data that differ: src/b.py, src/c.py."
    assert recipe_page(plain, deep) == f"Params: rnn none → gru; layers – → 2.{others}"
    assert recipe_page(deep, plain) == f"Params: rnn gru → none; layers 2 → –.{others}"
    assert recipe_page(deep, deep) == "Params: the same. Code and data: the same."


def test_the_table_has_every_metric_and_diagnosis():
    figures = pd.DataFrame({"metric": ["macro_auprc"], "difference": [0.1]})
    classes = pd.DataFrame({"subclass": ["IMI"], "difference": [0.2]})
    table = Pair(figures, classes).table()
    assert table["metric"].tolist() == ["macro_auprc", "average_precision"]
    assert table["subclass"].tolist()[1] == "IMI"


def test_too_few_patients_to_learn_rules_from_are_said(case):
    labels, first, second = case
    patients = np.arange(RECORDS) % (PARTS - 1)
    with pytest.raises(ValueError, match=f"of {PARTS - 1} patients no {PARTS} parts can be made"):
        compared(first, second, labels, patients, "validation")


def test_the_page_has_both_intervals_and_p_of_each_metric(case):
    labels, first, second = case
    pair = compared(first, second, labels)
    rows = pair.figures.set_index("metric").loc[list(TITLES)]
    lines = [line for line in pair_page(pair, "a", "b").splitlines() if line.startswith("|")][2:]
    for line, found in zip(lines, rows.to_dict("records"), strict=True):
        cells = [cell.strip(" *") for cell in line.split("|")]
        assert cells[5] == f"[{found['again_low']:+.4f}, {found['again_high']:+.4f}]"
        assert cells[6] == f"{found['p']:.4f}"


def test_on_the_validation_fold_calibration_is_learned_from_other_patients(case):
    labels, first, second = case
    pair = compared(first, second, labels, split="validation")
    truth, found = labels["validation"], []
    for x in first.logits["validation"]:
        calibrated = np.empty(x.shape)
        for part, rules in cross_fit(["platt"], truth, x, labels["train"], PATIENTS):
            calibrated[part] = rules["platt"].calibration.logits(x[part])
        found.append(log_loss(truth, calibrated).mean())
    figures = pair.figures.set_index("metric")["first"]
    assert figures["log_loss_calibrated"] == pytest.approx(np.mean(found))


def test_the_draws_are_those_of_the_seed(case):
    labels, first, second = case
    both = (Contender(n, p, "half", {}, {}) for n, p in (("a", first), ("b", second)))
    other = BOOTSTRAP.model_copy(update={"seed": 1})
    found = compare(*both, labels, CLASSES, PATIENTS, "test", other).figures
    assert (found["low"] != compared(first, second, labels).figures["low"]).any()


def test_with_a_seed_each_a_difference_beyond_the_chance_of_patients_is_told(case):
    labels, *both = case
    one, other = (
        dataclasses.replace(each, seeds=each.seeds[:1], logits={s: x[:1] for s, x in each.logits.items()})
        for each in both
    )
    said = pair_page(compared(one, other, labels), "a", "b")
    assert "b is better in macro-AUPRC;" in said and "by more than the chance of other patients." in said
