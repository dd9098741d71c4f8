import re
from pathlib import Path

import numpy as np
import pytest

from ecg_temporal.evaluation.settings import RULES
from ecg_temporal.models.settings import CELLS, ArchitectureSettings
from ecg_temporal.reporting import style
from ecg_temporal.reporting.style import CELL_NAMES, FAMILIES, RULE_TEXTS, describe, leaning, order_shown


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"rnn": "none"}, "no recurrence"),
        ({"rnn": "none", "widen": 1.25}, "no recurrence, channels × 1.25"),
        ({"rnn": "bilstm", "layers": 2}, "2 × BiLSTM(128)"),
        ({"rnn": "bilstm+gru", "hidden": 64}, "BiLSTM(64) → GRU(64)"),
        ({"rnn": "gru", "layers": 2, "skip": True}, "2 × GRU(128) and a skip"),
    ],
)
def test_architectures_are_described_in_words(settings, text):
    assert describe(ArchitectureSettings(learning_rate=0.1, **settings)) == text


def test_every_cell_has_a_name_and_a_colour_in_figures_and_on_the_page():
    assert CELL_NAMES.keys() == set(CELLS)
    assert set(CELL_NAMES.values()) <= FAMILIES.keys()
    page = Path(style.__file__).with_name("page.css").read_text(encoding="utf-8")
    for name in FAMILIES:
        assert f".f-{name.lower().replace(' ', '-')} {{" in page


def test_a_rare_class_neither_gains_nor_loses():
    assert [leaning({"difference": x, "q": q}) for x, q in ((0.2, 0.01), (-0.2, 0.04), (0.2, 0.06))] == [
        1,
        -1,
        0,
    ]
    assert leaning({"difference": 0.2, "q": np.nan}) == 0


def test_order_is_drawn_of_all_classes_where_none_is_common(case):
    order = case[-1].order
    odd = order.assign(difference=order["difference"].where(order["metric"] != "macro_auprc_common"))
    rows, what = order_shown(odd)
    assert what == "macro-AUPRC" and rows["difference"].notna().all()


def test_every_decision_rule_is_told_in_words():
    assert set(RULE_TEXTS) == {part for rule in RULES for part in re.findall(r"\+?[^+]+", rule)}
