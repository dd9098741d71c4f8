"""Decision rules: from logits to the set of classes that is predicted for a record.

They are learned on fold 9 (evaluation/fitting.py); `powerset` also takes from the training folds which sets
there are.

A rule's name is one of these, and `+likeliest` after it fills an empty set with the most probable class:

- `half`: a class is predicted at a probability of 0.5 or more, as the model gives it.
- `platt`: the same of probabilities that Platt scaling has calibrated, class by class.
- `f1`: for each class the threshold with the largest F1 (of several the highest).
- `micro_f1`: the one threshold, for all classes, with the largest micro-F1, on calibrated probabilities.

One rule has no thresholds:

- `powerset`: the most probable of the label sets that the training folds have (evaluation/powerset.py). It
  weighs the logits as they are; its probabilities are calibrated.
"""

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_temporal import files
from ecg_temporal.evaluation.calibration import Array, Platt
from ecg_temporal.evaluation.powerset import likeliest_sets
from ecg_temporal.evaluation.settings import RULES

Labels = NDArray[np.uint8]
Logits = NDArray[np.floating]


@dataclass(frozen=True)
class DecisionRule(ABC):
    """A fitted rule."""

    calibration: Platt

    def probabilities(self, logits: Logits) -> Array:
        """Return float64 [records, classes]: calibrated, except under `half` and `half+likeliest`."""
        return self.calibration.probabilities(logits)

    @abstractmethod
    def decide(self, logits: Logits) -> NDArray[np.bool_]:
        """Return the predicted classes, bool [records, classes]."""

    def fields(self) -> dict[str, Any]:
        """Return the rule as JSON can hold it; `from_fields` makes it a rule again."""
        return {"slope": self.calibration.slope.tolist(), "intercept": self.calibration.intercept.tolist()}


@dataclass(frozen=True)
class ThresholdRule(DecisionRule):
    """Each class by itself: `thresholds` float64 [classes] on calibrated probabilities."""

    thresholds: Array
    likeliest: bool

    def decide(self, logits: Logits) -> NDArray[np.bool_]:
        """Return the predicted classes, bool [records, classes]."""
        p = self.probabilities(logits)
        decisions: NDArray[np.bool_] = p >= self.thresholds
        if self.likeliest:
            empty = np.flatnonzero(~decisions.any(axis=1))
            decisions[empty, p[empty].argmax(axis=1)] = True
        return decisions

    def fields(self) -> dict[str, Any]:
        """Return slope, intercept, thresholds and likeliest."""
        return super().fields() | {"thresholds": self.thresholds.tolist(), "likeliest": self.likeliest}


@dataclass(frozen=True)
class PowersetRule(DecisionRule):
    """The set with the largest sum of its logits and `bonus`, of `sets` bool [sets, classes]."""

    sets: NDArray[np.bool_]
    bonus: Array

    def decide(self, logits: Logits) -> NDArray[np.bool_]:
        """Return the predicted classes, bool [records, classes]."""
        return likeliest_sets(self.sets, self.bonus, logits)

    def fields(self) -> dict[str, Any]:
        """Return slope, intercept, sets (each a string of 0 and 1) and bonus."""
        sets = ["".join("01"[has] for has in one) for one in self.sets.astype(int).tolist()]
        return super().fields() | {"sets": sets, "bonus": self.bonus.tolist()}


def from_fields(fields: dict[str, Any]) -> DecisionRule:
    """Return the rule whose `fields` these are."""
    calibration = Platt(np.array(fields["slope"]), np.array(fields["intercept"]))
    if "sets" in fields:
        sets = np.array([[character == "1" for character in one] for one in fields["sets"]])
        return PowersetRule(calibration, sets, np.array(fields["bonus"]))
    return ThresholdRule(calibration, np.array(fields["thresholds"]), bool(fields["likeliest"]))


@dataclass(frozen=True)
class EnsembleRules:
    """The rules by name, as the ensemble of `seeds` learned them for `classes`.

    Other seeds' logits have other scales.
    """

    seeds: list[int]
    classes: list[str]
    rules: dict[str, DecisionRule]


def write_rules(path: Path, fitted: EnsembleRules) -> None:
    """Write seeds, classes and rules as JSON."""
    rules = {name: rule.fields() for name, rule in fitted.rules.items()}
    with files.replacing_file(path) as temporary:
        text = json.dumps({"seeds": fitted.seeds, "classes": fitted.classes, "rules": rules}, indent=1)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_rules(path: Path) -> EnsembleRules:
    """Read what write_rules wrote.

    Raises:
        ValueError: the file is missing, is not such a file, or lacks a rule.

    """
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if missing := [name for name in RULES if name not in fields["rules"]]:
            raise ValueError(f"it lacks {missing[0]!r}")
        rules = {name: from_fields(fields["rules"][name]) for name in RULES}
        return EnsembleRules([int(seed) for seed in fields["seeds"]], list(fields["classes"]), rules)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a file of decision rules ({error}); run `dvc repro`") from None
