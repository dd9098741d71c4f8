"""The figures of one model by sex, by age and by diagnosis."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_temporal.evaluation.bootstrap import draw, intervals, resample
from ecg_temporal.evaluation.metrics import average_precision, roc_auc
from ecg_temporal.evaluation.settings import BootstrapSettings

SHOWN = ("macro_auroc", "micro_f1", "hamming_loss", "subset_accuracy")
AGES = {"under 40": (0, 40), "40 to 59": (40, 60), "60 to 79": (60, 80), "80 and over": (80, 1000)}


def subgroups(people: pd.DataFrame) -> dict[str, NDArray[np.bool_]]:
    """Return which records belong to each group.

    `people` has PTB-XL's columns sex (0 male, 1 female) and age in years (300 stands for more than 89).
    """
    groups = {"all": np.ones(len(people), bool)}
    groups |= {name: (people["sex"] == code).to_numpy() for code, name in ((1, "women"), (0, "men"))}
    for name, (low, high) in AGES.items():
        groups[name] = people["age"].between(low, high, inclusive="left").to_numpy()
    return groups


def by_subgroup(
    groups: dict[str, NDArray[np.bool_]],
    labels: NDArray[np.uint8],
    scores: NDArray[np.floating],
    decisions: NDArray[np.bool_],
    bootstrap: BootstrapSettings,
) -> pd.DataFrame:
    """Return a row per group and metric of SHOWN: group, records, metric, value, low and high.

    Labels, scores and decisions are [records, classes]. A group without a record is left out.
    """
    parts = []
    for name, rows in groups.items():
        if rows.any():
            draws = draw(int(rows.sum()), bootstrap.replicates, bootstrap.seed)
            sample = resample(labels[rows], scores[None, rows], decisions[None, rows], draws)
            table = intervals({name: sample}).rename(columns={"architecture": "group"})
            parts.append(table[table["metric"].isin(SHOWN)].assign(records=int(rows.sum())))
    return pd.concat(parts, ignore_index=True)


def by_diagnosis(
    classes: list[str],
    labels: NDArray[np.uint8],
    scores: NDArray[np.floating],
    decisions: NDArray[np.bool_],
) -> pd.DataFrame:
    """Return a row per class: positives, average_precision, roc_auc, recall and precision.

    What has no record to be measured on is NaN. Labels, scores and decisions are [records, classes].
    """
    hits = (labels.astype(bool) & decisions).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return pd.DataFrame(
            {
                "positives": labels.sum(axis=0, dtype=int),
                "average_precision": average_precision(labels, scores),
                "roc_auc": roc_auc(labels, scores),
                "recall": hits / labels.sum(axis=0, dtype=int),
                "precision": hits / decisions.sum(axis=0),
            },
            index=pd.Index(classes, name="subclass"),
        )
