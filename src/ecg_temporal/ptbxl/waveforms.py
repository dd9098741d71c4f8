"""WFDB records to one int16 array, in microvolts.

Plain PTB-XL records (format 16, 1000/mV, 12 leads in order) are read straight from the file, a hundred
times faster than by `wfdb`; anything else goes through `wfdb`. Either way each lead's 16-bit header
checksum must hold. The header format: https://wfdb.io/spec/header-files.html.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import wfdb
from numpy.typing import NDArray

LEADS = ("I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6")
SAMPLING_RATE = 100
"""Hz."""
SAMPLES = 1000
"""Samples of a record: ten seconds."""

_MICROVOLTS = {"uv": 1.0, "µv": 1.0, "mv": 1e3, "v": 1e6}

_PLAIN_HEADER = re.compile(
    rf"(?P<record>[\w-]+) {len(LEADS)} {SAMPLING_RATE} {SAMPLES}\s*\n"
    + r"\s*\n".join(
        rf"(?P=record)\.dat 16 1000(?:\.0)?(?:\(0\))?/mV 16 0 -?\d+ (-?\d+) 0 (?i:{lead})" for lead in LEADS
    )
    + r"\s*(?:#[^\n]*\n?)*"
)


class RecordError(ValueError):
    """A record can't be used; the message names its file and the reason."""


def read_record(path: Path) -> NDArray[np.int16]:
    """Read one 10 s record.

    Parameters
    ----------
    path : Path
        Of the record, without suffix.

    Returns
    -------
    int16 array [12, 1000]
        Microvolts, leads in the order of LEADS, rounded where the file is finer.

    Raises
    ------
    RecordError
        A file is missing, truncated or damaged; a lead is missing; the sampling rate or the length is
        not PTB-XL's; a sample is missing or too large.

    """
    header_path = path.with_name(path.name + ".hea")
    try:
        header = header_path.read_text(encoding="utf-8", errors="replace")
        plain = _PLAIN_HEADER.fullmatch(header)
        if plain is None or plain["record"] != path.name:
            return _read_by_wfdb(path)
        samples = np.fromfile(path.with_name(path.name + ".dat"), dtype="<i2")
    except FileNotFoundError as error:
        raise RecordError(f"{error.filename or path}: no such file") from None
    if samples.size != SAMPLES * len(LEADS):
        raise RecordError(
            f"{path}.dat: {samples.size * 2} bytes, not {SAMPLES * len(LEADS) * 2} as its header says"
        )
    signal = samples.reshape(SAMPLES, len(LEADS)).T
    _check_sums(path, signal, [int(value) for value in plain.groups()[1:]])
    return signal


def read_records(paths: Iterable[Path], out: NDArray[np.int16]) -> None:
    """Read the record at each of `paths` into the rows of `out`, int16 [records, 12, 1000].

    Raises:
        RecordError: as read_record, at the first record that can't be used.

    """
    for row, path in zip(out, paths, strict=True):
        row[...] = read_record(path)


def _read_by_wfdb(path: Path) -> NDArray[np.int16]:
    try:
        record = wfdb.rdrecord(str(path), physical=False)
    except FileNotFoundError:
        raise
    except Exception as error:  # wfdb raises whatever a damaged header leads to
        raise RecordError(f"{path}: wfdb can't read it: {type(error).__name__}: {error}") from error
    names = [str(name).upper() for name in record.sig_name or []]
    if missing := [lead for lead in LEADS if lead not in names]:
        raise RecordError(f"{path}: no lead {', '.join(missing)}; it has {', '.join(names) or 'none'}")
    if (record.fs, record.sig_len) != (SAMPLING_RATE, SAMPLES):
        raise RecordError(
            f"{path}: {record.sig_len} samples at {record.fs} Hz; needed are {SAMPLES} at {SAMPLING_RATE} Hz"
        )
    _check_sums(path, record.d_signal.T, record.checksum)
    physical = record.dac()
    microvolts = np.empty((len(LEADS), SAMPLES))
    for k, lead in enumerate(LEADS):
        column = names.index(lead)
        unit = record.units[column]
        if unit.lower() not in _MICROVOLTS:
            raise RecordError(f"{path}: lead {lead} is in {unit!r}; known are uV, mV and V")
        microvolts[k] = physical[:, column] * _MICROVOLTS[unit.lower()]
    limits = np.iinfo(np.int16)
    if not np.isfinite(microvolts).all():
        raise RecordError(f"{path}: {int((~np.isfinite(microvolts)).sum())} samples are missing")
    rounded = np.rint(microvolts)
    if rounded.min() < limits.min or rounded.max() > limits.max:
        raise RecordError(f"{path}: a sample is beyond ±{limits.max} microvolts")
    return rounded.astype(np.int16)


def _check_sums(path: Path, signal: NDArray[np.integer], expected: list[int | None]) -> None:
    sums = signal.sum(axis=1, dtype=np.int64)
    for k, (found, value) in enumerate(zip(sums, expected, strict=True)):
        if value is not None and (int(found) - value) & 0xFFFF:
            raise RecordError(f"{path}: the checksum of signal {k} is not the one in its header: damaged")
