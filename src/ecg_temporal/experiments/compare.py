"""What one experiment gains on another, and whether it is more than chance: `dvc metrics diff` can't say."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from ecg_temporal.comparison.bootstrap import Draws, Sample, class_differences, differences, draw, resample
from ecg_temporal.comparison.held_out import decide, losses
from ecg_temporal.comparison.settings import BootstrapSettings
from ecg_temporal.evaluation.summary import LabelsBySplit
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
        from other patients.
    bootstrap : BootstrapSettings

    Raises
    ------
    ValueError
        `split` is the validation fold, and of too few patients to learn rules from others.

    """
    draws = draw(patients, bootstrap.replicates, bootstrap.seed)
    both = tqdm({"first": first, "second": second}.items(), unit="experiment", desc="resampling")
    samples = {name: _sample(each, labels, patients, split, draws) for name, each in both}
    figures, positives = differences(samples, "first"), labels[split].sum(axis=0).tolist()
    figures = figures.drop(columns=["architecture", "against", "p_holm"])
    of_classes = class_differences(samples, "first", dict(zip(classes, positives, strict=True)))
    for name, sample in samples.items():
        figures[name] = figures["metric"].map(sample.value)
        of_classes[name] = sample.by_class
    return Pair(figures, of_classes.drop(columns="architecture"))


def _sample(
    of: Contender, labels: LabelsBySplit, patients: NDArray[np.generic], split: str, draws: Draws
) -> Sample:
    decisions = decide(of.rule, labels, of.predictions, split, patients)
    lost = losses(labels, of.predictions, split, patients)
    return resample(labels[split], of.predictions.logits[split], decisions, draws, lost)
