"""The section `decision` of params.yaml."""

from typing import Literal, get_args

from ecg_temporal.settings import Settings

Rule = Literal[
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
"""Names of the decision rules; evaluation/decisions.py says what each does."""

RULES: tuple[str, ...] = get_args(Rule)


class DecisionSettings(Settings):
    """How probabilities become decisions; `rule` is the one of the headline figures."""

    rule: Rule
