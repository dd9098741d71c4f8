"""Which device and precision a run uses, and what the hardware is called."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch


def choose_device(wanted: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """Return the device to run on.

    Raises:
        RuntimeError: "cuda" was asked for and PyTorch finds none.

    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("train.device is cuda, but PyTorch finds no CUDA device; use auto or cpu")
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wanted)


def choose_precision(
    wanted: Literal["auto", "fp32", "bf16"], device: torch.device
) -> Literal["fp32", "bf16"]:
    """Return the precision of the matrix products: bf16 where the hardware multiplies it, unless told."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    # Without these instructions PyTorch emulates bf16, several times slower than fp32.
    capabilities = torch.cpu.get_capabilities()
    return "bf16" if capabilities.get("amx_bf16") or capabilities.get("avx512_bf16") else "fp32"


@contextmanager
def autocast(device: torch.device, precision: str) -> Iterator[None]:
    """Run the forward pass in `precision`."""
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        yield


def describe(device: torch.device) -> str:
    """Return the name of the GPU, or of the processor and the number of threads in use."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    name = torch.cpu.get_capabilities().get("cpu_name") or platform.machine()
    return f"{name}, {torch.get_num_threads()} threads"
