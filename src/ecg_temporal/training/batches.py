"""Batches straight from a split's arrays: int16 microvolts travel, the model scales them."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from ecg_temporal.store import Split
from ecg_temporal.training.hardware import Hardware


def pieces(signals: Tensor, samples: int) -> list[Tensor]:
    """Return pieces of `samples` that cover signals [batch, leads, time].

    Each is half over the one before but the last, which ends with the signal.
    """
    last = max(0, signals.shape[2] - samples)
    starts = sorted({*range(0, last, max(1, samples // 2)), last})
    return [signals[:, :, start : start + samples] for start in starts]


def mean_over_pieces(function: Callable[[Tensor], Tensor], signals: Tensor, samples: int) -> Tensor:
    """Return the mean of what `function` gives for each of the `pieces` of `signals`, float32.

    What a model was trained on in pieces it predicts in pieces.
    """
    return torch.stack([function(piece).float() for piece in pieces(signals, samples)]).mean(dim=0)


class Batches:
    """The records of a split, on this process's device, in batches of which it takes its share.

    On a GPU the whole split is moved there once (0.42 GB for PTB-XL's training folds) and each batch is
    gathered there; on a CPU rows are read from the memory-mapped file.

    Raises
    ------
    ValueError
        The processes can't have equal shares of a batch.

    """

    def __init__(self, split: Split, batch_size: int, hardware: Hardware) -> None:
        self.records = len(split)
        self.batch_size = min(batch_size, self.records)
        self.hardware = hardware
        if self.batch_size % hardware.processes:
            raise ValueError(
                f"a batch of {self.batch_size} can't be shared equally among {hardware.processes} processes: "
                "change train.batch_size or the number of processes"
            )
        device = hardware.device
        targets = np.concatenate([split.labels, split.statements], axis=1)
        self.targets = torch.from_numpy(targets).float().to(device)
        self._array = split.signals
        self._on_device = (
            torch.from_numpy(np.array(split.signals)).to(device) if device.type == "cuda" else None
        )

    def shuffled(self, seed: int, epoch: int, samples: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Return this process's share of the full batches of an epoch: which records to `read`, and where.

        Rows and starts (one random piece of each record) are int64 [share], on the device; they depend on
        `seed` and `epoch` alone. The records left over when no full batch remains sit this epoch out.
        """
        rng = np.random.default_rng([seed, epoch])
        shape = (self.steps, self.batch_size)
        rows = np.sort(rng.permutation(self.records)[: self.steps * self.batch_size].reshape(shape))
        starts = rng.integers(0, self.samples - samples, shape, endpoint=True)
        share = slice(self.hardware.rank, None, self.hardware.processes)
        # The whole epoch's at once: what goes to a GPU by itself makes the CPU wait for it.
        indices = [torch.from_numpy(each[:, share]).to(self.hardware.device) for each in (rows, starts)]
        return zip(*indices, strict=True)

    def read(self, rows: Tensor, starts: Tensor, samples: int) -> tuple[Tensor, Tensor]:
        """Return the pieces of `samples` of the records `rows` that begin at `starts`, and their targets.

        Signals are int16 [batch, leads, samples], targets float32 [batch, classes + statements], the classes
        first.
        """
        if self._on_device is not None:
            cut = self._on_device.unfold(2, samples, 1)[rows, :, starts]
        else:
            where = zip(rows.tolist(), starts.tolist(), strict=True)
            cut = torch.from_numpy(np.stack([self._array[row, :, k : k + samples] for row, k in where]))
        return cut, self.targets[rows]

    def ordered(self) -> Iterator[Tensor]:
        """Yield every record's signals once, in the order of the split; the last batch may be smaller."""
        for start in range(0, self.records, self.batch_size):
            rows = slice(start, start + self.batch_size)
            if self._on_device is not None:
                yield self._on_device[rows]
            else:
                yield torch.from_numpy(np.array(self._array[rows]))

    @property
    def samples(self) -> int:
        """Length of a record."""
        return int(self._array.shape[2])

    @property
    def steps(self) -> int:
        """Full batches in an epoch."""
        return self.records // self.batch_size
