"""Every decision rule on patients that it was not learned from: by this the headline rule is chosen."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from ecg_temporal.evaluation.decisions import DecisionRule, Labels, Logits
from ecg_temporal.evaluation.fitting import fit_rules
from ecg_temporal.evaluation.metrics import thresholded_metrics
from ecg_temporal.evaluation.settings import RULES

PARTS = 5


def cross_fit(
    names: Sequence[str],
    labels: Labels,
    logits: Logits,
    train_labels: Labels,
    patients: NDArray[np.generic],
) -> list[tuple[NDArray[np.intp], dict[str, DecisionRule]]]:
    """Return the records of each part, and the rules `names` as learned from those of the other parts.

    The patients are dealt to PARTS parts, each with all of their records.

    Parameters
    ----------
    names : sequence of str
        Of `evaluation.settings.RULES`.
    labels : uint8 array [records, classes]
    logits : float array [records, classes]
    train_labels : uint8 array [training records, classes]
        The labels of the training folds, for `powerset`.
    patients : array [records]
        Whose record it is.

    Raises
    ------
    ValueError
        There are fewer patients than PARTS.

    """
    if (known := len(np.unique(patients))) < PARTS:
        raise ValueError(f"of {known} patients no {PARTS} parts can be made, to learn decision rules from")
    parts = GroupKFold(PARTS, shuffle=True, random_state=0).split(logits, groups=patients)
    return [(part, fit_rules(names, labels[others], logits[others], train_labels)) for others, part in parts]


def cross_validate(
    labels: Labels, logits: Logits, train_labels: Labels, patients: NDArray[np.generic]
) -> pd.DataFrame:
    """Return the metrics of every rule, a row each: `thresholded_metrics` of all records together.

    On each record the rule decides that `cross_fit`, whose parameters these are, learned without its part.
    With fewer patients than PARTS all is NaN.
    """
    if len(np.unique(patients)) < PARTS:
        return pd.DataFrame({"rule": RULES, **dict.fromkeys(thresholded_metrics(labels, labels), np.nan)})
    decisions = {name: np.empty(labels.shape, bool) for name in RULES}
    for part, rules in cross_fit(RULES, labels, logits, train_labels, patients):
        for name, rule in rules.items():
            decisions[name][part] = rule.decide(logits[part])
    return pd.DataFrame(
        [{"rule": name, **thresholded_metrics(labels, decided)} for name, decided in decisions.items()]
    )
