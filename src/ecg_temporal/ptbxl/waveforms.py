"""WFDB records to one int16 array, in microvolts.

Plain PTB-XL records (format 16, 1000/mV, 12 leads in order) are read straight from the file, sixty times
faster than by `wfdb`; anything else goes through `wfdb`, and is resampled if it must be. Either way each
signal's 16-bit header checksum must hold. The header format: https://wfdb.io/spec/header-files.html.
"""

import re
from collections.abc import Sequence
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

LOWEST_RATE, HIGHEST_RATE = 50, 10_000
"""Hz. A lower rate has lost most of the QRS complex; no ECG has a higher one."""

LARGEST_HEADER, MOST_SIGNALS, LONGEST_SKEW = 1_000_000, 256, 10_000
"""Bytes of a header, signals in it, samples that one lags behind: wfdb takes memory for all that is said."""

_MISSING = np.iinfo(np.int16).min
"""How format 16 says that a sample is missing."""

_MICROVOLTS = {"uv": 1.0, "mv": 1e3, "v": 1e6}

_RATE = re.compile(r"\d+(\.\d*)?(/\S*)?")
_GAIN = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_SKEW = re.compile(r":(\d+)")

_PLAIN_HEADER = re.compile(
    rf"(?P<record>[\w-]+) {len(LEADS)} {SAMPLING_RATE} {SAMPLES}\s*\n"
    + r"\s*\n".join(
        rf"(?P=record)\.dat 16 1000(?:\.0)?(?:\(0\))?/mV 16 0 -?\d+ (-?\d+) 0 (?i:{lead})" for lead in LEADS
    )
    + r"\s*(?:#[^\n]*(?:\n|\Z))*"
)


class RecordError(ValueError):
    """A record can't be used; the message names its file and the reason, `problem` the kind of it."""

    def __init__(self, problem: str, message: str) -> None:
        super().__init__(message)
        self.problem = problem


def read_record(path: Path, any_length: bool = False) -> NDArray[np.int16]:
    """Read one record.

    Parameters
    ----------
    path : Path
        Of the record, without suffix.
    any_length : bool
        Without it, the record must be SECONDS long.

    Returns
    -------
    int16 array [12, samples]
        Microvolts, leads in the order of LEADS, at 100 Hz, rounded where the file is finer.

    Raises
    ------
    RecordError
        A file is missing, can't be opened, is truncated, damaged or absurdly large; the sampling rate is not
        given; a lead is missing, there twice, sampled below 50 Hz or above 10 kHz, not calibrated or in an
        unknown unit; the record is not as long as it must be; a segment is not as the record's header says; a
        sample is missing or too large.

    """
    header_path = path.with_name(path.name + ".hea")
    file, size = path.with_name(path.name + ".dat"), 2 * SAMPLES * len(LEADS)
    try:
        _refuse_large(path, header_path)
        header = header_path.read_bytes().decode("utf-8", errors="replace")
        plain = _PLAIN_HEADER.fullmatch(header)
        if plain is None or plain["record"] != path.name:
            return _read_by_wfdb(path, any_length)
        if (found := file.stat().st_size) != size and not file.is_dir():
            raise RecordError("a truncated file", f"{file}: {found} bytes, not {size} as its header says")
        samples = np.fromfile(file, dtype="<i2")
    except FileNotFoundError as error:
        missing = str(error.filename or path)
        needed = missing if missing.startswith(str(path)) else f"{path} needs {missing}"
        raise RecordError("a missing file", f"{needed}: no such file") from None
    except OSError as error:
        raise RecordError("an unreadable file", f"{path}: {error.strerror or error}") from error
    signal = samples.reshape(SAMPLES, len(LEADS)).T
    # Eight samples a row: NumPy adds long rows several times as fast as short ones.
    sums = samples.reshape(-1, 8 * len(LEADS)).sum(axis=0, dtype=np.int16)
    sums = sums.reshape(8, len(LEADS)).sum(axis=0, dtype=np.int16)
    _check_sums(path, sums.tolist(), [int(value) for value in plain.groups()[1:]])
    if signal.min() == _MISSING:
        lost = int((signal == _MISSING).sum())
        raise RecordError("missing samples", f"{path}: {lost} samples are missing")
    return signal


def _read_by_wfdb(path: Path, any_length: bool) -> NDArray[np.int16]:
    try:
        return _convert(path, _read_segments(path), any_length)
    except (FileNotFoundError, RecordError):
        raise
    except Exception as error:  # wfdb raises whatever a damaged header leads to, also when it converts
        raise RecordError(
            "an unreadable file", f"{path}: wfdb can't read it: {type(error).__name__}: {error}"
        ) from error


def _read_segments(path: Path) -> list[tuple[Path, wfdb.Record]]:
    """Return the segments of a record with their paths: itself, unless its header lists several."""
    _refuse_files(path)
    header = wfdb.rdheader(str(path), rd_segments=True)
    if not isinstance(header, wfdb.MultiRecord):
        _refuse_header(path, header)
        return [(path, _read_whole(path))]
    # One by one: each has gains, units, an order of leads and checksums of its own, which wfdb does not heed
    # where it is asked for the whole.
    found = []
    listed = zip(header.seg_name, header.segments, header.seg_len, strict=True)
    for number, (name, segment, samples) in enumerate(listed, 1):
        if segment is None:
            raise RecordError("missing samples", f"{path}: segment {number} is a gap, samples are missing")
        _refuse_header(path.with_name(name), segment)
        if not samples:  # it only says which signals there are
            continue
        if (segment.fs, segment.sig_len) != (header.fs, samples):
            raise RecordError(
                "an unreadable file",
                f"{path}: segment {name} has {segment.sig_len or 0} samples at {segment.fs:g} Hz, not "
                f"{samples} at {header.fs:g} Hz",
            )
        found.append((path.with_name(name), _read_whole(path.with_name(name))))
    total = sum(record.sig_len for _, record in found)
    if not total or (header.sig_len or total) != total:
        raise RecordError(
            "an unreadable file",
            f"{path}: its segments have {total} samples, its header says {header.sig_len}",
        )
    return found


def _refuse_large(path: Path, header: Path) -> None:
    if (size := header.stat().st_size) > LARGEST_HEADER:
        raise RecordError("an unreadable file", f"{path}: its header {header.name} has {size} bytes")


def _refuse_files(path: Path, segment: Path | None = None) -> None:
    """Refuse a record, or a segment of it, on which wfdb would wait for ever or spend all memory."""
    here = segment or path
    header = here.with_name(f"{here.name}.hea")
    if header.exists() and not header.is_file():
        raise RecordError("an unreadable file", f"{path}: {header} is no regular file")
    _refuse_large(path, header)
    about, *rest = [line.decode("ascii", "replace").split() for line in _lines(header)] or [[""]]
    if "/" in about[0]:
        if segment is not None:
            raise RecordError("an unreadable file", f"{path}: its segment {segment.name} has segments")
        for name in dict.fromkeys(line[0] for line in rest):
            if name != "~":
                _refuse_files(path, path.with_name(name))
        return
    signals = int(about[1]) if len(about) > 1 and about[1].isdecimal() else 0
    if signals > min(len(rest), MOST_SIGNALS):
        raise RecordError(
            "an unreadable file",
            f"{path}: {header.name} says {signals} signals and has {len(rest)} (limit {MOST_SIGNALS})",
        )
    for name, *rest_of_line in rest:
        file = header.parent / name
        if file.exists() and not file.is_file():
            raise RecordError("an unreadable file", f"{path}: {file} is no regular file")
        skew = _SKEW.search(rest_of_line[0]) if rest_of_line else None
        if skew and int(skew[1]) > LONGEST_SKEW:
            raise RecordError("an unreadable file", f"{path}: a signal lags {skew[1]} samples behind")


def _lines(header: Path) -> list[bytes]:
    """Return the lines of a header that are no comments."""
    lines = header.read_bytes().splitlines()
    return [line for line in lines if line.strip() and not line.startswith(b"#")]


def _refuse_header(path: Path, header: wfdb.Record) -> None:
    """Refuse what samples can't mend, before they are read."""
    # wfdb leaves out what is not ASCII and takes µV for V; without a rate it assumes 250 Hz, without a gain
    # 200/mV.
    lines = _lines(path.with_name(f"{path.name}.hea"))
    if not all(line.isascii() for line in lines):
        raise RecordError(
            "an unknown unit",
            f"{path}: its header is not ASCII, as WFDB wants it; write uV for µV, and no byte order mark",
        )
    about, *signals = [line.decode("ascii").split() for line in lines]
    if len(about) < 3 or not _RATE.fullmatch(about[2]):
        raise RecordError(
            "an unknown rate", f"{path}: its header has no sampling rate in Hz: {' '.join(about)!r}"
        )
    names = [str(name).upper() for name in header.sig_name or []]
    if missing := [lead for lead in LEADS if lead not in names]:
        raise RecordError(
            "a missing lead", f"{path}: no lead {', '.join(missing)}; it has {', '.join(names) or 'none'}"
        )
    if twice := [lead for lead in LEADS if names.count(lead) > 1]:
        raise RecordError("a lead twice", f"{path}: lead {', '.join(twice)} is there more than once")
    for name, (_, _, gain, *_) in zip(names, signals, strict=False):
        number = _GAIN.match(gain)
        if name in LEADS and not (number and float(number[0])):
            raise RecordError(
                "an unknown gain", f"{path}: lead {name} is not calibrated, its gain is {gain!r}"
            )
    for name, frames in zip(names, header.samps_per_frame, strict=True):
        rate = header.fs * frames
        if name in LEADS and not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise RecordError(
                "a low rate" if rate < LOWEST_RATE else "a high rate",
                f"{path}: lead {name} has {rate:g} Hz; {LOWEST_RATE} to {HIGHEST_RATE} Hz can be read",
            )


def _read_whole(path: Path) -> wfdb.Record:
    record = wfdb.rdrecord(str(path), physical=False, smooth_frames=False)
    sums = [int(signal.sum(dtype=np.int64)) for signal in record.e_d_signal]
    _check_sums(path, sums, record.checksum)
    return record


def _convert(path: Path, segments: list[tuple[Path, wfdb.Record]], any_length: bool) -> NDArray[np.int16]:
    samples, rate = sum(record.sig_len for _, record in segments), segments[0][1].fs
    if not any_length and abs(samples / rate - SECONDS) > 0.5 / rate:
        raise RecordError(
            "another length", f"{path}: {samples} samples at {rate} Hz are not {SECONDS:g} seconds"
        )
    parts = [_microvolts(*segment) for segment in segments]
    leads = []
    for lead in LEADS:
        rates = {part[lead][0] for part in parts}
        if len(rates) > 1:
            raise RecordError("an unreadable file", f"{path}: lead {lead} changes its sampling rate")
        microvolts = np.concatenate([part[lead][1] for part in parts])
        if rates != {SAMPLING_RATE}:
            ratio = Fraction(SAMPLING_RATE / rates.pop()).limit_denominator(1000)
            microvolts = resample_poly(microvolts, ratio.numerator, ratio.denominator, padtype="line")
        leads.append(np.rint(microvolts[: None if any_length else SAMPLES]))
    rounded = np.stack(leads)
    limit = np.iinfo(np.int16).max
    if np.abs(rounded).max() > limit:
        raise RecordError("a sample too large", f"{path}: a sample is beyond ±{limit} microvolts")
    return rounded.astype(np.int16)


def _microvolts(path: Path, record: wfdb.Record) -> dict[str, tuple[float, NDArray[np.float64]]]:
    """Return the sampling rate in Hz and the samples in microvolts of each lead."""
    names = [str(name).upper() for name in record.sig_name]
    columns = {lead: names.index(lead) for lead in LEADS}
    physical = record.dac(expanded=True)
    if lost := sum(int((~np.isfinite(physical[column])).sum()) for column in columns.values()):
        raise RecordError("missing samples", f"{path}: {lost} samples are missing")
    found = {}
    for lead, column in columns.items():
        unit = record.units[column]
        if unit.lower() not in _MICROVOLTS:
            raise RecordError(
                "an unknown unit", f"{path}: lead {lead} is in {unit!r}; known are uV, mV and V"
            )
        rate = record.fs * record.samps_per_frame[column]
        found[lead] = rate, physical[column] * _MICROVOLTS[unit.lower()]
    return found


def _check_sums(path: Path, sums: Sequence[int], expected: Sequence[int | None]) -> None:
    """Refuse signals whose sums are not their checksums, which are of 16 bits: the rest may have wrapped."""
    for k, (found, value) in enumerate(zip(sums, expected, strict=True)):
        if value is not None and (found - value) & 0xFFFF:
            raise RecordError(
                "a wrong checksum",
                f"{path}: the checksum of signal {k} is not the one in its header: damaged",
            )
