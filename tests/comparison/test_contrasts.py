import numpy as np
import pytest

from ecg_temporal.comparison.bootstrap import draw, interval, resample
from ecg_temporal.comparison.contrasts import contrasts, pairs
from ecg_temporal.models.settings import ArchitectureSettings


def architecture(rnn, layers=1, **settings):
    return ArchitectureSettings(rnn=rnn, layers=layers, learning_rate=0.1, **settings)


COMPARED = {
    "cnn": architecture("none"),
    "lstm": architecture("lstm"),
    "gru": architecture("gru", widen=1),
    "bigru": architecture("bigru"),
    "gru2": architecture("gru", 2),
    "gru3": architecture("gru", 3),
    "lstm2": architecture("lstm", 2),
    "small": architecture("gru", hidden=64),
    "wide": architecture("lstm", widen=2),
    "mixed": architecture("bilstm+gru"),
    "mixed2": architecture("bilstm+gru", 2),
    "other": architecture("lstm+gru"),
    "skip": architecture("gru", skip=True),
    "skip3": architecture("gru", 3, skip=True),
}


def test_pairs_differ_in_one_thing_alone():
    assert pairs(COMPARED) == {
        "2 layers instead of 1": [("gru2", "gru"), ("lstm2", "lstm")],
        "3 layers instead of 2": [("gru3", "gru2")],
        "GRU instead of LSTM": [("gru", "lstm"), ("gru2", "lstm2")],
        "a skip around the recurrent layers": [("skip", "gru"), ("skip3", "gru3")],
        "both directions instead of one": [("bigru", "gru")],
    }
    assert pairs({"cnn": COMPARED["cnn"]}) == {}
    spelt_out = {"two": architecture("gru+gru"), "one": architecture("gru"), "lstm": architecture("lstm", 2)}
    assert pairs(spelt_out) == {
        "2 layers instead of 1": [("two", "one")],
        "GRU instead of LSTM": [("two", "lstm")],
    }


def test_a_contrast_is_the_mean_over_its_pairs(rng):
    labels = (rng.random((200, 3)) < 0.3).astype(np.uint8)
    draws = draw(np.arange(200), 100, 0)
    scores = {name: rng.random((2, 200, 3)) + k / 20 * labels for k, name in enumerate(COMPARED)}
    samples = {name: resample(labels, s, s > 0.5, draws) for name, s in scores.items()}
    found = contrasts(samples, COMPARED).set_index(["contrast", "metric"])
    row = found.loc[("GRU instead of LSTM", "micro_f1")]
    value, change = (
        [by[one] - by[other] for one, other in (("gru", "lstm"), ("gru2", "lstm2"))]
        for by in (
            {name: each.value["micro_f1"] for name, each in samples.items()},
            {name: each.replicates["micro_f1"] for name, each in samples.items()},
        )
    )
    assert row["pairs"] == 2 and row["difference"] == pytest.approx(np.mean(value))
    assert (row["low"], row["high"]) == pytest.approx(interval(np.mean(change, axis=0)))
    alone = found.loc[("both directions instead of one", "macro_auprc")]
    assert alone["difference"] == pytest.approx(
        samples["bigru"].value["macro_auprc"] - samples["gru"].value["macro_auprc"]
    )
