"""What each seed decides, and loses, on one fold, by rules that were learned from other patients."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ecg_temporal.evaluation.cross_validation import cross_fit
from ecg_temporal.evaluation.decisions import DecisionRule
from ecg_temporal.evaluation.predictions import Predictions
from ecg_temporal.evaluation.summary import LabelsBySplit, fit_seed_rules, log_loss


def decide(
    rule: str, labels: LabelsBySplit, predictions: Predictions, split: str, patients: NDArray[np.generic]
) -> NDArray[np.bool_]:
    """Return the decisions of each seed on each record of a split, bool [seeds, records, classes].

    Parameters
    ----------
    rule : str
        One of `evaluation.settings.RULES`.
    labels : dict of str to uint8 array [records, classes]
        Of every split, all records.
    predictions : Predictions
    split : {'validation', 'test'}
        Rules are learned on the validation fold; there those for a record from other patients (`cross_fit`).
    patients : array [records]
        Whose each record of `split` is.

    Raises
    ------
    ValueError
        `split` is the validation fold, and of too few patients, as in `cross_fit`.

    """
    decisions = np.empty(predictions.logits[split].shape, bool)
    for seed, part, fitted in _fitted(rule, labels, predictions, split, patients):
        decisions[seed, part] = fitted.decide(predictions.logits[split][seed, part])
    return decisions


def losses(
    labels: LabelsBySplit, predictions: Predictions, split: str, patients: NDArray[np.generic]
) -> dict[str, NDArray[np.float64]]:
    """Return the binary cross-entropy of each record of a split, float64 [seeds, records] by name.

    log_loss is that as trained, log_loss_calibrated that after Platt scaling, which is learned as the rules
    of `decide` are, whose parameters these are.
    """
    logits = predictions.logits[split]
    calibrated = np.empty(logits.shape)
    for seed, part, fitted in _fitted("platt", labels, predictions, split, patients):
        calibrated[seed, part] = fitted.calibration.logits(logits[seed, part])
    return {
        "log_loss": np.stack([log_loss(labels[split], x) for x in logits]),
        "log_loss_calibrated": np.stack([log_loss(labels[split], x) for x in calibrated]),
    }


def _fitted(
    rule: str, labels: LabelsBySplit, predictions: Predictions, split: str, patients: NDArray[np.generic]
) -> Iterator[tuple[int, NDArray[np.intp], DecisionRule]]:
    """Yield a seed's position, records of the split, and the seed's rule for them."""
    if split == "validation":
        for seed, logits in enumerate(predictions.logits["validation"]):
            for part, rules in cross_fit([rule], labels["validation"], logits, labels["train"], patients):
                yield seed, part, rules[rule]
    else:
        for seed, fitted in enumerate(fit_seed_rules(labels, predictions, rule)):
            yield seed, np.arange(len(labels[split])), fitted
