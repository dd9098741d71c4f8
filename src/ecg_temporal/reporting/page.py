"""reports/comparison.md: what was compared, on what, and how it came out."""

import pandas as pd

from ecg_temporal.evaluation.settings import BootstrapSettings
from ecg_temporal.reporting.tables import differences, markdown
from ecg_temporal.store import Description
from ecg_temporal.training.settings import TrainSettings

SYNTHETIC = "SYNTHETIC DATA: these figures say only that the code runs"


def comparison_page(
    table: pd.DataFrame,
    intervals: pd.DataFrame,
    bootstrap: BootstrapSettings,
    about: Description,
    records: int,
    settings: TrainSettings,
    figures: list[str],
    skipped: dict[str, str],
    flat_leads: dict[str, list[str]],
) -> str:
    """Return the page in Markdown.

    `figures` are paths relative to it, `skipped` and `flat_leads` those of the raw dataset's manifest.
    """
    seeds = ", ".join(map(str, settings.seeds))
    spread = (
        "mean ± standard deviation over seeds"
        if len(settings.seeds) > 1
        else "one seed, so the spread between seeds is not known"
    )
    parts = [
        "# How much temporal modelling is enough?",
        f"> **{SYNTHETIC}.**" if about.synthetic else "",
        f"{about.dataset}, test fold: {records:,} records, {len(about.classes)} diagnostic subclasses, "
        f"threshold 0.5. Epochs: {settings.epochs}; seeds: {seeds} ({spread}). The epoch of each model was "
        "chosen on the validation fold by macro-AUPRC.",
        markdown(table),
        "In bold the best architecture. *nothing* and *always NORM* are constant predictions. The paper's "
        "row is its abstract's; its layer sizes, loss, splits and thresholds are not known, so it is no "
        "like-for-like comparison."
        if not about.synthetic
        else "",
        f"## Differences from {bootstrap.reference}",
        "With 95% intervals of a paired bootstrap over the test records "
        f"({bootstrap.replicates:,} replicates, seeds averaged within a replicate); in bold where Holm's "
        "correction over the architectures leaves p < 0.05. They say how far the test fold can be trusted, "
        "not how much another training would differ.",
        differences(intervals, table.loc[table["kind"] == "architecture", "name"].tolist()),
        _data_section(skipped, flat_leads),
        "## Figures",
        *(f"![{path.rsplit('/', 1)[-1].removesuffix('.png').replace('_', ' ')}]({path})" for path in figures),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _data_section(skipped: dict[str, str], flat_leads: dict[str, list[str]]) -> str:
    lines = [f"- record {ecg_id} was left out: {reason}" for ecg_id, reason in skipped.items()]
    lines += [
        f"- record {ecg_id} has a constant lead: {', '.join(leads)}" for ecg_id, leads in flat_leads.items()
    ]
    return "## What was wrong with the data\n\n" + "\n".join(lines) if lines else ""
