"""The figures of one model by sex, by age and by diagnosis."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest

from ecg_temporal.comparison.bootstrap import draw, interval, intervals, resample
from ecg_temporal.comparison.settings import BootstrapSettings

SHOWN = ("macro_auroc_common", "micro_f1", "hamming_loss", "subset_accuracy")
DIAGNOSIS = {
    "average_precision": "average precision",
    "roc_auc": "AUROC",
    "recall": "recall",
    "precision": "precision",
}
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
    patients: NDArray[np.generic],
    bootstrap: BootstrapSettings,
) -> pd.DataFrame:
    """Return a row per group and metric of SHOWN: group, records, metric, value, low and high.

    The macro-AUROC is that of the classes which are common in the group: a rarer one is absent from many
    resamples, so that they would be of other classes than the figure, and the interval too low (simulated
    with PTB-XL's ages: 89% instead of 95%). Where no replicate differs, a bootstrap says nothing:
    low and high are NaN. Labels, scores and decisions are [records, classes], `patients` [records]. A group
    without a record is left out.
    """
    parts = []
    for name, rows in groups.items():
        if rows.any():
            draws = draw(patients[rows], bootstrap.replicates, bootstrap.seed)
            sample = resample(labels[rows], scores[None, rows], decisions[None, rows], draws)
            table = intervals({name: sample}).rename(columns={"architecture": "group"})
            table.loc[table["low"] == table["high"], ["low", "high"]] = np.nan
            parts.append(table[table["metric"].isin(SHOWN)].assign(records=int(rows.sum())))
    return pd.concat(parts, ignore_index=True)


def by_diagnosis(
    classes: list[str],
    labels: NDArray[np.uint8],
    scores: NDArray[np.floating],
    decisions: NDArray[np.bool_],
    patients: NDArray[np.generic],
    bootstrap: BootstrapSettings,
) -> pd.DataFrame:
    """Return a row per class: positives, and the metrics of DIAGNOSIS with the ends of their 95% intervals.

    The ends are in METRIC_low and METRIC_high; what has no record to be measured on is NaN. Where no
    replicate differs, a bootstrap says nothing: the ends of a recall or precision of 0 or 1 are those of
    Clopper and Pearson (1934) for as many patients, of all else NaN. `called_normal` is the share of a
    class's records, of those not annotated NORM, that are predicted NORM and not the class. Labels, scores
    and decisions are [records, classes], `patients` [records].
    """
    normal = classes.index("NORM") if "NORM" in classes else None
    draws = draw(patients, bootstrap.replicates, bootstrap.seed)
    found = []
    for k in range(len(classes)):
        truth, predicted = labels[:, k].astype(bool), decisions[:, k]
        alone = resample(labels[:, [k]], scores[None, :, [k]], decisions[None, :, [k]], draws)
        hits, hits_drawn = (truth & predicted).sum(), draws[truth & predicted].sum(axis=0, dtype=np.float64)
        row: dict[str, float] = {"positives": int(truth.sum())}
        with np.errstate(invalid="ignore"):
            of_each = {
                "average_precision": (alone.value["macro_auprc"], alone.replicates["macro_auprc"]),
                "roc_auc": (alone.value["macro_auroc"], alone.replicates["macro_auroc"]),
                "recall": (hits / truth.sum(), hits_drawn / draws[truth].sum(axis=0)),
                "precision": (hits / predicted.sum(), hits_drawn / draws[predicted].sum(axis=0)),
            }
        shares = {"recall": truth, "precision": predicted}
        for metric, (value, replicates) in of_each.items():
            low, high = interval(replicates)
            if not (np.isnan(value) or low < high):
                low = high = float("nan")
                if metric in shares and value in (0, 1):
                    known = len(np.unique(patients[shares[metric]]))
                    low, high = binomtest(int(value) * known, known).proportion_ci(method="exact")
            row |= {metric: value, f"{metric}_low": low, f"{metric}_high": high}
        ill = truth & ~labels[:, normal].astype(bool) if normal is not None else np.zeros_like(truth)
        instead = decisions[:, normal] & ~predicted if normal is not None else np.zeros_like(truth)
        row["called_normal"] = instead[ill].mean() if ill.any() else float("nan")
        found.append(row)
    return pd.DataFrame(found, index=pd.Index(classes, name="subclass"))
