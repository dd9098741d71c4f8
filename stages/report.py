"""Tabulate and draw the comparison: reports/{index.html,comparison.md,tables,figures}."""

import json
import sys
from pathlib import Path

from ecg_temporal import files
from ecg_temporal.comparison.findings import CANDIDATE, VERDICT_METRIC, find
from ecg_temporal.comparison.results import read_csv, read_probes, read_results
from ecg_temporal.comparison.settings import BootstrapSettings
from ecg_temporal.comparison.trivial import trivial_lines
from ecg_temporal.comparison.verdict import write_verdict
from ecg_temporal.evaluation.decisions import read_rules
from ecg_temporal.evaluation.predictions import SPLITS, read_predictions
from ecg_temporal.evaluation.settings import DecisionSettings
from ecg_temporal.models.settings import ArchitectureSettings
from ecg_temporal.probing.settings import ProbeSettings
from ecg_temporal.ptbxl.raw import TABLE, read_table
from ecg_temporal.reporting import figures
from ecg_temporal.reporting.examples import choose_examples, predicted_of_each
from ecg_temporal.reporting.html import Shown, report_page
from ecg_temporal.reporting.page import comparison_page
from ecg_temporal.reporting.tables import SYNTHETIC, comparison
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
    names = list(architectures)
    rule = section(params, "decision", DecisionSettings).rule
    bootstrap = section(params, "bootstrap", BootstrapSettings)
    probe_settings = section(params, "probes", ProbeSettings)
    splits = {split: read_split(DATA / split) for split in SPLITS}
    labels = {split: data.labels for split, data in splits.items()}
    people = read_table(RAW / TABLE)
    patients = people.loc[splits["test"].ecg_id, "patient_id"].to_numpy()
    settings = section(params, "train", TrainSettings)
    about = splits["test"].description
    results = read_results(METRICS, names, settings.epochs)
    predictions = {name: read_predictions(PREDICTIONS / f"{name}.npz") for name in names}
    findings = find(
        architectures,
        about.classes,
        labels,
        patients,
        predictions,
        read_probes(PROBES, names),
        results,
        rule,
        bootstrap,
        probe_settings,
    )
    trivial = trivial_lines(about.classes, labels["test"])
    table = comparison(results, architectures, trivial, about.dataset.startswith("PTB-XL"))

    note = SYNTHETIC if about.synthetic else ""
    models = table.set_index("name")
    scores, spread = models[VERDICT_METRIC], models[f"{VERDICT_METRIC}_std"]
    compared = {name: settings for name, settings in architectures.items() if name != CANDIDATE}
    reference, per_class = bootstrap.reference, results.per_class
    drawn = {
        "score_against_size.png": figures.score_against_size(table, compared, note),
        "depth.png": figures.depth(findings.intervals, compared, spread, note),
        "differences.png": figures.differences(findings.from_reference, compared, reference, note),
        "time.png": figures.time_probes(findings.order, findings.context, compared, note),
        "average_precision_by_class.png": figures.class_heat_map(per_class, list(compared), note),
        "calibration.png": figures.reliability(findings.reliability, findings.best, note),
        "cost.png": figures.pareto(findings.cost, scores, compared, note),
        "learning_curves.png": figures.learning_curves(results.history, compared, note),
    }
    if findings.recurrent is not None:
        drawn["diagnoses.png"] = figures.class_forest(
            findings.classes, per_class, findings.recurrent, reference, note
        )
    with files.replacing_folder(OUT / "figures") as folder:
        for name, figure in drawn.items():
            figure.savefig(folder / name, metadata={"Software": None})
    csv = {
        "comparison": table,
        "intervals": findings.intervals,
        "differences": findings.from_reference,
        "classes": findings.classes,
        "order": findings.order.rename_axis("architecture").reset_index(),
        "order_by_class": findings.order_classes.reset_index(),
        "context": findings.context.rename_axis("architecture").reset_index(),
    }
    with files.replacing_folder(OUT / "tables") as folder:
        for name, frame in csv.items():
            frame.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
        write_verdict(folder / "verdict.json", findings.verdict)
    manifest = json.loads((RAW / "manifest.json").read_text(encoding="utf-8"))
    page = comparison_page(
        table,
        results,
        findings,
        architectures,
        about,
        len(splits["test"]),
        rule,
        settings,
        bootstrap,
        probe_settings,
        [f"figures/{name}" for name in drawn],
        manifest["skipped"],
        manifest["flat_leads"],
    )
    with files.replacing_file(OUT / "comparison.md") as temporary:
        temporary.write_text(page, encoding="utf-8")

    enough = predictions[findings.verdict.least]
    fitted = read_rules(DECISIONS / f"{findings.verdict.least}.json").rules[rule]
    logits = enough.ensemble("test")
    decisions = fitted.decide(logits)
    html = report_page(
        table,
        results,
        findings,
        compared,
        about,
        read_csv(METRICS / "labels.csv"),
        rule,
        settings,
        bootstrap,
        probe_settings,
        Shown(
            predicted_of_each(labels["test"], decisions),
            choose_examples(labels["test"], decisions, fitted.probabilities(logits), about.classes),
            splits["test"].signals,
            splits["test"].ecg_id,
        ),
    )
    with files.replacing_file(OUT / "index.html") as temporary:
        temporary.write_text(html, encoding="utf-8")
    print(f"{OUT / 'comparison.md'}: {len(names)} architectures on {about.dataset}")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"report: {error}")
