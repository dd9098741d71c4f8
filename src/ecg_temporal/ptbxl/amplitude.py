"""How many millivolts an ECG spans, and what is unlikely: a wrong unit or gain is no error to a reader."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

PLAUSIBLE_MV = (0.1, 10)
"""From lowest to highest sample of a lead, in the median over leads: so it is in all of PTB-XL."""


def span_mv(signals: NDArray[Any]) -> float:
    """Return the millivolts that leads of [leads, samples] microvolts span, their median.

    Constant leads do not count; 0 if all are constant.
    """
    span = np.ptp(signals.astype(np.float32), axis=1)
    return float(np.median(span[span > 0])) / 1000 if span.any() else 0.0


def is_plausible(signals: NDArray[Any]) -> bool:
    """Return whether leads of [leads, samples] microvolts span what leads of an ECG do."""
    return PLAUSIBLE_MV[0] <= span_mv(signals) <= PLAUSIBLE_MV[1]
