"""The figures of one architecture: the headline over its seeds, and each class by itself."""

import statistics

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_temporal.evaluation.metrics import average_precision, multilabel_metrics, roc_auc

PAPER_METRICS = ("macro_auprc", "micro_f1", "hamming_loss", "subset_accuracy")
"""The four that arXiv:2601.18830 reports."""


def headline(labels: NDArray[np.uint8], probabilities: NDArray[np.floating]) -> dict[str, float | None]:
    """Return the figures of metrics/<architecture>.json.

    Parameters
    ----------
    labels : uint8 array [records, classes]
    probabilities : float array [seeds, records, classes]

    Returns
    -------
    dict
        The mean over seeds of each figure of `multilabel_metrics`, and as NAME_std the standard deviation
        over seeds (ddof 1) of PAPER_METRICS, None with a single seed.

    """
    seeds = [multilabel_metrics(labels, of_seed) for of_seed in probabilities]
    figures: dict[str, float | None] = {
        name: statistics.fmean(values[name] for values in seeds) for name in seeds[0]
    }
    for name in PAPER_METRICS:
        figures[f"{name}_std"] = statistics.stdev(v[name] for v in seeds) if len(seeds) > 1 else None
    return figures


def by_class(
    classes: list[str], labels: NDArray[np.uint8], probabilities: NDArray[np.floating]
) -> pd.DataFrame:
    """Return a row per class: subclass, positives, and the mean over seeds of both ranking metrics."""
    return pd.DataFrame(
        {
            "subclass": classes,
            "positives": labels.sum(axis=0, dtype=int),
            "average_precision": np.mean([average_precision(labels, p) for p in probabilities], axis=0),
            "roc_auc": np.mean([roc_auc(labels, p) for p in probabilities], axis=0),
        }
    )
