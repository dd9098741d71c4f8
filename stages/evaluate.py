"""Measure one trained architecture on the test fold, under the decision rule of params.yaml.

    python stages/evaluate.py ARCHITECTURE

Writes metrics/<architecture>.json; the tables <architecture>.csv in metrics/seeds, metrics/rules and
metrics/per_class; and decisions/<architecture>.json, every rule as the seeds' ensemble learned it.
"""

import argparse
import json
import sys
from pathlib import Path

from ecg_temporal import files
from ecg_temporal.evaluation.decisions import EnsembleRules, write_rules
from ecg_temporal.evaluation.predictions import SPLITS, read_predictions
from ecg_temporal.evaluation.settings import RULES, DecisionSettings
from ecg_temporal.evaluation.summary import by_class, by_rule, by_seed, fit_ensemble_rules, headline
from ecg_temporal.ptbxl.raw import TABLE, read_table
from ecg_temporal.settings import read_params, section
from ecg_temporal.store import read_split
from ecg_temporal.training.settings import TrainSettings

RAW, DATA, PREDICTIONS = Path("data/raw"), Path("data/processed"), Path("predictions")
METRICS, DECISIONS = Path("metrics"), Path("decisions")


def main() -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description="Measure one trained architecture on the test fold.")
    parser.add_argument("architecture")
    name = parser.parse_args().architecture

    params = read_params()
    seeds = section(params, "train", TrainSettings).seeds
    rule = section(params, "decision", DecisionSettings).rule
    splits = {split: read_split(DATA / split) for split in SPLITS}
    labels = {split: data.labels for split, data in splits.items()}
    ecg_id = {split: data.ecg_id for split, data in splits.items()}
    predictions = read_predictions(PREDICTIONS / f"{name}.npz", seeds, ecg_id)
    patients = read_table(RAW / TABLE).loc[splits["validation"].ecg_id, "patient_id"].to_numpy()

    classes = splits["test"].description.classes
    of_seeds = by_seed(labels, predictions, rule)
    tables = {
        "seeds": of_seeds,
        "rules": by_rule(labels, predictions, patients),
        "per_class": by_class(classes, labels, predictions),
    }
    metrics = headline(of_seeds, labels, predictions, rule)
    rules = fit_ensemble_rules(labels, predictions, RULES)
    write_rules(DECISIONS / f"{name}.json", EnsembleRules(seeds, classes, rules))
    with files.replacing_file(METRICS / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    for kind, table in tables.items():
        with files.replacing_file(METRICS / kind / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f"evaluate {' '.join(sys.argv[1:])}: {error}")
