"""The paired bootstrap, against a loop over scikit-learn's functions."""

import numpy as np
from sklearn import metrics

from benchmarks.measure import Row, in_turn, row, seconds
from ecg_temporal.comparison.bootstrap import draw, resample
from ecg_temporal.evaluation.summary import COMMON
from ecg_temporal.store import Split

REPLICATES, ARCHITECTURES, LOOPED = 1000, 14, 2


def resampling(split: Split, hardware: str) -> Row:
    """Compare a replicate of all metrics of one architecture.

    Ours is timed for all replicates of all architectures, scikit-learn's loop for a few replicates of one:
    all of them would take it hours. Their values must agree to 1e-9.
    """
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(ARCHITECTURES, 1, *split.labels.shape))
    scores = 1 / (1 + np.exp(2 - 3 * split.labels - noise))
    draws = draw(np.arange(len(split)), REPLICATES, 0)

    def vectorised() -> list[dict[str, np.ndarray]]:
        return [resample(split.labels, of_one, of_one >= 0.5, draws).replicates for of_one in scores]

    def looped() -> list[dict[str, float]]:
        return [_loop(split, scores[0, 0], draws[:, k]) for k in range(LOOPED)]

    expected = looped()
    for name, values in vectorised()[0].items():
        for value, figures in zip(values, expected, strict=False):
            np.testing.assert_allclose(value, figures[name], rtol=0, atol=1e-9, err_msg=name)
    ours, reference = in_turn(
        lambda: 1e3 * seconds(vectorised) / REPLICATES / ARCHITECTURES,
        lambda: 1e3 * seconds(looped) / LOOPED,
        3,
    )
    return row(
        "paired bootstrap, against a loop over scikit-learn",
        ours,
        reference,
        "≥ 100",
        "ms/replicate",
        hardware,
        "reference / ours",
    )


def _loop(split: Split, scores: np.ndarray, draws: np.ndarray) -> dict[str, float]:
    rows = np.repeat(np.arange(len(split)), draws.astype(int))
    truth, scores = split.labels[rows], scores[rows]
    guess = scores >= 0.5
    present = [k for k in range(truth.shape[1]) if 0 < truth[:, k].sum() < len(truth)]
    named = [k for k in range(truth.shape[1]) if truth[:, k].any() or guess[:, k].any()]
    precision = {k: metrics.average_precision_score(truth[:, k], scores[:, k]) for k in present}
    area = {k: metrics.roc_auc_score(truth[:, k], scores[:, k]) for k in present}
    common = [k for k in present if split.labels[:, k].sum() >= COMMON]
    return {
        "macro_auprc": float(np.mean(list(precision.values()))),
        "macro_auprc_common": float(np.mean([precision[k] for k in common])),
        "macro_auroc": float(np.mean(list(area.values()))),
        "macro_auroc_common": float(np.mean([area[k] for k in common])),
        "micro_f1": metrics.f1_score(truth, guess, average="micro"),
        "macro_f1": metrics.f1_score(truth[:, named], guess[:, named], average="macro"),
        "hamming_loss": metrics.hamming_loss(truth, guess),
        "subset_accuracy": metrics.accuracy_score(truth, guess),
    }
