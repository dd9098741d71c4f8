"""A PTB-XL tree of WFDB records to the raw dataset: four packed files."""

import shutil
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ecg_temporal.ptbxl import raw
from ecg_temporal.ptbxl.download import VERSION
from ecg_temporal.ptbxl.waveforms import LEADS, SAMPLING_RATE, read_records


def collect(tree: Path, folder: Path, sources: dict[str, str]) -> None:
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

    Raises
    ------
    ValueError
        A table or a record is missing or damaged; the message names it.

    """
    if not tree.is_dir():
        raise ValueError(f"PTBXL_DIR is {tree}, and there is no such folder")
    if not (tree / raw.TABLE).is_file():
        raise ValueError(
            f"{tree} holds no {raw.TABLE}: set PTBXL_DIR to a folder with PTB-XL {VERSION}, or unset it to "
            "download PTB-XL from PhysioNet"
        )
    table = raw.read_table(tree / raw.TABLE)
    raw.read_table(tree / raw.STATEMENTS)
    if "filename_lr" not in table:
        raise ValueError(f"{tree / raw.TABLE} has no column 'filename_lr'")
    for ecg_id, name in table["filename_lr"].items():
        if not isinstance(name, str) or not name:
            raise ValueError(f"{tree / raw.TABLE}: record {ecg_id}: filename_lr is {name!r}, not a path")
    signals = raw.create_signals(folder, len(table))
    paths = (tree / name for name in table["filename_lr"])
    read_records(tqdm(paths, total=len(table), unit="record", desc="reading", mininterval=1), signals)
    for name in (raw.TABLE, raw.STATEMENTS):
        shutil.copyfile(tree / name, folder / name)
    raw.write_manifest(
        folder,
        raw.Manifest(
            dataset="PTB-XL",
            version=VERSION,
            synthetic=False,
            records=len(table),
            sampling_rate_hz=SAMPLING_RATE,
            leads=list(LEADS),
            unit="uV",
            sha256=raw.digest(signals),
            sources=sources,
        ),
    )
    np.memmap.flush(signals)  # type: ignore[arg-type]  # open_memmap's array is a memmap
