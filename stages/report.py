"""Tabulate and draw the comparison: reports/comparison.{md,csv}, intervals.csv and figures/."""

import json
import sys
from pathlib import Path

from ecg_temporal import files
from ecg_temporal.evaluation.bootstrap import compare, draw
from ecg_temporal.evaluation.predictions import read_predictions
from ecg_temporal.evaluation.settings import BootstrapSettings
from ecg_temporal.evaluation.trivial import trivial_lines
from ecg_temporal.models.settings import ArchitectureSettings
from ecg_temporal.reporting.figures import class_heat_map, differences, learning_curves, score_against_size
from ecg_temporal.reporting.page import SYNTHETIC, comparison_page
from ecg_temporal.reporting.results import read_results
from ecg_temporal.reporting.tables import comparison
from ecg_temporal.settings import read_params, section
from ecg_temporal.store import read_split
from ecg_temporal.training.settings import TrainSettings

METRICS, PREDICTIONS, TEST = Path("metrics"), Path("predictions"), Path("data/processed/test")
MANIFEST, OUT = Path("data/raw/manifest.json"), Path("reports")


def main() -> None:
    """Run the stage."""
    params = read_params()
    architectures = {
        name: section(params, f"architectures.{name}", ArchitectureSettings)
        for name in params["architectures"]
    }
    architectures["model"] = section(params, "model", ArchitectureSettings)
    names = list(architectures)
    test = read_split(TEST)
    about = test.description
    results = read_results(METRICS, names)
    table = comparison(results, architectures, trivial_lines(about.classes, test.labels), not about.synthetic)
    bootstrap = section(params, "bootstrap", BootstrapSettings)
    probabilities = {name: read_predictions(PREDICTIONS / f"{name}.npz").test for name in names}
    draws = draw(len(test), bootstrap.replicates, bootstrap.seed)
    intervals = compare(test.labels, probabilities, bootstrap.reference, draws)

    note = SYNTHETIC if about.synthetic else ""
    figures = {
        "score_against_size.png": score_against_size(table, architectures, note),
        "differences.png": differences(intervals, architectures, bootstrap.reference, note),
        "learning_curves.png": learning_curves(results.history, architectures, note),
        "average_precision_by_class.png": class_heat_map(results.per_class, names, note),
    }
    with files.replacing_folder(OUT / "figures") as folder:
        for name, figure in figures.items():
            figure.savefig(folder / name, metadata={"Software": None})
    with files.replacing_file(OUT / "comparison.csv") as temporary:
        table.to_csv(temporary, index=False)
    with files.replacing_file(OUT / "intervals.csv") as temporary:
        intervals.to_csv(temporary, index=False, float_format="%.6f")
    settings = section(params, "train", TrainSettings)
    manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
    page = comparison_page(
        table,
        intervals,
        bootstrap,
        about,
        len(test),
        settings,
        [f"figures/{name}" for name in figures],
        manifest["skipped"],
        manifest["flat_leads"],
    )
    with files.replacing_file(OUT / "comparison.md") as temporary:
        temporary.write_text(page, encoding="utf-8")
    print(f"{OUT / 'comparison.md'}: {len(names)} architectures on {about.dataset}")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"report: {error}")
