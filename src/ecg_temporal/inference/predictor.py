"""Predict with the seeds of a trained architecture as one ensemble, under a decision rule."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ecg_temporal.comparison.verdict import read_verdict
from ecg_temporal.evaluation.decisions import DecisionRule, read_rules
from ecg_temporal.inference.provenance import DECISIONS, MODELS, refuse_mismatch
from ecg_temporal.lock import stage_name
from ecg_temporal.models.classifier import ECGClassifier
from ecg_temporal.training.artifacts import ModelSpec, read_model
from ecg_temporal.training.batches import pieces
from ecg_temporal.training.hardware import Hardware

VERDICT = Path("reports/tables/verdict.json")
BATCH_RECORDS, BATCH_SAMPLES = 64, 360_000
"""Records held at once, or samples, an hour of 100 Hz: of long records fewer."""
SHORTEST_SECONDS = 1.0
"""Of a record that is predicted. Shorter ones than those of training score lower: the report's Context."""


@dataclass(frozen=True)
class Predictor:
    """An architecture's seeds, and the rule that their ensemble decides by; see `load_predictor`."""

    models: list[ECGClassifier]
    spec: ModelSpec
    rule: DecisionRule
    hardware: Hardware

    def predict(self, signals: Iterable[NDArray[Any]]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return probabilities float64 and decisions bool, each [records, classes].

        The probabilities are calibrated, except under the rules `half` and `half+likeliest`.

        Parameters
        ----------
        signals : iterable of int16 or float32 arrays [leads, samples]
            In microvolts at `spec.sampling_rate_hz`, leads in the order of `spec.leads`, of any length. They
            are `levelled` first.

        """
        logits = [self.logits(batch) for batch in _batches(signals)]
        if not logits:
            nothing = np.empty((0, len(self.spec.classes)))
            return nothing, nothing.astype(bool)
        found = np.concatenate(logits)
        return self.rule.probabilities(found), self.rule.decide(found)

    def offsets(self, signals: NDArray[Any]) -> NDArray[np.float64]:
        """Return each lead's offset in signals [leads, samples], microvolts, float64 [leads].

        A lead is off if its mean and its median lie further from the training records' mean than their
        standard deviation, both on the same side, as the electrodes or a converter make it: the offset is its
        mean less the training mean. Other leads have 0.
        """
        known, spread = (
            getattr(self.models[0], name)[:, 0].double().cpu().numpy() for name in ("mean", "scale")
        )
        mean, median = signals.mean(axis=1) - known, np.median(signals, axis=1) - known
        far = np.minimum(mean * np.sign(median), np.abs(median)) > spread
        return np.where(far, mean, 0.0)

    def levelled(self, signals: NDArray[Any]) -> NDArray[np.float32]:
        """Return signals [leads, samples] without their `offsets`."""
        return (signals - self.offsets(signals)[:, None]).astype(np.float32)

    @torch.inference_mode()
    def logits(self, signals: list[NDArray[Any]]) -> NDArray[np.float32]:
        """Return the mean logits over a record's pieces and the seeds, float32 [records, classes]."""
        parts = [pieces(torch.from_numpy(self.levelled(one))[None], self.spec.samples) for one in signals]
        flat = [piece for of_record in parts for piece in of_record]
        owner = np.repeat(np.arange(len(parts)), [len(of_record) for of_record in parts])
        logits = np.empty((len(flat), len(self.spec.classes)), np.float32)
        # Pieces are of one length, but for records that are shorter than one.
        for length in {piece.shape[2] for piece in flat}:
            rows = [k for k, piece in enumerate(flat) if piece.shape[2] == length]
            for start in range(0, len(rows), BATCH_RECORDS):
                chunk = rows[start : start + BATCH_RECORDS]
                batch = torch.cat([flat[k] for k in chunk]).to(self.hardware.device)
                with self.hardware.autocast():
                    seeds = torch.stack([model(batch).float() for model in self.models])
                logits[chunk] = seeds.mean(dim=0).cpu().numpy()
        return np.stack([logits[owner == k].mean(axis=0) for k in range(len(signals))])


def load_predictor(
    name: str,
    rule: str,
    hardware: Hardware,
    models: Path = MODELS,
    decisions: Path = DECISIONS,
) -> Predictor:
    """Load the seeds of the architecture `name` that its rules were learned with; others are left alone.

    Raises:
        ValueError: it is not trained, or not evaluated, its weights are damaged, or others were trained
            since, and the message says what to run; or it has no such rule.

    """
    trained = sorted({path.parent.parent.name for path in models.glob("*/*/weights.pt")})
    if name not in trained:
        raise ValueError(
            f"{models / name}: no trained model; trained are: {', '.join(trained) or 'none'}. If params.yaml "
            f"has it, `dvc repro {stage_name('evaluate', name)}` trains it alone. What the verdict on PTB-XL "
            "calls enough is published: README.md, Use a trained model, has the command that brings it"
        )
    fitted = read_rules(decisions / f"{name}.json")
    refuse_mismatch(name, models, decisions)
    if rule not in fitted.rules:
        raise ValueError(f"there is no rule {rule!r}, but {', '.join(fitted.rules)}")
    if not fitted.seeds:
        raise ValueError(f"{decisions / name}.json names no seed; run `dvc repro`")
    loaded = [read_model(models / name / str(seed)) for seed in fitted.seeds]
    if any(spec.classes != fitted.classes for _, spec in loaded):
        raise ValueError(
            f"{decisions / name}.json is of other classes than {models / name}; "
            f"run `dvc repro {stage_name('evaluate', name)}`"
        )
    return Predictor(
        [model.to(hardware.device) for model, _ in loaded], loaded[0][1], fitted.rules[rule], hardware
    )


def winners(verdict: Path = VERDICT) -> dict[str, str]:
    """Return the architectures of the computed verdict: "winner", the least that is enough, and "best".

    Raises:
        ValueError: there is no report.

    """
    try:
        found = read_verdict(verdict)
    except ValueError as error:
        raise ValueError(f"{error}, or say which model") from None
    return {"winner": found.least, "best": found.best}


def _batches(signals: Iterable[NDArray[Any]]) -> Iterator[list[NDArray[Any]]]:
    batch: list[NDArray[Any]] = []
    for one in signals:
        batch.append(one)
        if len(batch) == BATCH_RECORDS or sum(each.shape[1] for each in batch) >= BATCH_SAMPLES:
            yield batch
            batch = []
    if batch:
        yield batch
