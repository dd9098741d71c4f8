"""`ecg-temporal predict`: the diagnostic subclasses of WFDB records."""

import argparse
import codecs
import csv
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ecg_temporal.commands.model import load, print_warnings
from ecg_temporal.commands.output import named, refuse_unwritable, replacing, shortened, tell, to_stdout
from ecg_temporal.inference.drawing import SECONDS, draw_ecg
from ecg_temporal.inference.predictor import Predictor
from ecg_temporal.inference.records import find_records, read_ecg
from ecg_temporal.ptbxl.names import full_names
from ecg_temporal.ptbxl.waveforms import RecordError

LONGEST_STEM = 160
"""Bytes of a drawing's name."""


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    # Before anything that takes long.
    for folder in filter(None, (options.out and options.out.resolve().parent, options.plot)):
        refuse_unwritable(folder)
    paths, missing = _find(options)
    if options.plot:
        _refuse_shared_drawings(options.plot, paths)
    _, predictor = load(options.model, options.rule)
    # All are read before one is predicted, as a bad one may be the last of many, and read again then: an
    # archive need not fit into memory.
    readable = list(_readable(paths, options.skip_bad))
    if not readable:
        raise ValueError("no record is left")
    if left_out := missing + len(paths) - len(readable):
        tell(f"{len(readable)} predicted, {left_out} left out")
    about: list[dict[str, Any]] = []
    probabilities, decisions = predictor.predict(_signals(readable, predictor, about))
    rows = _rows(about, probabilities, decisions, predictor.spec.classes)
    if options.out is None:
        with to_stdout() as file:
            _write_csv(file, rows)
    else:
        write = _write_json if options.out.suffix == ".json" else _write_csv
        with replacing(options.out) as temporary, temporary.open("w", encoding="utf-8") as file:
            write(file, rows)
    if options.plot:
        _draw(options.plot, readable, probabilities, decisions, predictor)


def _find(options: argparse.Namespace) -> tuple[list[Path], int]:
    """Return the records that are named, and how many names there are no records for under --skip-bad."""
    given = list(_with_stdin(options.records))
    if not given:
        raise ValueError("stdin names no record")
    missing: list[OSError] = []
    paths = find_records(given, missing.append if options.skip_bad else None, _tell_joined)
    for error in missing:
        tell(f"left out: {error}")
    return paths, len(missing)


def _tell_joined(record: Path, segments: list[Path]) -> None:
    names = ", ".join(segment.name for segment in segments)
    tell(f"{record}: predicted as a whole, not segment by segment: {names}")


def _with_stdin(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if str(path) == "-":
            # Bytes, as names of files need not be UTF-8; a Windows editor adds a mark and carriage returns.
            lines = (line.removeprefix(codecs.BOM_UTF8).rstrip(b"\r\n") for line in sys.stdin.buffer)
            yield from (Path(os.fsdecode(line)) for line in lines if line.strip())
        else:
            yield path


def _readable(paths: list[Path], skip_bad: bool) -> Iterator[Path]:
    """Yield the records that can be used."""
    for path in tqdm(paths, unit="record", desc="reading", disable=len(paths) < 100):
        try:
            read_ecg(path)
        except RecordError as error:
            if not skip_bad:
                hint = "; --skip-bad leaves such records out" if len(paths) > 1 else ""
                raise ValueError(f"{error}{hint}") from None
            tell(f"left out: {error}")
        else:
            yield path


def _signals(
    paths: list[Path], predictor: Predictor, about: list[dict[str, Any]]
) -> Iterator[NDArray[np.int16]]:
    """Yield the signals of the records, and append to `about` what else there is to say of each."""
    for path in tqdm(paths, unit="record", desc="predicting", disable=len(paths) < 100):
        ecg = read_ecg(path)
        seconds = ecg.signals.shape[1] / predictor.spec.sampling_rate_hz
        warnings = print_warnings(ecg, predictor)
        about.append({"record": ecg.name, "seconds": seconds, "codes": ecg.codes, "warnings": warnings})
        yield ecg.signals


def _rows(
    about: list[dict[str, Any]],
    probabilities: NDArray[np.float64],
    decisions: NDArray[np.bool_],
    classes: list[str],
) -> Iterator[dict[str, Any]]:
    for kept, p, made in zip(about, probabilities, decisions, strict=True):
        findings = [classes[k] for k in p.argsort()[::-1] if made[k]]
        by_class = {name: round(float(value), 5) for name, value in zip(classes, p, strict=True)}
        yield {**kept, "findings": findings, "probabilities": by_class}


def _draw(
    folder: Path,
    paths: list[Path],
    probabilities: NDArray[np.float64],
    decisions: NDArray[np.bool_],
    predictor: Predictor,
) -> None:
    classes, rate = predictor.spec.classes, predictor.spec.sampling_rate_hz
    of_each = list(zip(paths, probabilities, decisions, strict=True))
    for path, p, made in tqdm(of_each, unit="record", desc="drawing", disable=len(paths) < 10):
        ecg = read_ecg(path)
        title, seconds = shortened(ecg.name), ecg.signals.shape[1] / rate
        if seconds > SECONDS:
            title += f": the first {SECONDS:g} of {seconds:g} s, findings of all"
        drawn = draw_ecg(ecg.signals, rate, title, named(classes, p, made))
        with replacing(_drawing(folder, Path(ecg.name))) as temporary:
            drawn.savefig(temporary, format="png")


def _drawing(folder: Path, record: Path) -> Path:
    """Return where a record is drawn: a folder for each of its own, so that a/b_c and a_b/c are two."""
    inside = [part for part in record.parts if part not in ("/", "..")]
    name = inside[-1]
    if len(name.encode()) > LONGEST_STEM:  # a file system takes 255 bytes, a temporary name's included
        # Of a character four bytes at most.
        name = f"{name[: LONGEST_STEM // 4]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return folder.joinpath(*inside[:-1], f"{name}.png")


def _refuse_shared_drawings(folder: Path, paths: list[Path]) -> None:
    drawings: dict[Path, Path] = {}
    for path in paths:
        first = drawings.setdefault(_drawing(folder, path), path)
        if first != path:
            raise ValueError(
                f"{first} and {path} would have one drawing; draw them into folders of their own"
            )


def _write_csv(file: TextIO, rows: Iterator[dict[str, Any]]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    for k, row in enumerate(rows):
        if k == 0:
            writer.writerow(["record", "seconds", "findings", "codes", *row["probabilities"]])
        lists = [";".join(row["findings"]), ";".join(row["codes"])]
        writer.writerow([row["record"], row["seconds"], *lists, *row["probabilities"].values()])


def _write_json(file: TextIO, rows: Iterator[dict[str, Any]]) -> None:
    """Write a list of objects, as `json.dump` would, but one at a time."""
    before = "[\n"
    for row in rows:
        probabilities = row.pop("probabilities")
        full = full_names(probabilities)
        row["subclasses"] = {
            subclass: {
                "name": full.get(subclass, subclass),
                "probability": probability,
                "decision": subclass in row["findings"],
            }
            for subclass, probability in probabilities.items()
        }
        file.write(before + indent(json.dumps(row, indent=2), "  "))
        before = ",\n"
    file.write("\n]\n")
