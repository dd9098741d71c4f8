"""Ours and the reference in turn, medians, ratios."""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from ecg_temporal import files


@dataclass(frozen=True)
class Row:
    """One line of the table. `ratio` is what is set against `goal`: at least, or at most, or between."""

    name: str
    ours: float
    reference: float
    ratio: float
    goal: str
    unit: str
    hardware: str

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.goal == "–":
            return None
        if self.goal[0] in "≥≤":
            limit = float(self.goal[1:])
            return self.ratio >= limit if self.goal[0] == "≥" else self.ratio <= limit
        low, high = map(float, self.goal.split("–"))
        return low <= self.ratio <= high


def row(
    name: str,
    ours: list[float],
    reference: list[float],
    goal: str,
    unit: str,
    hardware: str,
    compare: Literal["ours / reference", "reference / ours"] = "ours / reference",
) -> Row:
    """Return the line of a measurement: medians of both, and the median of the ratios, pair by pair."""
    pairs = zip(ours, reference, strict=True)
    ratios = [a / b if compare == "ours / reference" else b / a for a, b in pairs]
    return Row(
        name,
        statistics.median(ours),
        statistics.median(reference),
        statistics.median(ratios),
        goal,
        unit,
        hardware,
    )


def in_turn(
    ours: Callable[[], float], reference: Callable[[], float], pairs: int
) -> tuple[list[float], list[float]]:
    """Return what `ours` and `reference` measured, called A B A B …, so that a machine's moods hit both."""
    measured = [(ours(), reference()) for _ in range(pairs)]
    return [a for a, _ in measured], [b for _, b in measured]


def seconds(function: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def markdown(rows: list[Row], hardware: str, on_gpu: bool, notes: list[str]) -> str:
    """Return the table. Times and rates are shown from a GPU alone: those of a shared CPU mean nothing."""
    verdict = {True: "yes", False: "**no**", None: ""}
    head = ["what", "ratio", "goal", "reached"] + (["ours", "reference", "unit"] if on_gpu else [])
    lines = [
        "# Benchmarks",
        "",
        f"Made by `make bench` on {hardware}; ours and the reference in turn, medians of the pairs.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + " --- |" * len(head),
    ]
    for r in rows:
        cells = [r.name, f"{r.ratio:.3g}", r.goal, verdict[r.met]]
        if on_gpu:
            cells += [f"{r.ours:.4g}", f"{r.reference:.4g}", r.unit]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *[f"- {note}" for note in notes], ""])


def write(folder: Path, rows: list[Row], page: str) -> None:
    """Write results.md and results.json."""
    with files.replacing_file(folder / "results.md") as temporary:
        temporary.write_text(page, encoding="utf-8")
    with files.replacing_file(folder / "results.json") as temporary:
        text = ",\n".join(json.dumps(asdict(r), ensure_ascii=False) for r in rows)
        temporary.write_text(f"[\n{text}\n]\n", encoding="utf-8")
