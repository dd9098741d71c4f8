"""A pair as text, for a terminal and for a pull request alike."""

from typing import Any

import pandas as pd

from ecg_temporal.comparison.settings import SIGNIFICANCE
from ecg_temporal.comparison.verdict import LOWER_IS_BETTER
from ecg_temporal.experiments.compare import Pair
from ecg_temporal.experiments.revisions import Contender
from ecg_temporal.reporting.style import leaning
from ecg_temporal.reporting.tables import METRICS, STEADY, aligned, difference, leaves_out_zero

TITLES = METRICS | STEADY
KEY = """In brackets: 95% intervals, the first of a paired bootstrap over patients, the second also with the
variance between seeds. Bold: every interval shown leaves out 0. p belongs to the first interval and is not
corrected for the number of metrics."""


def pair_page(pair: Pair, first: str, second: str) -> str:
    """Return a Markdown table of TITLES, and what of it is more than chance in words.

    Parameters
    ----------
    pair : Pair
    first, second : str
        What the two are called.

    """
    rows = [["", first, second, "difference [other patients]", "[and other trainings]", "p"]]
    found = pair.figures.set_index("metric").to_dict("index")
    for metric, title in TITLES.items():
        row = found[metric]
        again = f"[{row['again_low']:+.4f}, {row['again_high']:+.4f}]" if pd.notna(row["again_low"]) else "–"
        values = [f"{row[name]:.4f}" if pd.notna(row[name]) else "–" for name in ("first", "second")]
        p = f"{row['p']:.4f}" if pd.notna(row["p"]) else "–"
        rows.append([title, *values, difference(row, bold=_is_sure(row)), again, p])
    return (
        f"{aligned(rows, text_columns=1)}\n\n{KEY}\n\n{_in_words(found, second)}\n{_by_class(pair.classes)}\n"
    )


def recipe_page(first: Contender, second: Contender) -> str:
    """Return in two sentences which params, code and data the two were made with that differ."""
    both = {
        key: (first.settings.get(key, "–"), second.settings.get(key, "–"))
        for key in first.settings | second.settings
    }
    changed = [f"{key} {one} → {other}" for key, (one, other) in both.items() if one != other]
    paths = sorted(first.made_with.keys() | second.made_with.keys())
    others = [path for path in paths if first.made_with.get(path) != second.made_with.get(path)]
    params = f"Params: {'; '.join(changed)}." if changed else "Params: the same."
    made = f"Code or data that differ: {', '.join(others)}." if others else "Code and data: the same."
    return f"{params} {made}"


def _is_sure(row: dict[Any, Any]) -> bool:
    """Return whether both intervals of a difference, as far as they are known, leave out 0."""
    again = {"low": row["again_low"], "high": row["again_high"]}
    return leaves_out_zero(row) and (pd.isna(row["again_low"]) or leaves_out_zero(again))


def _in_words(found: dict[Any, dict[Any, Any]], second: str) -> str:
    better: list[str] = []
    worse: list[str] = []
    for metric, title in TITLES.items():
        row = found[metric]
        if _is_sure(row):
            gains = (row["difference"] > 0) != (metric in LOWER_IS_BETTER)
            (better if gains else worse).append(title.rsplit(" ", 1)[0])
    both = {"better": better, "worse": worse}
    said = [f"{what} in {'; '.join(names)}" for what, names in both.items() if names]
    trainings = any(pd.notna(row["again_low"]) for row in found.values())
    chance = "of other patients and other trainings" if trainings else "of other patients"
    text = f"{second} is {', and '.join(said)}," if said else "No metric differs"
    text += f" by more than the chance {chance}."
    return text if trainings else f"{text} What another training would give is not known: each has one seed."


def _by_class(classes: pd.DataFrame) -> str:
    rows = [row for row in classes.to_dict("records") if leaning(row)]
    share = f"(false discovery rate below {SIGNIFICANCE:.0%})"
    if not rows:
        return f"No diagnosis differs in average precision {share}."
    named = ", ".join(f"{row['subclass']} {difference(row, bold=False)}" for row in rows)
    return f"Average precision by diagnosis {share}: {named}."
