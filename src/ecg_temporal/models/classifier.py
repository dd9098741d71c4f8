"""The whole model: scaling, trunk, temporal part, pooling over time, and a linear classifier."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ecg_temporal.models.settings import ArchitectureSettings, TrunkSettings
from ecg_temporal.models.temporal import RecurrentStack
from ecg_temporal.models.trunk import Trunk


class ECGClassifier(nn.Module):
    """Multi-label classifier of ECGs of any length.

    Architectures differ in what stands between the trunk's frames and the pooling, in the width of the trunk
    and in their learning rate. The pooling takes the mean and the maximum over time of each feature, so of
    the states of both directions.

    Parameters
    ----------
    leads, classes : int
    trunk : TrunkSettings
    architecture : ArchitectureSettings

    Attributes
    ----------
    mean, scale : Tensor, float32, [leads, 1]
        Of the training folds, in microvolts. Kept with the weights, so that no one can scale otherwise.

    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self, leads: int, classes: int, trunk: TrunkSettings, architecture: ArchitectureSettings
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(leads, 1))
        self.register_buffer("scale", torch.ones(leads, 1))
        self.trunk = Trunk(leads, trunk, architecture.widen)
        self.temporal = RecurrentStack(
            self.trunk.features, architecture.cells, architecture.hidden, architecture.skip
        )
        self.dropout = nn.Dropout(trunk.dropout)
        self.linear = nn.Linear(2 * self.temporal.features, classes)

    def set_scaling(self, mean: Sequence[float], scale: Sequence[float]) -> None:
        """Set the leads' mean and standard deviation, in microvolts."""
        self.mean.copy_(torch.tensor(mean)[:, None])
        self.scale.copy_(torch.tensor(scale)[:, None])

    def forward(self, signals: Tensor) -> Tensor:
        """Return logits [batch, classes] of signals [batch, leads, samples] in microvolts, any dtype."""
        return self.classify(self.frames(signals))

    def frames(self, signals: Tensor) -> Tensor:
        """Return the trunk's frames [batch, features, frames] of signals in microvolts."""
        frames: Tensor = self.trunk((signals.float() - self.mean) / self.scale)
        return frames

    def classify(self, frames: Tensor) -> Tensor:
        """Return the logits of the trunk's frames: what an architecture makes of their order."""
        x = self.temporal(frames).transpose(1, 2)
        # max, not amax, and over the middle dimension: else its backward pass is a tenth of a CPU's step.
        x = torch.cat([x.mean(dim=1), x.max(dim=1).values], dim=1)
        logits: Tensor = self.linear(self.dropout(x))
        return logits


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
