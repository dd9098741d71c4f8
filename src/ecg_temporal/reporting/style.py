"""How architectures are told apart in words and pictures, what a line joins, and which costs are drawn."""

from typing import Any

import numpy as np
import pandas as pd

from ecg_temporal.comparison.bootstrap import of_metric
from ecg_temporal.comparison.settings import SIGNIFICANCE
from ecg_temporal.comparison.verdict import COMMON_METRIC, VERDICT_METRIC
from ecg_temporal.evaluation.summary import COMMON
from ecg_temporal.models.settings import ArchitectureSettings

CELL_NAMES = {"lstm": "LSTM", "gru": "GRU", "bilstm": "BiLSTM", "bigru": "BiGRU"}
# Okabe & Ito's palette, which stays apart for the colour-blind; one hue per kind of cell, marked as well.
FAMILIES = {
    "no recurrence": ("#666666", "s"),
    "LSTM": ("#0072B2", "o"),
    "GRU": ("#009E73", "^"),
    "BiLSTM": ("#D55E00", "D"),
    "BiGRU": ("#CC79A7", "v"),
    "mixed": ("#E69F00", "P"),
}
DASHES = ("-", "--", ":", "-.")
# Columns of Findings.cost: their label, and the unit that it is shown in.
COSTS = {
    "parameters": ("parameters, millions", 1e6),
    "multiply_accumulates": ("multiply–accumulates, millions", 1e6),
    "latency_ms": ("latency of one record, ms", 1),
    "training_step_ms": ("training step of one batch, ms", 1),
    "training_step_bytes": ("memory of a training step, MB", 1e6),
}
# What each decision rule does, in words that stand alone.
RULE_TEXTS = {
    "half": "a probability of 0.5 or more, as trained",
    "platt": "a probability of 0.5 or more after Platt scaling, class by class",
    "f1": "a threshold per class that maximises its F1",
    "micro_f1": "one threshold for all classes that maximises micro-F1",
    "+likeliest": "where no class is left, the likeliest",
    "powerset": "label powerset, the most probable of the label sets that the training folds have",
}


def trained_on(hardware: pd.Series) -> str:
    """Name the hardware that most architectures were trained on (lists of str), then the exceptions.

    Of a GPU's bf16 it says what PyTorch's autocast makes of it.
    """
    names: dict[str, list[str]] = {}
    for name, each in hardware.items():
        names.setdefault(" and ".join(each), []).append(str(name))
    most, *others = sorted(names, key=lambda used: -len(names[used]))
    told = "; ".join([most, *(f"{', '.join(names[used])} on {used}" for used in others)])
    on_gpu = any(each.endswith("bf16") and "thread" not in each for used in hardware for each in used)
    return told + " (autocast; on a GPU recurrent layers are then fp16)" if on_gpu else told


def family(settings: ArchitectureSettings) -> str:
    """Return which entry of FAMILIES an architecture belongs to."""
    return "no recurrence" if not settings.cells else CELL_NAMES.get(settings.rnn, "mixed")


def dash(settings: ArchitectureSettings) -> int:
    """Return which of DASHES the line of an architecture has: that of its depth, 1 with a wider trunk."""
    depth = max(0, len(settings.cells) - 1)
    return min(depth or int(settings.widen != 1), len(DASHES) - 1)


def best_by_depth(architectures: dict[str, ArchitectureSettings], values: pd.Series) -> set[str]:
    """Return the best of each kind of cell and depth; of those without recurrence, or mixed, none."""
    best: dict[tuple[str, int], str] = {}
    for name, settings in architectures.items():
        key = family(settings), len(settings.cells)
        if settings.cells and key[0] != "mixed" and values[name] > values.get(best.get(key), -np.inf):
            best[key] = name
    return set(best.values())


def leaning(row: Any) -> int:
    """Return 1 where a difference of `bootstrap.class_differences` is above 0, -1 where it is below, else 0.

    It is neither where its q is SIGNIFICANCE or more, or is not given.
    """
    return int(np.sign(row["difference"])) if row["q"] < SIGNIFICANCE else 0


def order_shown(order: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the rows of `Findings.order` that are drawn, by architecture, and what they are of."""
    metric, what = _probe_metric(order["difference"][order["metric"] == COMMON_METRIC])
    return of_metric(order, metric), what


def context_shown(context: pd.DataFrame, longer: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Return what is shown of `Findings.context`, [architecture, seconds], of `longer`, and of what it is."""
    metric, what = _probe_metric(context["value"][context["metric"] == COMMON_METRIC])
    of_it = context[context["metric"] == metric]
    by_length = of_it.pivot(index="architecture", columns="seconds", values="value")
    return by_length.loc[of_it["architecture"].unique()], of_metric(longer, metric), what


def _probe_metric(common: pd.Series) -> tuple[str, str]:
    # Of the common classes, if there are any: rare ones move macro-AUPRC in any order.
    if common.notna().all():
        return COMMON_METRIC, f"macro-AUPRC, ≥ {COMMON} positives"
    return VERDICT_METRIC, "macro-AUPRC"


def pareto_front(cost: pd.Series, scores: pd.Series) -> list[str]:
    """Return the names that no other beats at the same cost or less, cheapest first."""
    front: list[str] = []
    order = pd.DataFrame({"cost": cost, "score": scores}).sort_values(
        ["cost", "score"], ascending=[True, False]
    )
    for name, row in order.iterrows():
        if not front or row["score"] > scores[front[-1]]:
            front.append(str(name))
    return front


def describe(settings: ArchitectureSettings) -> str:
    """Return the temporal part in words, such as "2 × BiLSTM(128)" or "LSTM(128) and a skip"."""
    if not settings.cells:
        return "no recurrence" + (f", channels × {settings.widen:g}" if settings.widen != 1 else "")
    stack = " → ".join(f"{CELL_NAMES[cell]}({settings.hidden})" for cell in settings.rnn.split("+"))
    layers = stack if settings.layers == 1 else f"{settings.layers} × {stack}"
    return f"{layers} and a skip" if settings.skip else layers
