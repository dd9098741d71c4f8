"""Every decision rule on patients that it was not learned from: by this the headline rule is chosen."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from ecg_temporal.evaluation.decisions import DecisionRule, Labels, Logits, fit_rule
from ecg_temporal.evaluation.metrics import thresholded_metrics
from ecg_temporal.evaluation.settings import RULES

PARTS = 5


def cross_fit(
    name: str, labels: Labels, logits: Logits, train_labels: Labels, patients: NDArray[np.generic]
) -> list[tuple[NDArray[np.intp], DecisionRule]]:
    """Return the records of each part, and the rule `name` as it is learned from those of the other parts.

    The patients are dealt to PARTS parts, each with all of their records.

    Parameters
    ----------
    name : str
        One of `evaluation.settings.RULES`.
    labels : uint8 array [records, classes]
    logits : float array [records, classes]
    train_labels : uint8 array [training records, classes]
        The labels of the training folds, for `powerset`.
    patients : array [records]
        Whose record it is.

    Raises:
        ValueError: there are fewer patients than PARTS.

    """
    if (known := len(np.unique(patients))) < PARTS:
        raise ValueError(f"of {known} patients no {PARTS} parts can be made, to learn decision rules from")
    parts = GroupKFold(PARTS, shuffle=True, random_state=0).split(logits, groups=patients)
    return [(part, fit_rule(name, labels[others], logits[others], train_labels)) for others, part in parts]


def cross_validate(
    labels: Labels, logits: Logits, train_labels: Labels, patients: NDArray[np.generic]
) -> pd.DataFrame:
    """Return the metrics of every rule, a row each: `thresholded_metrics` of all records together.

    On each record the rule decides that `cross_fit`, whose parameters these are, learned without its part.
    With fewer patients than PARTS all is NaN.
    """
    if len(np.unique(patients)) < PARTS:
        return pd.DataFrame({"rule": RULES, **dict.fromkeys(thresholded_metrics(labels, labels), np.nan)})
    rows = []
    for name in RULES:
        decisions = np.empty(labels.shape, bool)
        for part, rule in cross_fit(name, labels, logits, train_labels, patients):
            decisions[part] = rule.decide(logits[part])
        rows.append({"rule": name, **thresholded_metrics(labels, decisions)})
    return pd.DataFrame(rows)
