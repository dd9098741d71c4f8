"""Train one architecture with one seed: models/<architecture>/<seed>.

    python stages/train.py ARCHITECTURE SEED

ARCHITECTURE is a key of `architectures` in params.yaml, or `model` for the candidate. It sees the training
folds and the validation fold; the test fold is not among its inputs.
"""

import argparse
import signal
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ecg_temporal import files, tracking, workspace
from ecg_temporal.models.classifier import count_parameters
from ecg_temporal.models.settings import CANDIDATE, ArchitectureSettings, TrunkSettings
from ecg_temporal.settings import read_params, section
from ecg_temporal.store import read_split
from ecg_temporal.training import checkpoint
from ecg_temporal.training.artifacts import ModelSpec, write_model
from ecg_temporal.training.distributed import from_main, process_group
from ecg_temporal.training.hardware import choose_hardware, keep_freed_memory
from ecg_temporal.training.loop import train
from ecg_temporal.training.settings import TrainSettings

DATA, OUT = Path("data/processed"), Path("models")
FEW_STEPS = 500


def _settings(params: dict[str, Any], name: str) -> tuple[ArchitectureSettings, TrunkSettings, TrainSettings]:
    key = name if name == CANDIDATE else f"architectures.{name}"
    return (
        section(params, key, ArchitectureSettings),
        section(params, "trunk", TrunkSettings),
        section(params, "train", TrainSettings),
    )


def _recorded(params: dict[str, Any], name: str) -> list[Any]:
    """Return what of `params` DVC records with this training."""
    settings = (each.model_dump(exclude={"seeds", "device"}) for each in _settings(params, name))
    return [params.get("dataset"), *settings]


def _of_data(params: dict[str, Any]) -> dict[str, Any]:
    """Return what of `params` makes the data, for MLflow."""
    sections = ("labels", "fetch", *(["synthetic"] if params["dataset"] == "synthetic" else []))
    values = {f"{name}.{key}": value for name in sections for key, value in params[name].items()}
    return {"dataset": params["dataset"], **values}


def main() -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description="Train one architecture with one seed.")
    parser.add_argument("architecture")
    parser.add_argument("seed", type=int)
    args = parser.parse_args()

    params = read_params()
    architecture, trunk, settings = _settings(params, args.architecture)
    if params["dataset"] == "own":
        workspace.refuse_other_labels(Path("data/raw/manifest.json"))
    hardware = choose_hardware(settings.device, settings.precision)
    keep_freed_memory()
    train_split, validation_split = read_split(DATA / "train"), read_split(DATA / "validation")
    about = train_split.description

    torch.manual_seed(args.seed)
    samples = round(settings.crop_seconds * about.sampling_rate_hz)
    spec = ModelSpec(about.classes, about.leads, about.sampling_rate_hz, samples, trunk, architecture)
    model = spec.build(len(about.statements))
    model.set_scaling(about.mean, about.scale)
    model.to(hardware.device)
    parameters = count_parameters(spec.build())

    what = {
        "architecture": args.architecture,
        "seed": args.seed,
        **{f"model.{k}": v for k, v in architecture.in_effect.items()},
        **{f"trunk.{k}": v for k, v in trunk.model_dump().items()},
        **{f"train.{k}": v for k, v in settings.model_dump(exclude={"seeds", "device"}).items()},
        "train.precision": hardware.precision,
    }
    data = {"train": asdict(about), "validation": asdict(validation_split.description)}
    script = Path(__file__).read_text(encoding="utf-8")
    saved = checkpoint.checkpoint_path({**what, **data, "script": script})

    fit = partial(
        train,
        model,
        train_split,
        validation_split,
        settings,
        architecture.learning_rate,
        args.seed,
        hardware,
    )

    if not hardware.is_main:
        with process_group(hardware):
            fit(lambda row, state: None, from_main(None, hardware))
        return

    stage = "train_model@{seed}" if args.architecture == CANDIDATE else "train@{architecture}-{seed}"
    tags = {
        "architecture": args.architecture,
        "seed": str(args.seed),
        "dvc.stage": stage.format(**vars(args)),
        "dataset": about.dataset,
        "dataset.sha256": about.sha256,
        "hardware": str(hardware),
        "torch": str(torch.__version__),  # a checkpoint holds it, and can hold no TorchVersion
    }
    batch_size = min(settings.batch_size, len(train_split))
    steps = settings.epochs * (len(train_split) // batch_size)
    if params["dataset"] == "own" and steps < FEW_STEPS:
        print(
            f"{steps} steps in all, of {batch_size} records: with fewer than {FEW_STEPS} little is "
            "learned. Lower train.batch_size or raise train.epochs",
            file=sys.stderr,
        )
    with checkpoint.held(saved):
        checkpoint.remove_old(saved)
        resume = checkpoint.load(saved)
        with tracking.run(
            dataset=params["dataset"],
            name=f"{args.architecture}-{args.seed}",
            params={**what, "parameters": parameters, **_of_data(params)},
            tags=tags,
            resume=resume and resume["mlflow"],
        ) as run:

            def keep(row: dict[str, float], state: dict[str, Any]) -> None:
                run.log_epoch(row)
                checkpoint.save(saved, {**state, "mlflow": run.record})
                run.push()

            with process_group(hardware):
                weights, history = fit(keep, from_main(resume, hardware))
            about_run = {
                "mlflow_run_id": run.record["id"],  # null if MLflow did not take it; the key is a tag of it
                tracking.KEY: run.record["key"],
                "hardware": str(hardware),
                "torch": str(torch.__version__),
                "precision": hardware.precision,
                "parameters": parameters,
            }
            # DVC reads params.yaml when a stage ends: it would take these weights for those of other params.
            if _recorded(read_params(), args.architecture) != _recorded(params, args.architecture):
                raise ValueError(
                    "params.yaml has changed since this training began: set it back and run again, and it "
                    "goes on from its last epoch; or run again as it is now, and it begins anew"
                )
            with files.replacing_folder(OUT / args.architecture / str(args.seed)) as folder:
                write_model(folder, spec, weights, history, about_run)
        saved.unlink(missing_ok=True)


def _stop(*_: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)  # a batch system's, at the end of the job's time
    try:
        main()
    except (ValueError, RuntimeError, OSError, FloatingPointError) as error:
        sys.exit(f"train {' '.join(sys.argv[1:])}: {error}")
    except KeyboardInterrupt:
        print(
            f"train {' '.join(sys.argv[1:])}: stopped; run again, it goes on from its last whole epoch",
            file=sys.stderr,
        )
        sys.exit(128 + signal.SIGINT)
