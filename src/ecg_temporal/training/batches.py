"""Batches straight from a split's arrays: int16 microvolts travel, the model scales them."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ecg_temporal.store import Split
from ecg_temporal.training.hardware import Hardware


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
        self.labels = torch.from_numpy(split.labels).float().to(device)
        self._array = split.signals
        self._on_device = (
            torch.from_numpy(np.array(split.signals)).to(device) if device.type == "cuda" else None
        )

    def shuffled(self, seed: int, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield this process's share of the full batches of an epoch.

        The order depends on `seed` and `epoch` alone. Signals are int16 [share, leads, samples], labels
        float32 [share, classes]. The records left over when no full batch remains sit this epoch out.
        """
        order = np.random.default_rng([seed, epoch]).permutation(self.records)
        for k in range(self.steps):
            rows = np.sort(order[k * self.batch_size : (k + 1) * self.batch_size])
            yield self._take(rows[self.hardware.rank :: self.hardware.processes])

    def ordered(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every record once, in the order of the split; the last batch may be smaller."""
        for start in range(0, self.records, self.batch_size):
            yield self._take(np.arange(start, min(start + self.batch_size, self.records)))

    @property
    def steps(self) -> int:
        """Full batches in an epoch."""
        return self.records // self.batch_size

    def _take(self, rows: NDArray[np.intp]) -> tuple[Tensor, Tensor]:
        index = torch.from_numpy(rows).to(self.hardware.device)
        if self._on_device is not None:
            return self._on_device[index], self.labels[index]
        return torch.from_numpy(self._array[rows]), self.labels[index]
