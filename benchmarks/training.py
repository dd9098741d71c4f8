"""Training: its rate, its start, its memory, several at once, and what the precision costs."""

import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from benchmarks import stage
from benchmarks.measure import Row, in_turn, row, seconds
from ecg_temporal.models.classifier import ECGClassifier
from ecg_temporal.models.settings import ArchitectureSettings, TrunkSettings
from ecg_temporal.settings import section
from ecg_temporal.store import Split
from ecg_temporal.training.batches import Batches
from ecg_temporal.training.hardware import Hardware, choose_hardware
from ecg_temporal.training.loop import gradients_of, train
from ecg_temporal.training.settings import TrainSettings

STEPS = {"cpu": 30, "cuda": 130}
RATE = 0.002
Fresh = Callable[[], ECGClassifier]
LIMIT = "{}: throughput, against one fixed batch again and again"
TEXTBOOK = "{}: throughput, against Dataset and DataLoader in fp32"


class TextbookRecords(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Standardised float32 arrays, a piece of a record an item, as in most tutorials."""

    def __init__(self, split: Split, samples: int) -> None:
        self.samples = samples
        about = split.description
        mean, scale = (np.asarray(v, np.float32)[:, None] for v in (about.mean, about.scale))
        self.signals = (split.signals.astype(np.float32) - mean) / scale
        self.labels = np.concatenate([split.labels, split.statements], axis=1).astype(np.float32)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        start = torch.randint(self.signals.shape[2] - self.samples + 1, ()).item()
        piece = self.signals[k, :, start : start + self.samples]
        return torch.from_numpy(piece), torch.from_numpy(self.labels[k])


class OneBatch(Batches):
    """Whatever batch is asked for, the first one, which is read only once."""

    _first: tuple[Tensor, Tensor] | None = None

    def read(self, rows: Tensor, starts: Tensor, samples: int) -> tuple[Tensor, Tensor]:
        """Return the signals and targets of the first call."""
        if self._first is None:
            self._first = super().read(rows, starts, samples)
        return self._first


def throughput(split: Split, validation: Split, params: dict[str, Any], hardware: Hardware) -> list[Row]:
    """Compare records per second with the limit and with the textbook loop."""
    settings = section(params, "train", TrainSettings).model_copy(update={"epochs": 1})
    split = split.part(slice(STEPS[hardware.device.type] * settings.batch_size))
    validation = validation.part(slice(64))
    textbook_goal = "≥ 1.5" if hardware.device.type == "cpu" else "≥ 5"
    rows = []
    for name in ("cnn", "cnn_bilstm"):
        fresh = partial(_fresh, split, params, name, hardware)
        ours = partial(_ours, fresh, split, validation, settings, hardware)
        for what, function, goal in ((LIMIT, _fixed, "≥ 0.95"), (TEXTBOOK, _textbook, textbook_goal)):
            reference = partial(function, fresh, split, settings, hardware)
            ours(), reference()  # builds the kernels
            measured = in_turn(ours, reference, 5)
            rows.append(row(what.format(name), *measured, goal, "records/s", str(hardware)))
    return rows


def _fresh(
    split: Split, params: dict[str, Any], name: str, hardware: Hardware, seed: int = 0
) -> ECGClassifier:
    architecture = section(params, f"architectures.{name}", ArchitectureSettings)
    trunk, about = section(params, "trunk", TrunkSettings), split.description
    torch.manual_seed(seed)
    outputs = len(about.classes) + len(about.statements)
    model = ECGClassifier(len(about.leads), outputs, trunk, architecture)
    model.set_scaling(about.mean, about.scale)
    return model.to(hardware.device)


def _ours(
    fresh: Fresh, split: Split, validation: Split, settings: TrainSettings, hardware: Hardware
) -> float:
    _, history = train(fresh(), split, validation, settings, RATE, 0, hardware, lambda *_: None)
    return history[0]["records_per_second"]


def _optimizer(model: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=settings.weight_decay, fused=True)


def _wait(hardware: Hardware) -> None:
    if hardware.device.type == "cuda":
        torch.cuda.synchronize()


def _samples(split: Split, settings: TrainSettings) -> int:
    return round(settings.crop_seconds * split.description.sampling_rate_hz)


def _fixed(fresh: Fresh, split: Split, settings: TrainSettings, hardware: Hardware) -> float:
    model, batches = fresh().train(), OneBatch(split, settings.batch_size, hardware)
    optimizer, samples = _optimizer(model, settings), _samples(split, settings)
    batch = next(batches.shuffled(0, 1, samples))
    compute_gradients = gradients_of(model, batches, split, settings, samples, hardware)

    def steps() -> None:
        for _ in range(batches.steps):
            compute_gradients(*batch)
            optimizer.step()
        _wait(hardware)

    return batches.steps * batches.batch_size / seconds(steps)


def _textbook(fresh: Fresh, split: Split, settings: TrainSettings, hardware: Hardware) -> float:
    model = fresh().train()
    model.mean.zero_()
    model.scale.fill_(1)
    optimizer = _optimizer(model, settings)
    records = TextbookRecords(split, _samples(split, settings))
    loader = DataLoader(records, settings.batch_size, shuffle=True, drop_last=True)

    def epoch() -> None:
        total = 0.0
        for signals, labels in loader:
            logits = model(signals.to(hardware.device))
            loss = F.binary_cross_entropy_with_logits(logits, labels.to(hardware.device))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
            optimizer.step()
            total += loss.item()

    with torch.backends.cudnn.flags(enabled=True, allow_tf32=True):  # PyTorch's default
        return len(loader) * settings.batch_size / seconds(epoch)


def side_by_side(split: Split, validation: Split, hardware: Hardware) -> Row:
    """Compare several trainings at once, a share of the cores each, with one after the other."""
    on_gpu = hardware.device.type == "cuda"
    at_once, cores = (4 if on_gpu else 2), torch.get_num_threads()
    split = split.part(slice(len(split) if on_gpu else 3840))
    validation = validation.part(slice(256))
    with tempfile.TemporaryDirectory() as temporary:
        projects = [
            stage.copy_project(Path(temporary) / str(k), split, validation, epochs=2) for k in range(at_once)
        ]
        command = ["stages/train.py", "cnn_bilstm", "0"]

        def together() -> float:
            share = str(max(1, cores // at_once))

            def run() -> None:
                started = [stage.start(project, command, OMP_NUM_THREADS=share) for project in projects]
                try:
                    for process in started:
                        stage.finish(process)
                finally:  # where one failed, the others would lose their folder
                    for process in started:
                        process.kill()
                        process.wait()

            return at_once / seconds(run)

        def in_sequence() -> float:
            def run() -> None:
                for project in projects:
                    stage.finish(stage.start(project, command))

            return at_once / seconds(run)

        measured = in_turn(together, in_sequence, 3)
    name = f"{at_once} trainings at once, against one after the other"
    return row(name, *measured, "≥ 2" if on_gpu else "–", "trainings/s", str(hardware))


def start_up(split: Split, validation: Split, hardware: Hardware) -> Row:
    """Compare the time until a training stage takes its first batch with that of importing torch."""
    with tempfile.TemporaryDirectory() as temporary:
        project = stage.copy_project(Path(temporary) / "project", split, validation)

        def ours() -> float:
            return seconds(lambda: stage.finish(stage.start(project, ["-c", stage.UNTIL_THE_FIRST_STEP])))

        def reference() -> float:
            return seconds(lambda: stage.finish(stage.start(project, ["-c", "import torch"])))

        ours(), reference()
        measured = in_turn(ours, reference, 7)
    name = "start of a training stage until its first step, against importing torch"
    return row(name, *measured, "≤ 2", "s", str(hardware))


def growth(split: Split, validation: Split) -> list[Row]:
    """Compare memory with the dataset's size, and time and memory with half of the records'; on CPU."""
    with tempfile.TemporaryDirectory() as temporary:
        projects = [
            stage.copy_project(
                Path(temporary) / str(records), split.part(slice(records)), validation, epochs=1, device="cpu"
            )
            for records in (len(split), len(split) // 2)
        ]
        runs = [[stage.train(project, "cnn") for project in projects] for _ in range(3)]
    whole, half = ([pair[k] for pair in runs] for k in (0, 1))
    cpu = str(Hardware(torch.device("cpu"), "fp32"))
    dataset = (split.signals.nbytes + validation.signals.nbytes) * 10 / 9  # with the test fold
    memory = [float(run.peak_bytes) for run in whole]
    return [
        row(
            "peak memory of a training stage, against the dataset's size",
            memory,
            [dataset] * len(memory),
            "≤ 3",
            "bytes",
            cpu,
        ),
        row(
            "records doubled: time per epoch",
            [run.seconds_per_epoch for run in whole],
            [run.seconds_per_epoch for run in half],
            "1.9–2.1",
            "s",
            cpu,
        ),
        row(
            "records doubled: peak memory",
            memory,
            [float(run.peak_bytes) for run in half],
            "≤ 2",
            "bytes",
            cpu,
        ),
    ]


def precision(split: Split, validation: Split, params: dict[str, Any], hardware: Hardware) -> Row | None:
    """Compare fold 9's macro-AUPRC in bf16 and fp32, three seeds each, with what seeds alone change.

    None where the hardware has no bf16, so that fp32 is what is used.
    """
    if hardware.precision == "fp32":
        return None
    settings = section(params, "train", TrainSettings).model_copy(update={"epochs": 4})
    split = split.part(slice(34 * settings.batch_size))
    used: tuple[Literal["bf16", "fp32"], ...] = ("bf16", "fp32")
    figures: dict[str, list[float]] = {name: [] for name in used}
    for seed in tqdm(range(3), desc="precision"):
        for name in used:
            place = choose_hardware(settings.device, name)  # also forbids TF32
            model = _fresh(split, params, "cnn", place, seed)
            _, history = train(model, split, validation, settings, RATE, seed, place, lambda *_: None)
            figures[name].append(history[-1]["macro_auprc"])
    difference = abs(statistics.mean(figures["bf16"]) - statistics.mean(figures["fp32"]))
    noise = 2 * (sum(statistics.variance(v) for v in figures.values()) / 3) ** 0.5
    return Row(
        "bf16 against fp32: change of fold 9's macro-AUPRC, against twice its standard error over seeds",
        difference,
        noise,
        difference / noise,
        "≤ 1",
        "macro-AUPRC",
        str(hardware),
    )
