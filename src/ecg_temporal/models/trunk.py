"""The residual 1-D CNN of every architecture: of one design, trained with each from scratch.

After He et al., Deep Residual Learning for Image Recognition (arXiv:1512.03385), in one dimension as in
Wang et al., Time Series Classification from Scratch (arXiv:1611.06455).

The layers are written as 2-D convolutions with kernels (1, k) and run in channels-last order: the same
arithmetic as nn.Conv1d, 1.5 times as fast in bf16 on a CPU.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ecg_temporal.models.settings import TrunkSettings


class Convolution(nn.Conv2d):
    """A convolution along time, centred, without bias.

    In fp32 on a GPU it is a matrix product of the signal's windows: where cuDNN may not round to TF32, it
    takes Fourier transforms, and a training step of `cnn` on an H200 thirty times as long.
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int, stride: int) -> None:
        super().__init__(inputs, outputs, (1, kernel_size), (1, stride), (0, kernel_size // 2), bias=False)
        # In the signal's memory order: otherwise a GPU turns the weights round three times a step.
        self.weight.data = self.weight.data.contiguous(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, inputs, 1, time] to [batch, outputs, 1, frames]."""
        exact = not (torch.is_autocast_enabled("cuda") or torch.backends.cudnn.allow_tf32)
        if x.is_cuda and exact:
            return self.as_product(x)
        return super().forward(x)

    def as_product(self, x: Tensor) -> Tensor:
        """Return the same as a matrix product."""
        size, stride = self.kernel_size[1], self.stride[1]
        padded = F.pad(x.squeeze(2).transpose(1, 2), (0, 0, size // 2, size // 2))
        windows = padded.unfold(1, size, stride)
        frames = windows.flatten(2) @ self.weight.flatten(1).T
        return frames.transpose(1, 2).unsqueeze(2)


def convolution(inputs: int, outputs: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    """Return a `Convolution`, followed by batch normalisation."""
    return nn.Sequential(
        Convolution(inputs, outputs, kernel_size, stride),
        nn.BatchNorm2d(outputs),
    )


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut, which is a 1×1 convolution where the shape changes.

    Between the two, whole channels are dropped: Tompson et al., Efficient Object Localization Using
    Convolutional Networks (arXiv:1411.4280).
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.first = convolution(inputs, outputs, kernel_size, stride)
        self.dropout = nn.Dropout2d(dropout)
        self.second = convolution(outputs, outputs, kernel_size)
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else convolution(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, inputs, 1, time] to [batch, outputs, 1, ceil(time / stride)]."""
        return F.relu(self.second(self.dropout(F.relu(self.first(x)))) + self.shortcut(x))


class Trunk(nn.Module):
    """Stem, max-pool (2) and residual blocks: one frame per 2^blocks samples.

    Parameters
    ----------
    leads : int
        Channels of the signal.
    settings : TrunkSettings
    widen : float
        Multiplies every entry of settings.channels, rounded.

    Attributes
    ----------
    features : int
        Length of the feature vector of a frame.

    """

    def __init__(self, leads: int, settings: TrunkSettings, widen: float = 1.0) -> None:
        super().__init__()
        channels = [max(1, round(c * widen)) for c in settings.channels]
        self.stem = convolution(leads, channels[0], settings.stem_kernel_size)
        self.blocks = nn.Sequential(
            *(
                ResidualBlock(
                    inputs, outputs, settings.kernel_size, 1 if k == 0 else 2, settings.block_dropout
                )
                for k, (inputs, outputs) in enumerate(zip([channels[0], *channels], channels, strict=False))
            )
        )
        self.features = channels[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Map a signal [batch, leads, samples] to frames [batch, features, frames]."""
        x = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        x = F.relu(F.max_pool2d(self.stem(x), (1, 2)))
        frames: Tensor = self.blocks(x).squeeze(2)
        return frames
