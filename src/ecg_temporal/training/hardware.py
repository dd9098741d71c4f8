"""Where a run computes: device, precision, memory, and its place among the processes of a training."""

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch


@dataclass(frozen=True)
class Hardware:
    """Where this process computes. `rank` counts the processes of one training, from 0 to `processes` - 1."""

    device: torch.device
    precision: Literal["fp32", "bf16"]
    rank: int = 0
    processes: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the one process that writes."""
        return self.rank == 0

    def __str__(self) -> str:
        """Return the name of the GPU, or of the processor and the number of threads in use."""
        if self.device.type == "cuda":
            name = str(torch.cuda.get_device_name(self.device))
        else:
            cpu = torch.cpu.get_capabilities().get("cpu_name") or platform.machine()
            threads = torch.get_num_threads()
            name = f"{cpu}, {threads} thread{'s' if threads > 1 else ''}"
        return name if self.processes == 1 else f"{self.processes} × {name}"

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Run the forward pass in `precision`; with bf16, PyTorch gives cuDNN's recurrent layers fp16."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            yield


def choose_hardware(
    device: Literal["auto", "cpu", "cuda"], precision: Literal["auto", "fp32", "bf16"]
) -> Hardware:
    """Return where to run; the place among several processes is in the variables that torchrun sets.

    From then on fp32 is fp32 in this process: by PyTorch's default, cuDNN's convolutions and recurrent layers
    round their inputs to TF32, of ten bits, and an environment variable makes matrix products do so, too.

    Raises:
        RuntimeError: "cuda" was asked for and PyTorch finds none, or too few for the processes.

    """
    rank, processes = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    chosen = _device(device, int(os.environ.get("LOCAL_RANK", "0")))
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return Hardware(chosen, _precision(precision, chosen), rank, processes)


def keep_freed_memory() -> None:
    """Let glibc keep the memory that a training step frees for the next one.

    By default it returns large blocks to the kernel, which then clears every page again: a tenth of a step's
    time on a CPU. Elsewhere than with glibc, nothing happens.
    """
    trim_threshold, mmap_threshold = -1, -3  # from malloc.h
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(mmap_threshold, 1 << 30)
        libc.mallopt(trim_threshold, (1 << 31) - 1)


def _device(wanted: str, local_rank: int) -> torch.device:
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise RuntimeError("train.device is cuda, but PyTorch finds no CUDA device; use auto or cpu")
    if wanted == "cpu" or not available:
        return torch.device("cpu")
    if local_rank >= torch.cuda.device_count():
        raise RuntimeError(
            f"PyTorch finds {torch.cuda.device_count()} CUDA devices, too few for process {local_rank} of "
            "this machine: lower --nproc-per-node"
        )
    return torch.device("cuda", local_rank)


def _precision(wanted: Literal["auto", "fp32", "bf16"], device: torch.device) -> Literal["fp32", "bf16"]:
    # bf16 only where the hardware multiplies it: emulated, it is several times slower than fp32.
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    capabilities = torch.cpu.get_capabilities()
    return "bf16" if capabilities.get("amx_bf16") or capabilities.get("avx512_bf16") else "fp32"
