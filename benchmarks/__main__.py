"""Run every benchmark on the machine at hand: python -m benchmarks."""

import sys
from pathlib import Path

from benchmarks import pipeline, training
from benchmarks.measure import Row, markdown, write
from benchmarks.reading import reading
from benchmarks.resampling import resampling
from ecg_temporal.settings import read_params, section
from ecg_temporal.store import read_split
from ecg_temporal.training.hardware import choose_hardware, keep_freed_memory
from ecg_temporal.training.settings import TrainSettings

DATA = Path("data/processed")


def main() -> None:
    """Measure, print and write."""
    params = read_params()
    settings = section(params, "train", TrainSettings)
    hardware = choose_hardware(settings.device, settings.precision)
    keep_freed_memory()
    train, validation, test = (read_split(DATA / name) for name in ("train", "validation", "test"))
    rows: list[Row] = []
    notes = [f"Data: {train.description.dataset}, {len(train)} training records; {hardware.precision}."]

    def add(*found: Row | None) -> None:
        for row in found:
            if row is not None:
                rows.append(row)
                print(f"{row.ratio:8.3g}  {row.goal:8}  {row.name}", file=sys.stderr, flush=True)

    add(reading(train, str(hardware)))
    add(resampling(test, str(hardware)))
    add(training.start_up(train, validation, hardware))
    add(*training.throughput(train, validation, params, hardware))
    add(training.side_by_side(train, validation, hardware))
    add(training.precision(train, validation, params, hardware))
    add(*training.growth(train, validation))
    try:
        add(*pipeline.pipeline(str(hardware)))
    except RuntimeError as error:  # what took a quarter of an hour is not lost for it
        print(error, file=sys.stderr)
        notes.append(f"DVC was not measured: {str(error).splitlines()[0]}.")
    page = markdown(rows, str(hardware), hardware.device.type == "cuda", notes)
    write(Path("benchmarks"), rows, page)
    print(page)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f"benchmarks: {error}")
