"""Tabulate and draw the comparison: reports/{index.html,comparison.md,tables,figures}."""

import json
import sys
from pathlib import Path

import pandas as pd

from ecg_temporal import files
from ecg_temporal.comparison.findings import find
from ecg_temporal.comparison.recipe import Recipe
from ecg_temporal.comparison.results import read_csv, read_probes, read_results
from ecg_temporal.comparison.settings import BootstrapSettings
from ecg_temporal.comparison.trivial import trivial_lines
from ecg_temporal.comparison.verdict import write_verdict
from ecg_temporal.evaluation.decisions import read_rules
from ecg_temporal.evaluation.predictions import SPLITS, read_predictions
from ecg_temporal.evaluation.settings import DecisionSettings
from ecg_temporal.leftovers import refuse_left_over
from ecg_temporal.models.settings import CANDIDATE, ArchitectureSettings
from ecg_temporal.probing.settings import ProbeSettings
from ecg_temporal.ptbxl.raw import OWN, TABLE, read_table
from ecg_temporal.reporting.examples import choose_examples, predicted_of_each
from ecg_temporal.reporting.figures import draw_all
from ecg_temporal.reporting.html import Shown, report_page
from ecg_temporal.reporting.markdown import comparison_page
from ecg_temporal.reporting.tables import SYNTHETIC, comparison, data_faults, population
from ecg_temporal.settings import read_params, section
from ecg_temporal.store import read_split
from ecg_temporal.training.settings import TrainSettings

METRICS, DECISIONS = Path("metrics"), Path("decisions")
PREDICTIONS, PROBES = Path("predictions"), Path("probes")
RAW, DATA, OUT = Path("data/raw"), Path("data/processed"), Path("reports")


def main() -> None:
    """Run the stage."""
    params = read_params()
    architectures = {
        name: section(params, f"architectures.{name}", ArchitectureSettings)
        for name in params["architectures"]
    }
    architectures[CANDIDATE] = section(params, CANDIDATE, ArchitectureSettings)
    recipe = Recipe(
        architectures,
        section(params, "decision", DecisionSettings).rule,
        section(params, "train", TrainSettings),
        section(params, "bootstrap", BootstrapSettings),
        section(params, "probes", ProbeSettings),
    )
    names = list(architectures)
    for folder in (PREDICTIONS, PROBES, DECISIONS):
        refuse_left_over(folder, names)
    splits = {split: read_split(DATA / split) for split in SPLITS}
    labels, test = {split: data.labels for split, data in splits.items()}, splits["test"]
    about = test.description
    records = read_table(RAW / TABLE)
    patients = records.loc[test.ecg_id, "patient_id"].to_numpy()
    seeds, ecg_id = recipe.train.seeds, {split: data.ecg_id for split, data in splits.items()}
    results, probes = read_results(METRICS, names, recipe.train.epochs), read_probes(PROBES, names, seeds)
    predictions = {name: read_predictions(PREDICTIONS / f"{name}.npz", seeds, ecg_id) for name in names}
    findings = find(recipe, about.classes, labels, patients, predictions, probes, results)
    trivial = trivial_lines(about.classes, test.labels, labels["train"])
    table = comparison(results, architectures, trivial, about.dataset.startswith("PTB-XL"))

    drawn = draw_all(recipe, table, results, findings, SYNTHETIC if about.synthetic else "")
    with files.replacing_folder(OUT / "figures") as folder:
        for name, figure in drawn.items():
            figure.savefig(folder / f"{name}.png", metadata={"Software": None})
    csv = {
        "comparison": table,
        "intervals": findings.intervals,
        "differences": findings.from_reference,
        "classes": findings.classes,
        "order": findings.order,
        "order_by_class": findings.order_classes.reset_index(),
        "context": findings.context,
        "longer": findings.longer,
        "contrasts": findings.contrasts,
    }
    with files.replacing_folder(OUT / "tables") as folder:
        for name, frame in csv.items():
            frame.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
        write_verdict(folder / "verdict.json", findings.verdict)
    manifest = json.loads((RAW / "manifest.json").read_text(encoding="utf-8"))
    # One's own records have no ids but those that the fetch stage gave them.
    named = records["filename_lr"] if manifest["dataset"] == OWN else pd.Series(records.index, records.index)
    faults = data_faults(manifest, named, splits["train"].absent)
    page = comparison_page(
        recipe,
        table,
        results,
        findings,
        about,
        len(test),
        [f"figures/{name}.png" for name in drawn],
        faults,
    )
    with files.replacing_file(OUT / "comparison.md") as temporary:
        temporary.write_text(page, encoding="utf-8")

    enough = findings.verdict.least
    rule = read_rules(DECISIONS / f"{enough}.json").rules[recipe.rule]
    logits = predictions[enough].ensemble("test")
    decisions = rule.decide(logits)
    shown = Shown(
        predicted_of_each(test.labels, decisions),
        choose_examples(test.labels, decisions, rule.probabilities(logits), about.classes),
        test.signals,
        [str(named[ecg_id]) for ecg_id in test.ecg_id],
    )
    counts = read_csv(METRICS / "labels.csv")
    html = report_page(
        recipe, table, results, findings, about, population(records, ecg_id), counts, faults, shown
    )
    with files.replacing_file(OUT / "index.html") as temporary:
        temporary.write_text(html, encoding="utf-8")
    print(f"{OUT / 'comparison.md'}: {len(names)} architectures on {about.dataset}")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"report: {error}")
