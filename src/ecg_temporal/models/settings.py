"""The sections `trunk`, `model` and `architectures` of params.yaml."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from ecg_temporal.settings import Settings

CANDIDATE = "model"
"""The key in params.yaml of the architecture that is set beside the compared ones, and is none of them."""
CELLS = ("lstm", "gru", "bilstm", "bigru")
"""Names of the recurrent cells; `temporal.py` has a function of the same name for each."""


def _known_cells(rnn: str) -> str:
    if rnn != "none" and any(cell not in CELLS for cell in rnn.split("+")):
        raise ValueError(f"must be none, one of {', '.join(CELLS)}, or several of these joined by '+'")
    return rnn


def _odd(kernel: int) -> int:
    if kernel % 2 == 0:
        raise ValueError("must be odd, so that a frame stays centred on its samples")
    return kernel


Kernel = Annotated[int, Field(ge=1, le=255), AfterValidator(_odd)]


class TrunkSettings(Settings):
    """The CNN: one residual block per entry of `channels`, all but the first with stride 2.

    `dropout` is before the linear classifier, `block_dropout` of whole channels inside each block.
    """

    channels: Annotated[list[Annotated[int, Field(ge=1, le=4096)]], Field(min_length=1, max_length=8)]
    kernel_size: Kernel
    stem_kernel_size: Kernel
    dropout: Annotated[float, Field(ge=0, lt=1)]
    block_dropout: Annotated[float, Field(ge=0, lt=1)]


class ArchitectureSettings(Settings):
    """What stands on the trunk, and at which rate it learns.

    `rnn` is none, a cell, or cells joined by "+" and stacked from the trunk upwards; the stack is repeated
    `layers` times with `hidden` units per direction. With `skip` the classifier has the trunk's frames beside
    the states. `widen` multiplies the trunk's channels. Without a recurrent cell, `layers`, `hidden` and
    `skip` have no effect.
    """

    rnn: Annotated[str, AfterValidator(_known_cells)]
    layers: Annotated[int, Field(ge=1, le=8)] = 1
    hidden: Annotated[int, Field(ge=1, le=4096)] = 128
    skip: bool = False
    widen: Annotated[float, Field(gt=0, le=16)] = 1.0
    learning_rate: Annotated[float, Field(gt=0, le=1)]

    @property
    def cells(self) -> list[str]:
        """The recurrent layers from the trunk upwards, each a name of CELLS; empty without recurrence."""
        return [] if self.rnn == "none" else self.rnn.split("+") * self.layers

    @property
    def in_effect(self) -> dict[str, Any]:
        """The settings by name, without those that have no effect."""
        return self.model_dump(exclude=set() if self.cells else {"layers", "hidden", "skip"})
