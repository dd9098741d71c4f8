"""From the decisions of one model: records to look at, and what is predicted for those of each class."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Example:
    """A test record by its row: the classes that it has, the predicted ones, and the one that it shows.

    `probability` is that of the class `about`: if right, the least probable of the true classes; if wrong,
    the most probable of the false positives.
    """

    row: int
    truth: list[str]
    predicted: list[str]
    about: str
    probability: float

    @property
    def right(self) -> bool:
        """Whether the two sets are the same."""
        return set(self.truth) == set(self.predicted)


def choose_examples(
    labels: NDArray[np.uint8],
    decisions: NDArray[np.bool_],
    probabilities: NDArray[np.floating],
    classes: list[str],
    each: int = 2,
) -> list[Example]:
    """Return `each` surest right and `each` surest wrong decisions, each about another class.

    All arrays are [records, classes]. Records without a label are left out. Of the right ones the least sure
    class counts, and NORM alone is left out; of the wrong ones the surest class that the record lacks.
    """
    truth = labels.astype(bool)
    same = (truth == decisions).all(axis=1)
    only_norm = (
        truth.sum(axis=1) == truth[:, classes.index("NORM")] if "NORM" in classes else ~truth.any(axis=1)
    )
    own = np.where(truth, probabilities, 2)
    right = np.where(same & truth.any(axis=1) & ~only_norm, own.min(axis=1), -1)
    extra = np.where(decisions & ~truth, probabilities, -1)
    wrong = np.where(truth.any(axis=1), extra.max(axis=1), -1)
    chosen: list[Example] = []
    for score, about in ((right, own.argmin(axis=1)), (wrong, extra.argmax(axis=1))):
        seen: set[int] = set()
        for row in np.argsort(-score, kind="stable"):
            if len(seen) == each or score[row] < 0:
                break
            if about[row] not in seen:
                seen.add(int(about[row]))
                has, predicted = (
                    [classes[k] for k in np.flatnonzero(member[row])] for member in (truth, decisions)
                )
                chosen.append(Example(int(row), has, predicted, classes[about[row]], float(score[row])))
    return chosen


def predicted_of_each(labels: NDArray[np.uint8], decisions: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return how often each class (column) is predicted for records that have one (row), [classes, classes].

    Both arrays are [records, classes]. A class without a record is a row of NaN.
    """
    truth = labels.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(truth.T @ decisions / truth.sum(axis=0)[:, None])
