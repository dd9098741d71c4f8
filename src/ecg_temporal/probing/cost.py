"""What a model costs: multiply-accumulates, latency, and time and memory of a training step."""

import platform
import resource
import time
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ecg_temporal.training.hardware import Hardware


@torch.inference_mode()
def multiply_accumulates(model: nn.Module, signals: Tensor) -> int:
    """Return the multiplications of weights with inputs for `signals` [pieces of a record, leads, samples].

    Of convolutions, linear and recurrent layers; normalisation, activation and pooling are left out.

    Raises:
        ValueError: the model has weights in layers of another kind, whose multiplications are not known.

    """
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.RNNBase)]
    known = {weights for layer in layers for weights in layer.parameters()}
    if unknown := [name for name, w in model.named_parameters() if w.dim() > 1 and w not in known]:
        raise ValueError(f"how often {', '.join(unknown)} are multiplied is not known: count them here")
    total = 0

    def count(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        nonlocal total
        if isinstance(layer, nn.Conv2d):
            total += output.numel() * layer.weight[0].numel()
        elif isinstance(layer, nn.Linear):
            total += output.numel() * layer.in_features
        else:
            frames = inputs[0].shape[0] * inputs[0].shape[1]
            total += frames * sum(
                w.numel() for name, w in layer.named_parameters() if name.startswith("weight")
            )

    hooks = [layer.register_forward_hook(count) for layer in layers]
    try:
        model(signals)
    finally:
        for hook in hooks:
            hook.remove()
    return total


@torch.inference_mode()
def latency(model: nn.Module, signals: Tensor, hardware: Hardware, repeats: int = 100) -> float:
    """Return the time in milliseconds from one record in memory to its logits there.

    The shortest of `repeats`, as in timeit: what else the machine does can only add to it.
    """
    times = []
    for _ in range(repeats + 5):
        start = time.perf_counter()
        with hardware.autocast():
            model(signals.to(hardware.device)).cpu()
        times.append(time.perf_counter() - start)
    return 1000 * min(times[5:])


def training_step_memory(model: nn.Module, signals: Tensor, labels: Tensor, hardware: Hardware) -> int:
    """Return the bytes that one forward and backward pass adds to what is in use: activations and gradients.

    On a CPU to the peak memory of the process, so only the first call in a process says something.
    """
    if hardware.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(hardware.device)
    before = _peak(hardware)
    _step(model, signals, labels, hardware)
    return _peak(hardware) - before


def training_step_time(
    model: nn.Module, signals: Tensor, labels: Tensor, hardware: Hardware, repeats: int = 5
) -> float:
    """Return the time in milliseconds of a forward and backward pass, the shortest of `repeats`."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        _step(model, signals, labels, hardware)
        times.append(time.perf_counter() - start)
    return 1000 * min(times[1:])


def _step(model: nn.Module, signals: Tensor, labels: Tensor, hardware: Hardware) -> None:
    model.train()
    with hardware.autocast():
        logits = model(signals.to(hardware.device))
    F.binary_cross_entropy_with_logits(logits.float(), labels.to(hardware.device)).backward()  # type: ignore[no-untyped-call]
    if hardware.device.type == "cuda":
        torch.cuda.synchronize(hardware.device)
    model.zero_grad()
    model.eval()


def _peak(hardware: Hardware) -> int:
    if hardware.device.type == "cuda":
        return torch.cuda.max_memory_allocated(hardware.device)
    unit = 1 if platform.system() == "Darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
