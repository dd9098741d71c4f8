"""The raw dataset on disk, as the fetch stage leaves it and preprocessing reads it: four files.

signals.npy (int16 [records, 12, 1000], microvolts, rows in the table's order), ptbxl_database.csv,
scp_statements.csv and manifest.json. Packed, because DVC takes 36 s over PTB-XL's 43,600 files and 2 s
over the same bytes in one.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_temporal.ptbxl.settings import SAMPLING_RATE
from ecg_temporal.ptbxl.waveforms import LEADS, SAMPLES

TABLE = "ptbxl_database.csv"
STATEMENTS = "scp_statements.csv"
OWN = "own records"
"""The `dataset` of a Manifest that is of neither PTB-XL nor the synthetic stand-in."""


@dataclass(frozen=True)
class Manifest:
    """What the raw dataset is, where it came from, and what was wrong with it.

    `sha256` is that of the samples. `skipped` says for a record of the source why it is not here,
    `flat_leads` which leads of a record that is here are constant.
    """

    dataset: str
    version: str
    synthetic: bool
    records: int
    sampling_rate_hz: int
    leads: list[str]
    unit: str
    sha256: str
    sources: dict[str, str]
    skipped: dict[str, str]
    flat_leads: dict[str, list[str]]


@dataclass(frozen=True)
class Origin:
    """Where a raw dataset came from: its name and version, and the source of each of its parts."""

    dataset: str
    version: str
    sources: dict[str, str]
    synthetic: bool = False


@dataclass(frozen=True)
class RawDataset:
    """The raw dataset, its signals memory-mapped."""

    signals: NDArray[np.int16]
    table: pd.DataFrame
    statements: pd.DataFrame
    manifest: Manifest


def read_statements(path: Path) -> pd.DataFrame:
    """Read scp_statements.csv, as `read_table` does; names are text, even those that look like a number.

    Raises:
        ValueError: as `read_table`.

    """
    table = read_table(path, as_text=True).replace("", np.nan)
    if "diagnostic" in table:
        table["diagnostic"] = pd.to_numeric(table["diagnostic"], errors="coerce")
    return table


def read_table(path: Path, as_text: bool = False) -> pd.DataFrame:
    """Read ptbxl_database.csv, indexed by its first column; `as_text` leaves every cell as it is written.

    A record's name is text without it, too: 00121 is not 121.

    Raises:
        ValueError: the file is not a table, is empty, or has an index value twice.

    """
    try:
        dtype = str if as_text else {"filename_lr": str}
        table = pd.read_csv(path, index_col=0, low_memory=False, dtype=dtype, keep_default_na=not as_text)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a CSV table: {error}") from None
    if table.empty:
        raise ValueError(f"{path} has no rows")
    if twice := table.index[table.index.duplicated()].tolist():
        raise ValueError(f"{path}: {table.index.name or 'row'} {twice[0]} is there twice")
    return table


def leaves_folder(name: str) -> bool:
    """Return whether a path that a file names would lead out of the folder that it is to be in."""
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or "\\" in name


def create_signals(folder: Path, records: int) -> NDArray[np.int16]:
    """Create `folder`/signals.npy, int16 [records, 12, 1000], to be filled and given to `write_raw`."""
    shape = (records, len(LEADS), SAMPLES)
    path = folder / "signals.npy"
    signals = np.lib.format.open_memmap(path, mode="w+", dtype=np.int16, shape=shape)
    # A full disk is an error here, not a signal that kills the process at some later assignment.
    if hasattr(os, "posix_fallocate"):  # not on macOS
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return signals


def shorten_signals(folder: Path, records: int) -> NDArray[np.int16]:
    """Keep the first records of `folder`/signals.npy alone."""
    path = folder / "signals.npy"
    whole = path.rename(folder / "whole.npy")
    np.save(path, np.load(whole, mmap_mode="r")[:records])
    whole.unlink()
    signals: NDArray[np.int16] = np.load(path, mmap_mode="r+")
    return signals


def digest(signals: NDArray[np.int16]) -> str:
    """Return the SHA-256 of the samples' bytes in little-endian C order."""
    return hashlib.sha256(np.ascontiguousarray(signals, dtype="<i2").data).hexdigest()


def write_raw(
    folder: Path,
    signals: NDArray[np.int16],
    table: pd.DataFrame,
    statements: pd.DataFrame,
    origin: Origin,
    skipped: dict[str, str],
    flat_leads: dict[str, list[str]],
) -> Manifest:
    """Write the tables and the manifest beside `signals`, which are those of `create_signals`.

    `skipped` and `flat_leads` are the manifest's.
    """
    table.to_csv(folder / TABLE)
    statements.to_csv(folder / STATEMENTS)
    manifest = Manifest(
        dataset=origin.dataset,
        version=origin.version,
        synthetic=origin.synthetic,
        records=len(signals),
        sampling_rate_hz=SAMPLING_RATE,
        leads=list(LEADS),
        unit="uV",
        sha256=digest(signals),
        sources=origin.sources,
        skipped=skipped,
        flat_leads=flat_leads,
    )
    (folder / "manifest.json").write_text(json.dumps(asdict(manifest), indent=2) + "\n", encoding="utf-8")
    np.memmap.flush(signals)  # type: ignore[arg-type]  # create_signals' array is a memmap
    return manifest


def read_raw(folder: Path) -> RawDataset:
    """Read what the fetch stage wrote.

    Raises:
        ValueError: a file is missing or the files don't belong together.

    """
    try:
        manifest = Manifest(**json.loads((folder / "manifest.json").read_text(encoding="utf-8")))
        signals = np.load(folder / "signals.npy", mmap_mode="r")
    except (OSError, ValueError, TypeError, EOFError, BadZipFile) as error:  # np.load raises all of them
        raise ValueError(f"{folder} is not a raw dataset ({error}); run `dvc repro fetch`") from None
    table, statements = read_table(folder / TABLE), read_statements(folder / STATEMENTS)
    if not len(signals) == len(table) == manifest.records:
        raise ValueError(f"{folder}: {len(signals)} signals, {len(table)} rows; manifest: {manifest.records}")
    return RawDataset(signals, table, statements, manifest)
