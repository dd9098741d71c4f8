"""The section `probes` of params.yaml."""

from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field

from ecg_temporal.settings import Settings


def _increasing(seconds: list[float]) -> list[float]:
    if any(shorter >= longer for shorter, longer in pairwise(seconds)):
        raise ValueError("must be in increasing order, none twice")
    return seconds


class ProbeSettings(Settings):
    """What is taken away from trained models: see probing/probes.py.

    `seconds` are lengths of the middle of a record, which has ten.
    """

    permutations: Annotated[int, Field(ge=1, le=100)]
    seconds: Annotated[
        list[Annotated[float, Field(ge=0.1, lt=10)]], Field(min_length=1), AfterValidator(_increasing)
    ]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
