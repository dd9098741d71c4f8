"""What one more layer, the other direction, cell or a skip changes: pairs that differ in that alone."""

from itertools import permutations

import numpy as np
import pandas as pd

from ecg_temporal.comparison.bootstrap import Sample, interval
from ecg_temporal.models.settings import ArchitectureSettings


def pairs(architectures: dict[str, ArchitectureSettings]) -> dict[str, list[tuple[str, str]]]:
    """Return what differs, in words, → the pairs (one, other) that differ in nothing else but their rate.

    Of the numbers of layers, each is set against the one before. Stacks of several kinds of cell are left
    out.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    uniform = [name for name, each in architectures.items() if len(set(each.cells)) == 1]
    for one, other in permutations(uniform, 2):
        a, b = architectures[one], architectures[other]
        if (a.hidden, a.widen) != (b.hidden, b.widen):
            continue
        if a.skip != b.skip:
            if a.skip and a.cells == b.cells:
                found.setdefault("a skip around the recurrent layers", []).append((one, other))
            continue
        (cell, *_), (before, *_) = a.cells, b.cells
        more = len(a.cells) - len(b.cells)
        if cell == before and more == 1:
            found.setdefault(f"{len(a.cells)} layers instead of {len(b.cells)}", []).append((one, other))
        elif more == 0 and cell == f"bi{before}":
            found.setdefault("both directions instead of one", []).append((one, other))
        elif more == 0 and cell != before and cell == before.replace("lstm", "gru"):
            found.setdefault("GRU instead of LSTM", []).append((one, other))
    return dict(sorted(found.items()))


def contrasts(samples: dict[str, Sample], architectures: dict[str, ArchitectureSettings]) -> pd.DataFrame:
    """Return the mean difference over `pairs`, with its 95% interval, by metric.

    Columns: contrast, pairs (their number), metric, difference, low and high.
    """
    rows = []
    for contrast, of_it in pairs(architectures).items():
        both = [(samples[one], samples[other]) for one, other in of_it]
        for metric in both[0][0].replicates:
            difference = np.mean([one.value[metric] - other.value[metric] for one, other in both])
            change = np.mean(
                [one.replicates[metric] - other.replicates[metric] for one, other in both], axis=0
            )
            rows.append((contrast, len(of_it), metric, float(difference), *interval(change)))
    return pd.DataFrame(rows, columns=["contrast", "pairs", "metric", "difference", "low", "high"])
