"""The figures of one architecture: the headline over its seeds, and each seed, rule and class by itself."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_temporal.evaluation.calibration import brier_score, expected_calibration_error
from ecg_temporal.evaluation.cross_validation import cross_validate
from ecg_temporal.evaluation.decisions import DecisionRule
from ecg_temporal.evaluation.fitting import fit_rule, fit_rules
from ecg_temporal.evaluation.metrics import average_precision, nanmean, roc_auc, thresholded_metrics
from ecg_temporal.evaluation.predictions import SPLITS, Predictions, rows
from ecg_temporal.evaluation.settings import RULES

RANKING = ("macro_auprc", "macro_auprc_common", "macro_auroc")
"""What no decision rule changes; so of these the validation fold, where rules are learned, says something."""
THRESHOLDED = ("micro_f1", "hamming_loss", "subset_accuracy")
HEADLINE = RANKING + THRESHOLDED
COMMON = 10
"""A class with fewer positive records moves macro-AUPRC by hundredths: `macro_auprc_common` leaves it out."""

LabelsBySplit = dict[str, NDArray[np.uint8]]
"""Labels [records, classes] by split, of all of its records."""


def headline_metrics(
    labels: NDArray[np.uint8], scores: NDArray[np.floating], decisions: NDArray[np.bool_]
) -> dict[str, float]:
    """Return the metrics of HEADLINE, and some more, of one seed, all arrays [records, classes].

    macro_auprc, macro_auroc, both also of the classes with COMMON positive records or more (NAME_common), and
    the metrics of `thresholded_metrics`.
    """
    precision, area = average_precision(labels, scores), roc_auc(labels, scores)
    common = labels.sum(axis=0) >= COMMON
    return {
        "macro_auprc": nanmean(precision),
        "macro_auprc_common": nanmean(precision[common]),
        "macro_auroc": nanmean(area),
        "macro_auroc_common": nanmean(area[common]),
        **thresholded_metrics(labels, decisions),
    }


def log_loss(labels: NDArray[np.uint8], logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the binary cross-entropy of each record, its mean over classes, float64 [records]."""
    exact = logits.astype(np.float64)
    return np.asarray((np.logaddexp(0, exact) - labels * exact).mean(axis=1))


def fit_seed_rules(labels: LabelsBySplit, predictions: Predictions, rule: str) -> list[DecisionRule]:
    """Return the rule of each seed, learned on the validation fold."""
    return [
        fit_rule(rule, labels["validation"], x, labels["train"]) for x in predictions.logits["validation"]
    ]


def fit_ensemble_rules(
    labels: LabelsBySplit, predictions: Predictions, names: Sequence[str]
) -> dict[str, DecisionRule]:
    """Return the rules `names` of the seeds' ensemble, learned on its own logits of the validation fold."""
    return fit_rules(names, labels["validation"], predictions.ensemble("validation"), labels["train"])


def by_seed(labels: LabelsBySplit, predictions: Predictions, rule: str) -> pd.DataFrame:
    """Return a row per seed and split: seed, split, cross-entropy (loss), `headline_metrics` under `rule`."""
    rules = fit_seed_rules(labels, predictions, rule)
    found = []
    for k, (seed, fitted) in enumerate(zip(predictions.seeds, rules, strict=True)):
        for split in SPLITS:
            truth, logits = labels[split][rows(split, len(labels[split]))], predictions.logits[split][k]
            loss = log_loss(truth, logits).mean()
            decided = headline_metrics(truth, logits, fitted.decide(logits))
            found.append({"seed": seed, "split": split, "loss": loss, **decided})
    return pd.DataFrame(found)


def headline(
    seeds: pd.DataFrame, labels: LabelsBySplit, predictions: Predictions, rule: str
) -> dict[str, float | None]:
    """Return the figures of metrics/<architecture>.json; None where one is not defined.

    Of the test fold: HEADLINE under `rule`, the mean over seeds of `by_seed`'s table; THRESHOLDED at 0.5 as
    NAME_at_half; and HEADLINE of the seeds' ensemble, whose logits are averaged, under the rule that is
    learned on its own validation logits, as ensemble_NAME. Of the validation fold: loss and RANKING, the
    mean over seeds, as validation_NAME.
    """
    test, validation = (seeds[seeds["split"] == split] for split in ("test", "validation"))
    found = {name: float(test[name].mean()) for name in HEADLINE}
    at_half = [thresholded_metrics(labels["test"], logits >= 0) for logits in predictions.logits["test"]]
    found |= {f"{name}_at_half": float(np.mean([v[name] for v in at_half])) for name in THRESHOLDED}
    logits = predictions.ensemble("test")
    decisions = fit_ensemble_rules(labels, predictions, [rule])[rule].decide(logits)
    ensemble = headline_metrics(labels["test"], logits, decisions)
    found |= {f"ensemble_{name}": ensemble[name] for name in HEADLINE}
    found |= {f"validation_{name}": float(validation[name].mean()) for name in ("loss", *RANKING)}
    known = {name: None if np.isnan(value) else float(value) for name, value in found.items()}
    return known | {"parameters": predictions.parameters}


def by_rule(labels: LabelsBySplit, predictions: Predictions, patients: NDArray[np.generic]) -> pd.DataFrame:
    """Return a row per rule and fold, the mean over seeds.

    Columns: rule, fold, `thresholded_metrics`, calibration_error (classwise) and brier_score. On the
    validation fold, whose `patients` [records] these are, every rule decides on patients that it was not
    learned from, so that the headline rule can be chosen there; calibration is measured on the test fold
    alone.
    """
    parts = []
    for validation, test in zip(predictions.logits["validation"], predictions.logits["test"], strict=True):
        crossed = cross_validate(labels["validation"], validation, labels["train"], patients)
        parts.append(crossed.assign(fold="validation"))
        for name, rule in fit_rules(RULES, labels["validation"], validation, labels["train"]).items():
            probabilities = rule.probabilities(test)
            row = {
                "rule": name,
                "fold": "test",
                **thresholded_metrics(labels["test"], rule.decide(test)),
                "calibration_error": expected_calibration_error(labels["test"], probabilities),
                "brier_score": brier_score(labels["test"], probabilities),
            }
            parts.append(pd.DataFrame([row]))
    table = pd.concat(parts, ignore_index=True)
    return table.groupby(["fold", "rule"], sort=False).mean().reset_index()


def by_class(classes: list[str], labels: LabelsBySplit, predictions: Predictions) -> pd.DataFrame:
    """Return a row per class: subclass, positives, and the mean over seeds of both ranking metrics."""
    truth, seeds = labels["test"], predictions.logits["test"]
    return pd.DataFrame(
        {
            "subclass": classes,
            "positives": truth.sum(axis=0, dtype=int),
            "average_precision": np.mean([average_precision(truth, s) for s in seeds], axis=0),
            "roc_auc": np.mean([roc_auc(truth, s) for s in seeds], axis=0),
        }
    )
