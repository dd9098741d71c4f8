import numpy as np
import pytest

from ecg_temporal.inference.drawing import draw_ecg
from records import PRINTED


def test_the_paper_has_its_true_size_and_no_probability_of_zero():
    seconds = np.arange(1000) / 100
    signals = np.tile(1000 * np.sin(2 * np.pi * seconds), (12, 1)).astype(np.int16)
    found = [("normal ECG", 0.9, True), ("atrioventricular block", 0.004, False)]
    figure = draw_ecg(signals, 100, "a record", found)
    paper = figure.axes[0]
    width = figure.get_size_inches()[0] * 25.4 * paper.get_position().width
    assert width == pytest.approx(250)  # ten seconds at 25 mm/s
    height = figure.get_size_inches()[1] * 25.4 * paper.get_position().height
    assert height == pytest.approx(10 * np.diff(paper.get_ylim())[0])  # 10 mm/mV
    assert len([line for line in paper.lines if len(line.get_xdata()) > 2]) == 13  # twelve leads, one again
    assert [text.get_text() for text in figure.texts if "%" in text.get_text()] == [" 90%", " <1%"]


def test_each_lead_is_drawn_under_its_name_and_what_is_said_is_bold():
    # A square wave of another height in each lead: its median is 0, its span says which lead it is.
    signals = np.tile(np.arange(1000) % 3 == 1, (12, 1)) * 100 * np.arange(1, 13)[:, None]
    figure = draw_ecg(signals.astype(np.int16), 100, "a record", [("said", 0.6, True), ("not", 0.4, False)])
    paper = figure.axes[0]
    traces = [line for line in paper.lines if len(line.get_xdata()) > 2]
    names = [text for text in paper.texts if text.get_text() in PRINTED]
    assert len(names) == 13
    for name in names:
        x, y = name.get_position()  # over the beginning of its trace
        below = [t for t in traces if y - 1 < np.median(t.get_ydata()) < y]
        (trace,) = [t for t in below if abs(t.get_xdata()[0] + 0.06 - x) < 0.02]
        lead = PRINTED.index(name.get_text())
        assert np.ptp(trace.get_ydata()) == pytest.approx((lead + 1) / 10)
    bold = {text.get_text(): text.get_fontweight() for text in figure.texts}
    assert (bold["said"], bold["not"]) == ("bold", "normal")


def test_only_what_rounds_to_nothing_is_less_than_one_percent():
    figure = draw_ecg(np.zeros((12, 1000), np.int16), 100, "", [("a", 0.0051, False), ("b", 0.004, False)])
    assert [text.get_text() for text in figure.texts if "%" in text.get_text()] == ["  1%", " <1%"]
