"""What one experiment gains on another, and whether it is more than chance: `dvc metrics diff` can't say."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from ecg_temporal.comparison.bootstrap import Draws, Sample, class_differences, differences, draw, resample
from ecg_temporal.comparison.settings import BootstrapSettings
from ecg_temporal.evaluation.cross_validation import cross_fit
from ecg_temporal.evaluation.decisions import DecisionRule, fit_rule
from ecg_temporal.evaluation.predictions import Predictions
from ecg_temporal.evaluation.summary import LabelsBySplit, log_loss
from ecg_temporal.experiments.revisions import Contender


@dataclass(frozen=True)
class Pair:
    """One set against another, each the mean over its seeds.

    Attributes
    ----------
    figures : DataFrame
        By metric: metric, first, second, and of the second less the first difference, low, high, again_low,
        again_high and p, as `bootstrap.differences` gives them.
    classes : DataFrame
        Average precision by class: subclass, positives, first, second, and of the second less the first
        difference, low, high, undefined, p and q, as `bootstrap.class_differences` gives them.

    """

    figures: pd.DataFrame
    classes: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """Return both as one; the metric of a class is average_precision."""
        return pd.concat([self.figures, self.classes.assign(metric="average_precision")], ignore_index=True)


def compare(
    first: Contender,
    second: Contender,
    labels: LabelsBySplit,
    classes: list[str],
    patients: NDArray[np.generic],
    split: str,
    bootstrap: BootstrapSettings,
) -> Pair:
    """Set `second` against `first` by the paired bootstrap over the patients of one split.

    Parameters
    ----------
    first, second : Contender
        Of the same records; the thresholded metrics are under the rule of each.
    labels : dict of str to uint8 array [records, classes]
        Of every split, all records.
    classes : list of str
    patients : array [records]
        Whose each record of `split` is.
    split : {'validation', 'test'}
        Decision rules and calibration are learned on the validation fold; there each record's are learned
        from other patients (`cross_fit`).
    bootstrap : BootstrapSettings

    """
    draws = draw(patients, bootstrap.replicates, bootstrap.seed)
    both = tqdm({"first": first, "second": second}.items(), unit="experiment", desc="resampling")
    samples = {
        name: _sample(labels, each.predictions, patients, split, each.rule, draws) for name, each in both
    }
    figures, positives = differences(samples, "first"), labels[split].sum(axis=0).tolist()
    figures = figures.drop(columns=["architecture", "against", "p_holm"])
    of_classes = class_differences(samples, "first", dict(zip(classes, positives, strict=True)))
    for name, sample in samples.items():
        figures[name] = figures["metric"].map(sample.value)
        of_classes[name] = sample.by_class
    return Pair(figures, of_classes.drop(columns="architecture"))


def _sample(
    labels: LabelsBySplit,
    predictions: Predictions,
    patients: NDArray[np.generic],
    split: str,
    rule: str,
    draws: Draws,
) -> Sample:
    truth, logits = labels[split], predictions.logits[split]
    decisions, calibrated = np.empty(logits.shape, bool), np.empty(logits.shape)
    for k, validation in enumerate(predictions.logits["validation"]):
        for part, fitted in _fitted(rule, labels, validation, patients, split):
            decisions[k, part] = fitted.decide(logits[k, part])
        for part, fitted in _fitted("platt", labels, validation, patients, split):
            calibrated[k, part] = fitted.calibration.logits(logits[k, part])
    losses = {
        "log_loss": np.stack([log_loss(truth, x) for x in logits]),
        "log_loss_calibrated": np.stack([log_loss(truth, x) for x in calibrated]),
    }
    return resample(truth, logits, decisions, draws, losses)


def _fitted(
    rule: str,
    labels: LabelsBySplit,
    validation: NDArray[np.float32],
    patients: NDArray[np.generic],
    split: str,
) -> list[tuple[NDArray[np.intp], DecisionRule]]:
    """Return which records of `split` a rule is for, and the rule."""
    if split == "validation":
        return cross_fit(rule, labels["validation"], validation, labels["train"], patients)
    everything = np.arange(len(labels[split]))
    return [(everything, fit_rule(rule, labels["validation"], validation, labels["train"]))]
