"""`ecg-temporal predict`: the diagnostic subclasses of WFDB records."""

import argparse
import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ecg_temporal import files
from ecg_temporal.commands.model import load, print_warnings
from ecg_temporal.commands.output import named, refuse_unwritable, shortened
from ecg_temporal.inference.paper import SECONDS, draw_ecg
from ecg_temporal.inference.predictor import Predictor
from ecg_temporal.inference.records import ECG, find_records, read_ecg
from ecg_temporal.ptbxl.names import full_names
from ecg_temporal.ptbxl.waveforms import RecordError


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    # Before anything that takes long.
    for folder in filter(None, (options.out and options.out.parent, options.plot)):
        refuse_unwritable(folder)
    paths, missing = _find(options)
    if options.plot:
        _refuse_shared_drawings(options.plot, paths)
    _, predictor = load(options.model, options.rule)
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
    given = list(_with_stdin(options.records))
    if not given:
        raise ValueError("stdin names no record")
    missing: list[OSError] = []
    paths = find_records(given, missing.append if options.skip_bad else None)
    for error in missing:
        print(f"left out: {error}", file=sys.stderr)
    return paths, len(missing)


def _with_stdin(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if str(path) == "-":
            lines = (line.removeprefix("\ufeff").rstrip("\r\n") for line in sys.stdin)  # a Windows editor's
            yield from (Path(line) for line in lines if line.strip())
        else:
            yield path


def _read(paths: list[Path], skip_bad: bool, predictor: Predictor) -> tuple[list[ECG], list[list[str]]]:
    """Return the records that can be used, and what speaks against each."""
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
            told.append(print_warnings(records[-1], predictor))
    return records, told


def _draw(
    folder: Path,
    records: list[ECG],
    probabilities: NDArray[np.float64],
    decisions: NDArray[np.bool_],
    predictor: Predictor,
) -> None:
    classes, rate = predictor.spec.classes, predictor.spec.sampling_rate_hz
    of_each = list(zip(records, probabilities, decisions, strict=True))
    for ecg, p, made in tqdm(of_each, unit="record", desc="drawing", disable=len(records) < 10):
        title, seconds = shortened(ecg.name), ecg.signals.shape[1] / rate
        if seconds > SECONDS:
            title += f": the first {SECONDS:g} of {seconds:g} s, findings of all"
        drawn = draw_ecg(ecg.signals, rate, title, named(classes, p, made))
        with files.replacing_file(_drawing(folder, Path(ecg.name))) as temporary:
            drawn.savefig(temporary, format="png")


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
