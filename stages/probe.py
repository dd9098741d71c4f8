"""Probe one trained architecture on the test fold: order, context and cost, in probes/<architecture>.

    python stages/probe.py ARCHITECTURE

Writes logits.npz (float32: order [seeds, permutations, records, classes], context [seeds, seconds, records,
classes]; and the seeds) and cost.json.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ecg_temporal import files
from ecg_temporal.leftovers import refuse_left_over
from ecg_temporal.probing.cost import (
    latency,
    multiply_accumulates,
    training_step_memory,
    training_step_time,
)
from ecg_temporal.probing.probes import cropped_logits, permuted_logits, receptive_field
from ecg_temporal.probing.settings import ProbeSettings
from ecg_temporal.settings import read_params, section
from ecg_temporal.store import read_split
from ecg_temporal.training.artifacts import read_model
from ecg_temporal.training.batches import Batches, pieces
from ecg_temporal.training.hardware import choose_hardware
from ecg_temporal.training.settings import TrainSettings

TEST, MODELS, OUT = Path("data/processed/test"), Path("models"), Path("probes")
BATCH_SIZE = 256


def main() -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description="Probe one trained architecture on the test fold.")
    parser.add_argument("architecture")
    name = parser.parse_args().architecture

    params = read_params()
    settings = section(params, "train", TrainSettings)
    probes = section(params, "probes", ProbeSettings)
    refuse_left_over(MODELS / name, settings.seeds)
    hardware = choose_hardware(settings.device, "fp32")
    test = read_split(TEST)
    lengths = [round(seconds * test.description.sampling_rate_hz) for seconds in probes.seconds]
    folders = {seed: MODELS / name / str(seed) for seed in settings.seeds}
    runs = [json.loads((folder / "run.json").read_text(encoding="utf-8")) for folder in folders.values()]

    # On one thread of a CPU: on two, the same step takes a fifth more or less from one time to the next.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    # Memory first: what has been used before hides what a step needs.
    model, spec = read_model(folders[settings.seeds[0]])
    model.to(hardware.device)
    some = torch.from_numpy(np.array(test.signals[: settings.batch_size, :, : spec.samples]))
    one = torch.cat(pieces(torch.from_numpy(np.array(test.signals[:1])), spec.samples))
    truth = torch.from_numpy(test.labels[: settings.batch_size]).float()
    cost = {
        "training_step_bytes": training_step_memory(model, some, truth, hardware),
        "training_step_ms": training_step_time(model, some, truth, hardware),
        "latency_ms": latency(model, one, hardware),
        "hardware": str(hardware),
        "multiply_accumulates": multiply_accumulates(model, one.to(hardware.device)),
        "receptive_field_samples": receptive_field(spec.trunk),
        "training_hardware": sorted({f"{run['hardware']} in {run['precision']}" for run in runs}),
    }

    torch.set_num_threads(threads)
    batches = Batches(test, BATCH_SIZE, hardware)
    order, context = [], []
    for folder in tqdm(folders.values(), unit="seed", desc=name):
        model, spec = read_model(folder)
        model.to(hardware.device)
        order.append(permuted_logits(model, batches, spec.samples, probes.permutations, probes.seed))
        context.append(cropped_logits(model, batches, spec.samples, lengths))
    with files.replacing_folder(OUT / name) as out:
        arrays = {"order": np.stack(order), "context": np.stack(context), "seeds": np.array(settings.seeds)}
        np.savez(out / "logits.npz", allow_pickle=False, **arrays)
        (out / "cost.json").write_text(json.dumps(cost, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f"probe {' '.join(sys.argv[1:])}: {error}")
