"""`ecg-temporal register`: the winner and the best in MLflow's model registry."""

import argparse
import os
import sys

from mlflow.exceptions import MlflowException

from ecg_temporal.inference.predictor import winners
from ecg_temporal.inference.registry import NAME, forget, register
from ecg_temporal.ptbxl.settings import dataset_of
from ecg_temporal.settings import read_params
from ecg_temporal.tracking import without_secrets


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    # MLflow's bars would hide what is printed here.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for alias, name in winners().items():
        try:
            registered = register(name, options.rule, alias)
        except MlflowException as error:
            raise RuntimeError(f"MLflow: {without_secrets(str(error))}") from None
        except ValueError as error:
            if alias == "winner":
                raise
            # Published are the winner's weights alone.
            print(f"{alias} is not registered: {error}", file=sys.stderr)
            if forget(alias, dataset_of(read_params())):
                print(f"models:/{NAME}@{alias} was another model's, and is no more", file=sys.stderr)
            continue
        print(f"{registered}: {name}, {options.rule}")
