"""The section `probes` of params.yaml."""

from typing import Annotated

from pydantic import Field

from ecg_temporal.settings import Settings


class ProbeSettings(Settings):
    """What is taken away from trained models: see probing/probes.py."""

    permutations: Annotated[int, Field(ge=1, le=100)]
    seconds: Annotated[list[Annotated[float, Field(ge=0.1, le=10)]], Field(min_length=1)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
