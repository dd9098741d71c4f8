"""The whole of params.yaml, checked: what the `params` stage does before anything else runs."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from ecg_temporal.evaluation.settings import BootstrapSettings
from ecg_temporal.models.settings import ArchitectureSettings, TrunkSettings
from ecg_temporal.ptbxl.settings import Dataset, FetchSettings, LabelSettings, SyntheticSettings
from ecg_temporal.settings import ParamsError, Settings, parse
from ecg_temporal.training.settings import TrainSettings

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]


class Params(Settings):
    """Every section of params.yaml."""

    dataset: Dataset
    fetch: FetchSettings
    synthetic: SyntheticSettings
    labels: LabelSettings
    trunk: TrunkSettings
    train: TrainSettings
    bootstrap: BootstrapSettings
    model: ArchitectureSettings
    architectures: Annotated[dict[Name, ArchitectureSettings], Field(min_length=1)]


def check(params: dict[str, Any]) -> Params:
    """Return `params` typed.

    Raises:
        ParamsError: naming each wrong key, its value, and what is allowed.

    """
    checked = parse(Params, params)
    names = ", ".join(checked.architectures)
    if "model" in checked.architectures:
        raise ParamsError("params.yaml: architectures.model: this name is the candidate's; choose another")
    if checked.bootstrap.reference not in checked.architectures:
        raise ParamsError(
            f"params.yaml: bootstrap.reference = {checked.bootstrap.reference!r}: must be one of {names}"
        )
    return checked
