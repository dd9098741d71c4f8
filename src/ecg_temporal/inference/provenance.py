"""Whether trained weights, the decision rules beside them and the report belong together."""

import csv
import json
import math
from pathlib import Path

from ecg_temporal.comparison.verdict import VERDICT_METRIC
from ecg_temporal.evaluation.decisions import read_rules
from ecg_temporal.lock import (
    Stages,
    file_md5,
    folder_md5,
    inputs,
    outputs,
    parameters,
    read_stages,
    stage_name,
)
from ecg_temporal.models.settings import CANDIDATE
from ecg_temporal.ptbxl.settings import dataset_of
from ecg_temporal.settings import read_params

MODELS, DECISIONS, METRICS = Path("models"), Path("decisions"), Path("metrics")
"""DVC's folders of trained weights, of the decision rules that were learned with them, and of figures."""


def refuse_mismatch(name: str, models: Path, decisions: Path) -> None:
    """Refuse an architecture whose rules were learned with other weights than lie there.

    Calibration and thresholds are of the logits that they were learned from: after another training they
    would be wrong without a sign of it. What dvc.lock does not know is taken as it is.

    Parameters
    ----------
    name : str
        An architecture.
    models, decisions : Path
        DVC's folders of these names, dvc.lock beside them.

    Raises
    ------
    ValueError
        Rules or weights are not those that dvc.lock has, or that is damaged; the message says what to run.

    """
    stages = _stages(models)
    evaluation, prediction = stage_name("evaluate", name), stage_name("predict", name)
    if evaluation not in stages or prediction not in stages:
        return
    rules, logits = decisions / f"{name}.json", f"predictions/{name}.npz"
    if file_md5(rules) != outputs(stages[evaluation]).get(f"decisions/{name}.json"):
        raise ValueError(
            f"{rules} is not what dvc.lock has: `dvc checkout {rules}`, or `dvc repro {evaluation}`"
        )
    folder = models / name
    learned_from, written = inputs(stages[evaluation]).get(logits), outputs(stages[prediction]).get(logits)
    if learned_from != written or _md5_of(folder) != inputs(stages[prediction]).get(f"models/{name}"):
        raise ValueError(
            f"{folder} has other weights than {rules} was learned with: `dvc repro {evaluation}` learns the "
            f"rules again; or `git checkout dvc.lock && dvc checkout` brings both back"
        )


def refuse_other_results(table: Path) -> None:
    """Refuse a report whose compared architectures have other figures than METRICS.

    Parameters
    ----------
    table : Path
        The report's comparison.csv. Of an architecture that METRICS lacks its figure is taken.

    Raises
    ------
    ValueError
        An architecture was evaluated since the report was made, or a file is damaged.

    """
    try:
        with table.open(encoding="utf-8", newline="") as file:
            reported = {row["name"]: float(row[VERDICT_METRIC]) for row in csv.DictReader(file)}
        compared = {name: METRICS / f"{name}.json" for name in reported if name != CANDIDATE}
        figures = {
            name: json.loads(path.read_text(encoding="utf-8"))[VERDICT_METRIC]
            for name, path in compared.items()
            if path.is_file()
        }
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{table} or {METRICS} is damaged ({error!r}); `git checkout` it, or `dvc repro`"
        ) from None
    for name, found in figures.items():
        if not math.isclose(found, reported[name], rel_tol=1e-5, abs_tol=1e-5):  # the table has six digits
            raise ValueError(
                f"{compared[name]} has {VERDICT_METRIC} {found:.4f}, {table} {reported[name]:.4f}: the "
                "report is of other results; `dvc repro`"
            )


def read_figures(name: str) -> dict[str, float | None]:
    """Return an architecture's figures in METRICS; none unless dvc.lock has them of its evaluation.

    One is None where it is not defined, as no class has enough positives.
    """
    path = METRICS / f"{name}.json"
    evaluation = _stages(MODELS).get(stage_name("evaluate", name), {})
    if not path.is_file() or file_md5(path) != outputs(evaluation).get(path.as_posix()):
        return {}
    return dict(json.loads(path.read_text(encoding="utf-8")))


def is_evaluated(name: str) -> bool:
    """Return whether dvc.lock has an evaluation of this architecture."""
    return stage_name("evaluate", name) in _stages(MODELS)


def trained_on(name: str) -> str:
    """Return the dataset that an architecture was trained on, by dvc.lock; params.yaml's if that has nothing.

    Raises:
        ValueError: its rules, params.yaml or dvc.lock can't be read, or params.yaml names no known dataset.

    """
    seed = read_rules(DECISIONS / f"{name}.json").seeds[0]
    training = _stages(MODELS).get(stage_name("train", name, seed), {})
    return dataset_of(read_params() | parameters(training))


def _md5_of(folder: Path) -> str:
    return folder_md5(
        {
            path.relative_to(folder).as_posix(): file_md5(path)
            for path in folder.rglob("*")
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        }
    )


def _stages(output: Path) -> Stages:
    lock = output.parent / "dvc.lock"
    return read_stages(lock) if lock.is_file() else {}
