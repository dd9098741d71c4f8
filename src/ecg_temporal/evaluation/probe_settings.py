"""The section `probes` of params.yaml; apart, so that a new decision rule probes nothing again."""

from typing import Annotated

from pydantic import Field

from ecg_temporal.settings import Settings


class ProbeSettings(Settings):
    """What is taken away from trained models: see evaluation/probes.py."""

    permutations: Annotated[int, Field(ge=1, le=100)]
    seconds: Annotated[list[Annotated[float, Field(ge=0.1)]], Field(min_length=1)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
