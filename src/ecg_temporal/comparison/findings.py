"""What the comparison found: every table of the report, computed from predictions, probes and results."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from ecg_temporal.comparison.bootstrap import (
    Sample,
    class_differences,
    differences,
    draw,
    interval,
    intervals,
    macro_replicates,
    of_metric,
    order_effect,
    resample,
)
from ecg_temporal.comparison.contrasts import contrasts
from ecg_temporal.comparison.held_out import decide, losses
from ecg_temporal.comparison.recipe import Recipe
from ecg_temporal.comparison.results import Probes, Results
from ecg_temporal.comparison.verdict import (
    COMMON_METRIC,
    VERDICT_METRIC,
    Verdict,
    best,
    verdict,
)
from ecg_temporal.evaluation.calibration import expected_calibration_error, reliability_curve
from ecg_temporal.evaluation.metrics import average_precision
from ecg_temporal.evaluation.predictions import SPLITS, Predictions
from ecg_temporal.evaluation.summary import (
    HEADLINE,
    LabelsBySplit,
    fit_seed_rules,
    headline_metrics,
)
from ecg_temporal.models.settings import CANDIDATE

Curve = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]

PROBE_REPLICATES = 1000
"""Of the bootstrap's replicates so many go to the probes, which have many logits and no correction."""
WITHOUT, WITH, MORE = "without recurrence", "with recurrence", "with minus without"
"""Groups of architectures in `Findings.longer`, and the difference of the two."""


@dataclass(frozen=True)
class Findings:
    """The tables of a report.

    Attributes
    ----------
    best : str
        The compared architecture with the best VERDICT_METRIC.
    best_recurrent : str or None
        The best of those with recurrence, to be set against the reference diagnosis by diagnosis; None where
        there is none, or it is the reference.
    verdicts : dict of str to Verdict
        By metric of HEADLINE, but for those that are defined for no architecture.
    recurrence : dict or None
        The row of `bootstrap.differences` that sets the best with recurrence against what is enough without,
        on VERDICT_METRIC; None where the verdict says that by itself, or there is none.
    intervals, from_reference, from_best, classes : DataFrame
        As `comparison.bootstrap` gives them; `classes` are differences from the reference. Beside the metrics
        of `headline_metrics` they have log_loss, the binary cross-entropy, and log_loss_calibrated, that
        after Platt scaling on the validation fold.
    contrasts : DataFrame
        As `comparison.contrasts` gives them.
    labelled : DataFrame
        HEADLINE by architecture, on the test records that have a label.
    order : DataFrame
        `bootstrap.order_effect` of each architecture.
    order_classes : DataFrame
        Average precision with permuted frames less that without, [subclass, architecture].
    context : DataFrame
        VERDICT_METRIC and COMMON_METRIC by length of signal: architecture, metric, seconds and value. One
        piece from the middle, and at 10 the whole record, the mean over its pieces.
    longer : DataFrame
        What the longest piece gains on the shortest: architecture, metric, difference, low and high. After
        the architectures come the means over those WITHOUT and WITH recurrence, and what the second has more.
    gaps : DataFrame
        By architecture: loss and VERDICT_METRIC on each split.
    cost : DataFrame
        By architecture, what stages/probe.py measured, and parameters.
    reliability : dict of str to tuple of arrays
        "as trained" and "calibrated" → `reliability_curve` of what is enough, over its seeds.
    calibration_floor : float
        The mean classwise expected calibration error of what is enough, if its calibrated probabilities came
        true exactly as often as they say: what is left of it by chance, on so many records.

    """

    best: str
    best_recurrent: str | None
    verdicts: dict[str, Verdict]
    recurrence: dict[str, Any] | None
    intervals: pd.DataFrame
    from_reference: pd.DataFrame
    from_best: pd.DataFrame
    classes: pd.DataFrame
    contrasts: pd.DataFrame
    labelled: pd.DataFrame
    order: pd.DataFrame
    order_classes: pd.DataFrame
    context: pd.DataFrame
    longer: pd.DataFrame
    gaps: pd.DataFrame
    cost: pd.DataFrame
    reliability: dict[str, Curve]
    calibration_floor: float

    @property
    def verdict(self) -> Verdict:
        """The verdict on VERDICT_METRIC."""
        return self.verdicts[VERDICT_METRIC]


def find(
    recipe: Recipe,
    classes: list[str],
    labels: LabelsBySplit,
    patients: NDArray[np.generic],
    predictions: dict[str, Predictions],
    probes: Probes,
    results: Results,
) -> Findings:
    """Return what the comparison found.

    Parameters
    ----------
    recipe : Recipe
    classes : list of str
    labels : dict of str to uint8 array [records, classes]
        Of every split, all records.
    patients : array [records]
        Whose each test record is.
    predictions, probes, results
        Of every architecture.

    """
    truth, bootstrap, compared = labels["test"], recipe.bootstrap, recipe.compared
    draws = draw(patients, bootstrap.replicates, bootstrap.seed)
    decisions = {n: decide(recipe.rule, labels, p, "test", patients) for n, p in predictions.items()}
    samples = {
        name: resample(truth, p.logits["test"], decisions[name], draws, losses(labels, p, "test", patients))
        for name, p in predictions.items()
    }
    of_probes = draws[:, :PROBE_REPLICATES]
    context, longer = _context(truth, samples, probes, recipe, of_probes)
    scores = pd.DataFrame({name: samples[name].value for name in compared}).T
    winner = best(scores[VERDICT_METRIC], VERDICT_METRIC)
    recurrent = [name for name, settings in compared.items() if settings.cells]
    strongest = best(scores.loc[recurrent, VERDICT_METRIC], VERDICT_METRIC) if recurrent else None
    parameters = results.headline["parameters"].to_dict()
    verdicts = {}
    for metric in HEADLINE:
        if scores[metric].notna().any():
            from_its_best = differences(samples, best(scores[metric], metric), CANDIDATE)
            verdicts[metric] = verdict(from_its_best, compared, parameters, metric)
    # Every class is rare, or all records have it: no interval says anything.
    if COMMON_METRIC not in verdicts or "macro_auroc" not in verdicts:
        verdicts = {metric: replace(each, low=None, high=None) for metric, each in verdicts.items()}
    enough, decided = verdicts[VERDICT_METRIC].least, verdicts[VERDICT_METRIC].decided
    recurrence = None
    if decided and strongest not in (None, winner) and not compared[enough].cells:
        from_enough: Any = of_metric(differences(samples, enough), VERDICT_METRIC).to_dict("index")
        recurrence = {"architecture": strongest, **from_enough[strongest]}
    has_label = np.asarray(truth.any(axis=1))
    logits = predictions[enough].logits["test"]
    rules = fit_seed_rules(labels, predictions[enough], "platt")
    calibrated = np.stack([rule.probabilities(of_seed) for rule, of_seed in zip(rules, logits, strict=True)])
    positives = dict(zip(classes, truth.sum(axis=0).tolist(), strict=True))
    return Findings(
        best=winner,
        best_recurrent=strongest if strongest != bootstrap.reference else None,
        verdicts=verdicts,
        recurrence=recurrence,
        intervals=intervals(samples),
        from_reference=differences(samples, bootstrap.reference, CANDIDATE),
        from_best=differences(samples, winner, CANDIDATE),
        classes=class_differences(samples, bootstrap.reference, positives),
        contrasts=contrasts(samples, compared),
        labelled=_labelled(truth, has_label, predictions, decisions),
        order=_order(truth, samples, probes, of_probes),
        order_classes=_order_classes(truth, samples, probes, classes),
        context=context,
        longer=longer,
        gaps=_gaps(results),
        cost=pd.DataFrame.from_dict(probes.cost, orient="index").join(results.headline["parameters"]),
        reliability={
            "as trained": _reliability(truth, expit(logits.astype(np.float64))),
            "calibrated": _reliability(truth, calibrated),
        },
        calibration_floor=_calibration_floor(calibrated),
    )


def _labelled(
    truth: NDArray[np.uint8],
    rows: NDArray[np.bool_],
    predictions: dict[str, Predictions],
    decisions: dict[str, NDArray[np.bool_]],
) -> pd.DataFrame:
    found = {}
    for name, p in predictions.items():
        seeds = zip(p.logits["test"], decisions[name], strict=True)
        each = pd.DataFrame(
            [headline_metrics(truth[rows], logits[rows], made[rows]) for logits, made in seeds]
        )
        found[name] = each[list(HEADLINE)].mean()
    return pd.DataFrame.from_dict(found, orient="index")


def _order(
    truth: NDArray[np.uint8], samples: dict[str, Sample], probes: Probes, draws: NDArray[np.float32]
) -> pd.DataFrame:
    effects = {
        name: order_effect(truth, sample, probes.order[name], draws) for name, sample in samples.items()
    }
    return pd.concat(effects, names=["architecture", None]).reset_index("architecture")


def _order_classes(
    truth: NDArray[np.uint8], samples: dict[str, Sample], probes: Probes, classes: list[str]
) -> pd.DataFrame:
    change = {}
    for name, sample in samples.items():
        flat = probes.order[name].reshape(-1, *truth.shape)
        change[name] = np.mean([average_precision(truth, x) for x in flat], axis=0) - sample.by_class
    return pd.DataFrame(change, index=pd.Index(classes, name="subclass"))


def _context(
    truth: NDArray[np.uint8],
    samples: dict[str, Sample],
    probes: Probes,
    recipe: Recipe,
    draws: NDArray[np.float32],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return `Findings.context` and `Findings.longer`."""
    seconds = recipe.probes.seconds
    rows: list[tuple[str, str, float, float]] = []
    gains: dict[tuple[str, str], tuple[float, NDArray[np.float64]]] = {}
    for name, sample in samples.items():
        found = [macro_replicates(truth, each, draws) for each in np.swapaxes(probes.context[name], 0, 1)]
        for metric in (VERDICT_METRIC, COMMON_METRIC):
            rows += [(name, metric, s, each[metric][0]) for s, each in zip(seconds, found, strict=True)]
            rows.append((name, metric, 10.0, sample.value[metric]))
            (low, of_low), (high, of_high) = found[0][metric], found[-1][metric]
            gains[name, metric] = high - low, of_high - of_low
    for metric in (VERDICT_METRIC, COMMON_METRIC):
        for group, recurs in ((WITHOUT, False), (WITH, True)):
            of_group = [gains[k, metric] for k, each in recipe.compared.items() if bool(each.cells) == recurs]
            if of_group:
                values, replicates = zip(*of_group, strict=True)
                gains[group, metric] = float(np.mean(values)), np.mean(replicates, axis=0)
        if (WITHOUT, metric) in gains and (WITH, metric) in gains:
            more, less = gains[WITH, metric], gains[WITHOUT, metric]
            gains[MORE, metric] = more[0] - less[0], more[1] - less[1]
    ends = [(*key, value, *interval(replicates)) for key, (value, replicates) in gains.items()]
    return (
        pd.DataFrame(rows, columns=["architecture", "metric", "seconds", "value"]),
        pd.DataFrame(ends, columns=["architecture", "metric", "difference", "low", "high"]),
    )


def _gaps(results: Results) -> pd.DataFrame:
    means = results.seeds.groupby(["architecture", "split"], sort=False)[["loss", VERDICT_METRIC]].mean()
    return pd.DataFrame(
        {
            f"{metric} {split}": means[metric].xs(split, level="split")
            for metric in means.columns
            for split in SPLITS
        }
    )


def _reliability(truth: NDArray[np.uint8], probabilities: NDArray[np.float64]) -> Curve:
    return reliability_curve(np.concatenate([truth] * len(probabilities)), np.concatenate(probabilities))


def _calibration_floor(probabilities: NDArray[np.float64]) -> float:
    rng = np.random.default_rng(0)
    errors = [
        expected_calibration_error((rng.random(of_seed.shape) < of_seed).astype(np.uint8), of_seed)
        for of_seed in probabilities
        for _ in range(20)
    ]
    return float(np.mean(errors))
