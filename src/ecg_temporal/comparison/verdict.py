"""The answer, computed: the least temporal modelling that is not measurably worse than the best."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ecg_temporal import files
from ecg_temporal.models.settings import ArchitectureSettings

VERDICT_METRIC, COMMON_METRIC = "macro_auprc", "macro_auprc_common"
"""Each metric of HEADLINE has a verdict; that on macro-AUPRC has the say."""
LOWER_IS_BETTER = (
    "hamming_loss",
    "log_loss",
    "log_loss_calibrated",
    "calibration_error",
    "brier_score",
    "rank",
)
ROUNDING = 1e-12
"""An interval that ends this near to 0 ends at 0: sums of equal numbers differ by their order."""


@dataclass(frozen=True)
class Verdict:
    """`least` is enough: its `difference` from `best` in `metric`, with the interval [low, high], spans 0.

    Both ends are None where the test fold is too small to say: no resample differs from another, or no class
    has enough positive records. Where `least` is `best`, all with less temporal modelling, if there are any,
    are measurably worse, and the difference is 0.
    """

    metric: str
    best: str
    least: str
    difference: float
    low: float | None
    high: float | None

    @property
    def decided(self) -> bool:
        """Whether the test fold is large enough to say."""
        return self.low is not None


def write_verdict(path: Path, found: Verdict) -> None:
    """Write a verdict as JSON."""
    with files.replacing_file(path) as temporary:
        temporary.write_text(json.dumps(asdict(found), indent=2) + "\n", encoding="utf-8")


def read_verdict(path: Path) -> Verdict:
    """Read what write_verdict wrote.

    Raises:
        ValueError: the file is missing or is not such a file.

    """
    try:
        return Verdict(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{path} is not a verdict ({error}); run `dvc repro`") from None


def best(values: pd.Series, metric: str) -> str:
    """Return the name with the best of `values`, those of `metric` by name; of several the first."""
    return str(values.idxmin() if metric in LOWER_IS_BETTER else values.idxmax())


def amount(settings: ArchitectureSettings) -> tuple[int, bool]:
    """Return how much temporal modelling there is: recurrent layers, then whether in both directions."""
    return len(settings.cells), any(cell.startswith("bi") for cell in settings.cells)


def verdict(
    from_best: pd.DataFrame,
    architectures: dict[str, ArchitectureSettings],
    parameters: dict[Any, float],
    metric: str,
) -> Verdict:
    """Return the verdict on `metric`.

    Parameters
    ----------
    from_best : DataFrame
        As `bootstrap.differences` gives them, all against the best of `architectures`.
    architectures : dict of str to ArchitectureSettings
        Those that are compared.
    parameters : dict of str to number
        Of two with as much temporal modelling the smaller comes first.
    metric : str

    """
    against = str(from_best["against"].iloc[0]) if len(from_best) else next(iter(architectures))
    rows: Any = from_best[from_best["metric"] == metric].set_index("architecture").to_dict("index")
    for name in sorted(architectures, key=lambda name: (*amount(architectures[name]), parameters[name])):
        if name == against:
            break
        row = rows[name]
        if not (row["low"] > ROUNDING or row["high"] < -ROUNDING):
            low, high = (None if pd.isna(row[end]) else row[end] for end in ("low", "high"))
            return Verdict(metric, against, name, row["difference"], low, high)
    unknown = bool(rows) and all(pd.isna(row["low"]) for row in rows.values())
    end = None if unknown else 0.0
    return Verdict(metric, against, against, 0.0, end, end)
