"""Paired bootstrap over patients: how sure a figure, and a difference of two, is on this test fold.

Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 16. A replicate is a number of
draws per record, the same for every architecture, so that what they share cancels in a difference. Nothing is
resampled for real: each metric is computed with the draws as weights, for all replicates at once.

Intervals, of a figure and of a difference, are those of the percentiles, and say what another fold *of this
size* would give. A record that is drawn twice raises average precision, as few records in themselves make it
too high: a larger fold would give a smaller macro-AUPRC. To take the replicates' bias off (BC, section 14.3)
would be no remedy: of 500 simulated folds with PTB-XL's classes the interval of macro-AUPRC covered the mean
in 94%, and so corrected in 82%; that of a difference covers the same either way.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.stats import false_discovery_control, norm, t

from ecg_temporal.evaluation.metrics import average_precision, nanmean
from ecg_temporal.evaluation.summary import COMMON, headline_metrics

Labels = NDArray[np.uint8]
Scores = NDArray[np.floating]
Decisions = NDArray[np.bool_]
Draws = NDArray[np.float32]
Array = NDArray[np.float64]

BLOCK = 500
"""Replicates at a time: their sums stay in a processor's cache, in half the time of 4,000 at once."""


def draw(patients: ArrayLike, replicates: int, seed: int) -> Draws:
    """Return how often each record is drawn in each replicate, float32 [records, replicates].

    Patients are drawn, each with all of their records: records of one patient look alike, and to draw them
    apart would make intervals too narrow (Field & Welsh, Bootstrapping clustered data, JRSS B 69, 2007). So
    replicates differ a little in their number of records.

    Parameters
    ----------
    patients : array [records]
        Whose record it is.
    replicates, seed : int

    """
    known, of_record = np.unique(np.asarray(patients), return_inverse=True)
    shares = np.full(len(known), 1 / len(known))
    drawn = np.random.default_rng(seed).multinomial(len(known), shares, size=replicates)
    return drawn.T.astype(np.float32, order="C")[of_record]


@dataclass(frozen=True)
class Sample:
    """The figures of one architecture and their replicates, each the mean over seeds.

    Attributes
    ----------
    value : dict of str to float
        On the records as they are: the metrics of `headline_metrics`, and the `by_record` of `resample`.
    by_seed : dict of str to float64 array [seeds]
        The same of each seed.
    replicates : dict of str to float64 array [replicates]
        The same in every resample.
    by_class, class_replicates : float64 arrays [classes] and [classes, replicates]
        Average precision; NaN where a class has no positive record.

    """

    value: dict[str, float]
    by_seed: dict[str, Array]
    replicates: dict[str, Array]
    by_class: Array
    class_replicates: Array


def resample(
    labels: Labels,
    scores: Scores,
    decisions: Decisions,
    draws: Draws,
    by_record: dict[str, Array] | None = None,
) -> Sample:
    """Return the figures of an architecture in every replicate.

    Parameters
    ----------
    labels : uint8 array [records, classes]
    scores : float array [seeds, records, classes]
        Anything that ranks: logits or probabilities.
    decisions : bool array [seeds, records, classes]
    draws : float32 array [records, replicates]
        As `draw` gives them.
    by_record : dict of str to float64 array [seeds, records], optional
        Other figures that are a mean over records, by name.

    Returns
    -------
    Sample
        A class without a positive draw is NaN there and left out of the macro mean.

    """
    truth, by_record = labels.astype(bool), by_record or {}
    seeds = [_one_seed(truth, s, d, draws) for s, d in zip(scores, decisions, strict=True)]
    points = [headline_metrics(labels, s, d) for s, d in zip(scores, decisions, strict=True)]
    by_seed = {name: np.array([point[name] for point in points]) for name in points[0]}
    by_seed |= {name: each.mean(axis=1) for name, each in by_record.items()}
    replicates = {name: np.mean([seed[name] for seed, _ in seeds], axis=0) for name in seeds[0][0]}
    if both := by_seed.keys() ^ (replicates.keys() | by_record.keys()):
        raise ValueError(f"headline_metrics and _one_seed do not both have {', '.join(sorted(both))}")
    total = draws.sum(axis=0, dtype=np.float64)
    replicates |= {name: each.mean(axis=0) @ draws / total for name, each in by_record.items()}
    return Sample(
        value={name: float(values.mean()) for name, values in by_seed.items()},
        by_seed=by_seed,
        replicates=replicates,
        by_class=np.mean([average_precision(labels, s) for s in scores], axis=0),
        class_replicates=np.mean([precision for _, precision in seeds], axis=0),
    )


def intervals(samples: dict[str, Sample]) -> pd.DataFrame:
    """Return value and 95% interval (low, high) by architecture and metric."""
    rows = []
    for name, sample in samples.items():
        for metric, replicates in sample.replicates.items():
            rows.append((name, metric, sample.value[metric], *interval(replicates)))
    return pd.DataFrame(rows, columns=["architecture", "metric", "value", "low", "high"])


def differences(samples: dict[str, Sample], against: str, apart: str | None = None) -> pd.DataFrame:
    """Return the difference of each architecture from `against` by metric, with its 95% interval.

    Columns: architecture, metric, against, difference, low, high, again_low and again_high, which are
    `trained_again`'s with the seeds of all, p, and p_holm, which is corrected for the number of architectures
    that are set against it on that metric (Holm, 1979). The architecture `apart` is not one of these: whether
    it is there changes nothing for the others.
    """
    rows = []
    for name, sample in samples.items():
        other = samples[against]
        for metric, replicates in sample.replicates.items() if name != against else ():
            change = replicates - other.replicates[metric]
            difference = sample.value[metric] - other.value[metric]
            seeds = [each.by_seed[metric] for k, each in samples.items() if k != apart]
            trainings = len(sample.by_seed[metric]), len(other.by_seed[metric])
            again = trained_again(difference, change, seeds, trainings)
            rows.append((name, metric, against, difference, *interval(change), *again, p_value(change)))
    ends = ["low", "high", "again_low", "again_high"]
    table = pd.DataFrame(rows, columns=["architecture", "metric", "against", "difference", *ends, "p"])
    family = [table["metric"], table["architecture"] == apart]
    table["p_holm"] = table.groupby(family)["p"].transform(holm)
    return table


def of_metric(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the rows of one metric, of `intervals`, `differences` or the like, by architecture."""
    return table[table["metric"] == metric].set_index("architecture")


def class_differences(samples: dict[str, Sample], against: str, positives: dict[str, int]) -> pd.DataFrame:
    """Return the difference in average precision from `against` by architecture and class.

    `positives` are the classes in order, with their number of positive records. Columns: architecture,
    subclass, positives, difference, low, high, undefined, the share of replicates in which the class has no
    positive record, p, and q, which is corrected for the number of the architecture's classes with COMMON
    positive records or more (Benjamini & Hochberg, JRSS B 57, 1995), and not given for the others.
    """
    rows = []
    for name, sample in samples.items():
        if name != against:
            changes = sample.class_replicates - samples[against].class_replicates
            for k, (subclass, count) in enumerate(positives.items()):
                difference = sample.by_class[k] - samples[against].by_class[k]
                undefined, p = np.isnan(changes[k]).mean(), p_value(changes[k])
                rows.append((name, subclass, count, difference, *interval(changes[k]), undefined, p))
    columns = ["architecture", "subclass", "positives", "difference", "low", "high", "undefined", "p"]
    table = pd.DataFrame(rows, columns=columns)
    tested = table.loc[table["positives"] >= COMMON].dropna(subset="p")
    return table.assign(q=tested.groupby("architecture")["p"].transform(false_discovery_control))


def macro_replicates(labels: Labels, scores: Scores, draws: Draws) -> dict[str, tuple[float, Array]]:
    """Return macro-AUPRC of all classes and of the common ones, each with its replicates.

    Parameters
    ----------
    labels : uint8 array [records, classes]
    scores : float array [sets, records, classes]
        Several, over which the mean is taken.
    draws : float32 array [records, replicates]

    Returns
    -------
    dict of str to (float, float64 array [replicates])
        macro_auprc and macro_auprc_common.

    """
    truth = labels.astype(bool)
    precision = [average_precision(labels, each) for each in scores]
    drawn = [_rankings(truth, each, draws)[0] for each in scores]
    common = truth.sum(axis=0) >= COMMON
    return {
        metric: (
            float(np.mean([nanmean(each[classes]) for each in precision])),
            np.mean([_macro(each[classes]) for each in drawn], axis=0),
        )
        for metric, classes in (("macro_auprc", np.full(len(common), True)), ("macro_auprc_common", common))
    }


def order_effect(labels: Labels, sample: Sample, permuted: Scores, draws: Draws) -> pd.DataFrame:
    """Return macro-AUPRC as it is and with permuted frames, and the difference with its 95% interval.

    Parameters
    ----------
    labels : uint8 array [records, classes]
    sample : Sample
        Of the same architecture.
    permuted : float array [seeds, permutations, records, classes]
    draws : float32 array [records, replicates]
        Those of the sample, or the first of them.

    Returns
    -------
    DataFrame
        Of all classes and of the common ones, a row each: metric, intact, permuted, difference, low and high.

    """
    rows = []
    found = macro_replicates(labels, permuted.reshape(-1, *labels.shape), draws)
    for metric, (value, replicates) in found.items():
        intact = sample.value[metric]
        ends = interval(replicates - sample.replicates[metric][: draws.shape[1]])
        rows.append((metric, intact, value, value - intact, *ends))
    return pd.DataFrame(rows, columns=["metric", "intact", "permuted", "difference", "low", "high"])


def interval(replicates: Array) -> tuple[float, float]:
    """Return the 95% percentile interval of a figure or a difference from its replicates.

    Those that are NaN are left out. NaN if none is left, or if all are one and the same value but 0, as
    those of a single patient are: such a bootstrap says nothing.
    """
    known = _known(replicates)
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)


def trained_again(
    difference: float, replicates: Array, seeds: list[Array], trainings: tuple[int, int]
) -> tuple[float, float]:
    """Return the 95% interval of a difference of two on other test records *and* with other seeds.

    The variance of the replicates and those of both means over seeds are added. The variance of one training
    is pooled over all architectures, since that of a few seeds is a matter of luck; the sum counts with the
    degrees of freedom of Satterthwaite (Biometrics Bulletin 2(6), 1946).

    Parameters
    ----------
    difference : float
    replicates : float64 array
        Of the difference; those that are NaN are left out.
    seeds : list of float64 array [seeds]
        The figure of each seed, of every architecture.
    trainings : (int, int)
        How many seeds each of the two means is of.

    Returns
    -------
    low, high : float
        NaN where a variance is not known, as that of one seed.

    """
    known, free = _known(replicates), sum(len(each) - 1 for each in seeds)
    if len(known) < 2 or not free:
        return float("nan"), float("nan")
    pooled = sum(float(((each - each.mean()) ** 2).sum()) for each in seeds) / free
    of_means = pooled * sum(1 / n for n in trainings)
    total = known.var(ddof=1) + of_means
    quantile = t.ppf(0.975, free * (total / of_means) ** 2) if of_means else norm.ppf(0.975)
    reach = float(quantile * np.sqrt(total))
    return difference - reach, difference + reach


def p_value(replicates: Array) -> float:
    """Return the two-sided p of no difference: about twice the level at which `interval` ends at 0.

    Replicates on a side of 0 are counted with one more, so that no p is 0; NaN as in `interval`.
    """
    known = _known(replicates)
    if not len(known):
        return float("nan")
    side = min((known <= 0).sum(), (known >= 0).sum())
    return float(min(1.0, 2 * (side + 1) / (len(known) + 1)))


def holm(p: pd.Series) -> pd.Series:
    """Return Holm's step-down correction of p values; missing ones are left out."""
    tested = p.dropna().sort_values(kind="stable")
    steps = tested * np.arange(len(tested), 0, -1)
    return steps.cummax().clip(upper=1.0).reindex(p.index)


def _known(replicates: Array) -> Array:
    """Return those that are not NaN; empty where they say nothing, as in `interval`."""
    known = replicates[~np.isnan(replicates)]
    return known[:0] if len(known) and known.min() == known.max() != 0 else known


def _one_seed(
    truth: NDArray[np.bool_], scores: Scores, guess: Decisions, draws: Draws
) -> tuple[dict[str, Array], Array]:
    total = draws.sum(axis=0, dtype=np.float64)
    # Draws are small whole numbers: float32 products and sums of them are exact up to 2^24.
    hits = _weigh(truth & guess, draws)
    both = _weigh(truth, draws) + _weigh(guess, draws)
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = 2 * hits / both
        micro = 2 * hits.sum(axis=0) / both.sum(axis=0)
    precision, area = _rankings(truth, scores, draws)
    common = truth.sum(axis=0) >= COMMON
    return {
        "macro_auprc": _macro(precision),
        "macro_auprc_common": _macro(precision[common]),
        "macro_auroc": _macro(area),
        "macro_auroc_common": _macro(area[common]),
        "micro_f1": micro,
        "macro_f1": _macro(f1),
        "hamming_loss": _weigh((truth != guess).sum(axis=1, keepdims=True), draws)[0]
        / total
        / truth.shape[1],
        "subset_accuracy": _weigh((truth == guess).all(axis=1, keepdims=True), draws)[0] / total,
    }, precision


def _weigh(values: NDArray[np.generic], draws: Draws) -> Array:
    """Return the drawn sum of each column of `values` [records, columns]: [columns, replicates]."""
    return np.asarray(values.T.astype(np.float32) @ draws, np.float64)


def _rankings(truth: NDArray[np.bool_], scores: Scores, draws: Draws) -> tuple[Array, Array]:
    """Return average precision and ROC AUC, each [classes, replicates]."""
    blocks = [np.ascontiguousarray(draws[:, k : k + BLOCK]) for k in range(0, draws.shape[1], BLOCK)]
    of_blocks = [
        np.stack([_ranking(y, s, block) for y, s in zip(truth.T, scores.T, strict=True)], axis=1)
        for block in blocks
    ]
    precision, area = np.concatenate(of_blocks, axis=2)
    return precision, area


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
    return ap, auc  # 0 / 0, which is NaN, where none is drawn


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
