"""`ecg-temporal`: the trained models at the command line, from the project's folder."""

import argparse
import csv
import io
import json
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tqdm import tqdm

from ecg_temporal import files
from ecg_temporal.evaluation.settings import RULES, DecisionSettings
from ecg_temporal.ptbxl.names import full_names
from ecg_temporal.settings import read_params, section

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ecg_temporal.inference.predictor import Predictor
    from ecg_temporal.inference.records import ECG

PARTS = {"all": "", "order": ", from the order of frames", "frames": ", whatever the order of frames"}
"""What `explain` draws → how the title says it."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command; a refusal ends it with a message and status 1."""
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
    predict.add_argument("--plot", type=Path, metavar="FOLDER", help="draw each record on ECG paper there")
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
        choices=tuple(PARTS),
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
        help="the winner and the best in MLflow's model registry",
        description="Register the ensembles that the report calls enough (alias winner) and best (alias "
        "best) in MLflow's model registry, to be served.",
    )
    for command in (predict, explain, export):
        command.add_argument("--model", help="an architecture; default: the one that the report calls enough")
    for command in (predict, explain, compare, export, register):
        command.add_argument(
            "--rule",
            choices=RULES,
            help="how probabilities become decisions, see README; default: decision.rule of params.yaml"
            + ("; the server answers with probabilities alone" if command is register else ""),
        )
    options = parser.parse_args(arguments)
    if arguments is None and options.command != "register":
        # A program of its own: Ctrl-C ends it, also where a library would swallow it.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        if options.command != "compare":  # where each of two has its own
            options.rule = options.rule or section(read_params(), "decision", DecisionSettings).rule
        run = {
            "predict": _predict,
            "explain": _explain,
            "compare": _compare,
            "export": _export,
            "register": _register,
        }
        run[options.command](options)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has enough, as `head`; nor may Python's own flush at exit fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f"ecg-temporal {options.command}: {error}")


def _predict(options: argparse.Namespace) -> None:
    paths, missing = _find(options)
    _, predictor = _load(options)
    # Before anything that takes long.
    for folder in filter(None, (options.out and options.out.parent, options.plot)):
        _refuse_unwritable(folder)
    if options.plot:
        _refuse_shared_drawings(options.plot, paths)
    records, told = _read(paths, options.skip_bad, predictor)
    if not records:
        raise ValueError("no record is left")
    if left_out := missing + len(paths) - len(records):
        print(f"{len(records)} predicted, {left_out} left out", file=sys.stderr)
    progress = tqdm(records, unit="record", desc="predicting", disable=len(records) < 100)
    probabilities, decisions = predictor.predict(ecg.signals for ecg in progress)

    classes = predictor.spec.classes
    rows: list[dict[str, Any]] = []
    for ecg, warned, p, made in zip(records, told, probabilities, decisions, strict=True):
        order = p.argsort()[::-1]
        rows.append(
            {
                "record": ecg.name,
                "seconds": ecg.signals.shape[1] / predictor.spec.sampling_rate_hz,
                "findings": [classes[k] for k in order if made[k]],
                "codes": ecg.codes,
                "warnings": warned,
                "probabilities": {
                    name: round(float(value), 5) for name, value in zip(classes, p, strict=True)
                },
            }
        )
    as_json = options.out is not None and options.out.suffix == ".json"
    text = _json(rows) if as_json else _csv(rows, classes)
    if options.out is None:
        sys.stdout.write(text)
    else:
        with files.replacing_file(options.out) as temporary:
            temporary.write_text(text, encoding="utf-8")
    if options.plot:
        _draw(options.plot, records, probabilities, decisions, predictor)


def _find(options: argparse.Namespace) -> tuple[list[Path], int]:
    """Return the records that are named, and how many names there are no records for under --skip-bad."""
    # Here, as all that loads PyTorch, so that --help and a refusal of the arguments come at once.
    from ecg_temporal.inference.records import find_records

    given = list(_with_stdin(options.records))
    if not given:
        raise ValueError("stdin names no record")
    missing: list[OSError] = []
    paths = find_records(given, missing.append if options.skip_bad else None)
    for error in missing:
        print(f"left out: {error}", file=sys.stderr)
    return paths, len(missing)


def _read(paths: list[Path], skip_bad: bool, predictor: "Predictor") -> tuple[list["ECG"], list[list[str]]]:
    """Return the records that can be used, and what speaks against each."""
    from ecg_temporal.inference.records import read_ecg
    from ecg_temporal.ptbxl.waveforms import RecordError

    records, told = [], []
    for path in tqdm(paths, unit="record", desc="reading", disable=len(paths) < 100):
        try:
            records.append(read_ecg(path))
        except RecordError as error:
            if not skip_bad:
                hint = "; --skip-bad leaves such records out" if len(paths) > 1 else ""
                raise ValueError(f"{error}{hint}") from None
            print(f"left out: {error}", file=sys.stderr)
        else:
            told.append(_print_warnings(records[-1], predictor))
    return records, told


def _draw(
    folder: Path,
    records: list["ECG"],
    probabilities: "NDArray[np.float64]",
    decisions: "NDArray[np.bool_]",
    predictor: "Predictor",
) -> None:
    from ecg_temporal.inference.paper import SECONDS, draw_ecg

    classes, rate = predictor.spec.classes, predictor.spec.sampling_rate_hz
    of_each = list(zip(records, probabilities, decisions, strict=True))
    for ecg, p, made in tqdm(of_each, unit="record", desc="drawing", disable=len(records) < 10):
        title, seconds = _shortened(ecg.name), ecg.signals.shape[1] / rate
        if seconds > SECONDS:
            title += f": the first {SECONDS:g} of {seconds:g} s, findings of all"
        drawn = draw_ecg(ecg.signals, rate, title, _named(classes, p, made))
        with files.replacing_file(_drawing(folder, Path(ecg.name))) as temporary:
            drawn.savefig(temporary, format="png")


def _explain(options: argparse.Namespace) -> None:
    from ecg_temporal.inference.explain import occlusion
    from ecg_temporal.inference.paper import SECONDS, draw_ecg
    from ecg_temporal.inference.records import find_records, read_ecg

    paths = find_records([options.record])
    if len(paths) > 1:
        raise ValueError(f"{options.record} holds {len(paths)} records; name one of them")
    ecg = read_ecg(paths[0])
    _refuse_unwritable(options.out.parent)
    name, predictor = _load(options)
    if options.part != "all" and predictor.spec.architecture.rnn == "none":
        raise ValueError(f"{name} has no recurrent layer, nothing in it rests on the order of frames")
    _print_warnings(ecg, predictor)
    # What is drawn; hiding every part of half an hour would also take hours.
    signals = ecg.signals[:, : round(SECONDS * predictor.spec.sampling_rate_hz)]
    found = occlusion(predictor, signals, options.subclass, order=options.part != "frames")
    if options.part == "order":
        found -= occlusion(predictor, signals, options.subclass, order=False)
    title = f"For (orange) and against (violet) {options.subclass}, by {name}{PARTS[options.part]}"
    title += f": {_shortened(ecg.name)}"
    if ecg.signals.shape[1] > signals.shape[1]:
        title += f", the first {SECONDS:g} s alone"
    (probabilities,), (decisions,) = predictor.predict([signals])
    findings = _named(predictor.spec.classes, probabilities, decisions)
    with files.replacing_file(options.out) as temporary:
        figure = draw_ecg(signals, predictor.spec.sampling_rate_hz, title, findings, found)
        figure.savefig(temporary, format="png")


def _compare(options: argparse.Namespace) -> None:
    from ecg_temporal.comparison.settings import BootstrapSettings
    from ecg_temporal.evaluation.predictions import SPLITS
    from ecg_temporal.experiments.compare import compare
    from ecg_temporal.experiments.page import pair_page
    from ecg_temporal.experiments.revisions import read_contender
    from ecg_temporal.ptbxl.raw import TABLE, read_table
    from ecg_temporal.store import read_split

    if options.first == options.second:
        raise ValueError(f"{options.first} would be set against itself")
    if options.out:
        _refuse_unwritable(options.out.parent)
    bootstrap = section(read_params(), "bootstrap", BootstrapSettings)
    splits = {split: read_split(Path("data/processed") / split) for split in SPLITS}
    fold = splits[options.split]
    patients = read_table(Path("data/raw") / TABLE).loc[fold.ecg_id, "patient_id"].to_numpy()
    first, second = (read_contender(name, splits) for name in (options.first, options.second))
    if options.rule:
        first, second = (replace(each, rule=options.rule) for each in (first, second))
    labels = {split: data.labels for split, data in splits.items()}
    pair = compare(first, second, labels, fold.description.classes, patients, options.split, bootstrap)
    if options.out:
        with files.replacing_file(options.out) as temporary:
            pair.table().to_csv(temporary, index=False, float_format="%.6g")
    seeds = " and ".join(str(len(each.predictions.seeds)) for each in (second, first))
    rules = " and ".join(dict.fromkeys([second.rule, first.rule]))
    print(
        f"{second.name} less {first.name}: {fold.description.dataset}, {options.split} fold, {len(fold)} "
        f"records of {len(set(patients))} patients, {fold.labels.shape[1]} classes; mean of {seeds} seeds, "
        f"{bootstrap.replicates} replicates, rule {rules}\n"
    )
    print(pair_page(pair, first.name, second.name), end="")


def _export(options: argparse.Namespace) -> None:
    from ecg_temporal.inference.export import export_onnx

    _refuse_unwritable(options.out.parent)
    name, predictor = _load(options, device="cpu")
    export_onnx(predictor, options.out)
    print(f"{options.out}: {name}, {options.rule}")


def _register(options: argparse.Namespace) -> None:
    # MLflow's advice and bars would hide what is printed here.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from mlflow.exceptions import MlflowException

    from ecg_temporal.inference.predictor import winners
    from ecg_temporal.inference.registry import NAME, forget, register
    from ecg_temporal.ptbxl.settings import dataset_of
    from ecg_temporal.tracking import without_secrets

    warnings.filterwarnings("ignore", message=".*Add type hints to the `predict` method")
    dataset = dataset_of(read_params())
    for alias, name in winners().items():
        try:
            registered = register(name, options.rule, alias, dataset)
        except MlflowException as error:
            raise RuntimeError(f"MLflow: {without_secrets(str(error))}") from None
        except ValueError as error:
            if alias == "winner":
                raise
            # Published are the winner's weights alone.
            print(f"{alias} is not registered: {error}", file=sys.stderr)
            if forget(alias, dataset):
                print(f"models:/{NAME}@{alias} was another model's, and is no more", file=sys.stderr)
            continue
        print(f"{registered}: {name}, {options.rule}")


def _with_stdin(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if str(path) == "-":
            yield from (Path(line.rstrip("\r\n")) for line in sys.stdin if line.strip())
        else:
            yield path


def _load(options: argparse.Namespace, device: Literal["auto", "cpu"] = "auto") -> tuple[str, "Predictor"]:
    """Return the architecture that was asked for, by default the winner, and its predictor."""
    from ecg_temporal.inference.predictor import load_predictor, winners
    from ecg_temporal.ptbxl.settings import dataset_of
    from ecg_temporal.training.hardware import choose_hardware

    if dataset_of(read_params()) == "synthetic":
        print(
            "dataset is synthetic in params.yaml: what was trained so says nothing of real ECGs",
            file=sys.stderr,
        )
    name = options.model or winners()["winner"]
    return name, load_predictor(name, options.rule, choose_hardware(device, "fp32"))


def _print_warnings(ecg: "ECG", predictor: "Predictor") -> list[str]:
    """Print what speaks against a record, and return it."""
    told = ecg.quality_warnings()
    far = zip(predictor.spec.leads, predictor.offsets(ecg.signals).tolist(), strict=True)
    if taken := ", ".join(f"{lead} {offset / 1000:+.2g}" for lead, offset in far if offset):
        told.append(f"leads far from zero, whose mean (mV) is taken away: {taken}")
    for warning in told:
        print(f"{ecg.name}: {warning}", file=sys.stderr)
    return told


def _named(classes: list[str], probabilities: Any, decisions: Any) -> list[tuple[str, float, bool]]:
    """Return full name, probability and decision of each class, the likeliest first."""
    order = probabilities.argsort()[::-1]
    full = full_names(classes)
    return [(full.get(classes[k], classes[k]), float(probabilities[k]), bool(decisions[k])) for k in order]


def _drawing(folder: Path, record: Path) -> Path:
    """Return where a record is drawn: a folder for each of its own, so that a/b_c and a_b/c are two."""
    inside = [part for part in record.parts if part not in ("/", "..")]
    return folder.joinpath(*inside[:-1], f"{inside[-1]}.png")


def _refuse_shared_drawings(folder: Path, paths: list[Path]) -> None:
    drawings: dict[Path, Path] = {}
    for path in paths:
        first = drawings.setdefault(_drawing(folder, path), path)
        if first != path:
            raise ValueError(
                f"{first} and {path} would have one drawing; draw them into folders of their own"
            )


def _shortened(name: str, longest: int = 90) -> str:
    """Return a record's name as a title holds it: of a long path, the end."""
    return name if len(name) <= longest else f"…{name[-longest:]}"


def _refuse_unwritable(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{folder} can't be written to")


def _csv(rows: list[dict[str, Any]], classes: list[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["record", "seconds", "findings", "codes", *classes])
    for row in rows:
        lists = [";".join(row["findings"]), ";".join(row["codes"])]
        writer.writerow([row["record"], row["seconds"], *lists, *row["probabilities"].values()])
    return text.getvalue()


def _json(rows: list[dict[str, Any]]) -> str:
    found = []
    for row in rows:
        full = full_names(row["probabilities"])
        subclasses = {
            subclass: {
                "name": full.get(subclass, subclass),
                "probability": probability,
                "decision": subclass in row["findings"],
            }
            for subclass, probability in row["probabilities"].items()
        }
        kept = {key: value for key, value in row.items() if key != "probabilities"}
        found.append({**kept, "subclasses": subclasses})
    return json.dumps(found, indent=2) + "\n"


def _file(*suffixes: str) -> Callable[[str], Path]:
    def checked(text: str) -> Path:
        path = Path(text)
        if path.suffix not in suffixes or path.is_dir():
            raise argparse.ArgumentTypeError(f"{text}: must be a file that ends in {' or '.join(suffixes)}")
        return path

    return checked


if __name__ == "__main__":
    main()
