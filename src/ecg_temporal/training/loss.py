"""The loss: binary cross-entropy in which the positives of rare classes count more."""

import torch.nn.functional as F
from torch import Tensor


def positive_weight(targets: Tensor, power: float) -> Tensor:
    """Return the weight of each class's positives, its share of the records to the power of -`power`.

    Parameters
    ----------
    targets : Tensor, float32 [records, classes]
        0 or 1, of all training records.
    power : float
        0 weighs all positives 1; 1 lets those of each class weigh as much together.

    Returns
    -------
    float32 [classes]
        A class without a positive has the weight of one that has a single one.

    """
    share = targets.mean(dim=0).clamp(min=1 / len(targets))
    return share**-power


def weighted_cross_entropy(logits: Tensor, targets: Tensor, pos_weight: Tensor) -> Tensor:
    """Return the binary cross-entropy of each record and class, its positives weighing `pos_weight`.

    A weight alone would make all probabilities too high. The logits are therefore raised by its logarithm
    here, and nowhere else: the loss is then least where they are those of the true probabilities (Elkan, The
    Foundations of Cost-Sensitive Learning, IJCAI 2001).

    Parameters
    ----------
    logits, targets : Tensor, float32 [batch, classes]
    pos_weight : Tensor, float32 [classes]
        As of torch.nn.BCEWithLogitsLoss.

    Returns
    -------
    float32 [batch, classes]

    """
    return F.binary_cross_entropy_with_logits(
        logits + pos_weight.log(), targets, pos_weight=pos_weight, reduction="none"
    )
