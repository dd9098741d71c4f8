"""Whether trained weights, the decision rules beside them and the report belong together, by dvc.lock."""

from pathlib import Path

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
from ecg_temporal.ptbxl.settings import dataset_of
from ecg_temporal.settings import read_params

MODELS, DECISIONS, METRICS = Path("models"), Path("decisions"), Path("metrics")
"""DVC's folders of weights, of the decision rules learned with them, and of their figures."""


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

    Raises:
        ValueError: rules or weights are not those that dvc.lock has; the message says what to run.

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


def refuse_other_results(metrics: Path = METRICS) -> None:
    """Refuse a report that was made of other figures than lie in `metrics`; one that dvc.lock lacks is taken.

    Raises:
        ValueError: an evaluation ran since the report was made.

    """
    reported = inputs(_stages(metrics).get("report", {})).get(metrics.name)
    if reported not in (None, _md5_of(metrics)):
        raise ValueError(f"{metrics} has other figures than the report was made of; `dvc repro report`")


def is_evaluated(name: str) -> bool:
    """Return whether dvc.lock has an evaluation of this architecture."""
    return stage_name("evaluate", name) in _stages(MODELS)


def trained_on(name: str) -> str:
    """Return the dataset that an architecture was trained on, by dvc.lock; params.yaml's if that has nothing.

    Raises:
        ValueError: its rules can't be read, or params.yaml names no known dataset.

    """
    seed = read_rules(DECISIONS / f"{name}.json").seeds[0]
    training = _stages(MODELS).get(stage_name("train", name, seed), {})
    return dataset_of(read_params() | parameters(training))


def _md5_of(folder: Path) -> str:
    return folder_md5(
        {
            path.relative_to(folder).as_posix(): file_md5(path)
            for path in folder.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        }
    )


def _stages(output: Path) -> Stages:
    lock = output.parent / "dvc.lock"
    return read_stages(lock) if lock.is_file() else {}
