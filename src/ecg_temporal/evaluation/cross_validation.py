"""Every decision rule on patients that it was not learned from: by this the headline rule is chosen."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from ecg_temporal.evaluation.decisions import Labels, Logits, fit_rule
from ecg_temporal.evaluation.metrics import thresholded_metrics
from ecg_temporal.evaluation.settings import RULES

PARTS = 5


def cross_validate(
    labels: Labels, logits: Logits, train_labels: Labels, patients: NDArray[np.generic]
) -> pd.DataFrame:
    """Return the metrics of every rule, a row each: `thresholded_metrics` of all records together.

    The patients are dealt to PARTS parts, each with all of their records; the rule that is learned from the
    other parts decides on each. With fewer patients than parts all is NaN.

    Parameters
    ----------
    labels : uint8 array [records, classes]
    logits : float array [records, classes]
    train_labels : uint8 array [training records, classes]
        The labels of the training folds, for `powerset`.
    patients : array [records]
        Whose record it is.

    """
    if len(np.unique(patients)) < PARTS:
        return pd.DataFrame({"rule": RULES, **dict.fromkeys(thresholded_metrics(labels, labels), np.nan)})
    parts = list(GroupKFold(PARTS, shuffle=True, random_state=0).split(logits, groups=patients))
    rows = []
    for name in RULES:
        decisions = np.empty(labels.shape, bool)
        for others, part in parts:
            rule = fit_rule(name, labels[others], logits[others], train_labels)
            decisions[part] = rule.decide(logits[part])
        rows.append({"rule": name, **thresholded_metrics(labels, decisions)})
    return pd.DataFrame(rows)
