"""Trained ensembles in MLflow's model registry, by alias."""

import hashlib
import json
import tempfile
from importlib.metadata import version
from pathlib import Path
from shutil import copy, copytree

import mlflow
import numpy as np
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

from ecg_temporal import tracking
from ecg_temporal.evaluation.decisions import read_rules
from ecg_temporal.evaluation.summary import RANKING
from ecg_temporal.inference import serving
from ecg_temporal.inference.predictor import load_predictor
from ecg_temporal.inference.provenance import DECISIONS, MODELS, is_evaluated, read_figures, trained_on
from ecg_temporal.lock import stage_name
from ecg_temporal.ptbxl.settings import SyntheticSettings
from ecg_temporal.ptbxl.synthetic import generate
from ecg_temporal.training.hardware import choose_hardware

PACKAGE = Path(serving.__file__).parents[1]
REQUIREMENTS = ("mlflow", "numpy", "pandas", "pydantic", "pyyaml", "scipy", "torch")


def registered_name(dataset: str) -> str:
    """Return the name of the registered model of `dataset`, one for each.

    So a model of synthetic ECGs never takes an alias of one of real ECGs.
    """
    return f"{tracking.EXPERIMENT}-{dataset}"


def register(architecture: str, rule: str, alias: str) -> str:
    """Log the ensemble of `architecture` as a servable model, register it, and return its URI by alias.

    Where this architecture and rule are registered with these weights and this code, nothing is logged again;
    a version that was registered before its results were committed is told of their commit.

    Parameters
    ----------
    architecture, rule : str
        What to predict with.
    alias : str
        The name that the version is known by, such as "winner".

    Raises
    ------
    ValueError
        As `load_predictor`.
    MlflowException
        The store refuses, or does not answer.
    SQLAlchemyError
        Its database is away.

    """
    predictor = load_predictor(architecture, rule, choose_hardware("cpu", "fp32"))
    spec, dataset = predictor.spec, trained_on(architecture)
    experiment, name = tracking.configure(dataset), registered_name(dataset)
    example = generate(SyntheticSettings(records=300, seed=0))[0][:1].astype(np.float32)
    signature = ModelSignature(
        Schema([TensorSpec(np.dtype(np.float32), (-1, len(spec.leads), -1))]),
        Schema([TensorSpec(np.dtype(np.float64), (-1, len(spec.classes)))]),
    )
    about = {
        "classes": spec.classes,
        "leads": spec.leads,
        "sampling_rate_hz": spec.sampling_rate_hz,
        "unit": "uV",
    }
    seeds = read_rules(DECISIONS / f"{architecture}.json").seeds
    hashed = [DECISIONS / f"{architecture}.json"]
    hashed += [MODELS / architecture / str(seed) / "weights.pt" for seed in seeds]
    code = sorted(PACKAGE.rglob("*.py"))
    digests = [hashlib.sha256(path.read_bytes()).digest() for path in (*hashed, *code)]
    sha256 = hashlib.sha256(b"".join(digests)).hexdigest()
    tags = {"architecture": architecture, "rule": rule, "dataset": dataset, "sha256": sha256}
    origin = tracking.origin()
    if not (is_evaluated(architecture) and _is_committed()):
        origin["git.dirty"] = "true"
    described = (
        f"Probabilities of {len(spec.classes)} diagnostic subclasses of a 12-lead ECG, by the ensemble of "
        f"{architecture} (seeds {', '.join(map(str, seeds))}), rule {rule}, trained with dataset: {dataset}. "
        "Not a medical device."
    )
    if origin["git.dirty"] == "true":
        described += " Made from code, params or results that no commit has."
    elif commit := origin.get("git.commit"):
        again = f"git checkout {commit} && dvc repro {stage_name('evaluate', architecture)}"
        described += f" To make it again: `{again}`."
    client = mlflow.MlflowClient()
    for registered in client.search_model_versions(f"name = '{name}'"):
        if tags.items() <= registered.tags.items():
            if registered.tags["git.dirty"] == "true" and origin["git.dirty"] == "false":
                for key, value in origin.items():
                    client.set_model_version_tag(name, registered.version, key, value)
                client.update_model_version(name, registered.version, described)
            client.set_registered_model_alias(name, alias, registered.version)
            return f"models:/{name}@{alias}"
    tags |= origin
    if runs := ",".join(filter(None, (_training_run(architecture, seed) for seed in seeds))):
        tags["training.runs"] = runs
    with (
        tempfile.TemporaryDirectory() as folder,
        mlflow.start_run(experiment_id=experiment, run_name=f"{architecture} {alias}", tags=tags),
    ):
        figures = read_figures(architecture)
        # What is of the ensemble whatever its rule.
        for metric in (f"ensemble_{name}" for name in RANKING):
            if (figure := figures.get(metric)) is not None:
                mlflow.log_metric(metric, figure)
        # Of the stages' outputs the ones that predicting needs.
        staged = Path(folder)
        for seed in seeds:
            copytree(MODELS / architecture / str(seed), staged / "models" / architecture / str(seed))
        (staged / "decisions").mkdir()
        copy(DECISIONS / f"{architecture}.json", staged / "decisions")
        logged = mlflow.pyfunc.log_model(
            name=architecture,
            python_model=str(Path(serving.__file__)),
            artifacts={"models": str(staged / "models"), "decisions": str(staged / "decisions")},
            code_paths=[str(PACKAGE)],
            model_config={"architecture": architecture, "rule": rule},
            signature=signature,
            input_example=example,
            # PyPI has no "2.13.0+cpu".
            pip_requirements=[f"{package}=={version(package).partition('+')[0]}" for package in REQUIREMENTS],
            metadata=about,
            tags=tags,
            registered_model_name=name,
        )
    number = str(logged.registered_model_version)
    client.update_model_version(name, number, described)
    client.set_registered_model_alias(name, alias, number)  # last: what is served is complete
    return f"models:/{name}@{alias}"


def forget(alias: str, dataset: str) -> bool:
    """Take `alias` from the version of `dataset` that has it, and return whether one had."""
    tracking.configure(dataset)
    client, name = mlflow.MlflowClient(), registered_name(dataset)
    if not any(alias in known.aliases for known in client.search_registered_models(f"name = '{name}'")):
        return False
    client.delete_registered_model_alias(name, alias)
    return True


def _training_run(architecture: str, seed: int) -> str | None:
    """Return the MLflow run in which a seed was trained, if MLflow had taken it."""
    path = MODELS / architecture / str(seed) / "run.json"
    found: str | None = json.loads(path.read_text(encoding="utf-8")).get("mlflow_run_id")
    return found


def _is_committed() -> bool:
    """Return whether params.yaml and dvc.lock, which say what the weights are of, are those of HEAD."""
    return not tracking.git(
        "status", "--porcelain", "--", "params.yaml", "dvc.lock", fallback="no repository"
    )
