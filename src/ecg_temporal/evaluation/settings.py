"""The section `decision` of params.yaml."""

from typing import Literal

from ecg_temporal.settings import Settings

THRESHOLDS = ("half", "platt", "f1", "micro_f1")
RULES = (*THRESHOLDS, *(f"{name}+likeliest" for name in THRESHOLDS), "powerset")
"""Names of the decision rules; evaluation/decisions.py says what each does."""


class DecisionSettings(Settings):
    """How probabilities become decisions; `rule` is the one of the headline figures."""

    rule: Literal[
        "half",
        "platt",
        "f1",
        "micro_f1",
        "half+likeliest",
        "platt+likeliest",
        "f1+likeliest",
        "micro_f1+likeliest",
        "powerset",
    ]
