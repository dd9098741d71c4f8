"""The comparison as tables: architectures beside trivial lines and the paper's row, in CSV and Markdown."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_temporal.comparison.bootstrap import of_metric
from ecg_temporal.comparison.results import Results, positives
from ecg_temporal.comparison.verdict import LOWER_IS_BETTER, ROUNDING, Verdict, amount
from ecg_temporal.evaluation.summary import COMMON
from ecg_temporal.models.settings import CANDIDATE, ArchitectureSettings
from ecg_temporal.ptbxl.raw import OWN
from ecg_temporal.reporting.style import describe, leaning

SYNTHETIC = "SYNTHETIC DATA: these figures say only that the code runs"
METRICS = {
    "macro_auprc": "macro-AUPRC ↑",
    "macro_auprc_common": f"macro-AUPRC, ≥ {COMMON} positives ↑",
    "macro_auroc": "macro-AUROC ↑",
    "micro_f1": "micro-F1 ↑",
    "hamming_loss": "Hamming loss ↓",
    "subset_accuracy": "subset accuracy ↑",
}
STEADY = {
    "macro_auprc_common": METRICS["macro_auprc_common"],
    "macro_auroc_common": f"macro-AUROC, ≥ {COMMON} positives ↑",
    "log_loss": "cross-entropy ↓",
    "log_loss_calibrated": "cross-entropy, calibrated ↓",
}
"""Figures that rare classes and another training move less than macro-AUPRC of all classes."""
PAPER = {
    "macro_auprc": 0.4715,
    "micro_f1": 0.6979,
    "hamming_loss": 0.0338,
    "subset_accuracy": 0.5723,
}
"""Jafari & Jafari, arXiv:2601.18830, CNN + one BiLSTM, as its abstract gives them."""


def population(records: pd.DataFrame, ecg_id: dict[str, NDArray[np.int64]]) -> pd.DataFrame:
    """Return who was recorded, by split and in all: records, patients, women in percent, median age.

    What is known of nobody is left out.
    """
    rows = {}
    for split, ids in {**ecg_id, "all": np.concatenate(list(ecg_id.values()))}.items():
        of_split = records.loc[ids]
        rows[split] = {
            "records": len(of_split),
            "patients": of_split["patient_id"].nunique(),
            "women, %": 100 * of_split["sex"].dropna().mean(),
            "median age": of_split["age"].median(),
        }
    return pd.DataFrame.from_dict(rows, orient="index").dropna(axis="columns", how="all")


def comparison(
    results: Results,
    architectures: dict[str, ArchitectureSettings],
    trivial: dict[str, dict[str, float]],
    beside_paper: bool,
) -> pd.DataFrame:
    """Return a row per architecture, then the trivial lines and, if `beside_paper`, the paper's row.

    Columns: name, kind (architecture, trivial or paper), temporal, parameters, METRICS, their standard
    deviations over seeds as NAME_std, and what else metrics/<architecture>.json has; what is not known is
    missing.
    """
    test = results.seeds[results.seeds["split"] == "test"]
    spread = test.groupby("architecture")[list(METRICS)].std(ddof=1).add_suffix("_std")
    found = results.headline.join(spread)
    rows: list[dict[Any, Any]] = [
        {"name": name, "kind": "architecture", "temporal": describe(settings), **found.loc[name].to_dict()}
        for name, settings in architectures.items()
    ]
    rows += [{"name": name, "kind": "trivial", **figures} for name, figures in trivial.items()]
    if beside_paper:
        paper = {"name": "arXiv:2601.18830", "kind": "paper", "temporal": "BiLSTM, sizes not in abstract"}
        rows.append(paper | PAPER)
    first = ["name", "kind", "temporal", "parameters", *METRICS, *spread.columns]
    rest = [str(column) for column in results.headline.columns if column not in first]
    return pd.DataFrame(rows).reindex(columns=[*first, *rest]).astype({"parameters": "Int64"})


def markdown(table: pd.DataFrame) -> str:
    """Return `comparison`'s table as Markdown, the best figure of the architectures in bold."""
    about = [
        [
            row["name"],
            "–" if pd.isna(row["temporal"]) else row["temporal"],
            "–" if pd.isna(row["parameters"]) else f"{row['parameters']:,}",
        ]
        for _, row in table.iterrows()
    ]
    cells = _cells(table.set_index("name"), table["kind"].to_numpy() == "architecture")
    rows = [[*left, *right] for left, right in zip(about, cells, strict=True)]
    return aligned([["", "temporal part", "parameters", *METRICS.values()], *rows], text_columns=2)


def figure_table(figures: pd.DataFrame, corner: str = "", columns: dict[str, str] | None = None) -> str:
    """Return `figures`, a row per name, as Markdown with the best of each of `columns` (METRICS) in bold."""
    columns = columns or METRICS
    cells = _cells(figures, [True] * len(figures), columns)
    rows = [[str(name), *row] for name, row in zip(figures.index, cells, strict=True)]
    return aligned([[corner, *columns.values()], *rows], text_columns=1)


def differences(table: pd.DataFrame, names: list[str], columns: dict[str, str] | None = None) -> str:
    """Return `comparison.bootstrap.differences` as Markdown, a row for each of `names` that is in it.

    A cell is the difference in a metric of `columns` (METRICS) with its interval, from `low` to `high`, in
    bold where the column `sure` says so.
    """
    columns = columns or METRICS
    cells, compared = table.set_index(["architecture", "metric"]).to_dict("index"), set(table["architecture"])
    rows = [["", *columns.values()]]
    for name in names:
        if name in compared:
            found = [cells[name, metric] for metric in columns]
            rows.append([name, *(difference(row, row["sure"]) for row in found)])
    return aligned(rows, text_columns=1)


def order_table(order: pd.DataFrame, names: list[str]) -> str:
    """Return `findings.order` as Markdown, in bold where an interval leaves out 0."""
    both = {metric: of_metric(order, metric).to_dict("index") for metric in order["metric"].unique()}
    rows = [["", *(text for metric in both for text in (METRICS[metric], "frames permuted", "difference"))]]
    for name in names:
        cells = [name]
        for row in (of_all[name] for of_all in both.values()):
            changed = difference(row, leaves_out_zero(row))
            cells += [_number(row["intact"], None), _number(row["permuted"], None), changed]
        rows.append(cells)
    return aligned(rows, text_columns=1)


def contrast_table(contrasts: pd.DataFrame) -> list[list[str]]:
    """Return a head, and a row per contrast of `comparison.contrasts` with the metrics of STEADY.

    In bold where an interval leaves out 0.
    """
    rows = [["", "pairs", *STEADY.values()]]
    for (contrast, pairs), of_it in contrasts.groupby(["contrast", "pairs"]):
        cells = of_it.set_index("metric").to_dict("index")
        found = (cells[metric] for metric in STEADY)
        rows.append([str(contrast), str(pairs), *(difference(row, leaves_out_zero(row)) for row in found)])
    return rows


def context_table(context: pd.DataFrame, longer: pd.DataFrame, lengths: list[str]) -> str:
    """Return a row per architecture, with its figure by length (named as in `lengths`) and what it gains.

    Both tables are as `style.context_shown` gives them; in bold where an interval leaves out 0.
    """
    cells: Any = longer.to_dict("index")
    figures = {name: [_number(value, None) for value in row] for name, row in context.T.items()}
    rows = [["", *lengths, f"{lengths[-2]} less {lengths[0]}"]]  # after the pieces comes the whole record
    for name, row in cells.items():
        rows.append([name, *figures.get(name, [""] * len(lengths)), difference(row, leaves_out_zero(row))])
    return aligned(rows, text_columns=1)


def class_table(classes: pd.DataFrame, per_class: pd.DataFrame, against: str, other: str) -> str:
    """Return average precision by class of two architectures and their difference, commonest class first."""
    value = per_class.set_index(["architecture", "subclass"])["average_precision"]
    found = classes[classes["architecture"] == other].set_index("subclass").to_dict("index")
    rows = [["", "positives", against, other, "difference", "q", "replicates without it"]]
    for name, count in positives(per_class).items():
        row = found[name]
        rows.append(
            [
                str(name),
                str(count),
                _number(value[against, name], None),
                _number(value[other, name], None),
                difference(row, bold=leaning(row) != 0),
                "–" if pd.isna(row["q"]) else f"{row['q']:.3f}",
                f"{row['undefined']:.1%}" if row["undefined"] else "none",
            ]
        )
    return aligned(rows, text_columns=1)


def data_faults(manifest: dict[str, Any], named: pd.Series, unlearned: list[str]) -> list[str]:
    """Return what was wrong with the data, a sentence each: records left out, constant leads, classes.

    `manifest` is that of data/raw, `named` what its records are called, by id. Those of one's own have no id
    that anybody knows; what was left out has none but it, and a reason that begins with its path.
    """
    own = manifest["dataset"] == OWN
    skipped = [("a record" if own else f"record {k}", why) for k, why in manifest["skipped"].items()]
    constant = [(named[int(k)], ", ".join(leads)) for k, leads in manifest["flat_leads"].items()]
    return [
        *(f"{name}: no training record has it, so that it can't be learned" for name in unlearned),
        *(f"{name} was left out: {why}" for name, why in skipped),
        *(f"record {name} has a constant lead: {leads}" for name, leads in constant),
    ]


def verdict_rows(verdicts: dict[str, Verdict], intervals: pd.DataFrame) -> list[list[str]]:
    """Return a head and a row for each verdict: the best, what is enough, and their difference.

    `intervals` are those of `comparison.bootstrap.intervals`.
    """
    value = intervals.set_index(["architecture", "metric"])["value"]
    rows = [["", "the best", "its value", "enough", "its value", "difference"]]
    for metric, each in verdicts.items():
        of_best, of_least = (f"{value[name, metric]:.4f}" for name in (each.best, each.least))
        apart = "–" if each.least == each.best else difference(asdict(each), bold=False)
        rows.append([METRICS[metric], each.best, of_best, each.least, of_least, apart])
    return rows


def sentence(
    verdict: Verdict,
    values: pd.Series,
    architectures: dict[str, ArchitectureSettings],
    recurrence: dict[str, Any] | None = None,
) -> str:
    """Return the verdict in a sentence or two, in Markdown.

    `values` are those of its metric by name, `architectures` those that are compared, `recurrence` is
    `Findings.recurrence`.
    """
    metric = METRICS[verdict.metric].split()[0]
    of_least, of_best = (f"{values[name]:.4f}" for name in (verdict.least, verdict.best))
    winner = f"{verdict.best} ({describe(architectures[verdict.best])})"
    apart = difference(asdict(verdict), bold=False)
    said = f"**{_headline(verdict, architectures, recurrence)}**: "
    apart_by_chance = verdict.decided and verdict.least != verdict.best
    if recurrence is not None and apart_by_chance and not leaves_out_zero(recurrence):
        strongest = recurrence["architecture"]
        return (
            f"{said}{strongest}, the best with one, has a {metric} of {values[strongest]:.4f}, "
            f"{verdict.least} without has {of_least}; the 95% interval of the difference, "
            f"{difference(recurrence, bold=False)}, spans 0. The best of all is {winner}, {of_best}, from "
            f"which {verdict.least} differs by {apart}."
        )
    said += f"the best {metric}, {of_best}, is that of {winner}"
    if verdict.least != verdict.best:
        said += f", and {verdict.least} has {of_least}; "
        said += (
            f"the 95% interval of the difference, {apart}, spans 0"
            if verdict.decided
            else f"the difference is {apart}"
        )
    elif verdict.decided and any(
        amount(each) < amount(architectures[verdict.least]) for each in architectures.values()
    ):
        said += ", and all with less temporal modelling are measurably worse"
    said += "."
    if recurrence is not None:
        said += f" The best with recurrence, {recurrence['architecture']}, differs from {verdict.least} by "
        said += f"{difference(recurrence, bold=False)}."
    return said


def _headline(
    verdict: Verdict, architectures: dict[str, ArchitectureSettings], recurrence: dict[str, Any] | None
) -> str:
    if not verdict.decided:
        return "The test fold is too small to say"
    if len(architectures) == 1:
        return "There is nothing to compare it with"
    if not any(each.cells for each in architectures.values()):
        return "No recurrent layer is compared"
    if recurrence is not None and recurrence["difference"] > 0 and leaves_out_zero(recurrence):
        return f"{verdict.least} is enough"  # level with the best, a larger CNN, and behind a recurrent one
    least = architectures[verdict.least]
    if not least.cells:
        return "No gain from a recurrent layer was found"
    without = not all(each.cells for each in architectures.values())
    return f"{describe(least)} is enough" + ("" if without else " of those compared, all with recurrence")


def aligned(rows: list[list[str]], text_columns: int) -> str:
    """Return a Markdown table that is aligned as plain text too; after `text_columns` come numbers."""
    rows = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    rule = ["-" * w if k < text_columns else "-" * (w - 1) + ":" for k, w in enumerate(widths)]
    lines = [
        [
            cell.ljust(w) if k < text_columns else cell.rjust(w)
            for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        for row in rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]])


def _cells(
    figures: pd.DataFrame, compete: Iterable[bool], columns: Iterable[str] = tuple(METRICS)
) -> list[list[str]]:
    """Return the texts of `columns`, the best of the rows that `compete` in bold, with NAME_std beside it.

    The candidate never competes.
    """
    competing = np.array(list(compete)) & (figures.index != CANDIDATE)
    contest = figures[competing]
    best = {name: contest[name].min() if name in LOWER_IS_BETTER else contest[name].max() for name in columns}
    best = {name: _number(value, None) for name, value in best.items()}  # what looks the same is the same
    rows = []
    for takes_part, (_, row) in zip(competing, figures.iterrows(), strict=True):
        texts = {name: _number(row[name], row.get(f"{name}_std")) for name in best}
        first = {name for name in best if takes_part and _number(row[name], None) == best[name] != "–"}
        rows.append([f"**{text}**" if name in first else text for name, text in texts.items()])
    return rows


def leaves_out_zero(row: dict[Any, Any]) -> bool:
    """Return whether the interval of a row, from `low` to `high`, leaves out 0."""
    return bool(row["low"] > ROUNDING or row["high"] < -ROUNDING)


def difference(row: dict[Any, Any], bold: bool) -> str:
    """Return a row's difference with its interval [low, high], if it has one."""
    if pd.isna(row["difference"]):
        return "–"
    text = f"{row['difference']:+.4f}"
    text += "" if pd.isna(row["low"]) else f" [{row['low']:+.4f}, {row['high']:+.4f}]"
    return f"**{text}**" if bold else text


def _number(value: float, spread: float | None) -> str:
    if pd.isna(value):
        return "–"
    return f"{value:.4f}" if spread is None or pd.isna(spread) else f"{value:.4f} ± {spread:.4f}"
