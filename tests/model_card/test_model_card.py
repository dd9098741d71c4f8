import dataclasses
import re

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from defaults import TRAINING
from ecg_temporal.comparison.bootstrap import draw, interval
from ecg_temporal.comparison.settings import BootstrapSettings
from ecg_temporal.model_card.card import FAILURES, _failures, _who, model_card
from ecg_temporal.model_card.subgroups import by_diagnosis, by_subgroup, subgroups
from ecg_temporal.models.settings import ArchitectureSettings
from ecg_temporal.reporting.tables import SYNTHETIC

CLASSES = ["AMI", "NORM", "PMI"]
PATIENTS = np.arange(300) // 2
BOOTSTRAP = BootstrapSettings(replicates=200, seed=0, reference="cnn")


def test_groups_and_diagnoses_are_measured_as_if_they_were_alone():
    rng = np.random.default_rng(0)
    labels = (rng.random((200, 3)) < 0.4).astype(np.uint8)
    scores = labels + rng.normal(size=labels.shape)
    decisions = scores > 0.5
    people = pd.DataFrame(
        {"sex": rng.integers(0, 2, 200), "age": rng.choice([30.0, 59.0, 60.0, 300.0, np.nan], 200)}
    )
    groups = subgroups(people)
    assert groups["women"].sum() == (people["sex"] == 1).sum()
    assert groups["40 to 59"].sum() == (people["age"] == 59).sum()
    assert groups["80 and over"].sum() == (people["age"] == 300).sum()
    groups["nobody"] = np.zeros(200, bool)
    patients = np.arange(200) // 2
    table = by_subgroup(groups, labels, scores, decisions, patients, BOOTSTRAP)
    table = table.set_index(["group", "metric"])
    assert "nobody" not in table.index
    women = groups["women"]
    row = table.loc[("women", "micro_f1")]
    assert row["value"] == pytest.approx(sk.f1_score(labels[women], decisions[women], average="micro"))
    assert row["records"] == women.sum() and row["low"] < row["value"] < row["high"]
    # Of the diagnoses that are common in the group: the first has nine women.
    few = labels.copy()
    few[women, 0] = np.arange(women.sum()) < 9
    row = by_subgroup(groups, few, scores, decisions, patients, BOOTSTRAP).set_index(["group", "metric"])
    row = row.loc[("women", "macro_auroc_common")]
    assert row["value"] == pytest.approx(sk.roc_auc_score(few[women, 1:], scores[women, 1:]))
    assert row["low"] < row["value"] < row["high"]
    one = {"one": np.arange(200) == 7}  # every resample is the same
    alone = by_subgroup(one, labels, scores, decisions, patients, BOOTSTRAP)
    assert alone["value"].notna().any() and alone[["low", "high"]].isna().all(axis=None)
    each = by_diagnosis(CLASSES, labels, scores, decisions, patients, BOOTSTRAP)
    draws = draw(patients, BOOTSTRAP.replicates, BOOTSTRAP.seed)
    by_scikit_learn = {
        "average_precision": (sk.average_precision_score, scores),
        "roc_auc": (sk.roc_auc_score, scores),
        "recall": (sk.recall_score, decisions),
        "precision": (sk.precision_score, decisions),
    }
    for k, name in enumerate(CLASSES):
        for metric, (score, given) in by_scikit_learn.items():
            value = score(labels[:, k], given[:, k])
            drawn = [score(labels[:, k], given[:, k], sample_weight=weights) for weights in draws.T]
            expected = (value, *interval(np.array(drawn)))
            found = each.loc[name, [metric, f"{metric}_low", f"{metric}_high"]].to_list()
            assert found == pytest.approx(expected, abs=1e-9), (name, metric)
    nothing = by_diagnosis(CLASSES, labels * 0, scores, decisions & False, patients, BOOTSTRAP)
    assert nothing.drop(columns="positives").isna().all(axis=None)


def test_the_model_card_names_groups_diagnoses_and_failures(splits, rng):
    truth = (rng.random((300, 3)) < [0.4, 0.5, 0.01]).astype(np.uint8)
    decisions = np.roll(truth, 1, axis=0).astype(bool)
    scores = truth + rng.normal(size=truth.shape)
    people = pd.DataFrame({"sex": [0, 1] * 150, "age": 50.0})
    text = model_card(
        "cnn_gru",
        ArchitectureSettings(rnn="gru", learning_rate=0.1),
        splits["test"].description,
        people,
        by_subgroup(subgroups(people), truth, scores, decisions, PATIENTS, BOOTSTRAP),
        by_diagnosis(CLASSES, truth, scores, decisions, PATIENTS, BOOTSTRAP),
        "half",
        TRAINING,
        True,
        ["PMI"],
        [],
    )
    assert "the comparison's computed verdict calls enough" in text and "Not calibrated" not in text
    assert "- Not learned, for no training record has it: PMI (posterior myocardial infarction)." in text
    assert text.startswith("# Model card: cnn_gru\n") and SYNTHETIC in text
    rows = {line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")}
    assert rows >= {"women", "men", "40 to 59", *CLASSES} and "under 40" not in rows
    norm = next(line for line in text.splitlines() if line.startswith("| NORM"))
    assert re.fullmatch(r"\|[^|]+\|[^|]+\| +\d+ \|( +[01]\.\d{3} \[[01]\.\d{3}, [01]\.\d{3}\] \|){4}", norm)
    missed = re.findall(r"- (\w+) \(.*\): (\d+)% of \d+ found", text)
    recall = {name: round(100 * decisions[truth[:, k] == 1, k].mean()) for k, name in enumerate(CLASSES[:2])}
    assert missed == [(name, str(share)) for name, share in sorted(recall.items(), key=lambda item: item[1])]
    ami, norm = (truth[:, CLASSES.index(name)] == 1 for name in ("AMI", "NORM"))
    instead = decisions[:, CLASSES.index("NORM")] & ~decisions[:, CLASSES.index("AMI")]
    called = 100 * instead[ami & ~norm].mean()
    assert re.findall(
        r"- (\w+) \(.*\): (\d+)% of those not also annotated NORM are predicted NORM inst", text
    ) == [("AMI", f"{called:.0f}")]
    assert "not a medical device" in text and "too few to judge: PMI" in text
    assert "nan" not in text


def test_where_no_resample_differs_the_interval_is_that_of_a_share_of_records():
    labels = np.zeros((100, 1), np.uint8)
    labels[:20] = 1
    scores = labels + np.linspace(0, 0.5, 100)[:, None]
    (row,) = by_diagnosis(["A"], labels, scores, labels > 1, np.arange(100), BOOTSTRAP).to_dict("records")
    assert row["recall"] == row["recall_low"] == 0
    assert row["recall_high"] == pytest.approx(1 - 0.025 ** (1 / 20))  # the rule of three, exactly
    assert row["average_precision"] == 1 and np.isnan(row["average_precision_low"])
    assert np.isnan(row["precision"]) and np.isnan(row["precision_high"])
    # Two records of a patient say no more than one; where one of both is found, no resample says anything.
    patients = np.arange(100) // 2
    (row,) = by_diagnosis(["A"], labels, scores, labels > 1, patients, BOOTSTRAP).to_dict("records")
    assert row["recall_high"] == pytest.approx(1 - 0.025 ** (1 / 10))
    labels[2:], found = 0, labels > 0
    found[1] = False
    (row,) = by_diagnosis(["A"], labels, scores, found, patients, BOOTSTRAP).to_dict("records")
    assert row["recall"] == 0.5 and np.isnan(row["recall_low"]) and np.isnan(row["recall_high"])


@pytest.mark.parametrize(
    ("sex", "age", "said"),
    [
        ([0, 1, np.nan, np.nan], [np.nan] * 4, "50% women; age is not known."),
        ([np.nan] * 4, [np.nan] * 4, "Sex is not known; age is not known."),
        (
            [0, 1, 1, 1],
            [40.0, 50, 60, np.nan],
            "75% women; ages 41 to 59 (5th to 95th percentile), median 50, of",
        ),
    ],
)
def test_a_card_of_own_records_says_what_is_known_and_nothing_of_ptbxl(splits, rng, sex, age, said):
    truth = (rng.random((4, 2)) < 0.5).astype(np.uint8)
    people = pd.DataFrame({"sex": sex, "age": age})
    measured = (truth, truth - 0.5, truth > 0, np.arange(4), BOOTSTRAP)
    text = model_card(
        "cnn",
        ArchitectureSettings(rnn="none", learning_rate=0.1),
        dataclasses.replace(
            splits["test"].description, dataset="own records 0123", classes=["AF|flutter", "B"]
        ),
        people,
        by_subgroup(subgroups(people), *measured),
        by_diagnosis(["AF|flutter", "B"], *measured).assign(positives=20),
        "half",
        TRAINING,
        False,
        [],
        ["B"],
    )
    assert "verdict calls" not in text and "verdict called" not in text and "too small to say" in text
    assert "that score above the others: B." in text and "Not learned" not in text
    assert said in text and "PTB-XL" not in text and "recipe" not in text and "(?)" not in text
    assert "| AF\\|flutter |" in text


def test_groups_are_those_of_ptbxls_codes():
    groups = subgroups(pd.DataFrame({"sex": [0, 1, 0], "age": [39.0, 40.0, 80.0]}))
    assert {name: member.tolist() for name, member in groups.items() if member.any() and name != "all"} == {
        "women": [False, True, False],
        "men": [True, False, True],
        "under 40": [True, False, False],
        "40 to 59": [False, True, False],
        "80 and over": [False, False, True],
    }


def test_a_group_is_resampled_by_its_patients(rng):
    truth = (rng.random((300, 3)) < 0.4).astype(np.uint8)
    decisions = np.roll(truth, 1, axis=0).astype(bool)
    women = np.arange(300) % 3 > 0
    found = by_subgroup({"women": women}, truth, truth - 0.5, decisions, PATIENTS, BOOTSTRAP)
    row = found.set_index("metric").loc["micro_f1"]
    draws = draw(PATIENTS[women], BOOTSTRAP.replicates, BOOTSTRAP.seed)
    flat, made = truth[women].ravel(), decisions[women].ravel()
    replicates = np.array([sk.f1_score(flat, made, sample_weight=np.repeat(w, 3)) for w in draws.T])
    assert [row["low"], row["high"]] == pytest.approx(interval(replicates))


def test_ages_beyond_89_are_told_as_90():
    text = _who(pd.DataFrame({"sex": [0] * 20, "age": [50.0] * 10 + [300.0] * 10}))
    assert "ages 50 to 90" in text and "median 70" in text


def test_of_diagnoses_that_fail_alike_none_is_left_out():
    names = [f"C{k}" for k in range(FAILURES + 2)]
    classes = pd.DataFrame({"positives": 20, "recall": 0.1, "called_normal": 0.3}, index=names)
    text = _failures(classes, {}, [], [])
    assert re.findall(r"- (\w+): 10% of 20 found", text) == names
    assert re.findall(r"- (\w+): 30% of those", text) == names
    assert "100% of" not in _failures(classes.assign(recall=[1.0, *classes["recall"][1:]])[:2], {}, [], [])


def test_ten_records_are_enough_to_judge_and_one_seed_is_no_ensemble(splits, rng):
    classes = pd.DataFrame({"positives": 10, "recall": 0.1, "called_normal": 0.0}, index=["A"])
    text = _failures(classes, {}, [], [])
    assert "too few to judge" not in text and "predicted NORM" not in text
    truth = (rng.random((40, 3)) < 0.4).astype(np.uint8)
    people = pd.DataFrame({"sex": [0, 1] * 20, "age": 50.0})
    measured = (truth, truth - 0.5, truth > 0, np.arange(40), BOOTSTRAP)
    card = model_card(
        "cnn",
        ArchitectureSettings(rnn="none", learning_rate=0.1),
        splits["test"].description,
        people,
        by_subgroup(subgroups(people), *measured),
        by_diagnosis(CLASSES, *measured),
        "half",
        TRAINING,
        True,
        [],
        [],
    )
    assert ", with seed 0." in card and "ensemble of" not in card


def test_the_ends_of_a_share_of_one_are_exact():
    labels = np.zeros((100, 1), np.uint8)
    labels[:20] = 1
    measured = (labels, labels.astype(float), labels > 0, np.arange(100), BOOTSTRAP)
    (row,) = by_diagnosis(["A"], *measured).to_dict("records")
    for metric in ("recall", "precision"):
        assert (row[metric], row[f"{metric}_high"]) == (1, 1)
        assert row[f"{metric}_low"] == pytest.approx(0.025 ** (1 / 20))


def test_called_normal_are_the_ill_that_are_called_nothing_else():
    #                 annotated             predicted
    cases = [
        ([1, 0], [0, 1]),  # AMI, called NORM
        ([1, 0], [1, 1]),  # AMI, found, NORM beside it
        ([1, 1], [0, 1]),  # annotated NORM, too: not counted
        ([1, 0], [0, 0]),
        ([0, 1], [0, 1]),
    ]
    truth, made = (np.array(each, np.uint8) for each in zip(*cases, strict=True))
    found = by_diagnosis(["AMI", "NORM"], truth, truth - 0.5, made > 0, np.arange(5), BOOTSTRAP)
    assert found.loc["AMI", "called_normal"] == pytest.approx(1 / 3)


def test_ages_at_the_edge_of_a_group_are_in_one_alone():
    groups = subgroups(pd.DataFrame({"sex": 0, "age": [40.0, 60.0, 80.0]}))
    assert (
        sum(groups[name].astype(int) for name in ("under 40", "40 to 59", "60 to 79", "80 and over")).tolist()
        == [1] * 3
    )
