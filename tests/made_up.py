"""A made-up comparison: its predictions are the better the less noise they have."""

import json

import numpy as np
import pandas as pd

from defaults import TRAINING
from ecg_temporal.comparison.findings import find
from ecg_temporal.comparison.recipe import Recipe
from ecg_temporal.comparison.results import read_probes, read_results
from ecg_temporal.comparison.settings import BootstrapSettings
from ecg_temporal.comparison.trivial import trivial_lines
from ecg_temporal.evaluation.predictions import (
    SPLITS,
    Predictions,
    read_predictions,
    rows,
    write_predictions,
)
from ecg_temporal.evaluation.summary import by_class, by_rule, by_seed, headline
from ecg_temporal.models.settings import ArchitectureSettings
from ecg_temporal.probing.settings import ProbeSettings
from ecg_temporal.reporting.tables import comparison

ARCHITECTURES = {
    "cnn": ArchitectureSettings(rnn="none", learning_rate=0.1),
    "cnn_bilstm": ArchitectureSettings(rnn="bilstm", learning_rate=0.1),
    "cnn_mixed": ArchitectureSettings(rnn="bilstm+gru", learning_rate=0.02),
    "model": ArchitectureSettings(rnn="gru", learning_rate=0.3),
}
NOISE = {"cnn": 2.0, "cnn_bilstm": 0.6, "cnn_mixed": 0.5, "model": 3.0, "removed": 1.0}
CLASSES = ["AMI", "NORM", "PMI"]
SEEDS = [0, 1]
PATIENTS = np.arange(300) // 2
IDS = dict.fromkeys(SPLITS, np.arange(300))
BOOTSTRAP = BootstrapSettings(replicates=200, seed=0, reference="cnn")
SETTINGS = TRAINING.model_copy(update={"epochs": 2, "seeds": SEEDS})
PROBES = ProbeSettings(permutations=2, seconds=[1, 2.5, 5], seed=0)
NAMES_BY_ID = pd.Series({9: "clinic/nine"})
RECIPE = Recipe(ARCHITECTURES, "half", SETTINGS, BOOTSTRAP, PROBES)
COST = {
    "training_step_bytes": 10_000_000,
    "latency_ms": 2.5,
    "hardware": "a machine",
    "multiply_accumulates": 61_000_000,
    "receptive_field_samples": 185,
    "training_step_ms": 600.0,
    "training_hardware": ["a machine"],
}


def make_case(folder):
    """Write metrics, predictions and probes into `folder`; return it, the labels, results and findings."""
    rng = np.random.default_rng(0)
    labels = {split: (rng.random((300, 3)) < [0.4, 0.5, 0.01]).astype(np.uint8) for split in SPLITS}
    labels["test"][0, 2] = 1
    found = {}
    for k, (name, noise) in enumerate(NOISE.items()):
        logits = {s: 3.0 * y - 2 + noise * rng.normal(size=(2, *y.shape)) for s, y in labels.items()}
        logits = {split: x[:, rows(split, 300)].astype(np.float32) for split, x in logits.items()}
        predictions = Predictions(
            SEEDS, logits, {split: np.arange(300)[rows(split, 300)] for split in SPLITS}, 1000 * (k + 1)
        )
        seeds = by_seed(labels, predictions, "half")
        tables = {
            "seeds": seeds,
            "rules": by_rule(labels, predictions, PATIENTS),
            "per_class": by_class(CLASSES, labels, predictions),
            "history": pd.DataFrame(
                {"epoch": [1, 2] * 2, "train_loss": [0.3, 0.2] * 2, "macro_auprc": 0.4, "seed": [0, 0, 1, 1]}
            ),
        }
        for kind, table in tables.items():
            (folder / "metrics" / kind).mkdir(parents=True, exist_ok=True)
            table.to_csv(folder / "metrics" / kind / f"{name}.csv", index=False)
        figures_of_it = headline(seeds, labels, predictions, "half")
        (folder / "metrics" / f"{name}.json").write_text(json.dumps(figures_of_it))
        (folder / "probes" / name).mkdir(parents=True)
        test = logits["test"]
        apart = np.random.default_rng(k)
        worse = [test + s * apart.normal(size=test.shape).astype(np.float32) for s in (3, 2, 1)]
        order = [test] * 2 if name == "cnn" else worse[1:]
        arrays = {"order": np.stack(order, axis=1), "context": np.stack(worse, axis=1), "seeds": SEEDS}
        np.savez(folder / "probes" / name / "logits.npz", **arrays)
        machine = {"training_hardware": ["another machine"]} if name == "model" else {}
        (folder / "probes" / name / "cost.json").write_text(json.dumps(COST | machine))
        write_predictions(folder / f"{name}.npz", predictions)
        found[name] = predictions
    del found["removed"]
    results = read_results(folder / "metrics", list(ARCHITECTURES), epochs=2)
    probes = read_probes(folder / "probes", list(ARCHITECTURES), SEEDS)
    findings = find(RECIPE, CLASSES, labels, PATIENTS, found, probes, results)
    return folder, labels, results, findings


def read_case(folder, names=ARCHITECTURES):
    """Return the predictions and the probes of the made-up comparison in `folder`, by architecture."""
    predictions = {name: read_predictions(folder / f"{name}.npz", SEEDS, IDS) for name in names}
    return predictions, read_probes(folder / "probes", list(names), SEEDS)


def table_of(labels, results, architectures=ARCHITECTURES, on_ptbxl=True):
    """Return the report's first table."""
    return comparison(
        results, architectures, trivial_lines(CLASSES, labels["test"], labels["train"]), on_ptbxl
    )


def manifest(dataset, skipped, flat_leads):
    return {"dataset": dataset, "skipped": skipped, "flat_leads": flat_leads}


def rows_of(page, head):
    """Return the cells of the Markdown table whose head names `head`, by their first."""
    (block,) = [
        block for block in page.split("\n\n") if block.startswith("|") and head in block.split("\n")[0]
    ]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines()[2:]]
    return {first.strip("*"): rest for first, *rest in cells}
