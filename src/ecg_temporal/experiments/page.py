"""A pair as text, for a terminal and for a pull request alike."""

from typing import Any

import pandas as pd

from ecg_temporal.comparison.settings import SIGNIFICANCE
from ecg_temporal.comparison.verdict import LOWER_IS_BETTER
from ecg_temporal.experiments.compare import Pair
from ecg_temporal.reporting.style import leaning
from ecg_temporal.reporting.tables import METRICS, STEADY, aligned, difference, leaves_out_zero

TITLES = METRICS | STEADY


def pair_page(pair: Pair, first: str, second: str) -> str:
    """Return a Markdown table of TITLES, and what of it is more than chance in words.

    Parameters
    ----------
    pair : Pair
    first, second : str
        What the two are called.

    """
    rows = [["", first, second, "difference", "with other trainings, too", "p"]]
    found = pair.figures.set_index("metric").to_dict("index")
    for metric, title in TITLES.items():
        row = found[metric]
        again = f"[{row['again_low']:+.4f}, {row['again_high']:+.4f}]" if pd.notna(row["again_low"]) else "–"
        values = [f"{row[name]:.4f}" if pd.notna(row[name]) else "–" for name in ("first", "second")]
        p = f"{row['p']:.4f}" if pd.notna(row["p"]) else "–"
        rows.append([title, *values, difference(row, bold=leaves_out_zero(row)), again, p])
    return f"{aligned(rows, text_columns=1)}\n\n{_in_words(found, second)}\n{_by_class(pair.classes)}\n"


def _in_words(found: dict[Any, dict[Any, Any]], second: str) -> str:
    better: list[str] = []
    worse: list[str] = []
    for metric, title in TITLES.items():
        row = found[metric]
        if leaves_out_zero(row):
            gains = (row["difference"] > 0) != (metric in LOWER_IS_BETTER)
            (better if gains else worse).append(title.rsplit(" ", 1)[0])
    both = {"better": better, "worse": worse}
    said = [f"{what} in {'; '.join(names)}" for what, names in both.items() if names]
    if not said:
        return "No difference's 95% interval leaves out 0."
    return f"{second} is {', and '.join(said)}: these 95% intervals leave out 0."


def _by_class(classes: pd.DataFrame) -> str:
    rows = [row for row in classes.to_dict("records") if leaning(row)]
    share = f"(false discovery rate below {SIGNIFICANCE:.0%})"
    if not rows:
        return f"No diagnosis differs in average precision {share}."
    named = ", ".join(f"{row['subclass']} {difference(row, bold=False)}" for row in rows)
    return f"Average precision by diagnosis {share}: {named}."
