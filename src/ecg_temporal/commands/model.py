"""The trained model that a command uses, and what it says of a record beside its findings."""

from ecg_temporal.commands.output import tell
from ecg_temporal.inference.predictor import Predictor, load_predictor, winners
from ecg_temporal.inference.provenance import trained_on
from ecg_temporal.inference.records import ECG
from ecg_temporal.training.hardware import choose_hardware


def load(model: str | None, rule: str) -> tuple[str, Predictor]:
    """Return the architecture that was asked for, by default the winner, and its predictor."""
    name = model or winners()["winner"]
    predictor = load_predictor(name, rule, choose_hardware("auto", "fp32"))
    if (dataset := trained_on(name)) == "synthetic":
        tell(f"{name} was trained on synthetic ECGs: it says nothing of real ones")
    elif dataset == "own":
        tell(f"{name} was trained on your own records, not on PTB-XL")
    return name, predictor


def print_warnings(ecg: ECG, predictor: Predictor) -> list[str]:
    """Print what speaks against a record, and return it."""
    warnings = ecg.quality_warnings()
    offsets = zip(predictor.spec.leads, predictor.offsets(ecg.signals).tolist(), strict=True)
    if moved := ", ".join(f"{lead} {offset / 1000:+.2g}" for lead, offset in offsets if offset):
        warnings.append(f"leads far from zero, whose mean (mV) is taken away: {moved}")
    for warning in warnings:
        tell(f"{ecg.name}: {warning}")
    return warnings
