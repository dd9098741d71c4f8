"""The training loop."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from ecg_temporal.evaluation.metrics import multilabel_metrics
from ecg_temporal.store import Split
from ecg_temporal.training.batches import Batches, mean_over_pieces
from ecg_temporal.training.distributed import mean_over_processes, parallel
from ecg_temporal.training.graph import Captured, Step
from ecg_temporal.training.hardware import Hardware
from ecg_temporal.training.loss import positive_weight, weighted_cross_entropy
from ecg_temporal.training.settings import TrainSettings

GRADIENT_SCALE = 2.0**13
"""What gradients are multiplied by on their way back, so that fp16 can hold them.

On a GPU PyTorch's autocast gives cuDNN's recurrent layers fp16, whose numbers lose bits below 6e-5 and end at
6e-8. The gradient of one state, of thousands in a mean over records and frames, is about 1e-7 (`cnn_bilstm`
on PTB-XL), the largest of any weight .005. A power of two: nothing else changes by a bit. After Micikevicius
et al., Mixed Precision Training (arXiv:1710.03740).
"""


def train(
    model: nn.Module,
    train_split: Split,
    validation_split: Split,
    settings: TrainSettings,
    learning_rate: float,
    seed: int,
    hardware: Hardware,
    on_epoch: Callable[[dict[str, float], dict[str, Any]], None],
    resume: dict[str, Any] | None = None,
) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    """Train `model` and return its weights after the last epoch, with the history of all epochs.

    Beside the classes the model learns auxiliary targets, the split's `statements`; its outputs for these are
    cut off at the end.

    An epoch's order and pieces depend on `seed` and its number alone, its dropout also on the process and the
    kind of device, so that a run which was killed and goes on from its checkpoint ends with the same weights
    (bit for bit on a CPU) as one that was not.

    Parameters
    ----------
    model : nn.Module
        From signals [batch, leads, samples] to logits [batch, classes + statements], the last of its layers
        being `linear`; on `hardware.device`.
    train_split, validation_split : Split
    settings : TrainSettings
    learning_rate : float
        The peak of the one-cycle schedule.
    seed : int
    hardware : Hardware
        Every process of a distributed training calls this function with its own.
    on_epoch : callable
        Called in the main process after each epoch, with its row of the history and the state to go on from.
    resume : dict, optional
        A state that `on_epoch` was given: the run goes on after it.

    Returns
    -------
    weights : dict of str to Tensor
        On the CPU, of a model of the classes alone; empty but in the main process.
    history : list of dict
        Empty but in the main process. Per epoch: epoch (from 1), learning_rate, train_loss and
        validation_loss (of the classes), the metrics of `multilabel_metrics` on the validation fold, seconds
        and records_per_second.

    Raises
    ------
    FloatingPointError
        The loss, or a weight, is not finite; the message says where.

    """
    batches = Batches(train_split, settings.batch_size, hardware)
    if hardware.is_main:
        validation = Batches(validation_split, 4 * settings.batch_size, replace(hardware, processes=1))
    samples = round(settings.crop_seconds * train_split.description.sampling_rate_hz)
    total_steps = settings.epochs * batches.steps
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    # OneCycleLR raises when it steps past the end, and the last step is followed by a scheduler step.
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=total_steps + 1)
    history: list[dict[str, float]] = []

    if resume is not None:
        model.load_state_dict(resume["model"])
        optimizer.load_state_dict(resume["optimizer"])
        schedule.load_state_dict(resume["schedule"])
        history = list(resume["history"])

    compute_gradients = gradients_of(model, batches, train_split, settings, samples, hardware)
    finished = len(history)
    with tqdm(
        total=total_steps,
        initial=finished * batches.steps,
        unit="step",
        mininterval=1,
        disable=not hardware.is_main,
    ) as progress:
        for epoch in range(finished + 1, settings.epochs + 1):
            torch.manual_seed(seed * 10_007 + epoch + hardware.rank * 1_000_003)  # another dropout in each
            start = time.perf_counter()
            model.train()
            losses = torch.zeros(batches.steps, device=hardware.device)
            for step, (rows, starts) in enumerate(batches.shuffled(seed, epoch, samples)):
                losses[step] = compute_gradients(rows, starts)
                optimizer.step()
                rate = float(schedule.get_last_lr()[0])
                schedule.step()
                progress.update()
            # On the CPU waits for the device, so that the time is the epoch's.
            values = mean_over_processes(losses, hardware).cpu().numpy()
            seconds = time.perf_counter() - start
            _refuse_divergence(values, model, epoch, rate)

            if not hardware.is_main:
                continue
            row = {"epoch": epoch, "learning_rate": rate, "train_loss": float(values.mean())}
            row |= evaluate(model, validation, validation_split, samples)
            row |= {"seconds": seconds, "records_per_second": batches.steps * batches.batch_size / seconds}
            history.append(row)
            progress.set_postfix(loss=f"{row['train_loss']:.4f}", auprc=f"{row['macro_auprc']:.4f}")
            state = {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "history": history,
            }
            on_epoch(row, state)
    weights = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    for name in ("linear.weight", "linear.bias"):
        weights[name] = weights[name][: len(train_split.description.classes)].clone()
    return (weights, history) if hardware.is_main else ({}, [])


def gradients_of(
    model: nn.Module,
    batches: Batches,
    split: Split,
    settings: TrainSettings,
    samples: int,
    hardware: Hardware,
) -> Step:
    """Return what sets the gradients of `model` for a batch, clipped, and returns the loss of the classes."""
    net = parallel(model, hardware)
    classes, statements = len(split.description.classes), len(split.description.statements)
    weight = torch.full((classes + statements,), 1 / classes, device=hardware.device)
    weight[classes:] = settings.statement_weight / max(1, statements)
    pos_weight = positive_weight(batches.targets, settings.pos_weight_power)

    def compute(rows: Tensor, starts: Tensor) -> Tensor:
        signals, targets = batches.read(rows, starts, samples)
        with hardware.autocast():
            logits = net(signals).float()
        loss = (weighted_cross_entropy(logits, targets, pos_weight) @ weight).mean()
        model.zero_grad(set_to_none=True)
        (loss * GRADIENT_SCALE).backward()  # type: ignore[no-untyped-call]
        torch._foreach_div_([p.grad for p in model.parameters() if p.grad is not None], GRADIENT_SCALE)
        nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
        return F.binary_cross_entropy_with_logits(logits[:, :classes].detach(), targets[:, :classes])

    # What several processes say to each other can't be captured.
    if hardware.device.type == "cuda" and hardware.processes == 1:
        return Captured(compute, model.train(), *next(batches.shuffled(0, 1, samples)))
    return compute


def evaluate(model: nn.Module, batches: Batches, split: Split, samples: int) -> dict[str, float]:
    """Return validation_loss and the metrics of `multilabel_metrics` on `split`."""
    logits = torch.from_numpy(predict_logits(model, batches, samples)[:, : split.labels.shape[1]])
    loss = F.binary_cross_entropy_with_logits(logits, torch.from_numpy(split.labels).float())
    probabilities = logits.double().sigmoid().numpy()
    return {"validation_loss": float(loss), **multilabel_metrics(split.labels, probabilities)}


@torch.inference_mode()
def predict_logits(model: nn.Module, batches: Batches, samples: int) -> NDArray[np.float32]:
    """Return the logits of every record in order, float32 [records, classes]: the mean over its `pieces`."""
    model.eval()
    chunks = []
    for signals in batches.ordered():
        with batches.hardware.autocast():
            chunks.append(mean_over_pieces(model, signals, samples).cpu())
    return torch.cat(chunks).numpy()


def _refuse_divergence(losses: NDArray[np.floating[Any]], model: nn.Module, epoch: int, rate: float) -> None:
    finite = np.isfinite(losses)
    if not finite.all():
        step = int(finite.argmin())
        what = f"the loss is {losses[step]} in epoch {epoch}, step {step + 1} of {len(losses)}"
    elif not all(bool(weights.isfinite().all()) for weights in model.parameters()):
        what = f"a weight is not finite after the last step of epoch {epoch}"
    else:
        return
    raise FloatingPointError(
        f"{what}, learning rate about {rate:.2e}: lower learning_rate or gradient_clip; the last checkpoint "
        "is kept"
    )
