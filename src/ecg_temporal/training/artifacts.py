"""A trained model on disk: weights.pt, model.json, history.csv and run.json in one folder.

weights.pt is a plain state dict, model.json all that is needed to build the model for it, history.csv the
epochs. These three depend on params, data and code alone; run.json says where, when and how fast.
"""

import csv
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ecg_temporal.models.classifier import ECGClassifier
from ecg_temporal.models.settings import ArchitectureSettings, TrunkSettings

TIMES = ("seconds", "records_per_second")
"""Columns of the history that differ from run to run: in run.json, not in history.csv."""


@dataclass(frozen=True)
class ModelSpec:
    """What it takes to build a model, and what its inputs and outputs mean.

    `samples` is the length of the pieces that it was trained on.
    """

    classes: list[str]
    leads: list[str]
    sampling_rate_hz: int
    samples: int
    trunk: TrunkSettings
    architecture: ArchitectureSettings

    def build(self, statements: int = 0) -> ECGClassifier:
        """Return the model with fresh weights, in training with outputs for that many `statements` beside."""
        return ECGClassifier(len(self.leads), len(self.classes) + statements, self.trunk, self.architecture)


def write_model(
    folder: Path,
    spec: ModelSpec,
    weights: dict[str, Tensor],
    history: list[dict[str, float]],
    run: dict[str, Any],
) -> None:
    """Write a trained model into the existing `folder`."""
    # torch.save writes the file's name into the archive; through a buffer, equal weights are equal bytes.
    buffer = io.BytesIO()
    torch.save(weights, buffer)
    (folder / "weights.pt").write_bytes(buffer.getvalue())
    fields = {
        **asdict(spec),
        "trunk": spec.trunk.model_dump(),
        "architecture": spec.architecture.model_dump(),
    }
    (folder / "model.json").write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
    # The csv module, because importing pandas would take a training half as long as importing torch.
    with (folder / "history.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [name for name in history[0] if name not in TIMES], lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: row[name] for name in writer.fieldnames} for row in history)
    run = {**run, **{name: [round(row[name], 3) for row in history] for name in TIMES}}
    (folder / "run.json").write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")


def read_model(folder: Path) -> tuple[ECGClassifier, ModelSpec]:
    """Return the model of `folder` with its weights, in evaluation mode, and its spec.

    Raises:
        ValueError: a file is missing or damaged, or the weights don't fit the model.

    """
    try:
        fields = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        spec = ModelSpec(
            **{
                **fields,
                "trunk": TrunkSettings.model_validate(fields["trunk"]),
                "architecture": ArchitectureSettings.model_validate(fields["architecture"]),
            }
        )
        model = spec.build()
        model.load_state_dict(torch.load(folder / "weights.pt", map_location="cpu", weights_only=True))
    except Exception as error:  # a damaged file makes torch and json raise all kinds
        raise ValueError(f"{folder} is not a trained model ({type(error).__name__}: {error})") from error
    return model.eval(), spec
