"""A PTB-XL tree of WFDB records to the raw dataset: four packed files."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from ecg_temporal.ptbxl import raw
from ecg_temporal.ptbxl.download import VERSION
from ecg_temporal.ptbxl.waveforms import LEADS, RecordError, read_record

NAMED = 20
"""Bad records that an error names."""


def collect(
    tree: Path, folder: Path, sources: dict[str, str], on_bad_record: Literal["fail", "skip"]
) -> raw.Manifest:
    """Read the 100 Hz records of a PTB-XL tree and write them as a raw dataset into `folder`.

    Parameters
    ----------
    tree : Path
        As PhysioNet lays it out: ptbxl_database.csv, scp_statements.csv and the records that the table's
        column filename_lr names.
    folder : Path
        Exists and is empty.
    sources : dict of str
        Where the parts of `tree` came from, for the manifest.
    on_bad_record : {"fail", "skip"}
        Whether records that can't be used are an error, or left out and named in the manifest.

    Returns
    -------
    Manifest
        As written into `folder`.

    Raises
    ------
    ValueError
        A table is missing or damaged; or records are, and `on_bad_record` is "fail". The message counts
        what is wrong and names the first NAMED records.

    """
    if not tree.is_dir():
        raise ValueError(f"PTBXL_DIR is {tree}, and there is no such folder")
    if not (tree / raw.TABLE).is_file():
        raise ValueError(
            f"{tree} holds no {raw.TABLE}: set PTBXL_DIR to a folder with PTB-XL {VERSION}, or unset it to "
            "download PTB-XL from PhysioNet"
        )
    table, statements = raw.read_table(tree / raw.TABLE), raw.read_statements(tree / raw.STATEMENTS)
    return pack(
        tree, table, statements, folder, raw.Origin("PTB-XL", VERSION, sources), on_bad_record, read_record
    )


def pack(
    tree: Path,
    table: pd.DataFrame,
    statements: pd.DataFrame,
    folder: Path,
    origin: raw.Origin,
    on_bad_record: Literal["fail", "skip"],
    read: Callable[[Path], NDArray[np.int16]],
) -> raw.Manifest:
    """Read the records that `table` names in filename_lr, and write them and both tables into `folder`.

    `read` returns int16 microvolts [12, 1000] or raises RecordError. The rest is as in `collect`.
    """
    paths = _record_paths(tree, table)
    signals = raw.create_signals(folder, len(table))
    problems: dict[object, RecordError] = {}
    flat_leads: dict[str, list[str]] = {}
    good = 0
    for ecg_id, path in tqdm(
        zip(table.index, paths, strict=True), total=len(table), unit="record", desc="reading", mininterval=1
    ):
        try:
            signals[good] = read(path)
        except RecordError as error:
            problems[ecg_id] = error
            continue
        if (flat := signals[good].min(axis=1) == signals[good].max(axis=1)).any():
            flat_leads[str(ecg_id)] = [lead for lead, is_flat in zip(LEADS, flat, strict=True) if is_flat]
        good += 1
    if problems and (on_bad_record == "fail" or not good):
        remedy = "Mend them" + (", or leave them out with fetch.on_bad_record: skip" if good else "")
        named = "".join(f"\n  {error}" for error in list(problems.values())[:NAMED])
        more = f"\n  and {len(problems) - NAMED:,} more" if len(problems) > NAMED else ""
        raise ValueError(f"{tree}: {_summary(problems, len(table))}. {remedy}:{named}{more}")
    if problems:
        signals = raw.shorten_signals(folder, good)
    skipped = {str(ecg_id): str(error).replace(f"{tree}/", "") for ecg_id, error in problems.items()}
    kept = table.drop(index=list(problems))
    manifest = raw.write_raw(folder, signals, kept, statements, origin, skipped, flat_leads)
    if problems:
        print(f"Skipped: {_summary(problems, len(table))}.")
    return manifest


def _record_paths(tree: Path, table: pd.DataFrame) -> list[Path]:
    if "filename_lr" not in table:
        raise ValueError(f"{tree / raw.TABLE} has no column 'filename_lr'")
    for ecg_id, name in table["filename_lr"].items():
        where = f"{tree / raw.TABLE}: record {ecg_id}: filename_lr"
        if not isinstance(name, str) or not name:
            raise ValueError(f"{where} is {name!r}, not a path")
        if raw.leaves_folder(name):
            raise ValueError(f"{where} is {name!r}, which leaves the folder")
    return [tree / name for name in table["filename_lr"]]


def _summary(problems: dict[object, RecordError], records: int) -> str:
    counts = Counter(error.problem for error in problems.values())
    kinds = ", ".join(f"{count} with {problem}" for problem, count in counts.most_common())
    return f"{len(problems):,} of {records:,} records can't be used ({kinds})"
