"""The comparison as pictures: `draw_all` returns every one by its file's name, for the caller to save."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox

from ecg_temporal.comparison.bootstrap import of_metric
from ecg_temporal.comparison.findings import Findings
from ecg_temporal.comparison.recipe import Recipe
from ecg_temporal.comparison.results import Results, positives
from ecg_temporal.comparison.verdict import VERDICT_METRIC
from ecg_temporal.models.settings import ArchitectureSettings
from ecg_temporal.reporting.style import (
    COSTS,
    DASHES,
    FAMILIES,
    best_by_depth,
    context_shown,
    dash,
    family,
    leaning,
    order_shown,
    pareto_front,
)
from ecg_temporal.reporting.tables import METRICS, PAPER, STEADY

STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "figure.dpi": 120,
    "text.parse_math": False,  # a $ in one's own labels is a $
}
DIFFERENCES = {name: (METRICS | STEADY)[name] for name in ("macro_auprc", *STEADY, "micro_f1")}
"""Of what differences are drawn."""
LOWEST = 3.8
"""Inches: less would cut off the title of the axis with the subclasses."""


def draw_all(
    recipe: Recipe, table: pd.DataFrame, results: Results, findings: Findings, note: str
) -> dict[str, Figure]:
    """Return the figures by name; `table` is `tables.comparison`'s, `note` is written below each title."""
    compared, reference, per_class = recipe.compared, recipe.bootstrap.reference, results.per_class
    models = table[table["kind"] == "architecture"].set_index("name")
    score, spread = models[VERDICT_METRIC], models[f"{VERDICT_METRIC}_std"]
    drawn = {
        "score_against_size": score_against_size(table, compared, note),
        "depth": depth(findings.intervals, compared, spread, note),
        "differences": differences(findings.from_reference, compared, reference, note),
        "time": time_probes(findings, compared, note),
        "average_precision_by_class": class_heat_map(per_class, list(compared), note),
        "calibration": reliability(findings.reliability, findings.verdict.least, note),
        "cost": pareto(findings.cost, score, compared, note),
        "learning_curves": learning_curves(results.history, compared, note),
    }
    if findings.best_recurrent is not None:
        drawn["diagnoses"] = class_forest(
            findings.classes, per_class, findings.best_recurrent, reference, note
        )
    return drawn


def score_against_size(
    table: pd.DataFrame, architectures: dict[str, ArchitectureSettings], note: str
) -> Figure:
    """Draw macro-AUPRC on the test fold against the number of parameters."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 5), layout="constrained")
        axes = figure.subplots()
        models = table[table["kind"] == "architecture"].set_index("name").to_dict("index")
        labels = []
        for name, settings in architectures.items():
            color, marker = FAMILIES[family(settings)]
            row = models[name]
            spread = row.get("macro_auprc_std")
            spread = 0.0 if spread is None or pd.isna(spread) else spread
            labels.append((row["parameters"] / 1e6, row["macro_auprc"], spread, name, color))
            axes.errorbar(
                row["parameters"] / 1e6,
                row["macro_auprc"],
                yerr=spread or None,
                color=color,
                marker=marker,
                markersize=8,
                linestyle="none",
                capsize=3,
                label=family(settings),
            )
        beside_paper = (table["kind"] == "paper").any()
        if beside_paper:
            axes.axhline(PAPER["macro_auprc"], color="black", linewidth=1, linestyle="--")
        axes.legend(**_of_each(axes), frameon=False, ncols=3, loc="best", fontsize=8)
        axes.margins(x=0.2, y=0.14)
        bars = " (± standard deviation over seeds)" if any(spread for _, _, spread, *_ in labels) else ""
        axes.set(xlabel="parameters, millions", ylabel=f"macro-AUPRC, test fold{bars}")
        _title(figure, "What the temporal part buys: score against size", note)
        taken = _label_points(figure, axes, labels, [PAPER["macro_auprc"]] if beside_paper else [])
        if beside_paper:
            along = axes.get_yaxis_transform()  # x in widths of the axes
            text = axes.text(
                0, PAPER["macro_auprc"], "arXiv:2601.18830, CNN + BiLSTM (not like for like)", transform=along
            )
            places = [{"x": x, "va": side} for x in np.linspace(0.005, 0.7, 30) for side in ("bottom", "top")]
            _place(text, places, taken)
        return figure


def learning_curves(
    history: pd.DataFrame, architectures: dict[str, ArchitectureSettings], note: str
) -> Figure:
    """Draw training loss and validation macro-AUPRC by epoch, the mean over seeds."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 4.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        means = history.groupby(["architecture", "epoch"])[["train_loss", "macro_auprc"]].mean()
        for name, settings in architectures.items():
            curve = means.loc[name]
            color, marker = FAMILIES[family(settings)]
            style = {
                "color": color,
                "linestyle": DASHES[dash(settings)],
                "marker": marker,
                "markersize": 3.5,
                "linewidth": 1.3,
                "label": name,
            }
            left.plot(curve.index, curve["train_loss"], **style)
            right.plot(curve.index, curve["macro_auprc"], **style)
        for axes in (left, right):
            axes.xaxis.get_major_locator().set_params(integer=True)
        left.set(xlabel="epoch", ylabel="training loss (binary cross-entropy)", yscale="log")
        left.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
        left.yaxis.set_minor_formatter(mpl.ticker.FormatStrFormatter("%g"))
        right.set(xlabel="epoch", ylabel="macro-AUPRC, validation fold")
        figure.legend(
            *right.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=8
        )
        _title(figure, "Learning curves", note)
        return figure


def differences(
    table: pd.DataFrame, architectures: dict[str, ArchitectureSettings], reference: str, note: str
) -> Figure:
    """Draw each architecture's difference from the reference with its 95% interval, a panel per metric."""
    with mpl.rc_context(STYLE):
        names = [name for name in architectures if name != reference]
        figure = Figure(figsize=(15, 1.8 + 0.26 * len(names)), layout="constrained")
        panels = figure.subplots(1, len(DIFFERENCES), sharey=True)
        cells = table.set_index(["metric", "architecture"]).to_dict("index")
        for axes, metric in zip(panels, DIFFERENCES, strict=True):
            styles = [FAMILIES[family(architectures[name])] for name in names]
            _forest(axes, [cells[metric, name] for name in names], styles)
            axes.set(xlabel=DIFFERENCES[metric])
            axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(4))
        panels[0].set_yticks(range(len(names)), names)
        panels[0].invert_yaxis()
        _title(figure, f"Difference from {reference}, 95% intervals of a paired bootstrap, test fold", note)
        return figure


def depth(
    intervals: pd.DataFrame, architectures: dict[str, ArchitectureSettings], spread: pd.Series, note: str
) -> Figure:
    """Draw macro-AUPRC against the number of recurrent layers, a line per cell, by its best at each depth.

    Thin bars are 95% intervals of the test fold, thick ones the standard deviation over seeds (`spread`).
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 4.6), layout="constrained")
        axes = figure.subplots()
        rows = of_metric(intervals, VERDICT_METRIC)
        kinds: dict[str, list[tuple[int, str]]] = {}
        for name, settings in architectures.items():
            kinds.setdefault(family(settings), []).append((len(settings.cells), name))
        joined = best_by_depth(architectures, rows["value"])
        plain = [name for _, name in kinds.get("no recurrence", []) if architectures[name].widen == 1]
        for k, (kind, members) in enumerate(kinds.items()):
            color, marker = FAMILIES[kind]
            shift = 0.04 * (k - len(kinds) / 2)
            place_of = {name: layers + shift for layers, name in sorted(members)}
            if kind == "no recurrence":
                place_of = {name: shift + 0.1 * place for place, name in enumerate(place_of)}
            line = {name: x for name, x in place_of.items() if name in joined}
            if line and plain:
                line = {plain[0]: shift, **line}
            axes.plot([*line.values()], rows.loc[list(line), "value"], color=color, linewidth=1.2)
            value = rows.loc[list(place_of), "value"]
            axes.plot([*place_of.values()], value, color=color, marker=marker, linestyle="none", label=kind)
            for name, place in place_of.items():
                axes.plot([place] * 2, rows.loc[name, ["low", "high"]], color=color, linewidth=0.8)
                if not pd.isna(spread.get(name)):
                    middle = rows.loc[name, "value"]
                    both = [middle - spread[name], middle + spread[name]]
                    axes.plot([place] * 2, both, color=color, linewidth=4, alpha=0.45, solid_capstyle="butt")
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
        axes.set(xlabel="recurrent layers", ylabel="macro-AUPRC, test fold")
        axes.legend(frameon=False, fontsize=8, ncols=3)
        _title(
            figure, "Depth and direction (thin: 95% interval of the test fold, thick: ± SD over seeds)", note
        )
        return figure


def time_probes(findings: Findings, architectures: dict[str, ArchitectureSettings], note: str) -> Figure:
    """Draw what permuting the frames costs, and macro-AUPRC against the seconds that a model is given."""
    with mpl.rc_context(STYLE):
        names = list(architectures)
        figure = Figure(figsize=(11, 2 + 0.24 * len(names)), layout="constrained")
        left, right = figure.subplots(1, 2)
        styles = [FAMILIES[family(each)] for each in architectures.values()]
        rows, what = order_shown(findings.order)
        context, _, of_context = context_shown(findings.context, findings.longer)
        _forest(left, rows.loc[names].to_dict("records"), styles)
        for name, (color, marker) in zip(names, styles, strict=True):
            curve = context.loc[name]
            right.plot(
                curve.index,
                curve,
                color=color,
                marker=marker,
                linestyle=DASHES[dash(architectures[name])],
                markersize=4,
                linewidth=1.2,
                label=name,
            )
        left.set_yticks(range(len(names)), names)
        left.invert_yaxis()
        left.set(xlabel=f"change of {what}, when frames are permuted")
        right.set(xlabel="seconds of signal", ylabel=f"{of_context}, test fold", xscale="log")
        right.set_xticks(list(context.columns), [f"{seconds:g}" for seconds in context.columns])
        right.minorticks_off()
        figure.legend(
            *right.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=8
        )
        _title(figure, "Order and context: what the models make of time", note)
        return figure


def class_forest(
    classes: pd.DataFrame, per_class: pd.DataFrame, architecture: str, reference: str, note: str
) -> Figure:
    """Draw the difference in average precision by diagnosis, commonest first, with 95% intervals."""
    with mpl.rc_context(STYLE):
        counts = positives(per_class)
        rows = classes[classes["architecture"] == architecture].set_index("subclass").loc[list(counts)]
        figure = Figure(figsize=(7.5, max(LOWEST, 1.6 + 0.24 * len(rows))), layout="constrained")
        axes = figure.subplots()
        cells: Any = rows.to_dict("records")
        colors = [("#666666", "#0072B2", "#D55E00")[leaning(cell)] for cell in cells]
        _forest(axes, cells, [(color, "o") for color in colors])
        axes.set_yticks(range(len(rows)), [f"{name} ({count})" for name, count in counts.items()])
        axes.invert_yaxis()
        axes.set(
            xlabel=f"average precision of {architecture} minus that of {reference}",
            ylabel="diagnostic subclass (positive test records)",
        )
        _title(figure, "Which diagnoses gain or lose, 95% intervals", note)
        return figure


def reliability(curves: dict[str, Any], architecture: str, note: str) -> Figure:
    """Draw the reliability diagram of an architecture, as trained and calibrated."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6, 5), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle="--")
        for (label, (mean, share, count)), color, marker in zip(
            curves.items(), ("#666666", "#0072B2"), "so", strict=True
        ):
            axes.plot(mean, share, color=color, linewidth=1.2, label=label)
            axes.scatter(mean, share, 8 + 14 * np.log10(count), color=color, marker=marker)
        axes.set(xlabel="predicted probability", ylabel="share of positive records", aspect="equal")
        axes.legend(frameon=False)
        _title(figure, f"Calibration of {architecture}, all classes, test fold", note)
        return figure


def pareto(
    cost: pd.DataFrame, scores: pd.Series, architectures: dict[str, ArchitectureSettings], note: str
) -> Figure:
    """Draw macro-AUPRC against each cost, with the front of those that nothing cheaper beats."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(13, 3.6), layout="constrained")
        panels = figure.subplots(1, len(COSTS), sharey=True)
        for axes, (column, (title, unit)) in zip(panels, COSTS.items(), strict=True):
            spent = cost.loc[list(architectures), column] / unit
            for name, settings in architectures.items():
                color, marker = FAMILIES[family(settings)]
                label = family(settings)
                axes.plot(
                    spent[name], scores[name], color=color, marker=marker, linestyle="none", label=label
                )
            front = pareto_front(spent, scores[spent.index])
            axes.step(spent[front], scores[front], where="post", color="black", linewidth=0.9, linestyle="--")
            for k, name in enumerate(front):  # above and below in turn: neighbours are often close
                place = (3, 4 if k % 2 == 0 else -11)
                axes.annotate(
                    name, (spent[name], scores[name]), place, textcoords="offset points", fontsize=7
                )
            axes.set(xlabel=title)
            axes.margins(x=0.15, y=0.12)
        panels[0].set(ylabel="macro-AUPRC, test fold")
        figure.legend(**_of_each(panels[0]), loc="outside right center", frameon=False, fontsize=8)
        _title(figure, "What it costs (dashed: nothing cheaper scores higher)", note)
        return figure


def class_heat_map(per_class: pd.DataFrame, names: list[str], note: str) -> Figure:
    """Draw average precision by subclass (rows, commonest first) and architecture (columns)."""
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        grid = per_class.pivot(index="subclass", columns="architecture", values="average_precision")[names]
        counts = positives(per_class)
        grid = grid.loc[list(counts)]
        height, width = max(LOWEST, 1.6 + 0.26 * len(grid)), max(5.5, 2.2 + 0.62 * len(names))
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(grid, cmap="cividis", vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(grid)), [f"{name} ({count})" for name, count in counts.items()])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        for (row, column), value in np.ndenumerate(grid.to_numpy()):
            text = "–" if np.isnan(value) else f"{value:.2f}"
            color = "white" if value <= 0.55 else "black"  # black where it is missing
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color=color)
        figure.colorbar(image, label="average precision", fraction=0.03, pad=0.01)
        axes.set_ylabel("diagnostic subclass (positive test records)")
        _title(figure, "Average precision by diagnosis, test fold", note)
        return figure


def _forest(axes: mpl.axes.Axes, rows: list[dict[Any, Any]], styles: list[tuple[str, str]]) -> None:
    """Draw each row's difference, low and high, in the colour and with the marker of its style."""
    for place, (row, (color, marker)) in enumerate(zip(rows, styles, strict=True)):
        axes.plot([row["low"], row["high"]], [place, place], color=color)
        axes.plot(row["difference"], place, color=color, marker=marker)
    axes.axvline(0, color="black", linewidth=0.8)


def _of_each(axes: mpl.axes.Axes) -> dict[str, Any]:
    """Return handles and labels for a legend, each label once."""
    once = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    return {"handles": [*once.values()], "labels": [*once]}


def _title(figure: Figure, title: str, note: str) -> None:
    figure.suptitle(f"{title}\n{note}" if note else title, fontsize=11, fontweight="bold")


def _label_points(
    figure: Figure,
    axes: mpl.axes.Axes,
    points: list[tuple[float, float, float, str, str]],
    lines: list[float],
) -> list[Bbox]:
    """Write each name beside its point, in its colour, where it covers no other name, point, bar or line.

    A point is x, y, half of its error bar, name and colour; a line is horizontal, at a y. Returns what is
    covered then by names, points and bars, in pixels.
    """
    figure.draw_without_rendering()  # fixes the layout, so that places can be compared in pixels
    sides = [(9, 0, "left", "center"), (-9, 0, "right", "center")]
    for step in range(11, 111, 11):
        for side, align in ((9, "left"), (-9, "right"), (0, "center")):
            sides += [(side, step, align, "bottom"), (side, -step, align, "top")]
    places = [{"position": (dx, dy), "ha": ha, "va": va} for dx, dy, ha, va in sides]
    heights = [axes.transData.transform((0, y))[1] for y in lines]
    taken = [Bbox.from_extents(axes.bbox.x0, y - 2, axes.bbox.x1, y + 2) for y in heights]
    for x, y, spread, *_ in points:
        (left, bottom), (right, top) = axes.transData.transform([(x, y - spread), (x, y + spread)])
        middle = (bottom + top) / 2
        taken.append(Bbox.from_extents(left - 7, middle - 7, right + 7, middle + 7))
        taken.append(Bbox.from_extents(left - 4, bottom, right + 4, top))
    for x, y, _, name, color in sorted(points, key=lambda point: point[1]):
        text = axes.annotate(
            name, (x, y), (0, 0), textcoords="offset points", fontsize=7.5, color=color, fontweight="bold"
        )
        text.set_path_effects([withStroke(linewidth=2, foreground="white")])
        dx, dy = _place(text, places, taken)["position"]
        if abs(dy) > 11:
            axes.annotate(
                "", (x, y), (dx, dy), textcoords="offset points",
                arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.6},
            )  # fmt: skip
    return taken[len(lines) :]


def _place(text: mpl.text.Text, places: list[dict[str, Any]], taken: list[Bbox]) -> dict[str, Any]:
    """Put `text` at the first of `places` where it covers nothing, or at the last; return which it is."""
    for place in places:
        text.set(**place)
        box = text.get_window_extent()
        if not any(box.overlaps(other) for other in taken):
            break
    taken.append(box)
    return place
