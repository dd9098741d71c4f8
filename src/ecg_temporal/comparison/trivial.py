"""Predictions that need no model: the lines that every result stands beside."""

import numpy as np
from numpy.typing import NDArray

from ecg_temporal.evaluation.summary import headline_metrics


def trivial_lines(
    classes: list[str], labels: NDArray[np.uint8], train_labels: NDArray[np.uint8]
) -> dict[str, dict[str, float]]:
    """Return the headline figures of two constant predictions.

    Parameters
    ----------
    classes : list of str
    labels : uint8 array [records, classes]
        Of the test fold.
    train_labels : uint8 array [training records, classes]
        By which a class is the commonest.

    Returns
    -------
    dict
        "nothing": no class, whatever the record; "always NORM", or what else is the commonest class: that
        alone. A constant ranks nothing: its AUPRC is the prevalence, its AUROC one half.

    """
    common = int(train_labels.sum(axis=0).argmax())
    nothing = np.zeros(labels.shape)
    always = nothing.copy()
    always[:, common] = 1.0
    return {
        "nothing": headline_metrics(labels, nothing, nothing > 0),
        f"always {classes[common]}": headline_metrics(labels, always, always > 0),
    }
