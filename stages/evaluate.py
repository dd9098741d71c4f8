"""Measure one trained architecture on the test fold.

    python stages/evaluate.py ARCHITECTURE

Writes predictions/<architecture>.npz (folds 9 and 10, every seed), metrics/<architecture>.json, and per
class and per epoch metrics/per_class/<architecture>.csv and metrics/history/<architecture>.csv.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ecg_temporal import files
from ecg_temporal.evaluation.predictions import Predictions, write_predictions
from ecg_temporal.evaluation.summary import by_class, headline
from ecg_temporal.models.classifier import count_parameters
from ecg_temporal.settings import read_params, section
from ecg_temporal.store import read_split
from ecg_temporal.training.artifacts import read_model
from ecg_temporal.training.batches import Batches
from ecg_temporal.training.hardware import choose_hardware
from ecg_temporal.training.loop import predict_logits
from ecg_temporal.training.settings import TrainSettings

DATA, MODELS = Path("data/processed"), Path("models")
PREDICTIONS, METRICS = Path("predictions"), Path("metrics")
BATCH_SIZE = 512


def main() -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description="Measure one trained architecture on the test fold.")
    parser.add_argument("architecture")
    name = parser.parse_args().architecture

    settings = section(read_params(), "train", TrainSettings)
    # fp32: what is published does not depend on what the hardware can multiply.
    hardware = choose_hardware(settings.device, "fp32")
    splits = {split: read_split(DATA / split) for split in ("validation", "test")}
    batches = {split: Batches(data, BATCH_SIZE, hardware) for split, data in splits.items()}
    probabilities: dict[str, list[np.ndarray]] = {split: [] for split in splits}
    histories = []
    for seed in tqdm(settings.seeds, unit="seed", desc=name):
        folder = MODELS / name / str(seed)
        model, spec = read_model(folder)
        if spec.classes != splits["test"].description.classes:
            raise ValueError(f"{folder} was trained on other classes than data/processed has")
        model.to(hardware.device)
        for split in splits:
            logits = predict_logits(model, batches[split])
            probabilities[split].append((1 / (1 + np.exp(-logits.astype(np.float64)))).astype(np.float32))
        histories.append(pd.read_csv(folder / "history.csv").assign(seed=seed))

    predictions = Predictions(
        validation=np.stack(probabilities["validation"]),
        validation_ecg_id=splits["validation"].ecg_id,
        test=np.stack(probabilities["test"]),
        test_ecg_id=splits["test"].ecg_id,
    )
    test = splits["test"]
    figures = headline(test.labels, predictions.test) | {"parameters": count_parameters(model)}

    write_predictions(PREDICTIONS / f"{name}.npz", predictions)
    with files.replacing_file(METRICS / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    with files.replacing_file(METRICS / "per_class" / f"{name}.csv") as temporary:
        by_class(test.description.classes, test.labels, predictions.test).to_csv(temporary, index=False)
    with files.replacing_file(METRICS / "history" / f"{name}.csv") as temporary:
        pd.concat(histories).to_csv(temporary, index=False)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f"evaluate {' '.join(sys.argv[1:])}: {error}")
