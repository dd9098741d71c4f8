from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest

from ecg_temporal.reporting import svg


def test_an_ecg_is_drawn_to_scale_and_nothing_of_it_is_cut_off():
    signals = np.zeros((2, 500), np.int16)
    signals[0, 100], signals[0, 200], signals[1, 300] = 4000, -3000, 1000
    chart = ElementTree.fromstring(svg.ecg(signals, ("V1", "II"), 100, "a record"))
    (v1, two) = [
        np.array([point.split() for point in path.get("d")[1:].split("L")], float)
        for path in chart.findall("path[@class='trace']")
    ]
    assert v1[0, 1] - v1[100, 1] == pytest.approx(4 * 28) and v1[200, 1] - v1[0, 1] == pytest.approx(3 * 28)
    assert two[0, 1] - two[300, 1] == pytest.approx(28) and two[:, 1].min() > v1[:, 1].max()
    height = float(chart.get("viewBox").split()[3])
    assert v1[:, 1].min() > 0 and two[:, 1].max() < height


@pytest.mark.parametrize("chart", ["forest", "heat"])
@pytest.mark.parametrize(
    ("long", "letter"),
    [
        ("left bundle branch block of one's own", 6.5),
        ("完全性左脚ブロックおよび心房細動の疑い", 12),
        ("M" * 20, 8),
    ],
)
def test_long_names_have_room(chart, long, letter):
    drawn = (
        svg.forest([svg.Mark(0.1, 0, long, "f", 0.0, 0.2)], "difference")
        if chart == "forest"
        else svg.heat(np.eye(2), [long, "b"], ["a", long], "said")
    )
    (text,) = [t for t in ElementTree.fromstring(drawn).iter("text") if t.text == long and t.get("x")]
    assert float(text.get("x")) > letter * len(long)


def test_names_in_a_scatter_plot_stand_apart_and_none_is_lost_while_there_is_room(rng):
    names = [f"cnn_{k}" for k in range(12)]
    marks = [svg.Mark(k % 4, k // 4 + 0.02 * rng.random(), name, "f") for k, name in enumerate(names)]
    chart = ElementTree.fromstring(svg.scatter(marks, "x", "y", names))
    texts = [text for text in chart.findall("text") if text.get("class") == "name"]
    assert [text.text for text in texts] == names
    boxes = [(float(text.get("x")), float(text.get("y"))) for text in texts]
    for (ax, ay), (bx, by) in combinations(boxes, 2):
        assert abs(ax - bx) > 35 or abs(ay - by) > 12
