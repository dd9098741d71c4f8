"""One training on several processes: each takes its share of every batch, and all hold the same weights.

Started by torchrun, which says in the environment how many there are. The global batch stays the same, so do
the weights, up to rounding and to dropout, whose masks each process draws for its share: the number of
processes is another seed of them, not another experiment.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce as differentiable_all_reduce
from torch.nn.parallel import DistributedDataParallel

from ecg_temporal.training.hardware import Hardware

T = TypeVar("T")


@contextmanager
def process_group(hardware: Hardware) -> Iterator[None]:
    """Connect the processes of a training; alone, do nothing."""
    if hardware.processes == 1:
        yield
        return
    if hardware.device.type == "cuda":
        torch.cuda.set_device(hardware.device)
    dist.init_process_group("nccl" if hardware.device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def from_main(value: T, hardware: Hardware) -> T:
    """Return the main process's `value` in every process."""
    box = [value]
    if hardware.processes > 1:
        dist.broadcast_object_list(box, src=0)
    return box[0]


def parallel(model: nn.Module, hardware: Hardware) -> nn.Module:
    """Return `model` as it is trained: alone, itself; among several processes, with gradients averaged.

    Its batch normalisations are changed in place to take the statistics of the global batch.
    """
    if hardware.processes == 1:
        return model
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.__class__ = GlobalBatchNorm2d
    devices = [hardware.device] if hardware.device.type == "cuda" else None
    return DistributedDataParallel(model, device_ids=devices, broadcast_buffers=False)


def mean_over_processes(values: Tensor, hardware: Hardware) -> Tensor:
    """Return the mean of `values` over all processes."""
    if hardware.processes > 1:
        dist.all_reduce(values)
        values /= hardware.processes
    return values


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation with the mean and variance of the records of all processes.

    As torch.nn.SyncBatchNorm, which refuses to run on a CPU. Every process holds as many records.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, channels, height, time] to the same, normalised by channel."""
        if not self.training:
            return super().forward(x)
        centred = x.float()
        mean = _global_mean(centred)
        centred = centred - mean[:, None, None]
        variance = _global_mean(centred.square())
        n = dist.get_world_size() * x.numel() // x.shape[1]
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * n / (n - 1), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        normalised: Tensor = centred * scale[:, None, None] + self.bias[:, None, None]
        return normalised.to(x.dtype)


def _global_mean(values: Tensor) -> Tensor:
    mean: Tensor = differentiable_all_reduce(values.mean((0, 2, 3)))  # type: ignore[no-untyped-call]
    return mean / dist.get_world_size()
