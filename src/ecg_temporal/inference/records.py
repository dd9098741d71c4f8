"""WFDB records to predict on: of any sampling rate from 50 Hz, gain, unit and lead order, a second or longer.

Plain .dat records, and the .mat ones of CPSC, Georgia and Chapman (PhysioNet/CinC Challenges 2020 and 2021),
whose headers list SNOMED CT codes after `#Dx:`.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg_temporal.inference.predictor import SHORTEST_SECONDS
from ecg_temporal.ptbxl.amplitude import is_plausible, span_mv
from ecg_temporal.ptbxl.settings import SAMPLING_RATE
from ecg_temporal.ptbxl.waveforms import LEADS, RecordError, read_record

_CODE = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class ECG:
    """A record: its name, int16 microvolts [12, samples] at 100 Hz, and the codes that its header lists."""

    name: str
    signals: NDArray[np.int16]
    codes: list[str]

    def quality_warnings(self) -> list[str]:
        """Return what speaks against a good recording, or a right unit, though it can be predicted on."""
        span = np.ptp(self.signals.astype(np.int32), axis=1)
        told = [f"lead {lead} is constant" for lead, wide in zip(LEADS, span, strict=True) if not wide]
        if not is_plausible(self.signals):
            middle = span_mv(self.signals)
            told.append(f"its leads span {middle:.3g} mV (their median): are unit and gain right?")
        return told


def find_records(
    paths: Iterable[Path],
    missing: Callable[[OSError], None] | None = None,
    joined: Callable[[Path, list[Path]], None] | None = None,
) -> list[Path]:
    """Return the records at `paths`, without suffix: records with or without suffix, and all below folders.

    Links to folders are followed. Of a record in several segments, the segments are no records of their own.

    Parameters
    ----------
    paths : iterable of Path
    missing : callable, optional
        Is told of each path where there is no record, or none to be read, which is then left out.
    joined : callable, optional
        Is told of each record in segments, and which of the others are left out as these.

    Raises
    ------
    FileNotFoundError
        There is no such record, or a folder holds none, and nobody is to be told.
    OSError
        A folder can't be read, and nobody is to be told.

    """
    found: dict[Path, None] = {}

    def tell(error: OSError) -> None:
        if missing is None:
            raise error
        missing(error)

    for path in paths:
        try:
            found |= dict.fromkeys(_records_at(path, tell))
        except OSError as error:
            tell(error)
    for record in list(found):
        inside = [each for each in _segments(record) if each in found and each != record]
        if inside and joined is not None:
            joined(record, inside)
        for each in inside:
            del found[each]
    return list(found)


def read_ecg(path: Path) -> ECG:
    """Read the record at `path`, without suffix.

    Raises:
        RecordError: as `ptbxl.waveforms.read_record`; it is shorter than a second, or all its leads are
            constant.

    """
    signals = read_record(path, any_length=True)
    if signals.shape[1] < SHORTEST_SECONDS * SAMPLING_RATE:
        seconds = signals.shape[1] / SAMPLING_RATE
        raise RecordError("another length", f"{path}: {seconds:g} s is shorter than {SHORTEST_SECONDS:g} s")
    if not np.ptp(signals, axis=1).any():
        raise RecordError("no signal", f"{path}: all twelve leads are constant")
    header = path.with_name(path.name + ".hea").read_text(encoding="utf-8", errors="replace")
    listed = re.search(r"^#[ \t]*Dx:[ \t]*(.*)$", header, re.MULTILINE)
    codes = [code.strip() for code in listed[1].split(",")] if listed else []
    # A name in another encoding than UTF-8 could be neither written nor drawn.
    name = os.fsencode(path).decode("utf-8", "backslashreplace")
    # A code is a number; what else stands there could be a formula where the table is opened.
    return ECG(name, signals, [code for code in codes if _CODE.fullmatch(code) and code != "Unknown"])


def _records_at(path: Path, tell: Callable[[OSError], None]) -> list[Path]:
    record = path.with_suffix("") if path.suffix in (".hea", ".dat", ".mat") else path
    is_record = bool(record.name) and record.with_name(record.name + ".hea").is_file()
    if path.is_dir():
        errors: list[OSError] = []
        inside = sorted({header.with_suffix("") for header in _headers_below(path, errors.append)})
        for error in errors:
            tell(error)
        if inside or errors:
            return inside
        if not is_record:  # beside a folder of its name
            raise FileNotFoundError(f"{path}: no WFDB header (.hea) in this folder or below")
    elif not is_record:
        raise FileNotFoundError(f"{path}: neither a folder nor a record: there is no {record}.hea")
    return [record]


def _headers_below(folder: Path, tell: Callable[[OSError], None]) -> Iterator[Path]:
    seen = set()
    for parent, folders, names in os.walk(folder, onerror=tell, followlinks=True):
        here = os.path.realpath(parent)
        if here in seen:  # a link has led here before
            folders.clear()
            continue
        seen.add(here)
        folders.sort()
        for name in names:
            # A Mac puts a file ._NAME beside each of a folder that is not its own.
            if name.endswith(".hea") and name[0] != ".":
                try:
                    if Path(parent, name).is_file():
                        yield Path(parent, name)
                except OSError as error:
                    tell(error)


def _segments(record: Path) -> list[Path]:
    """Return the segments, without suffix, that a header lists if it has several (`name/segments …`)."""
    header = record.with_name(record.name + ".hea")
    try:
        lines = header.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # `read_ecg` refuses it
        return []
    first, *rest = [line.split() for line in lines if line.strip() and not line.startswith("#")] or [[""]]
    return [header.parent / line[0] for line in rest] if "/" in first[0] else []
