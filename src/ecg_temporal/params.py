"""The whole of params.yaml, checked: what the `params` stage does before anything else runs."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from ecg_temporal.comparison.settings import SIGNIFICANCE, BootstrapSettings
from ecg_temporal.evaluation.settings import DecisionSettings
from ecg_temporal.models.settings import CANDIDATE, ArchitectureSettings, TrunkSettings
from ecg_temporal.probing.settings import ProbeSettings
from ecg_temporal.ptbxl.settings import (
    SAMPLING_RATE,
    Dataset,
    FetchSettings,
    LabelSettings,
    SyntheticSettings,
)
from ecg_temporal.settings import ParamsError, Settings, parse
from ecg_temporal.training.settings import TrainSettings


def _file_name(name: str) -> str:
    if not re.fullmatch("[a-z][a-z0-9_]{0,63}", name):
        raise ValueError("must be a small letter, and up to 63 more, digits or _ after it, as it names files")
    return name


Name = Annotated[str, AfterValidator(_file_name)]
TAKEN = {
    CANDIDATE: "the candidate's",
    "nothing": "that of a line in the report's tables",
    "subclass": "that of a column in the report's tables",
}


class Params(Settings):
    """Every section of params.yaml."""

    dataset: Dataset
    fetch: FetchSettings
    synthetic: SyntheticSettings
    labels: LabelSettings
    trunk: TrunkSettings
    train: TrainSettings
    decision: DecisionSettings
    probes: ProbeSettings
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
    for name, owner in TAKEN.items():
        if name in checked.architectures:
            raise ParamsError(f"params.yaml: architectures.{name}: this name is {owner}; choose another")
    if checked.bootstrap.reference not in checked.architectures:
        raise ParamsError(
            f"params.yaml: bootstrap.reference = {checked.bootstrap.reference!r}: must be one of {names}"
        )
    _refuse_long_kernels(checked)
    _refuse_too_few_replicates(checked)
    return checked


def _refuse_too_few_replicates(params: Params) -> None:
    others, replicates = len(params.architectures) - 1, params.bootstrap.replicates
    # The smallest p is 2 / (replicates + 1), and Holm's correction multiplies it by `others`.
    least = 2 * others / SIGNIFICANCE
    if replicates + 1 <= least:
        raise ParamsError(
            f"params.yaml: bootstrap.replicates = {replicates}: must be {least:.0f} or more: "
            f"with fewer no difference could be significant among {others} (Holm)"
        )


def _refuse_long_kernels(params: Params) -> None:
    samples = round(params.train.crop_seconds * SAMPLING_RATE)
    frames = samples // 2  # as models.trunk pools, and each block but the first strides
    for _ in params.trunk.channels[1:]:
        frames = (frames + 1) // 2
    if frames < 2:
        raise ParamsError(
            f"params.yaml: trunk.channels has {len(params.trunk.channels)} entries, too many for pieces of "
            f"train.crop_seconds = {params.train.crop_seconds:g}: each but the first halves the time axis, "
            "and two frames at least must be left"
        )
    for key, longest in (("stem_kernel_size", samples), ("kernel_size", frames)):
        kernel = getattr(params.trunk, key)
        if kernel > longest:
            raise ParamsError(
                f"params.yaml: trunk.{key} = {kernel}: must be {longest} or less, the length of what it runs "
                f"over when train.crop_seconds is {params.train.crop_seconds:g} and trunk.channels has "
                f"{len(params.trunk.channels)} entries"
            )
