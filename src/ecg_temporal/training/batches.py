"""Batches straight from a split's arrays: int16 microvolts travel, the model scales them."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ecg_temporal.store import Split


class Batches:
    """The records of a split, on `device`, in batches.

    On a GPU the whole split is moved there once (0.42 GB for PTB-XL's training folds) and each batch is
    gathered there; on a CPU rows are read from the memory-mapped file.
    """

    def __init__(self, split: Split, batch_size: int, device: torch.device) -> None:
        self.records = len(split)
        self.batch_size = min(batch_size, self.records)
        self.device = device
        self.labels = torch.from_numpy(split.labels).float().to(device)
        self._array = split.signals
        self._on_device = (
            torch.from_numpy(np.array(split.signals)).to(device) if device.type == "cuda" else None
        )

    def shuffled(self, seed: int, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the full batches of an epoch in an order that depends on `seed` and `epoch` alone.

        Signals are int16 [batch, leads, samples], labels float32 [batch, classes]. The records left over
        when no full batch remains sit this epoch out.
        """
        order = np.random.default_rng([seed, epoch]).permutation(self.records)
        for k in range(self.steps):
            yield self._take(np.sort(order[k * self.batch_size : (k + 1) * self.batch_size]))

    def ordered(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every record once, in the order of the split; the last batch may be smaller."""
        for start in range(0, self.records, self.batch_size):
            yield self._take(np.arange(start, min(start + self.batch_size, self.records)))

    @property
    def steps(self) -> int:
        """Full batches in an epoch."""
        return self.records // self.batch_size

    def _take(self, rows: "np.ndarray[tuple[int], np.dtype[np.intp]]") -> tuple[Tensor, Tensor]:
        index = torch.from_numpy(rows).to(self.device)
        if self._on_device is not None:
            return self._on_device[index], self.labels[index]
        return torch.from_numpy(self._array[rows]), self.labels[index]
