from itertools import pairwise

import pandas as pd
import pytest

from ecg_temporal.comparison.verdict import Verdict, amount, read_verdict, verdict, write_verdict
from ecg_temporal.models.settings import ArchitectureSettings


def architecture(rnn, layers=1, **settings):
    return ArchitectureSettings(rnn=rnn, layers=layers, learning_rate=0.1, **settings)


COMPARED = {
    "deep": architecture("bilstm", 3),
    "bi": architecture("bilstm"),
    "one": architecture("lstm"),
    "wide": architecture("none", widen=2),
    "cnn": architecture("none"),
}
PARAMETERS = {"deep": 9, "bi": 4, "one": 3, "wide": 5, "cnn": 1}


def from_best(best, intervals):
    return pd.DataFrame(
        [
            {"architecture": name, "metric": metric, "against": best, "difference": sum(pair) / 2}
            | dict(zip(("low", "high"), pair, strict=True))
            for name, pair in intervals.items()
            for metric in ("macro_auprc", "other")
        ]
    )


@pytest.mark.parametrize(
    ("intervals", "least"),
    [
        ({"cnn": (-2, 1), "wide": (-2, 1), "one": (-2, 1), "bi": (-2, 1)}, "cnn"),
        ({"cnn": (-2, -1), "wide": (-2, 1), "one": (-2, 1), "bi": (-2, 1)}, "wide"),
        ({"cnn": (-2, -1), "wide": (-2, -1), "one": (-2, 1), "bi": (-2, 1)}, "one"),
        ({"cnn": (-2, -1), "wide": (-2, -1), "one": (-2, -1), "bi": (-2, 0)}, "bi"),
        ({"cnn": (-2, -1), "wide": (-2, -1), "one": (-2, -1), "bi": (-2, -1)}, "deep"),
    ],
)
def test_the_verdict_is_the_least_whose_interval_spans_no_difference(intervals, least):
    found = verdict(from_best("deep", intervals), COMPARED, PARAMETERS, "macro_auprc")
    assert (found.best, found.least) == ("deep", least)
    expected = (0, 0) if least == "deep" else intervals[least]
    assert (found.low, found.high) == expected


def test_without_an_interval_nothing_is_worse():
    unknown = from_best("deep", dict.fromkeys(["cnn", "wide", "one", "bi"], (float("nan"), float("nan"))))
    found = verdict(unknown.assign(difference=-1.0), COMPARED, PARAMETERS, "macro_auprc")
    assert (found.least, found.difference, found.low, found.high) == ("cnn", -1, None, None)


def test_where_nothing_is_known_the_best_is_not_called_enough_either():
    unknown = from_best("cnn", dict.fromkeys(["wide", "one", "bi", "deep"], (float("nan"), float("nan"))))
    found = verdict(unknown, COMPARED, PARAMETERS, "macro_auprc")
    assert (found.best, found.least) == ("cnn", "cnn") and not found.decided
    assert verdict(unknown.fillna(0.0), COMPARED, PARAMETERS, "macro_auprc").decided


def test_what_is_not_known_of_one_leaves_the_verdict_decided():
    apart = {"cnn": (-2, -1), "wide": (-2, -1), "one": (-2, -1), "deep": (float("nan"),) * 2}
    found = verdict(from_best("bi", apart), COMPARED, PARAMETERS, "macro_auprc")
    assert found.least == "bi" and found.decided


def test_an_interval_that_ends_at_0_but_for_rounding_spans_it():
    rows = from_best("deep", dict.fromkeys(["cnn", "wide", "one", "bi"], (-0.01, -1e-19)))
    assert verdict(rows, COMPARED, PARAMETERS, "macro_auprc").least == "cnn"


def test_one_architecture_alone_is_enough():
    nothing = from_best("cnn", {"cnn": (0, 0)}).iloc[:0]
    assert verdict(nothing, {"cnn": COMPARED["cnn"]}, PARAMETERS, "macro_auprc").least == "cnn"


def test_more_layers_are_more_and_two_directions_more_than_one():
    ordered = [architecture("none"), architecture("gru"), architecture("bigru"), architecture("lstm", 2)]
    ordered += [architecture("bilstm+gru"), architecture("lstm", 3)]
    assert all(amount(less) < amount(more) for less, more in pairwise(ordered))


def test_a_verdict_is_read_as_it_was_written_and_nothing_else_is(tmp_path):
    path = tmp_path / "verdict.json"
    written = Verdict("macro_auprc", "cnn_wide", "cnn", -0.01, -0.02, 0.001)
    write_verdict(path, written)
    assert read_verdict(path) == written
    for text in ("", "[1]", '{"least": "cnn"}', "\xff"):
        path.write_text(text, encoding="latin-1")
        with pytest.raises(ValueError, match=r"verdict\.json is not a verdict .*; run `dvc repro`"):
            read_verdict(path)
    with pytest.raises(ValueError, match=r"none\.json is not a verdict"):
        read_verdict(tmp_path / "none.json")


def test_where_less_is_better_what_is_measurably_more_is_not_enough():
    more = {"cnn": (1, 2), "wide": (0.5, 2), "one": (-1, 2), "bi": (1, 2)}
    found = verdict(from_best("deep", more), COMPARED, PARAMETERS, "other")
    assert (found.best, found.least, found.low, found.high) == ("deep", "one", -1, 2)


def test_one_architecture_alone_is_decided():
    nothing = from_best("cnn", {"cnn": (0, 0)}).iloc[:0]
    assert verdict(nothing, {"cnn": COMPARED["cnn"]}, PARAMETERS, "macro_auprc").decided
