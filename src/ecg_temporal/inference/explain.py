"""What a decision rests on: which seconds of which leads, and how much of it on their order.

Occlusion (Zeiler & Fergus, arXiv:1311.2901), by Captum: a piece of one lead is flattened to the lead's
median, and the change of the logit is the piece's share. With `order=False` the trunk's frames are shuffled
before the recurrent layers, so that the logit rests on a bag of frames: the difference of both is what the
recurrent layers take from order.
"""

import math

import numpy as np
import torch
from captum.attr import Occlusion
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from ecg_temporal.inference.predictor import Predictor
from ecg_temporal.models.classifier import ECGClassifier
from ecg_temporal.training.batches import pieces

WINDOW_SECONDS = 0.2
ORDERS = 4
AT_ONCE = 32


def occlusion(
    predictor: Predictor, signals: NDArray[np.int16], subclass: str, order: bool = True
) -> NDArray[np.float32]:
    """Return how much the ensemble's logit of `subclass` owes to each sample of each lead.

    Parameters
    ----------
    predictor : Predictor
    signals : int16 array [leads, samples]
        Microvolts.
    subclass : str
    order : bool
        Whether the frames keep their order; otherwise the mean over ORDERS random ones.

    Returns
    -------
    float32 array [leads, samples]
        Positive where the signal speaks for `subclass`; in units of the logit, per window of WINDOW_SECONDS.

    Raises
    ------
    ValueError
        The model does not know `subclass`.

    """
    spec = predictor.spec
    if subclass not in spec.classes:
        raise ValueError(f"subclass {subclass!r}: must be one of {', '.join(spec.classes)}")
    column = spec.classes.index(subclass)
    window = round(WINDOW_SECONDS * spec.sampling_rate_hz)
    x = torch.from_numpy(predictor.levelled(signals))[None].to(predictor.hardware.device)
    of_model = _in_order if order else _shuffled

    def of_piece(piece: Tensor) -> Tensor:
        return torch.stack([of_model(model, piece) for model in predictor.models]).mean(dim=0)[:, column]

    # What is hidden lies in few of a record's pieces: the others' logits are known.
    wholes = pieces(x, spec.samples)
    with torch.inference_mode():
        known = [of_piece(whole) for whole in wholes]

    leads, samples = signals.shape
    windows = leads * (1 + math.ceil((samples - window) / (window // 2)))
    progress = tqdm(total=1 + windows, unit="window", desc=subclass, delay=1)  # the record itself comes first

    @torch.inference_mode()
    def logit(batch: Tensor) -> Tensor:
        progress.update(len(batch))
        found = []
        for piece, whole, of_whole in zip(pieces(batch, spec.samples), wholes, known, strict=True):
            found.append(of_whole.repeat(len(batch)))
            changed = (piece != whole).flatten(1).any(dim=1)
            if changed.any():
                found[-1][changed] = of_piece(piece[changed])
        return torch.stack(found).mean(dim=0)

    with progress:
        found = Occlusion(logit).attribute(
            x,
            sliding_window_shapes=(1, window),
            strides=(1, window // 2),
            baselines=x.median(dim=2, keepdim=True).values.expand_as(x),
            perturbations_per_eval=AT_ONCE,
        )
    return np.asarray(found[0].cpu().numpy(), np.float32)


def _in_order(model: ECGClassifier, piece: Tensor) -> Tensor:
    logits: Tensor = model(piece)
    return logits


def _shuffled(model: ECGClassifier, piece: Tensor) -> Tensor:
    # The same orders for every batch, so that what is hidden makes the only difference.
    frames = model.frames(piece)
    generator = torch.Generator().manual_seed(0)
    orders = [torch.randperm(frames.shape[2], generator=generator) for _ in range(ORDERS)]
    return torch.stack([model.classify(frames[:, :, order]) for order in orders]).mean(dim=0)
