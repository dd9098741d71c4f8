"""Draws for the bootstrap that keep a patient's records together."""

import numpy as np
from numpy.typing import ArrayLike

from ecg_temporal.evaluation.bootstrap import Draws, draw


def draw_patients(patients: ArrayLike, replicates: int, seed: int) -> Draws:
    """Return how often each record is drawn in each replicate, float32 [records, replicates].

    Patients are drawn, each with all of their records: records of one patient look alike, and to draw them
    apart would make intervals too narrow (Field & Welsh, Bootstrapping clustered data, JRSS B 69, 2007). So
    replicates differ a little in their number of records.

    Parameters
    ----------
    patients : array [records]
        Whose record it is.
    replicates, seed : int
        As in `bootstrap.draw`.

    """
    known, of_record = np.unique(np.asarray(patients), return_inverse=True)
    return draw(len(known), replicates, seed)[of_record]
