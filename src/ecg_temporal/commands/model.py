"""The trained model that a command uses, and what it says of a record beside its findings."""

import sys
from typing import Literal

from ecg_temporal.inference.predictor import DECISIONS, MODELS, Predictor, load_predictor, winners
from ecg_temporal.inference.provenance import trained_on
from ecg_temporal.inference.records import ECG
from ecg_temporal.training.hardware import choose_hardware


def load(model: str | None, rule: str, device: Literal["auto", "cpu"] = "auto") -> tuple[str, Predictor]:
    """Return the architecture that was asked for, by default the winner, and its predictor."""
    name = model or winners()["winner"]
    predictor = load_predictor(name, rule, choose_hardware(device, "fp32"))
    if trained_on(name, MODELS, DECISIONS) == "synthetic":
        print(f"{name} was trained on synthetic ECGs: it says nothing of real ones", file=sys.stderr)
    return name, predictor


def print_warnings(ecg: ECG, predictor: Predictor) -> list[str]:
    """Print what speaks against a record, and return it."""
    told = ecg.quality_warnings()
    far = zip(predictor.spec.leads, predictor.offsets(ecg.signals).tolist(), strict=True)
    if taken := ", ".join(f"{lead} {offset / 1000:+.2g}" for lead, offset in far if offset):
        told.append(f"leads far from zero, whose mean (mV) is taken away: {taken}")
    for warning in told:
        print(f"{ecg.name}: {warning}", file=sys.stderr)
    return told
