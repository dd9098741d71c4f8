"""The whole of params.yaml, checked: what the `params` stage does before anything else runs."""

from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from ecg_temporal.evaluation.settings import BootstrapSettings
from ecg_temporal.models.settings import ArchitectureSettings, TrunkSettings
from ecg_temporal.ptbxl.settings import Dataset, LabelSettings, SyntheticSettings
from ecg_temporal.settings import Settings, parse
from ecg_temporal.training.settings import TrainSettings

CANDIDATE = "model"
"""The section, and the name in files and tables, of the architecture that `-S model.rnn=…` changes."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]


class Params(Settings):
    """Every section of params.yaml."""

    dataset: Dataset
    synthetic: SyntheticSettings
    labels: LabelSettings
    trunk: TrunkSettings
    train: TrainSettings
    bootstrap: BootstrapSettings
    model: ArchitectureSettings
    architectures: Annotated[dict[Name, ArchitectureSettings], Field(min_length=1)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if CANDIDATE in self.architectures:
            raise ValueError(f"architectures must not hold {CANDIDATE!r}: it is the candidate's name")
        if self.bootstrap.reference not in self.architectures:
            known = ", ".join(self.architectures)
            raise ValueError(f"bootstrap.reference = {self.bootstrap.reference!r}: must be one of {known}")
        return self


def check(params: dict[str, Any]) -> Params:
    """Return `params` typed.

    Raises:
        ParamsError: naming each wrong key, its value, and what is allowed.

    """
    return parse(Params, params)
