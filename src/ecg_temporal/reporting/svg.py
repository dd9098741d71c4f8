"""Charts as SVG text for the report page: no script, colours from its style sheet, a <title> on every mark.

A mark's title is what the page's script, or without it the browser, shows on hover. Colours are CSS classes,
so that they follow the reader's light or dark scheme.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from unicodedata import east_asian_width

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, ROW = 640, 360, 22
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 12, 48
LETTER = 6.6
"""Width of one, on average."""

Scale = Callable[[float], float]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True)
class Mark:
    """A point, whose it is (its family is its CSS class), and its interval: of y, in a forest plot of x."""

    x: float
    y: float
    name: str
    family: str
    low: float | None = None
    high: float | None = None


def scatter(marks: Sequence[Mark], x_label: str, y_label: str, front: Sequence[str] = ()) -> str:
    """Return points with their names; those named in `front` are joined by a dashed step."""
    x, y, body = _frame([m.x for m in marks], [m.y for m in marks], x_label, y_label)
    on_front = sorted((m for m in marks if m.name in front), key=lambda m: m.x)
    steps = [
        f"{'H' if k else 'M'}{x(m.x):.1f}{'V' if k else ' '}{y(m.y):.1f}" for k, m in enumerate(on_front)
    ]
    body += f'<path class="front" d="{"".join(steps)}"/>' if steps else ""
    points = [(x(m.x), y(m.y)) for m in marks]
    corners = [(x(m.x), y(m.y)) for m in on_front]
    line = [(a, b - 1, c, b + 1) for (a, b), (c, _) in pairwise(corners)]
    line += [(c - 1, d, c + 1, b) for (_, b), (c, d) in pairwise(corners)]
    places = _label_places(points, [m.name for m in marks], line)
    for m, (cx, cy), place in zip(marks, points, places, strict=True):
        title = f"{m.name}: {x_label} {_short(m.x)}, {y_label} {m.y:.4f}"
        body += f'<circle class="{m.family}" cx="{cx:.1f}" cy="{cy:.1f}" r="6" tabindex="0">'
        body += f"<title>{escape(title)}</title></circle>"
        if place:
            left, base = place
            body += f'<text class="name" x="{left:.1f}" y="{base:.1f}">{escape(m.name)}</text>'
    return _svg(body, f"{y_label} against {x_label}")


def lines(
    series: Mapping[str, tuple[str, Sequence[tuple[float, float]]]],
    x_label: str,
    y_label: str,
    diagonal: bool = False,
    x_ticks: Sequence[float] | None = None,
) -> str:
    """Return a line per name of `series`: its family, and its points (x, y)."""
    points = [point for _, of_one in series.values() for point in of_one]
    x, y, body = _frame([p[0] for p in points], [p[1] for p in points], x_label, y_label, x_ticks)
    if diagonal:
        body += f'<path class="front" d="M{x(0):.1f} {y(0):.1f}L{x(1):.1f} {y(1):.1f}"/>'
    for name, (family, of_one) in series.items():
        path = "L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in of_one)
        body += f'<path class="line {family}" d="M{path}"><title>{escape(name)}</title></path>'
        for a, b in of_one:
            title = f"{name}: {x_label} {_short(a)}, {y_label} {b:.4f}"
            body += f'<circle class="{family}" cx="{x(a):.1f}" cy="{y(b):.1f}" r="3.5">'
            body += f"<title>{escape(title)}</title></circle>"
    return _svg(body, f"{y_label} by {x_label}")


def forest(marks: Sequence[Mark], label: str) -> str:
    """Return a row per mark: its name, its value `x` as a point and its interval as a bar; a line at zero."""
    left, height = max(150, _wide([m.name for m in marks]) + 16), TOP + BOTTOM + ROW * len(marks)
    values = [v for m in marks for v in (m.x, m.low, m.high) if v is not None and not math.isnan(v)]
    low, high = min([0.0, *values]), max([0.0, *values])
    span = (high - low) or 1.0
    low, high = low - 0.04 * span, high + 0.04 * span

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * (WIDTH - left - RIGHT)

    base = height - BOTTOM
    body = ""
    for tick in _ticks(low, high):
        body += f'<path class="grid" d="M{x(tick):.1f} {TOP}V{base}"/>'
        body += (
            f'<text class="tick" x="{x(tick):.1f}" y="{base + 16}" text-anchor="middle">{_short(tick)}</text>'
        )
    body += f'<path class="axis" d="M{x(0):.1f} {TOP}V{base}"/>'
    for k, m in enumerate(marks):
        y = TOP + ROW * (k + 0.5)
        body += f'<text class="name" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(m.name)}</text>'
        if math.isnan(m.x) or m.low is None or m.high is None or math.isnan(m.low):
            continue
        title = f"{m.name}: {m.x:+.4f} [{m.low:+.4f}, {m.high:+.4f}]"
        body += f'<g class="{m.family}" tabindex="0"><title>{escape(title)}</title>'
        body += f'<path class="line {m.family}" d="M{x(m.low):.1f} {y:.1f}H{x(m.high):.1f}"/>'
        body += f'<circle class="{m.family}" cx="{x(m.x):.1f}" cy="{y:.1f}" r="4.5"/></g>'
    body += f'<text class="label" x="{(left + WIDTH) / 2}" y="{height - 8}" text-anchor="middle">'
    body += f"{escape(label)}</text>"
    return _svg(body, label, height)


def heat(values: NDArray[np.floating], rows: Sequence[str], columns: Sequence[str], what: str) -> str:
    """Return a cell per value of [rows, columns], between 0 and 1, the stronger its colour the larger.

    A cell is told as: its column, `what`, its row.
    """
    size = 22
    # The heads of columns are turned by 60 degrees.
    left, top = max(92, _wide(rows) + 16), max(92, 0.87 * _wide(columns) + 16)
    width, height = left + size * len(columns) + 0.5 * _wide(columns), top + size * len(rows) + 4
    body = ""
    for j, name in enumerate(columns):
        x = left + size * (j + 0.5)
        body += (
            f'<text class="tick" transform="translate({x:.1f} {top - 6}) rotate(-60)">{escape(name)}</text>'
        )
    for i, name in enumerate(rows):
        y = top + size * i
        body += f'<text class="tick" x="{left - 6}" y="{y + 15}" text-anchor="end">{escape(name)}</text>'
        for j, other in enumerate(columns):
            value = float(values[i, j])
            shown = 0.0 if math.isnan(value) else value
            title = f"{other}, {what} {name}: " + ("no record" if math.isnan(value) else f"{value:.0%}")
            body += (
                f'<rect class="cell" x="{left + size * j}" y="{y}" width="{size - 1}" height="{size - 1}" '
            )
            body += f'fill-opacity="{shown:.3f}"><title>{escape(title)}</title></rect>'
    return _svg(body, f"a column, {what} a row", height, width)


def ecg(signals: NDArray[np.int16], leads: Sequence[str], rate: int, name: str) -> str:
    """Return traces of int16 microvolts [leads, samples], one above the other, with bars of 1 mV."""
    left, millivolt = 44, 28.0
    step = (WIDTH - left - 4) / signals.shape[1]
    body, bottom = "", 4.0
    for k, lead in enumerate(leads):
        trace = (signals[k] - np.median(signals[k])) / 1000 * millivolt
        zero = bottom + max(32.0, float(trace.max())) + 6
        bottom = zero + max(24.0, float(-trace.min())) + 6
        path = "L".join(f"{left + i * step:.1f} {v:.1f}" for i, v in enumerate(zero - trace))
        body += f'<path class="trace" d="M{path}"/><text class="name" x="4" y="{zero + 4:.1f}">{lead}</text>'
        body += f'<path class="axis" d="M{left - 10} {zero:.1f}v-{millivolt:g}"><title>1 mV</title></path>'
    for second in range(signals.shape[1] // rate + 1):
        body += f'<path class="grid" d="M{left + second * rate * step:.1f} 4V{bottom:.1f}"/>'
    body += f'<text class="tick" x="{left}" y="{bottom + 14:.1f}">a line a second; bars: 1 mV</text>'
    return _svg(body, f"ECG of {name}, leads {', '.join(leads)}", bottom + 20)


def _frame(
    xs: Sequence[float],
    ys: Sequence[float],
    x_label: str,
    y_label: str,
    x_ticks: Sequence[float] | None = None,
) -> tuple[Scale, Scale, str]:
    """Return both scales, and the grid with its labels."""
    x_low, x_high = _padded(xs)
    y_low, y_high = _padded(ys)

    def x(value: float) -> float:
        return LEFT + (value - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)

    body = ""
    for tick in _ticks(x_low, x_high) if x_ticks is None else x_ticks:
        body += f'<path class="grid" d="M{x(tick):.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
        body += f'<text class="tick" x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">'
        body += f"{_short(tick)}</text>"
    for tick in _ticks(y_low, y_high):
        body += f'<path class="grid" d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}"/>'
        body += (
            f'<text class="tick" x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{_short(tick)}</text>'
        )
    body += f'<text class="label" x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 8}" text-anchor="middle">'
    body += f"{escape(x_label)}</text>"
    body += f'<text class="label" transform="translate(14 {(HEIGHT - BOTTOM) / 2}) rotate(-90)" '
    body += f'text-anchor="middle">{escape(y_label)}</text>'
    return x, y, body


def _label_places(
    points: Sequence[tuple[float, float]], names: Sequence[str], line: Sequence[Box]
) -> list[tuple[float, float] | None]:
    """Return where the name of each point begins: above, below or beside it, apart from all else and `line`.

    A name without room is None; its point still has it as a title.
    """
    high, gap = 13.0, 11.0
    taken = [*line]
    taken += [(px - 7, py - 7, px + 7, py + 7) for px, py in points]
    places: list[tuple[float, float] | None] = []
    for (px, py), name in zip(points, names, strict=True):
        wide = _wide([name])
        middle = px - wide / 2
        candidates = [
            (middle, py - gap),
            (middle, py + gap + high - 3),
            (px + gap, py + 4),
            (px - gap - wide, py + 4),
            (px + gap - 4, py - gap),
            (px - gap + 4 - wide, py - gap),
            (px + gap - 4, py + gap + high - 3),
            (px - gap + 4 - wide, py + gap + high - 3),
        ]
        found = None
        for left, base in candidates:
            box = (left, base - high + 3, left + wide, base + 3)
            inside = box[0] > LEFT and box[2] < WIDTH and box[1] > 0 and box[3] < HEIGHT - BOTTOM
            if inside and not any(_overlap(box, other) for other in taken):
                found = left, base
                taken.append(box)
                break
        places.append(found)
    return places


def _wide(names: Sequence[str]) -> float:
    """Return the width that the longest of `names` takes."""
    return LETTER * max(map(_letters, names), default=0)


def _letters(text: str) -> float:
    """Return the width of `text` in average letters: a Chinese sign is two, a capital one and a quarter."""
    wide = {"W": 2.0, "F": 2.0}
    return sum(wide.get(east_asian_width(sign), 1.25 if sign.isupper() else 1.0) for sign in text)


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _padded(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    span = (high - low) or abs(high) or 1.0
    return low - 0.06 * span, high + 0.06 * span


def _ticks(low: float, high: float) -> list[float]:
    """Return about five round numbers between `low` and `high`."""
    rough = (high - low) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _short(value: float) -> str:
    return f"{value:.4g}"


def _svg(body: str, title: str, height: float = HEIGHT, width: float = WIDTH) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" style="max-width: {1.4 * width:.0f}px" role="group" '
        f'aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{body}</svg>"
    )
