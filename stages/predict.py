"""Predict with every seed of one trained architecture.

    python stages/predict.py ARCHITECTURE

Writes predictions/<architecture>.npz, logits of the validation and the test fold and of every eighth record
of the training folds, in fp32: the same weights give the same, up to rounding, with bf16 hardware and
without; and metrics/history/<architecture>.csv, the epochs of all seeds. Evaluation and report need no model.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ecg_temporal import files
from ecg_temporal.evaluation.predictions import SPLITS, Predictions, rows, write_predictions
from ecg_temporal.leftovers import refuse_left_over
from ecg_temporal.models.classifier import count_parameters
from ecg_temporal.settings import read_params, section
from ecg_temporal.store import read_split
from ecg_temporal.training.artifacts import read_model
from ecg_temporal.training.batches import Batches
from ecg_temporal.training.hardware import choose_hardware
from ecg_temporal.training.loop import predict_logits
from ecg_temporal.training.settings import TrainSettings

DATA, MODELS = Path("data/processed"), Path("models")
OUT, HISTORY = Path("predictions"), Path("metrics/history")
BATCH_SIZE = 512


def main() -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description="Predict with every seed of one trained architecture.")
    parser.add_argument("architecture")
    name = parser.parse_args().architecture

    settings = section(read_params(), "train", TrainSettings)
    refuse_left_over(MODELS / name, settings.seeds)
    hardware = choose_hardware(settings.device, "fp32")
    splits = {}
    for split in SPLITS:
        whole = read_split(DATA / split)
        splits[split] = whole.part(rows(split, len(whole)))
    batches = {split: Batches(data, BATCH_SIZE, hardware) for split, data in splits.items()}
    logits: dict[str, list[np.ndarray]] = {split: [] for split in SPLITS}
    epochs = []
    for seed in tqdm(settings.seeds, unit="seed", desc=name):
        folder = MODELS / name / str(seed)
        model, spec = read_model(folder)
        if spec.classes != splits["test"].description.classes:
            raise ValueError(f"{folder} was trained on other classes than data/processed has")
        model.to(hardware.device)
        for split in SPLITS:
            logits[split].append(predict_logits(model, batches[split], spec.samples))
        epochs.append(pd.read_csv(folder / "history.csv").assign(seed=seed))
    predictions = Predictions(
        settings.seeds,
        {split: np.stack(logits[split]) for split in SPLITS},
        {split: splits[split].ecg_id for split in SPLITS},
        count_parameters(model),
    )
    with files.replacing_file(HISTORY / f"{name}.csv") as temporary:
        pd.concat(epochs).to_csv(temporary, index=False)
    write_predictions(OUT / f"{name}.npz", predictions)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f"predict {' '.join(sys.argv[1:])}: {error}")
