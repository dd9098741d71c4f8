"""The sections `dataset`, `fetch`, `synthetic` and `labels` of params.yaml."""

from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from ecg_temporal.settings import ParamsError, Settings

Dataset = Literal["ptbxl", "own", "synthetic"]

SAMPLING_RATE = 100
"""Hz, of every record once it is fetched."""


def dataset_of(params: dict[str, Any]) -> str:
    """Return the dataset that `params` names.

    Raises:
        ParamsError: there is no such dataset.

    """
    dataset, known = params.get("dataset"), get_args(Dataset)
    if dataset not in known:
        raise ParamsError(f"params.yaml: dataset = {dataset!r}: must be one of {', '.join(known)}")
    return str(dataset)


class FetchSettings(Settings):
    """What happens to a record that can't be used: `fail` stops, `skip` leaves it out and says so."""

    on_bad_record: Literal["fail", "skip"]


class SyntheticSettings(Settings):
    """The stand-in: number of records, and the seed that they come from."""

    records: Annotated[int, Field(ge=300, le=1_000_000)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]


class LabelSettings(Settings):
    """How SCP-ECG statements become labels.

    A diagnostic statement counts if its likelihood is at least `min_likelihood` percent; in PTB-XL a
    likelihood of 0 means that it is unknown. `unlabelled` says what happens to records without any.
    """

    min_likelihood: Annotated[float, Field(ge=0, le=100)]
    unlabelled: Literal["keep", "drop"]
