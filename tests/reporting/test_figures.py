import io
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.transforms import Bbox

from closure import ROOT
from ecg_temporal.comparison.bootstrap import of_metric
from ecg_temporal.models.settings import ArchitectureSettings
from ecg_temporal.reporting import figures
from ecg_temporal.reporting.style import COSTS, context_shown, order_shown
from ecg_temporal.reporting.tables import PAPER
from ecg_temporal.settings import read_params
from made_up import ARCHITECTURES, RECIPE, table_of


def test_the_paper_is_drawn_beside_ptb_xl_alone(case):
    _, labels, results, _ = case
    for on_ptbxl in (True, False):
        table = table_of(labels, results, on_ptbxl=on_ptbxl)
        figure = figures.score_against_size(table, ARCHITECTURES, "")
        texts = [text.get_text() for text in figure.axes[0].texts]
        assert (any("arXiv:2601.18830" in text for text in texts)) == on_ptbxl


@pytest.mark.usefixtures("committed")
def test_names_in_the_first_figure_cover_no_other_name_no_point_and_no_error_bar():
    table = pd.read_csv(ROOT / "reports" / "tables" / "comparison.csv")
    params = read_params(ROOT / "params.yaml")["architectures"]
    compared = {name: ArchitectureSettings(**settings) for name, settings in params.items()}
    figure = figures.score_against_size(table, compared, "")
    figure.savefig(io.BytesIO())
    (axes,) = figure.axes
    names = [text.get_window_extent() for text in axes.texts if text.get_text()]
    assert len(names) == len(compared) + 1
    for one, other in combinations(names, 2):
        assert not one.overlaps(other)
    paper = axes.transData.transform((0, PAPER["macro_auprc"]))[1]
    crossed = [
        t.get_text() for t in axes.texts if t.get_window_extent().y0 < paper < t.get_window_extent().y1
    ]
    assert crossed == []
    models = table.set_index("name").loc[list(compared)]
    for x, y, spread in models[["parameters", "macro_auprc", "macro_auprc_std"]].to_numpy():
        ends = axes.transData.transform([(x / 1e6, y - spread), (x / 1e6, y + spread)])
        assert not any(name.overlaps(Bbox(np.add(ends, [[-2, 0], [2, 0]]))) for name in names)


def test_the_drawings_name_what_they_draw(case):
    _, _, results, findings = case

    def drawn(axes):
        """Return what is drawn at each name of the vertical axis, the zero line left out."""
        names = [text.get_text().split(" (")[0] for text in axes.get_yticklabels()]
        return pd.Series([line.get_xdata()[0] for line in axes.lines[1::2]], names)

    per_class = results.per_class
    axes = figures.class_heat_map(per_class, ["cnn_mixed", "cnn"], "").axes[0]
    names = [text.get_text().split(" (")[0] for text in axes.get_yticklabels()]
    value = per_class.pivot(index="subclass", columns="architecture", values="average_precision")
    np.testing.assert_array_equal(axes.images[0].get_array(), value.loc[names, ["cnn_mixed", "cnn"]])
    assert [text.get_text() for text in axes.get_xticklabels()] == ["cnn_mixed", "cnn"]
    counts = per_class.query("architecture == 'cnn'").sort_values("positives", ascending=False)
    assert names == list(counts["subclass"])
    of_classes = findings.classes.query("architecture == 'cnn_mixed'").set_index("subclass")["difference"]
    found = drawn(figures.class_forest(findings.classes, per_class, "cnn_mixed", "cnn", "").axes[0])
    assert found.to_dict() == of_classes.to_dict()
    of_all = of_metric(findings.from_reference, "macro_auprc")["difference"]
    found = drawn(figures.differences(findings.from_reference, RECIPE.compared, "cnn", "").axes[0])
    assert found.to_dict() == of_all[found.index].to_dict() and len(found) == 2
    order, _ = order_shown(findings.order)
    axes, right = figures.time_probes(findings, RECIPE.compared, "").axes
    assert drawn(axes).to_dict() == order["difference"][drawn(axes).index].to_dict()
    context, _, what = context_shown(findings.context, findings.longer)
    assert what in right.get_ylabel() and what == "macro-AUPRC, ≥ 10 positives"
    for line, name in zip(right.lines, RECIPE.compared, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), context.loc[name])
    scores = pd.Series({name: 0.5 + k / 10 for k, name in enumerate(RECIPE.compared)})
    for axes, (column, (_, unit)) in zip(
        figures.pareto(findings.cost, scores, RECIPE.compared, "").axes, COSTS.items(), strict=True
    ):
        points = [line.get_xydata()[0].tolist() for line in axes.lines[: len(scores)]]
        assert points == [[findings.cost.loc[name, column] / unit, scores[name]] for name in RECIPE.compared]
    values = of_metric(findings.intervals, "macro_auprc").loc[list(RECIPE.compared), "value"]
    axes = figures.depth(findings.intervals, RECIPE.compared, pd.Series(dtype=float), "").axes[0]
    marked = [line.get_ydata() for line in axes.lines if line.get_marker() != "None"]
    assert sorted(np.concatenate(marked)) == sorted(values)
    assert any(len(line.get_ydata()) == 2 and line.get_linewidth() == 1.2 for line in axes.lines)
    left, right = figures.learning_curves(results.history, RECIPE.compared, "").axes[:2]
    assert (
        left.lines[0].get_ydata().tolist() == [0.3, 0.2] and right.lines[0].get_ydata().tolist() == [0.4] * 2
    )
    mean, share, _ = next(iter(findings.reliability.values()))
    line = figures.reliability(findings.reliability, "cnn", "").axes[0].lines[1]
    np.testing.assert_array_equal(line.get_xydata(), np.stack([mean, share], axis=1))


def test_nothing_cheaper_beats_what_is_on_the_pareto_front():
    cost = pd.Series({"a": 1, "b": 2, "c": 3, "d": 3, "e": 4})
    score = pd.Series({"a": 0.5, "b": 0.4, "c": 0.6, "d": 0.7, "e": 0.7})
    assert figures.pareto_front(cost, score) == ["a", "d"]
