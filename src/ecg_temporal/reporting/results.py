"""All results of a comparison, read from metrics/ in the order of params.yaml."""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class Results:
    """Results by architecture: `headline` (a row each), `per_class` and `history` (long form).

    In `per_class` and `history` the column `architecture` says whose a row is.
    """

    headline: pd.DataFrame
    per_class: pd.DataFrame
    history: pd.DataFrame


def read_results(metrics: Path, names: list[str]) -> Results:
    """Read the results of the architectures `names`; others that the folder may hold are left alone.

    Raises:
        ValueError: a file is missing or damaged.

    """
    headline, tables = {}, {"per_class": [], "history": []}  # type: ignore[var-annotated]
    for name in names:
        try:
            headline[name] = json.loads((metrics / f"{name}.json").read_text(encoding="utf-8"))
            for kind, parts in tables.items():
                table = pd.read_csv(metrics / kind / f"{name}.csv", keep_default_na=False, na_values=[""])
                parts.append(table.assign(architecture=name))
        except (OSError, ValueError) as error:
            raise ValueError(f"no results of {name!r} ({error}); run `dvc repro`") from None
    frame = pd.DataFrame.from_dict(headline, orient="index").astype(float).rename_axis("architecture")
    return Results(frame, *(pd.concat(parts, ignore_index=True) for parts in tables.values()))
