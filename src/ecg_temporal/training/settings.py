"""The section `train` of params.yaml."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ecg_temporal.settings import Settings


def _distinct(seeds: list[int]) -> list[int]:
    if len(set(seeds)) != len(seeds):
        raise ValueError("must not repeat a seed")
    return seeds


Seed = Annotated[int, Field(ge=0, lt=2**32)]


class TrainSettings(Settings):
    """One-cycle AdamW. `batch_size` records a step, of each a random piece of `crop_seconds`.

    `gradient_clip` is the largest global L2 norm of the gradient. `statement_weight` is how much the mean
    loss of the statements that tell more than the classes counts beside that of the classes. The positives of
    a class, and of a statement, weigh its share of the training records to the power of -`pos_weight_power`.
    """

    epochs: Annotated[int, Field(ge=1, le=10_000)]
    seeds: Annotated[list[Seed], Field(min_length=1), AfterValidator(_distinct)]
    batch_size: Annotated[int, Field(ge=2, le=65_536)]
    crop_seconds: Annotated[float, Field(ge=0.5, le=10)]
    statement_weight: Annotated[float, Field(ge=0)]
    pos_weight_power: Annotated[float, Field(ge=0, le=1)]
    weight_decay: Annotated[float, Field(ge=0)]
    gradient_clip: Annotated[float, Field(gt=0)]
    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["auto", "fp32", "bf16"]
