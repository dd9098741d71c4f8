"""`ecg-temporal`: the trained models at the command line, from the project's folder."""

import argparse
import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ecg_temporal import files
from ecg_temporal.evaluation.settings import RULES, DecisionSettings
from ecg_temporal.settings import read_params, section


def main(arguments: list[str] | None = None) -> None:
    """Run a command; a refusal ends it with a message and status 1."""
    parser = argparse.ArgumentParser(prog="ecg-temporal", description="Use the trained models.")
    commands = parser.add_subparsers(dest="command", required=True)
    predict = commands.add_parser(
        "predict",
        help="diagnostic subclasses of WFDB records",
        description="Probability (calibrated, except under the rule half) and decision for each diagnostic "
        "subclass of WFDB records (.dat, or .mat as in the PhysioNet/CinC Challenge), of any sampling rate, "
        "gain, unit, lead order and length. Not a medical device.",
    )
    predict.add_argument(
        "records", nargs="+", type=Path, metavar="RECORD", help="a record or a folder of them"
    )
    predict.add_argument("--out", type=_table, metavar="FILE", help=".csv or .json; by default CSV to stdout")
    predict.add_argument("--plot", type=Path, metavar="FOLDER", help="draw each record on ECG paper there")
    predict.add_argument("--skip-bad", action="store_true", help="go on after a record that can't be used")
    explain = commands.add_parser(
        "explain",
        help="which seconds and leads a finding rests on",
        description="Draw a record with what speaks for (orange) and against (violet) a diagnostic subclass, "
        "by hiding a fifth of a second of one lead at a time.",
    )
    explain.add_argument("record", type=Path, metavar="RECORD")
    explain.add_argument("subclass", help="such as IMI")
    explain.add_argument("--out", type=Path, metavar="FILE.png", required=True)
    explain.add_argument(
        "--order", action="store_true", help="only what the recurrent layers take from the order of frames"
    )
    export = commands.add_parser(
        "export", help="a model as an ONNX file", description="Write the seeds' ensemble as an ONNX file."
    )
    export.add_argument("out", type=Path, metavar="FILE.onnx")
    register = commands.add_parser(
        "register",
        help="the winner and the best in MLflow's model registry",
        description="Register the ensembles that the report calls enough (alias winner) and best (alias "
        "best) in MLflow's model registry, to be served.",
    )
    for command in (predict, explain, export):
        command.add_argument("--model", help="an architecture; default: the one that the report calls enough")
    for command in (predict, explain, export, register):
        command.add_argument("--rule", choices=RULES, help="default: decision.rule of params.yaml")
    options = parser.parse_args(arguments)
    try:
        options.rule = options.rule or section(read_params(), "decision", DecisionSettings).rule
        run = {"predict": _predict, "explain": _explain, "export": _export, "register": _register}
        run[options.command](options)
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f"ecg-temporal {options.command}: {error}")


def _predict(options: argparse.Namespace) -> None:
    # Here, so that --help and a refusal of the arguments come at once.
    from ecg_temporal.inference.predictor import load_predictor, winners
    from ecg_temporal.inference.records import ECG, find_records, read_ecg
    from ecg_temporal.ptbxl.names import NAMES
    from ecg_temporal.ptbxl.waveforms import RecordError
    from ecg_temporal.training.hardware import choose_hardware

    paths = find_records(options.records)
    predictor = load_predictor(
        options.model or winners()["winner"], options.rule, choose_hardware("auto", "fp32")
    )
    records: list[ECG] = []
    for path in tqdm(paths, unit="record", desc="reading", disable=len(paths) < 100):
        try:
            records.append(read_ecg(path))
        except RecordError as error:
            if not options.skip_bad:
                raise
            print(f"left out: {error}", file=sys.stderr)
    progress = tqdm(records, unit="record", desc="predicting", disable=len(records) < 100)
    probabilities, decisions = predictor.predict(ecg.signals for ecg in progress)

    classes = predictor.spec.classes
    rows: list[dict[str, Any]] = []
    made_of_each = list(zip(records, probabilities, decisions, strict=True))
    few = not options.plot or len(records) < 10
    for ecg, p, made in tqdm(made_of_each, unit="record", desc="drawing", disable=few):
        order = p.argsort()[::-1]
        rows.append(
            {
                "record": ecg.name,
                "seconds": ecg.signals.shape[1] / predictor.spec.sampling_rate_hz,
                "findings": [classes[k] for k in order if made[k]],
                "codes": ecg.codes,
                "probabilities": {
                    name: round(float(value), 5) for name, value in zip(classes, p, strict=True)
                },
            }
        )
        if options.plot:
            _plot(options.plot, ecg, predictor.spec.sampling_rate_hz, _named(classes, p, made))
    as_json = options.out is not None and options.out.suffix == ".json"
    text = _json(rows, NAMES) if as_json else _csv(rows, classes)
    if options.out is None:
        sys.stdout.write(text)
    else:
        with files.replacing_file(options.out) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _explain(options: argparse.Namespace) -> None:
    from ecg_temporal.inference.explain import occlusion
    from ecg_temporal.inference.paper import draw_ecg
    from ecg_temporal.inference.predictor import load_predictor, winners
    from ecg_temporal.inference.records import find_records, read_ecg
    from ecg_temporal.training.hardware import choose_hardware

    paths = find_records([options.record])
    if len(paths) > 1:
        raise ValueError(f"{options.record} holds {len(paths)} records; name one of them")
    ecg = read_ecg(paths[0])
    name = options.model or winners()["winner"]
    predictor = load_predictor(name, options.rule, choose_hardware("auto", "fp32"))
    if options.order and predictor.spec.architecture.rnn == "none":
        raise ValueError(f"{name} has no recurrent layer, nothing in it rests on the order of frames")
    found = occlusion(predictor, ecg.signals, options.subclass)
    title = f"{ecg.name}: for (orange) and against (violet) {options.subclass}, by {name}"
    if options.order:
        found -= occlusion(predictor, ecg.signals, options.subclass, order=False)
        title += ", from the order of frames"
    (probabilities,), (decisions,) = predictor.predict([ecg.signals])
    findings = _named(predictor.spec.classes, probabilities, decisions)
    with files.replacing_file(options.out) as temporary:
        figure = draw_ecg(ecg.signals, predictor.spec.sampling_rate_hz, title, findings, found)
        figure.savefig(temporary, format="png")


def _export(options: argparse.Namespace) -> None:
    from ecg_temporal.inference.export import export_onnx
    from ecg_temporal.inference.predictor import load_predictor, winners
    from ecg_temporal.training.hardware import choose_hardware

    name = options.model or winners()["winner"]
    export_onnx(load_predictor(name, options.rule, choose_hardware("cpu", "fp32")), options.out)
    print(f"{options.out}: {name}, {options.rule}")


def _register(options: argparse.Namespace) -> None:
    from ecg_temporal.inference.predictor import winners
    from ecg_temporal.inference.registry import register
    from ecg_temporal.settings import read_params

    dataset = read_params()["dataset"]
    for alias, name in winners().items():
        print(f"{register(name, options.rule, alias, dataset)}: {name}, {options.rule}")


def _named(classes: list[str], probabilities: Any, decisions: Any) -> list[tuple[str, float, bool]]:
    """Return full name, probability and decision of each class, the likeliest first."""
    from ecg_temporal.ptbxl.names import NAMES

    order = probabilities.argsort()[::-1]
    return [(NAMES.get(classes[k], classes[k]), float(probabilities[k]), bool(decisions[k])) for k in order]


def _plot(folder: Path, ecg: Any, rate: int, findings: list[tuple[str, float, bool]]) -> None:
    from ecg_temporal.inference.paper import draw_ecg

    name = ecg.name.replace("/", "_").strip("._")
    with files.replacing_file(folder / f"{name}.png") as temporary:
        draw_ecg(ecg.signals, rate, ecg.name, findings).savefig(temporary, format="png")


def _csv(rows: list[dict[str, Any]], classes: list[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["record", "seconds", "findings", "codes", *classes])
    for row in rows:
        lists = [";".join(row["findings"]), ";".join(row["codes"])]
        writer.writerow([row["record"], row["seconds"], *lists, *row["probabilities"].values()])
    return text.getvalue()


def _json(rows: list[dict[str, Any]], names: dict[str, str]) -> str:
    for row in rows:
        row["findings"] = [
            {"subclass": name, "name": names.get(name, name), "probability": row["probabilities"][name]}
            for name in row["findings"]
        ]
    return json.dumps(rows, indent=2) + "\n"


def _table(text: str) -> Path:
    path = Path(text)
    if path.suffix not in (".csv", ".json"):
        raise argparse.ArgumentTypeError(f"{text}: must end in .csv or .json")
    return path


if __name__ == "__main__":
    main()
