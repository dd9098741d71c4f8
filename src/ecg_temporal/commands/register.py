"""`ecg-temporal register`: the winner and the best, or one architecture, in MLflow's model registry."""

import argparse
import os
import re
import sys

from filelock import FileLock
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from ecg_temporal.inference.predictor import VERDICT, winners
from ecg_temporal.inference.provenance import refuse_other_results, trained_on
from ecg_temporal.inference.registry import forget, register, registered_name
from ecg_temporal.tracking import without_secrets
from ecg_temporal.workspace import scratch

RESERVED = re.compile(r"winner|best|latest|v\d+")
"""Aliases that mean something else here or to MLflow."""


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    # MLflow's bars would hide what is printed here.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        # Two at once would both find that nothing is registered yet. Other clones are not kept out.
        with FileLock(scratch("register.lock")):
            if options.model:
                if RESERVED.fullmatch(options.model):
                    raise ValueError(
                        f"--model {options.model}: as an alias it means something else; rename it"
                    )
                chosen = {options.model: options.model}
            else:
                chosen = winners()
                refuse_other_results(VERDICT.with_name("comparison.csv"))
            for alias, name in chosen.items():
                _register(alias, name, options.rule)
    except (MlflowException, SQLAlchemyError) as error:  # the latter from a database that is away
        raise RuntimeError(f"MLflow: {without_secrets(str(error))}") from None


def _register(alias: str, name: str, rule: str) -> None:
    try:
        print(f"{register(name, rule, alias)}: {name}, {rule}")
    except ValueError as error:
        if alias != "best":
            raise
        # Published are the winner's weights alone.
        print(f"{alias} is not registered: {error}", file=sys.stderr)
        dataset = trained_on(winners()["winner"])
        if forget(alias, dataset):
            print(
                f"models:/{registered_name(dataset)}@{alias} was another model's, and is no more",
                file=sys.stderr,
            )
