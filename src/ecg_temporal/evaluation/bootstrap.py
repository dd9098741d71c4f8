"""Paired bootstrap over records: how sure a figure, and a difference of two, is on this test fold.

Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 15. A replicate is a number of
draws per record, the same for every architecture, so that what they share cancels in a difference. Nothing is
resampled for real: each metric is computed with the draws as weights, for all replicates at once.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ecg_temporal.evaluation.metrics import multilabel_metrics

Draws = NDArray[np.float32]
Array = NDArray[np.float64]


def draw(records: int, replicates: int, seed: int) -> Draws:
    """Return how often each record is drawn in each replicate, float32 [records, replicates]."""
    rng = np.random.default_rng(seed)
    shares = np.full(records, 1 / records)
    return rng.multinomial(records, shares, size=replicates).T.astype(np.float32, order="C")


def replicate_metrics(
    labels: NDArray[np.uint8], probabilities: NDArray[np.floating], draws: Draws, threshold: float = 0.5
) -> dict[str, Array]:
    """Return each figure of `multilabel_metrics` in every replicate, the mean over seeds.

    Parameters
    ----------
    labels : uint8 array [records, classes]
    probabilities : float array [seeds, records, classes]
    draws : float32 array [records, replicates]
        As `draw` gives them.
    threshold : float

    Returns
    -------
    dict of str to float64 array [replicates]
        A class without a positive draw is NaN there and left out of the macro mean, as in
        `multilabel_metrics`.

    """
    seeds = [_one_seed(labels.astype(bool), scores, draws, threshold) for scores in probabilities]
    return {name: np.mean([figures[name] for figures in seeds], axis=0) for name in seeds[0]}


def compare(
    labels: NDArray[np.uint8], probabilities: dict[str, NDArray[np.floating]], reference: str, draws: Draws
) -> pd.DataFrame:
    """Return a row per architecture and metric, with 95% intervals, also of the difference from `reference`.

    Columns: architecture, metric, value, low, high, difference, difference_low, difference_high, p and
    p_holm. `p` is two-sided, twice the share of replicates on the smaller side of no difference and no
    smaller than two in `replicates` + 1; `p_holm` is corrected for the number of architectures that are set
    against the reference on that metric (Holm, 1979). The reference has no difference from itself.
    """
    replicates = {name: replicate_metrics(labels, p, draws) for name, p in probabilities.items()}
    values = {
        name: pd.DataFrame([multilabel_metrics(labels, scores) for scores in p]).mean()
        for name, p in probabilities.items()
    }
    rows = []
    for name, figures in replicates.items():
        for metric, sample in figures.items():
            low, high = np.nanquantile(sample, [0.025, 0.975])
            row = {
                "architecture": name,
                "metric": metric,
                "value": values[name][metric],
                "low": low,
                "high": high,
            }
            if name != reference:
                change = sample - replicates[reference][metric]
                low, high = np.nanquantile(change, [0.025, 0.975])
                smaller = min((change <= 0).sum(), (change >= 0).sum()) + 1
                row |= {
                    "difference": values[name][metric] - values[reference][metric],
                    "difference_low": low,
                    "difference_high": high,
                    "p": min(1.0, 2 * smaller / (len(change) + 1)),
                }
            rows.append(row)
    table = pd.DataFrame(rows)
    table["p_holm"] = table.groupby("metric")["p"].transform(holm)
    return table


def holm(p: pd.Series) -> pd.Series:
    """Return Holm's step-down correction of p values; missing ones are left out."""
    tested = p.dropna().sort_values(kind="stable")
    steps = tested * np.arange(len(tested), 0, -1)
    return steps.cummax().clip(upper=1.0).reindex(p.index)


def _one_seed(
    truth: NDArray[np.bool_], scores: NDArray[np.floating], draws: Draws, threshold: float
) -> dict[str, Array]:
    guess = scores >= threshold
    total = draws.sum(axis=0, dtype=np.float64)
    # Draws are small whole numbers: float32 products and sums of them are exact up to 2^24.
    hits = _weigh(truth & guess, draws)
    both = _weigh(truth, draws) + _weigh(guess, draws)
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = 2 * hits / both
        micro = 2 * hits.sum(axis=0) / both.sum(axis=0)
    precision, area = np.empty(hits.shape), np.empty(hits.shape)
    for k in range(truth.shape[1]):
        precision[k], area[k] = _ranking(truth[:, k], scores[:, k], draws)
    return {
        "macro_auprc": _macro(precision),
        "macro_auroc": _macro(area),
        "micro_f1": micro,
        "macro_f1": _macro(f1),
        "hamming_loss": _weigh((truth != guess).sum(axis=1, keepdims=True), draws)[0]
        / total
        / truth.shape[1],
        "subset_accuracy": _weigh((truth == guess).all(axis=1, keepdims=True), draws)[0] / total,
    }


def _weigh(values: NDArray[np.generic], draws: Draws) -> Array:
    """Return the drawn sum of each column of `values` [records, columns]: [columns, replicates]."""
    return np.asarray(values.T.astype(np.float32) @ draws, np.float64)


def _ranking(truth: NDArray[np.bool_], scores: NDArray[np.floating], draws: Draws) -> tuple[Array, Array]:
    """Return average precision and ROC AUC of one class in every replicate."""
    order = np.argsort(-scores, kind="stable")
    ranked, positive = scores[order], truth[order]
    # Records with the same score pass the threshold together; only groups with a positive count.
    start = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
    group = np.searchsorted(start, np.flatnonzero(positive), side="right") - 1
    first, position = np.unique(group, return_index=True)
    if not len(first):
        nothing = np.full(draws.shape[1], np.nan)
        return nothing, nothing
    begin, end = start[first], np.append(start[1:], len(ranked))[first]
    # Draws are summed between the ends of these groups alone; as sparse products, which sort no copy of them.
    edges = np.unique(np.concatenate([[0], begin, end, [len(ranked)]]))
    between = _sums(order, edges, draws)
    passed = np.cumsum(between, axis=0)
    own = np.searchsorted(edges, begin)
    through, before = passed[own], passed[own] - between[own]
    gained = _sums(order[positive], np.append(position, len(group)), draws)
    hits = np.cumsum(gained, axis=0)
    positives, negatives = hits[-1], passed[-1] - hits[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(through > 0, hits / through, 0)
        ap = (gained * precision).sum(axis=0) / positives
        # Negatives ranked above a group's positives, and half of those that are tied with them.
        above = (before - (hits - gained)) + (through - hits)
        auc = 1 - (gained * above / 2).sum(axis=0) / (positives * negatives)
    return np.where(positives > 0, ap, np.nan), np.where((positives > 0) & (negatives > 0), auc, np.nan)


def _sums(rows: NDArray[np.intp], edges: NDArray[np.intp], draws: Draws) -> Array:
    """Return the drawn sums of rows[edges[k]:edges[k + 1]] for every k: [len(edges) - 1, replicates]."""
    shape = (len(edges) - 1, len(draws))
    members = csr_array((np.ones(len(rows), np.float32), rows, edges), shape)
    return np.asarray(members @ draws, np.float64)


def _macro(by_class: Array) -> Array:
    """Return the mean over classes, of those that are defined."""
    defined = ~np.isnan(by_class)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(defined, by_class, 0).sum(axis=0) / defined.sum(axis=0), np.float64)
