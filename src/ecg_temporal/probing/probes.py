"""What a trained model makes of time: its logits when order, or context, is taken away.

**Order**: the trunk's frames of each record are permuted before the recurrent layers. What a model loses is
what it owes to an order beyond the reach of one frame (`receptive_field`). A model that pools its frames
straight away loses nothing.

**Context**: only the middle of each record is given, as much as `seconds` say.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ecg_temporal.models.classifier import ECGClassifier
from ecg_temporal.models.settings import TrunkSettings
from ecg_temporal.training.batches import Batches, mean_over_pieces

Logits = NDArray[np.float32]


def permuted_logits(
    model: ECGClassifier, batches: Batches, samples: int, permutations: int, seed: int
) -> Logits:
    """Return the logits of every record with the frames of each of its pieces permuted.

    Parameters
    ----------
    model : ECGClassifier
        In evaluation mode.
    batches : Batches
    samples : int
        Length of the pieces that the model was trained on.
    permutations : int
        How many orders each piece is given, drawn anew for each.
    seed : int

    Returns
    -------
    float32 array [permutations, records, classes]

    """
    generator = torch.Generator().manual_seed(seed)

    def permuted(piece: Tensor) -> Tensor:
        frames = model.frames(piece)
        return torch.stack([model.classify(shuffle(frames)) for _ in range(permutations)])

    def shuffle(frames: Tensor) -> Tensor:
        order = torch.rand((len(frames), frames.shape[2]), generator=generator).argsort(dim=1)
        return frames.gather(2, order.to(frames.device)[:, None, :].expand_as(frames))

    return _over_records(lambda signals: mean_over_pieces(permuted, signals, samples), batches)


def cropped_logits(model: ECGClassifier, batches: Batches, samples: int, lengths: list[int]) -> Logits:
    """Return the logits of the middle of every record, float32 [lengths, records, classes].

    Parameters
    ----------
    model : ECGClassifier
        In evaluation mode.
    batches : Batches
    samples : int
        Length of the pieces that the model was trained on; of a longer middle, its pieces' mean counts.
    lengths : list of int
        Of the middle, in samples.

    """

    def cropped(signals: Tensor) -> Tensor:
        starts = [(signals.shape[2] - length) // 2 for length in lengths]
        parts = [signals[:, :, k : k + n] for k, n in zip(starts, lengths, strict=True)]
        return torch.stack([mean_over_pieces(model, part, samples) for part in parts])

    return _over_records(cropped, batches)


def receptive_field(trunk: TrunkSettings) -> int:
    """Return how many samples one frame of the trunk depends on."""
    reach, step = trunk.stem_kernel_size + 1, 2  # the stem and the max-pool of two
    for k in range(len(trunk.channels)):
        reach += (trunk.kernel_size - 1) * step
        step *= 1 if k == 0 else 2
        reach += (trunk.kernel_size - 1) * step
    return reach


@torch.inference_mode()
def _over_records(function: Callable[[Tensor], Tensor], batches: Batches) -> Logits:
    chunks = []
    for signals in batches.ordered():
        with batches.hardware.autocast():
            chunks.append(function(signals).cpu())
    return torch.cat(chunks, dim=1).numpy()
