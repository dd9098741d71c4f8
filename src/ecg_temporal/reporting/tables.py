"""The comparison as a table: architectures, trivial lines and the paper's row, in CSV and Markdown."""

import pandas as pd

from ecg_temporal.models.settings import ArchitectureSettings
from ecg_temporal.reporting.results import Results

METRICS = {
    "macro_auprc": "macro-AUPRC ↑",
    "macro_auroc": "macro-AUROC ↑",
    "micro_f1": "micro-F1 ↑",
    "macro_f1": "macro-F1 ↑",
    "hamming_loss": "Hamming loss ↓",
    "subset_accuracy": "subset accuracy ↑",
}
LOWER_IS_BETTER = ("hamming_loss",)

PAPER = {
    "macro_auprc": 0.4715,
    "micro_f1": 0.6979,
    "hamming_loss": 0.0338,
    "subset_accuracy": 0.5723,
}
"""Jafari & Jafari, arXiv:2601.18830, CNN + one BiLSTM, as its abstract gives them."""


def describe(settings: ArchitectureSettings) -> str:
    """Return what stands on the trunk in words, such as "2 × BiLSTM(128)"."""
    if settings.rnn == "none":
        return "no recurrence" + (f", trunk × {settings.widen:g}" if settings.widen != 1 else "")
    spelling = {"bilstm": "BiLSTM", "bigru": "BiGRU", "lstm": "LSTM", "gru": "GRU"}
    stack = " → ".join(f"{spelling[cell]}({settings.hidden})" for cell in settings.rnn.split("+"))
    return stack if settings.layers == 1 else f"{settings.layers} × {stack}"


def comparison(
    results: Results,
    architectures: dict[str, ArchitectureSettings],
    trivial: dict[str, dict[str, float]],
    beside_paper: bool,
) -> pd.DataFrame:
    """Return a row per architecture, then the trivial lines and, if `beside_paper`, the paper's row.

    Columns: name, kind (architecture, trivial or paper), temporal, parameters, METRICS, and the standard
    deviations over seeds; what is not known is missing.
    """
    rows = [
        {"name": name, "kind": "architecture", "temporal": describe(settings)}
        | {str(key): value for key, value in results.headline.loc[name].items()}
        for name, settings in architectures.items()
    ]
    rows += [{"name": name, "kind": "trivial", **figures} for name, figures in trivial.items()]
    if beside_paper:
        rows.append(
            {"name": "arXiv:2601.18830", "kind": "paper", "temporal": "BiLSTM, sizes not known", **PAPER}
        )
    spreads = [column for column in map(str, results.headline) if column.endswith("_std")]
    columns = ["name", "kind", "temporal", "parameters", *METRICS, *spreads]
    return pd.DataFrame(rows).reindex(columns=columns).astype({"parameters": "Int64"})


def markdown(table: pd.DataFrame) -> str:
    """Return `comparison`'s table as Markdown, the best figure of the architectures in bold."""
    models = table[table["kind"] == "architecture"]
    rows = [["", "temporal part", "parameters", *METRICS.values()]]
    for _, row in table.iterrows():
        cells = []
        for name in METRICS:
            best = models[name].min() if name in LOWER_IS_BETTER else models[name].max()
            text = _number(row[name], row.get(f"{name}_std"))
            cells.append(f"**{text}**" if row["kind"] == "architecture" and row[name] == best else text)
        size = "–" if pd.isna(row["parameters"]) else f"{row['parameters']:,}"
        temporal = "–" if pd.isna(row["temporal"]) else row["temporal"]
        rows.append([row["name"], temporal, size, *cells])
    return _aligned(rows, text_columns=2)


def _aligned(rows: list[list[str]], text_columns: int) -> str:
    """Return a Markdown table that is aligned as plain text too; the columns after the first are numbers."""
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


def differences(intervals: pd.DataFrame, names: list[str]) -> str:
    """Return `evaluation.bootstrap.compare`'s differences from the reference as Markdown.

    A cell is the difference with its 95% interval, in bold where Holm's p is below 0.05.
    """
    cells = intervals.dropna(subset="difference").set_index(["architecture", "metric"]).to_dict("index")
    rows = [["", *METRICS.values()]]
    for name in names:
        if (name, "micro_f1") in cells:
            texts = []
            for metric in METRICS:
                row = cells[name, metric]
                text = (
                    f"{row['difference']:+.4f} [{row['difference_low']:+.4f}, {row['difference_high']:+.4f}]"
                )
                texts.append(f"**{text}**" if row["p_holm"] < 0.05 else text)
            rows.append([name, *texts])
    return _aligned(rows, text_columns=1)


def _number(value: float, spread: float | None) -> str:
    if pd.isna(value):
        return "–"
    return f"{value:.4f}" if spread is None or pd.isna(spread) else f"{value:.4f} ± {spread:.4f}"
