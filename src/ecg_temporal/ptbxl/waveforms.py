"""WFDB records to one int16 array, in microvolts.

Plain PTB-XL records (format 16, 1000/mV, 12 leads in order) are read straight from the file, sixty times
faster than by `wfdb`; anything else goes through `wfdb`, and is resampled if it must be. Either way each
lead's 16-bit header checksum must hold. The header format: https://wfdb.io/spec/header-files.html.
"""

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import wfdb
from numpy.typing import NDArray
from scipy.signal import resample_poly

from ecg_temporal.ptbxl.settings import SAMPLING_RATE

LEADS = ("I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6")
SAMPLES = 1000
"""Samples of a record: ten seconds."""

SECONDS = SAMPLES / SAMPLING_RATE

_MISSING = np.iinfo(np.int16).min
"""How format 16 says that a sample is missing."""

_MICROVOLTS = {"uv": 1.0, "µv": 1.0, "mv": 1e3, "v": 1e6}

_PLAIN_HEADER = re.compile(
    rf"(?P<record>[\w-]+) {len(LEADS)} {SAMPLING_RATE} {SAMPLES}\s*\n"
    + r"\s*\n".join(
        rf"(?P=record)\.dat 16 1000(?:\.0)?(?:\(0\))?/mV 16 0 -?\d+ (-?\d+) 0 (?i:{lead})" for lead in LEADS
    )
    + r"\s*(?:#[^\n]*\n?)*"
)


class RecordError(ValueError):
    """A record can't be used; the message names its file and the reason, `problem` the kind of it."""

    def __init__(self, problem: str, message: str) -> None:
        super().__init__(message)
        self.problem = problem


def read_record(path: Path, seconds: float | None = SECONDS) -> NDArray[np.int16]:
    """Read one record.

    Parameters
    ----------
    path : Path
        Of the record, without suffix.
    seconds : float, optional
        How long it must be; None takes any length.

    Returns
    -------
    int16 array [12, samples]
        Microvolts, leads in the order of LEADS, at 100 Hz, rounded where the file is finer.

    Raises
    ------
    RecordError
        A file is missing, truncated or damaged; a lead is missing; it is not as long as it must be; a
        sample is missing or too large.

    """
    header_path = path.with_name(path.name + ".hea")
    try:
        header = header_path.read_text(encoding="utf-8", errors="replace")
        plain = _PLAIN_HEADER.fullmatch(header)
        if plain is None or plain["record"] != path.name:
            return _read_by_wfdb(path, seconds)
        samples = np.fromfile(path.with_name(path.name + ".dat"), dtype="<i2")
    except FileNotFoundError as error:
        missing = str(error.filename or path)
        needed = missing if missing.startswith(str(path)) else f"{path} needs {missing}"
        raise RecordError("a missing file", f"{needed}: no such file") from None
    if samples.size != SAMPLES * len(LEADS):
        raise RecordError(
            "a truncated file",
            f"{path}.dat: {samples.size * 2} bytes, not {SAMPLES * len(LEADS) * 2} as its header says",
        )
    signal = samples.reshape(SAMPLES, len(LEADS)).T
    _check_sums(path, signal, [int(value) for value in plain.groups()[1:]])
    if signal.min() == _MISSING:
        lost = int((signal == _MISSING).sum())
        raise RecordError("missing samples", f"{path}: {lost} samples are missing")
    return signal


def _read_by_wfdb(path: Path, seconds: float | None) -> NDArray[np.int16]:
    try:
        return _convert(path, wfdb.rdrecord(str(path), physical=False), seconds)
    except (FileNotFoundError, RecordError):
        raise
    except Exception as error:  # wfdb raises whatever a damaged header leads to, also when it converts
        raise RecordError(
            "an unreadable file", f"{path}: wfdb can't read it: {type(error).__name__}: {error}"
        ) from error


def _convert(path: Path, record: wfdb.Record, seconds: float | None) -> NDArray[np.int16]:
    names = [str(name).upper() for name in record.sig_name or []]
    if missing := [lead for lead in LEADS if lead not in names]:
        raise RecordError(
            "a missing lead", f"{path}: no lead {', '.join(missing)}; it has {', '.join(names) or 'none'}"
        )
    if not record.fs or (seconds and abs(record.sig_len / record.fs - seconds) > 0.5 / record.fs):
        raise RecordError(
            "another length",
            f"{path}: {record.sig_len} samples at {record.fs} Hz are not {seconds or 0:g} seconds",
        )
    _check_sums(path, record.d_signal.T, record.checksum)
    physical = record.dac()
    microvolts = np.empty((len(LEADS), record.sig_len))
    for k, lead in enumerate(LEADS):
        column = names.index(lead)
        unit = record.units[column]
        if unit.lower() not in _MICROVOLTS:
            raise RecordError(
                "an unknown unit", f"{path}: lead {lead} is in {unit!r}; known are uV, mV and V"
            )
        microvolts[k] = physical[:, column] * _MICROVOLTS[unit.lower()]
    if not np.isfinite(microvolts).all():
        raise RecordError(
            "missing samples", f"{path}: {int((~np.isfinite(microvolts)).sum())} samples are missing"
        )
    if record.fs != SAMPLING_RATE:
        ratio = Fraction(SAMPLING_RATE / record.fs).limit_denominator(1000)
        microvolts = resample_poly(microvolts, ratio.numerator, ratio.denominator, axis=1, padtype="line")
    rounded = np.rint(microvolts[:, : round(seconds * SAMPLING_RATE) if seconds else None])
    limit = np.iinfo(np.int16).max
    if np.abs(rounded).max() > limit:
        raise RecordError("a sample too large", f"{path}: a sample is beyond ±{limit} microvolts")
    return rounded.astype(np.int16)


def _check_sums(path: Path, signal: NDArray[np.integer], expected: list[int | None]) -> None:
    sums = signal.sum(axis=1, dtype=signal.dtype)  # that of int16 wraps around, as the checksum does
    for k, (found, value) in enumerate(zip(sums, expected, strict=True)):
        if value is not None and (int(found) - value) & 0xFFFF:
            raise RecordError(
                "a wrong checksum",
                f"{path}: the checksum of signal {k} is not the one in its header: damaged",
            )
