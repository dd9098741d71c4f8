"""Tabulate and draw the comparison: reports/comparison.{md,csv} and reports/figures."""

import sys
from pathlib import Path

from ecg_temporal import files
from ecg_temporal.evaluation.trivial import trivial_lines
from ecg_temporal.models.settings import ArchitectureSettings
from ecg_temporal.reporting.figures import class_heat_map, learning_curves, score_against_size
from ecg_temporal.reporting.page import SYNTHETIC, comparison_page
from ecg_temporal.reporting.results import read_results
from ecg_temporal.reporting.tables import comparison
from ecg_temporal.settings import read_params, section
from ecg_temporal.store import read_split
from ecg_temporal.training.settings import TrainSettings

METRICS, TEST, OUT = Path("metrics"), Path("data/processed/test"), Path("reports")


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

    note = SYNTHETIC if about.synthetic else ""
    figures = {
        "score_against_size.png": score_against_size(table, architectures, note),
        "learning_curves.png": learning_curves(results.history, architectures, note),
        "average_precision_by_class.png": class_heat_map(results.per_class, names, note),
    }
    with files.replacing_folder(OUT / "figures") as folder:
        for name, figure in figures.items():
            figure.savefig(folder / name, metadata={"Software": None})
    with files.replacing_file(OUT / "comparison.csv") as temporary:
        table.to_csv(temporary, index=False)
    settings = section(params, "train", TrainSettings)
    page = comparison_page(table, about, len(test), settings, [f"figures/{name}" for name in figures])
    with files.replacing_file(OUT / "comparison.md") as temporary:
        temporary.write_text(page, encoding="utf-8")
    print(f"{OUT / 'comparison.md'}: {len(names)} architectures on {about.dataset}")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"report: {error}")
