"""All results of a comparison, read from metrics/ and probes/ in the order of params.yaml."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_temporal.lock import stage_name

TABLES = ("per_class", "history", "seeds", "rules")


@dataclass(frozen=True)
class Results:
    """Results by architecture: `headline` (a row each) and the tables of TABLES in long form.

    In `per_class`, `history`, `seeds` and `rules` the column `architecture` says whose a row is; the others
    are those of `evaluation.summary`'s by_class, by_seed and by_rule, and of a training's history.csv.
    """

    headline: pd.DataFrame
    per_class: pd.DataFrame
    history: pd.DataFrame
    seeds: pd.DataFrame
    rules: pd.DataFrame


@dataclass(frozen=True)
class Probes:
    """Logits of stages/probe.py by architecture, and what it measured of its cost.

    `order` is float32 [seeds, permutations, records, classes], `context` float32 [seeds, lengths, records,
    classes].
    """

    order: dict[str, NDArray[np.float32]]
    context: dict[str, NDArray[np.float32]]
    cost: dict[str, dict[str, Any]]


def read_results(metrics: Path, names: list[str], epochs: int) -> Results:
    """Read the results of the architectures `names`; others that the folder may hold are left alone.

    Raises:
        ValueError: a file is missing or damaged, or a training is not of `epochs` epochs.

    """
    headline: dict[str, dict[str, float]] = {}
    tables: dict[str, list[pd.DataFrame]] = {kind: [] for kind in TABLES}
    for name in names:
        try:
            headline[name] = json.loads((metrics / f"{name}.json").read_text(encoding="utf-8"))
            for kind, parts in tables.items():
                table = read_csv(metrics / kind / f"{name}.csv")
                parts.append(table.assign(architecture=name))
            trained = tables["history"][-1].groupby("seed")["epoch"].agg(["size", "max"])
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"no results of {name!r} ({error}); run `dvc repro`") from None
        for seed, row in trained[(trained != epochs).any(axis=1)].iterrows():
            stage = stage_name("train", name, seed)
            raise ValueError(
                f"{metrics / 'history' / name}.csv: seed {seed} has {row['size']} epochs up to {row['max']}, "
                f"not {epochs}: it is of another recipe; run `dvc repro -f -s {stage} && dvc repro`"
            )
    frame = pd.DataFrame.from_dict(headline, orient="index").astype(float).rename_axis("architecture")
    return Results(frame, **{kind: pd.concat(parts, ignore_index=True) for kind, parts in tables.items()})


def read_csv(path: Path) -> pd.DataFrame:
    """Read one of the metrics' tables; a subclass stays the text that it is, such as NA or 01."""
    return pd.read_csv(path, dtype={"subclass": str}, keep_default_na=False, na_values=[""])


def positives(per_class: pd.DataFrame) -> dict[str, int]:
    """Return the number of positive test records by subclass, the commonest first."""
    counts = per_class.drop_duplicates("subclass").set_index("subclass")["positives"]
    return {str(name): int(n) for name, n in counts.sort_values(ascending=False, kind="stable").items()}


def read_probes(folder: Path, names: list[str], seeds: list[int]) -> Probes:
    """Read what the probes of `names` found, of these `seeds`.

    Raises:
        ValueError: a file is missing or damaged, or is of other seeds.

    """
    probes = Probes({}, {}, {})
    for name in names:
        try:
            with np.load(folder / name / "logits.npz") as arrays:
                probes.order[name], probes.context[name] = arrays["order"], arrays["context"]
                if (found := arrays["seeds"].tolist()) != seeds:
                    raise ValueError(f"they are of the seeds {found}, not {seeds}")
            probes.cost[name] = json.loads((folder / name / "cost.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"no probes of {name!r} ({error}); run `dvc repro`") from None
    return probes
