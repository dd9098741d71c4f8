"""Label, split and describe the raw records: data/processed/{train,validation,test}, metrics/labels.csv."""

import sys
from pathlib import Path

from ecg_temporal import files
from ecg_temporal.ptbxl.preprocess import class_counts, preprocess
from ecg_temporal.ptbxl.raw import read_raw
from ecg_temporal.ptbxl.settings import LabelSettings
from ecg_temporal.settings import read_params, section
from ecg_temporal.store import write_split

RAW, OUT, COUNTS = Path("data/raw"), Path("data/processed"), Path("metrics/labels.csv")


def main() -> None:
    """Run the stage."""
    splits = preprocess(read_raw(RAW), section(read_params(), "labels", LabelSettings))
    for name, split in splits.items():
        with files.replacing_folder(OUT / name) as folder:
            write_split(folder, split)
        unlabelled = int((~split.labels.any(axis=1)).sum())
        print(f"{name}: {len(split)} records, {unlabelled} of them without a diagnostic label")
    counts = class_counts(splits)
    for name in counts.index[counts["train"] == 0]:
        print(f"{name}: no record of the train split has it, so that it can't be learned")
    with files.replacing_file(COUNTS) as temporary:
        counts.to_csv(temporary)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"preprocess: {error}")
