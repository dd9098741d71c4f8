"""The first reading of the data, against the wfdb.rdsamp loop that other PTB-XL projects use."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import wfdb

from benchmarks.measure import Row, in_turn, row
from ecg_temporal.ptbxl.waveforms import LEADS, read_record
from ecg_temporal.store import Split

RECORDS = 300


def reading(split: Split, hardware: str) -> Row:
    """Compare the reading of PTB-XL's records, or of synthetic ones without PTBXL_DIR. CPU time."""
    with _records(split) as paths:
        ours_out = np.empty((len(paths), len(LEADS), 1000), np.int16)
        reference_out = np.empty_like(ours_out)

        def ours() -> float:
            start = time.process_time()
            for signal, path in zip(ours_out, paths, strict=True):
                signal[...] = read_record(path)
            return time.process_time() - start

        def reference() -> float:
            start = time.process_time()
            millivolts = np.array([wfdb.rdsamp(str(path))[0] for path in paths])
            reference_out[...] = np.rint(millivolts * 1000).transpose(0, 2, 1)
            return time.process_time() - start

        ours(), reference()  # fills the page cache
        times = in_turn(ours, reference, 5)
    if not np.array_equal(ours_out, reference_out):
        raise RuntimeError("the fast reader and wfdb.rdsamp differ")
    times = ([t / len(paths) * 1e3 for t in times[0]], [t / len(paths) * 1e3 for t in times[1]])
    return row(
        "reading WFDB records, against a wfdb.rdsamp loop, one core",
        *times,
        "≥ 50",
        "ms/record",
        hardware,
        "reference / ours",
    )


@contextmanager
def _records(split: Split) -> Iterator[list[Path]]:
    if tree := os.environ.get("PTBXL_DIR"):
        headers = sorted((Path(tree).expanduser() / "records100").glob("*/*.hea"))[:RECORDS]
        if not headers:
            raise RuntimeError(f"PTBXL_DIR is {tree}, and no record is in its records100")
        yield [path.with_suffix("") for path in headers]
        return
    with tempfile.TemporaryDirectory() as folder:
        for k, signal in enumerate(split.signals[:RECORDS]):
            wfdb.wrsamp(
                f"r{k}",
                100,
                ["mV"] * 12,
                list(LEADS),
                d_signal=signal.T.astype(np.int64),
                fmt=["16"] * 12,
                adc_gain=[1000.0] * 12,
                baseline=[0] * 12,
                write_dir=folder,
            )
        yield [Path(folder) / f"r{k}" for k in range(min(RECORDS, len(split)))]
