"""`ecg-temporal export`: a model as an ONNX file."""

import argparse

from ecg_temporal.commands.model import load
from ecg_temporal.commands.output import refuse_unwritable
from ecg_temporal.inference.export import export_onnx


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    out = options.out.resolve()
    refuse_unwritable(out.parent)
    name, predictor = load(options.model, options.rule)
    export_onnx(predictor, out)
    print(f"{options.out}: {name}, {options.rule}")
