"""The section `bootstrap` of params.yaml."""

from typing import Annotated

from pydantic import Field

from ecg_temporal.settings import Settings

SIGNIFICANCE = 0.05
"""Of a p that is corrected for the number of comparisons."""


class BootstrapSettings(Settings):
    """The paired bootstrap over test patients; the others are set against the architecture `reference`."""

    replicates: Annotated[int, Field(ge=100, le=20_000)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    reference: str
