"""An ECG as on paper: 25 mm/s, 10 mm/mV, four columns of three leads over a rhythm strip of lead II.

With an attribution, which may be strongest anywhere, every lead has a row and is drawn whole.
"""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MultipleLocator
from numpy.typing import NDArray

from ecg_temporal.ptbxl.waveforms import LEADS

MM_PER_SECOND, MM_PER_MV = 25, 10
SECONDS = 10.0
ROWS: tuple[tuple[str, ...], ...] = (
    ("I", "AVR", "V1", "V4"),
    ("II", "AVL", "V2", "V5"),
    ("III", "AVF", "V3", "V6"),
    ("II",),
)
ROW_MV = 2.6
"""Height of a row; taller waves run into the next, as on paper."""
MARGIN_MM, PANEL_MM = 8, 92
FAINTEST = 0.01
"""The least attribution, in units of the logit, that a full shade stands for: less is rounding."""
SPELLED = {"AVR": "aVR", "AVL": "aVL", "AVF": "aVF"}


def draw_ecg(
    signals: NDArray[np.int16],
    sampling_rate_hz: int,
    title: str,
    findings: list[tuple[str, float, bool]],
    attribution: NDArray[np.float32] | None = None,
) -> Figure:
    """Draw the first ten seconds of a record, with the findings beside it.

    Parameters
    ----------
    signals : int16 array [12, samples]
        Microvolts, leads in the order of `ptbxl.waveforms.LEADS`.
    sampling_rate_hz : int
    title : str
    findings : list of (name, probability, decided)
        From top to bottom; what was decided is set in bold.
    attribution : float array [12, samples], optional
        Shaded under the traces: orange where it is positive, violet where it is negative, strongest where
        its absolute value is largest, if that is FAINTEST or more.

    Returns
    -------
    Figure
        In its true size: 25 mm are a second.

    """
    samples = min(signals.shape[1], round(SECONDS * sampling_rate_hz))
    millivolts = signals[:, :samples] / 1000
    seconds = np.arange(samples) / sampling_rate_hz
    rows, shades, scale = ROWS, None, ""
    if attribution is not None:
        rows = tuple((lead,) for lead in LEADS)
        strongest = max(float(np.abs(attribution[:, :samples]).max()), FAINTEST)
        shades, scale = attribution[:, :samples] / strongest, f" Full shade: {strongest:.2g} in the logit."
    height = len(rows) * ROW_MV
    width_mm = SECONDS * MM_PER_SECOND + 2 * MARGIN_MM + PANEL_MM
    height_mm = height * MM_PER_MV + 2 * MARGIN_MM + 8
    style: Any = {"font.size": 8, "figure.dpi": 150}
    with mpl.rc_context(style):
        figure = Figure(figsize=(width_mm / 25.4, height_mm / 25.4))
        paper = figure.add_axes(
            (
                MARGIN_MM / width_mm,
                MARGIN_MM / height_mm,
                SECONDS * MM_PER_SECOND / width_mm,
                height * MM_PER_MV / height_mm,
            )
        )
        paper.set(xlim=(0, SECONDS), ylim=(0, height))
        for axis, large, small in ((paper.xaxis, 0.2, 0.04), (paper.yaxis, 0.5, 0.1)):
            axis.set_major_locator(MultipleLocator(large))
            axis.set_minor_locator(MultipleLocator(small))
        paper.grid(which="major", color="#e8a0a0", linewidth=0.6)
        paper.grid(which="minor", color="#f6d5d5", linewidth=0.3)
        paper.tick_params(which="both", length=0, labelbottom=False, labelleft=False)
        paper.set_axisbelow(True)
        for row, leads in enumerate(rows):
            zero = height - (row + 0.5) * ROW_MV
            share = samples // len(leads)
            for column, lead in enumerate(leads):
                part = slice(column * share, (column + 1) * share)
                trace = millivolts[LEADS.index(lead), part]
                paper.plot(seconds[part], zero + trace - np.median(trace), color="black", linewidth=0.7)
                start = seconds[part.start]
                if shades is not None:
                    shade = shades[LEADS.index(lead), part]
                    extent = (start, seconds[part][-1], zero - 0.45 * ROW_MV, zero + 0.45 * ROW_MV)
                    paper.imshow(
                        shade[None], extent=extent, cmap="PuOr_r", vmin=-1, vmax=1, alpha=0.75, aspect="auto"
                    )
                if column:
                    paper.plot([start, start], [zero - 0.4, zero + 0.4], color="black", linewidth=0.7)
                # On a halo, because a high R wave reaches the name.
                halo = [withStroke(linewidth=3, foreground="white")]
                name = SPELLED.get(lead, lead)
                paper.text(start + 0.06, zero + 0.85, name, fontweight="bold", path_effects=halo, zorder=3)
        figure.text(
            MARGIN_MM / width_mm, 1 - 9 / height_mm, title, fontsize=9, fontweight="bold", parse_math=False
        )
        figure.text(
            (MARGIN_MM + SECONDS * MM_PER_SECOND) / width_mm,
            1 - 9 / height_mm,
            "25 mm/s, 10 mm/mV",
            ha="right",
        )
        left = (2 * MARGIN_MM + SECONDS * MM_PER_SECOND) / width_mm
        step = min(5.5, (height_mm - 4 * MARGIN_MM) / max(1, len(findings))) / height_mm
        for k, (name, probability, decided) in enumerate(findings):
            y = 1 - (MARGIN_MM + 8) / height_mm - k * step
            weight = "bold" if decided else "normal"
            percent = f"{probability:.0%}" if probability >= 0.005 else "<1%"
            figure.text(left, y, percent.rjust(4), fontweight=weight, family="monospace")
            figure.text(left + 9 / width_mm, y, name, fontweight=weight, parse_math=False)
        figure.text(left, 3 / height_mm, f"Not a medical device.{scale}", fontsize=7, color="#666666")
    return figure
