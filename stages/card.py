"""Write MODEL_CARD.md, of the architecture that the verdict calls enough."""

import sys
from pathlib import Path

import numpy as np

from ecg_temporal import files
from ecg_temporal.comparison.settings import BootstrapSettings
from ecg_temporal.comparison.verdict import read_verdict
from ecg_temporal.evaluation.decisions import read_rules
from ecg_temporal.evaluation.predictions import SPLITS, read_predictions
from ecg_temporal.evaluation.settings import DecisionSettings
from ecg_temporal.model_card.card import model_card
from ecg_temporal.model_card.subgroups import by_diagnosis, by_subgroup, subgroups
from ecg_temporal.models.settings import ArchitectureSettings
from ecg_temporal.ptbxl.raw import TABLE, read_table
from ecg_temporal.settings import read_params, section
from ecg_temporal.store import read_split
from ecg_temporal.training.settings import TrainSettings

PREDICTIONS, DECISIONS, VERDICT = Path("predictions"), Path("decisions"), Path("reports/tables/verdict.json")
TABLES, DATA, OUT = Path("data/raw") / TABLE, Path("data/processed"), Path("MODEL_CARD.md")


def main() -> None:
    """Run the stage."""
    params = read_params()
    rule = section(params, "decision", DecisionSettings).rule
    bootstrap = section(params, "bootstrap", BootstrapSettings)
    verdict = read_verdict(VERDICT)
    name = verdict.least
    splits = {split: read_split(DATA / split) for split in SPLITS}
    test = splits["test"]
    table = read_table(TABLES)
    people = table.loc[np.concatenate([split.ecg_id for split in splits.values()])]
    about, of_test = test.description, table.loc[test.ecg_id]
    training = section(params, "train", TrainSettings)
    ecg_id = {split: data.ecg_id for split, data in splits.items()}
    logits = read_predictions(PREDICTIONS / f"{name}.npz", training.seeds, ecg_id).ensemble("test")
    fitted = read_rules(DECISIONS / f"{name}.json").rules[rule]
    decisions = fitted.decide(logits)
    as_trained = np.flatnonzero(fitted.calibration.is_identity)
    uncalibrated = [] if len(as_trained) == len(about.classes) else [about.classes[k] for k in as_trained]
    measured = (test.labels, logits, decisions, of_test["patient_id"].to_numpy(), bootstrap)
    card = model_card(
        name,
        section(params, f"architectures.{name}", ArchitectureSettings),
        about,
        people,
        by_subgroup(subgroups(of_test), *measured),
        by_diagnosis(about.classes, *measured),
        rule,
        training,
        verdict.decided,
        splits["train"].absent,
        uncalibrated,
    )
    with files.replacing_file(OUT) as temporary:
        temporary.write_text(card, encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"card: {error}")
