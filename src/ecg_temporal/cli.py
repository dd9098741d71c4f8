"""`ecg-temporal`: the trained models at the command line, from the project's folder.

Arguments are here; what a command does is in commands/.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from ecg_temporal.commands.output import printable, to_stdout
from ecg_temporal.evaluation.settings import RULES, DecisionSettings
from ecg_temporal.settings import read_params, section


def main(arguments: list[str] | None = None) -> None:
    """Run a command; a refusal ends it with a message and status 1, one of the arguments with 2."""
    parser = argparse.ArgumentParser(prog="ecg-temporal", description="Use the trained models.")
    parser.add_argument("--version", action="version", version=version("ecg-temporal"))
    commands = parser.add_subparsers(dest="command", required=True)
    predict = commands.add_parser(
        "predict",
        help="diagnostic subclasses of WFDB records",
        description="Probability (calibrated, except under the rules half and half+likeliest) and "
        "decision for each diagnostic subclass of WFDB records (.dat, or .mat as in the PhysioNet/CinC "
        "Challenge), of any sampling rate from 50 Hz, gain, unit and lead order, a second or longer; short "
        "ones score lower (Context in reports/comparison.md). A rule may decide on whole sets, where a "
        "likely subclass may be out and a less likely one in. Not a medical device.",
    )
    predict.add_argument(
        "records",
        nargs="+",
        type=Path,
        metavar="RECORD",
        help="a record or a folder of them; - reads their names from stdin, one a line",
    )
    predict.add_argument(
        "--out", type=_file(".csv", ".json"), metavar="FILE", help=".csv or .json; by default CSV to stdout"
    )
    predict.add_argument(
        "--plot", type=Path, metavar="FOLDER", help="draw each record on ECG paper there, under its path"
    )
    predict.add_argument("--skip-bad", action="store_true", help="go on after a record that can't be used")
    explain = commands.add_parser(
        "explain",
        help="which seconds and leads a finding rests on",
        description="Draw the first ten seconds of a record with what speaks for (orange) and against "
        "(violet) a diagnostic subclass, by hiding a fifth of a second of one lead at a time.",
    )
    explain.add_argument("record", type=Path, metavar="RECORD")
    explain.add_argument("subclass", help="such as IMI")
    explain.add_argument("--out", type=_file(".png"), metavar="FILE.png", required=True)
    explain.add_argument(
        "--part",
        choices=("all", "order", "frames"),
        default="all",
        help="order: only what the recurrent layers take from the order of the trunk's frames; frames: what "
        "is left without it",
    )
    compare = commands.add_parser(
        "compare",
        help="whether what one experiment gains on another is more than chance",
        description="What SECOND gains on FIRST: every metric's difference with its 95% interval, by the "
        "paired bootstrap over the patients of a fold, and the diagnoses that differ. To choose by the test "
        "fold would make its figures worthless: it is the validation fold unless you say otherwise.",
    )
    for name in ("first", "second"):
        compare.add_argument(
            name,
            metavar=name.upper(),
            help="ARCHITECTURE, as in the workspace, or ARCHITECTURE@REVISION, as in a DVC experiment, or a "
            "branch, tag or commit of Git",
        )
    compare.add_argument("--split", choices=("validation", "test"), default="validation")
    compare.add_argument(
        "--out", type=_file(".csv"), metavar="FILE.csv", help="every figure, by diagnosis too"
    )
    export = commands.add_parser(
        "export", help="a model as an ONNX file", description="Write the seeds' ensemble as an ONNX file."
    )
    export.add_argument("out", type=_file(".onnx"), metavar="FILE.onnx")
    register = commands.add_parser(
        "register",
        help="the winner and the best, or one architecture, in MLflow's model registry",
        description="Register the ensembles that the report calls enough (alias winner) and best (alias "
        "best) in MLflow's model registry, to be served; or that of one architecture, under its name as "
        "alias.",
    )
    for command in (predict, explain, export):
        command.add_argument("--model", help="an architecture; default: the one that the report calls enough")
    register.add_argument(
        "--model", help="an architecture; default: those that the report calls enough and best"
    )
    for command in (predict, explain, compare, export, register):
        command.add_argument(
            "--rule",
            choices=RULES,
            help="how probabilities become decisions (docs/method.md); default: decision.rule of params.yaml"
            + (", of each of the two" if command is compare else "")
            + ("; the server answers with probabilities alone" if command is register else ""),
        )
    _open_closed_streams()
    options = parser.parse_args(arguments)
    if arguments is None and options.command not in ("compare", "register"):
        # A program of its own: Ctrl-C ends it, also where a library would swallow it. These two have
        # something to clean up.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        if options.command != "compare":  # where each of two has its own
            options.rule = options.rule or section(read_params(), "decision", DecisionSettings).rule
        # Here, as it loads PyTorch or MLflow: so --help and a refusal of the arguments come at once.
        import_module(f"ecg_temporal.commands.{options.command}").run(options)
        with to_stdout():
            pass  # but what is printed and not yet written
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(printable(f"ecg-temporal {options.command}: {error}"))


def _open_closed_streams() -> None:
    """Let a standard stream that is closed, as some services have it, read and write nothing."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 (until the end)


def _file(*suffixes: str) -> Callable[[str], Path]:
    def checked(text: str) -> Path:
        path = Path(text)
        try:
            is_other = path.exists() and not path.is_file()
        except OSError as error:
            raise argparse.ArgumentTypeError(f"{text}: {error.strerror}") from None
        if path.suffix not in suffixes or is_other:
            raise argparse.ArgumentTypeError(f"{text}: must be a file that ends in {' or '.join(suffixes)}")
        return path

    return checked


if __name__ == "__main__":
    main()
