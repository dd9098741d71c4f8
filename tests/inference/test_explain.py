import re
from itertools import cycle

import numpy as np
import pytest
import torch

from defaults import FP32
from ecg_temporal import cli
from ecg_temporal.evaluation.calibration import identity
from ecg_temporal.evaluation.decisions import ThresholdRule
from ecg_temporal.inference.drawing import draw_ecg
from ecg_temporal.inference.explain import occlusion
from ecg_temporal.inference.predictor import Predictor, load_predictor
from ecg_temporal.models.settings import ArchitectureSettings, TrunkSettings
from ecg_temporal.ptbxl.waveforms import LEADS
from ecg_temporal.training.artifacts import ModelSpec
from records import write

CHEST, INFERIOR = ("V1", "V2", "V3", "V4"), ("II", "III", "AVF")


def predictor(net, about):
    trunk = TrunkSettings(channels=[16], kernel_size=3, stem_kernel_size=7, dropout=0.1, block_dropout=0.1)
    spec = ModelSpec(
        about.classes, about.leads, 100, 500, trunk, ArchitectureSettings(rnn="gru", learning_rate=0.1)
    )
    classes = len(about.classes)
    return Predictor([net], spec, ThresholdRule(identity(classes), np.full(classes, 0.5), False), FP32)


def weight(attribution, leads):
    return np.abs(attribution[[LEADS.index(lead) for lead in leads]]).mean()


def test_an_infarction_is_seen_in_the_leads_that_the_generator_put_it_in(trained_on_synthetic):
    # AMI is drawn along the axis to the front, which the chest leads see; IMI downwards, as II, III, aVF see.
    net, splits = trained_on_synthetic
    test = splits["test"]
    ratio = {}
    for name in ("AMI", "IMI"):
        of_class = np.flatnonzero(test.labels[:, test.description.classes.index(name)])[:4]
        found = [occlusion(predictor(net, test.description), test.signals[k], name) for k in of_class]
        ratio[name] = np.mean([weight(a, CHEST) / weight(a, INFERIOR) for a in found])
    assert ratio["AMI"] > 1.5 * ratio["IMI"], ratio


def test_a_cause_in_one_place_is_found_there_and_nowhere_else(splits):
    class Peak(torch.nn.Module):
        """A logit that is the voltage of V2 between 2 and 2.5 seconds of a piece."""

        mean, scale = torch.zeros(12, 1), torch.full((12, 1), 1000.0)

        def forward(self, signals):
            return signals[:, LEADS.index("V2"), 200:250].float().mean(dim=1, keepdim=True)

    spec = predictor(Peak(), splits["test"].description).spec
    rule = ThresholdRule(identity(1), np.full(1, 0.5), False)
    one = Predictor(
        [Peak()], ModelSpec(["X"], spec.leads, 100, 1000, spec.trunk, spec.architecture), rule, FP32
    )
    signals = np.full((12, 1000), 0, np.int16)
    signals[:, ::2] = 300  # the median is another value than what is hidden
    signals[:, 200:250] = 900
    found = occlusion(one, signals, "X")
    inside = np.zeros(found.shape, bool)
    inside[LEADS.index("V2"), 200:250] = True
    assert (found[inside] > 0).all()
    far = np.ones(found.shape, bool)
    far[LEADS.index("V2"), 180:270] = False
    assert (found[far] == 0).all()


def test_a_window_has_what_the_ensembles_logit_loses_with_it(trained, splits):
    both = load_predictor("cnn_gru", "half", FP32)
    signals = splits["test"].signals[0]
    found = occlusion(both, signals, "AMI")
    column = splits["test"].description.classes.index("AMI")
    (whole,) = both.logits([signals])[:, column]

    def lost(start):
        hidden = signals.copy()
        hidden[1, start : start + 20] = round(np.sort(signals[1])[499])  # torch's median: the lower of two
        return whole - both.logits([hidden])[0, column]

    # The first half of a record's first window lies in no other, nor the second half of its last one.
    np.testing.assert_allclose(found[1, :10], lost(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found[1, 990:], lost(980), rtol=1e-4, atol=1e-6)
    # Elsewhere it is the mean of two: here where one piece ends in the middle of the second.
    np.testing.assert_allclose(found[1, 490:500], (lost(480) + lost(490)) / 2, rtol=1e-4, atol=1e-6)
    assert len(both.models) == 2 and abs(lost(0)) > 1e-4


def test_without_order_it_is_the_mean_over_all_orders(trained, splits, monkeypatch):
    signals = splits["test"].signals[0][:, :500]
    one = load_predictor("cnn_gru", "half", FP32)

    def found(*orders):
        given = cycle(orders)
        monkeypatch.setattr(torch, "randperm", lambda frames, generator: next(given)(torch.arange(frames)))
        return occlusion(one, signals, "AMI", order=False)

    def forwards(frames):
        return frames

    def backwards(frames):
        return frames.flip(0)

    in_order, reversed_ = found(forwards), found(backwards)
    np.testing.assert_allclose(in_order, occlusion(one, signals, "AMI"), atol=1e-6)
    mixed = found(forwards, backwards, backwards, backwards)
    np.testing.assert_allclose(mixed, (in_order + 3 * reversed_) / 4, atol=1e-6)
    assert np.abs(mixed - in_order).max() > 1e-5


def test_without_recurrence_nothing_rests_on_order(trained, splits):
    recurrent = load_predictor("cnn_gru", "half", FP32)
    signals = splits["test"].signals[0][:, :500]
    assert (
        np.abs(occlusion(recurrent, signals, "AMI") - occlusion(recurrent, signals, "AMI", order=False)).max()
        > 0
    )
    for model in recurrent.models:
        model.temporal.layers, model.temporal.norms = torch.nn.ModuleList(), torch.nn.ModuleList()
    bag = occlusion(recurrent, signals, "AMI", order=False)
    np.testing.assert_allclose(occlusion(recurrent, signals, "AMI"), bag, atol=1e-5)


def test_the_command_draws_it_and_names_what_it_does_not_know(trained, splits):
    write(trained / "records", "one", splits["test"].signals[0])
    arguments = ["explain", "records/one", "--model", "cnn_gru", "--out", "why.png"]
    cli.main([*arguments[:2], "IMI", *arguments[2:]])
    assert (trained / "why.png").stat().st_size > 20_000
    with pytest.raises(SystemExit):
        cli.main([*arguments[:2], "IMI", *arguments[2:-1], "why.jpg"])
    with pytest.raises(SystemExit) as refused:
        cli.main([*arguments[:2], "XYZ", *arguments[2:]])
    assert "subclass 'XYZ': must be one of AMI, CLBBB" in str(refused.value)


def test_all_that_was_found_is_drawn_and_of_a_long_record_the_first_ten_seconds(trained, splits, monkeypatch):
    drawn = []

    def keep(*arguments):
        drawn.append(arguments)
        return draw_ecg(*arguments)

    monkeypatch.setattr("ecg_temporal.commands.explain.draw_ecg", keep)
    monkeypatch.setattr("ecg_temporal.commands.predict.draw_ecg", keep)
    write(trained / "records", "long", np.tile(splits["test"].signals[0], 6))
    cli.main(["explain", "records/long", "IMI", "--model", "cnn_gru", "--out", "why.png"])
    ((signals, _, title, _, found),) = drawn
    assert signals.shape == found.shape == (12, 1000)
    assert title.endswith("records/long, the first 10 s alone")
    cli.main(["predict", "records/long", "--model", "cnn_gru", "--out", "x.csv", "--plot", "drawn"])
    assert drawn.pop()[2] == "records/long: the first 10 of 60 s, findings of all"
    paper = draw_ecg(*drawn[0]).axes[0]
    shades = np.concatenate([image.get_array() for image in paper.get_images()])
    np.testing.assert_allclose(shades, found / np.abs(found).max(), rtol=1e-6)


def test_what_is_told_of_a_long_record_is_of_the_seconds_that_are_drawn(trained, splits, capsys):
    signals = np.tile(splits["test"].signals[0], 2)
    for name, dead in (("first", slice(0, 1000)), ("second", slice(1000, 2000))):
        without = signals.copy()
        without[6, dead] = 5
        write(trained / "records", name, without)
        cli.main(["explain", f"records/{name}", "IMI", "--model", "cnn_gru", "--out", "why.png"])
    assert re.findall("records/.*constant", capsys.readouterr().err) == ["records/first: lead V1 is constant"]


def test_rounding_is_not_painted_in_full(splits):
    faint = np.full((12, 1000), 1e-7, np.float32)
    shades = np.concatenate(
        [
            image.get_array()
            for image in draw_ecg(splits["test"].signals[0], 100, "", [], faint).axes[0].get_images()
        ]
    )
    assert shades.max() < 1e-4


def test_order_alone_is_what_the_whole_rests_on_less_what_is_left_without_order(trained, splits, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "ecg_temporal.commands.explain.draw_ecg", lambda *given: drawn.append(given) or draw_ecg(*given)
    )
    signals = splits["test"].signals[0]
    write(trained / "records", "one", signals)
    for part in ("order", "frames"):
        cli.main(["explain", "records/one", "IMI", "--model", "cnn_gru", "--part", part, "--out", "why.png"])
    recurrent = load_predictor("cnn_gru", "half", FP32)
    whole, bag = (occlusion(recurrent, signals, "IMI", order=order) for order in (True, False))
    np.testing.assert_allclose(drawn[0][-1], whole - bag, atol=1e-6)
    assert np.abs(drawn[0][-1]).max() > 0 and "from the order of frames" in drawn[0][2]
    np.testing.assert_allclose(drawn[1][-1], bag, atol=1e-6)
    assert "whatever the order of frames" in drawn[1][2]


def test_what_speaks_for_a_finding_is_orange_and_what_speaks_against_it_violet():
    found = np.zeros((12, 1000), np.float32)
    found[0, 100], found[0, 200] = 1, -1
    (image,) = draw_ecg(np.zeros((12, 1000), np.int16), 100, "", [], found).axes[0].get_images()[:1]
    colours = image.to_rgba(image.get_array())[0]
    assert colours[100][0] > colours[100][2] and colours[200][2] > colours[200][0]
