"""What a decision rests on: which seconds of which leads, and how much of it on their order.

Occlusion (Zeiler & Fergus, arXiv:1311.2901), by Captum: a piece of one lead is flattened to the lead's
median, and the change of the logit is the piece's share. With `order=False` the trunk's frames are shuffled
before the recurrent layers, so that the logit rests on a bag of frames: the difference of both is what the
recurrent layers take from order.
"""

from functools import partial

import numpy as np
import torch
from captum.attr import Occlusion
from numpy.typing import NDArray
from torch import Tensor

from ecg_temporal.inference.predictor import Predictor
from ecg_temporal.models.classifier import ECGClassifier
from ecg_temporal.training.batches import mean_over_pieces

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
    logits = _in_order if order else _shuffled

    @torch.inference_mode()
    def logit(batch: Tensor) -> Tensor:
        of_models = [mean_over_pieces(partial(logits, m), batch, spec.samples) for m in predictor.models]
        return torch.stack(of_models).mean(dim=0)[:, column]

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
