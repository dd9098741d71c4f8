import dataclasses

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from defaults import FP32
from ecg_temporal.evaluation.metrics import average_precision
from ecg_temporal.models.classifier import ECGClassifier
from ecg_temporal.models.settings import CELLS, ArchitectureSettings, TrunkSettings
from ecg_temporal.probing import cost
from ecg_temporal.probing.cost import latency, multiply_accumulates, training_step_memory, training_step_time
from ecg_temporal.probing.probes import cropped_logits, permuted_logits, receptive_field
from ecg_temporal.training.batches import Batches, pieces
from ecg_temporal.training.loop import predict_logits

TRUNK = TrunkSettings(channels=[8, 16], kernel_size=3, stem_kernel_size=5, dropout=0.3, block_dropout=0.1)


def model(rnn="gru", trunk=TRUNK, hidden=8):
    torch.manual_seed(0)
    settings = ArchitectureSettings(rnn=rnn, hidden=hidden, learning_rate=0.1)
    built = ECGClassifier(12, 23, trunk, settings)
    built.scale.fill_(200.0)
    return built.eval()


def test_permuted_frames_change_a_recurrent_model_and_no_other(splits):
    batches = Batches(splits["test"], 16, FP32)
    plain, recurrent = model("none"), model("gru")
    change = {
        name: np.abs(permuted_logits(m, batches, 500, 2, 0) - predict_logits(m, batches, 500)).max()
        for name, m in (("none", plain), ("gru", recurrent))
    }
    assert change["none"] < 1e-5 and change["gru"] > 1e-3
    found = permuted_logits(recurrent, batches, 500, 2, 0)
    assert found.shape == (2, len(splits["test"]), 23)
    assert (found[0] != found[1]).any()
    np.testing.assert_array_equal(found, permuted_logits(recurrent, batches, 500, 2, 0))


def test_a_crop_is_the_middle_of_the_record(splits):
    batches = Batches(splits["test"], 16, FP32)
    recurrent = model()
    found = cropped_logits(recurrent, batches, 500, [100, 1000])
    with torch.inference_mode():
        middle = recurrent(torch.from_numpy(splits["test"].signals[:, :, 450:550].copy()))
    np.testing.assert_allclose(found[0], middle.numpy(), atol=1e-5)
    np.testing.assert_allclose(found[1], predict_logits(recurrent, batches, 500), atol=1e-5)


@pytest.mark.parametrize(
    ("length", "samples", "starts"),
    [(1000, 1000, [0]), (1000, 500, [0, 250, 500]), (1000, 300, [0, 150, 300, 450, 600, 700]), (9, 20, [0])],
)
def test_pieces_cover_the_record_and_overlap_by_half(length, samples, starts):
    found = pieces(torch.arange(length).expand(1, 1, -1), samples)
    assert [int(piece[0, 0, 0]) for piece in found] == starts
    assert {piece.shape[2] for piece in found} == {min(samples, length)}


@pytest.mark.parametrize(
    "trunk",
    [
        TRUNK,
        TrunkSettings(channels=[4, 4, 4, 4], kernel_size=5, stem_kernel_size=7, dropout=0, block_dropout=0.0),
    ],
)
def test_the_receptive_field_is_what_a_frame_depends_on(trunk):
    net = model("none", trunk).double()
    # Max-pooling hides a sample that is not the largest: several signals, so that each shows at least once.
    reached = torch.zeros(2000, dtype=torch.bool)
    for seed in range(12):
        torch.manual_seed(seed)
        signals = torch.randn(1, 12, 2000, dtype=torch.float64, requires_grad=True)
        frames = net.trunk((signals - net.mean) / net.scale)
        (gradient,) = torch.autograd.grad(frames[0, :, frames.shape[2] // 2].sum(), signals)
        reached |= (gradient[0] != 0).any(dim=0)
    where = torch.nonzero(reached)[:, 0]
    assert int(where[-1] - where[0]) + 1 == receptive_field(trunk)


def test_multiply_accumulates_of_convolutions_equal_those_that_pytorch_counts():
    net, signals = model("none"), torch.zeros(3, 12, 1000)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        net(signals)
    assert multiply_accumulates(net, signals) == counter.get_total_flops() // 2


@pytest.mark.parametrize(("rnn", "gates", "directions"), [("lstm", 4, 1), ("gru", 3, 1), ("bigru", 3, 2)])
def test_a_recurrent_layer_multiplies_its_weights_once_a_frame(rnn, gates, directions):
    pieces = 3
    signals = torch.zeros(pieces, 12, 1000)
    extra = multiply_accumulates(model(rnn), signals) - multiply_accumulates(model("none"), signals)
    frames, inputs, hidden = 250, 16, 8
    recurrent = frames * directions * gates * hidden * (inputs + hidden)
    assert extra == pieces * (recurrent + 23 * 2 * (directions * hidden - inputs))  # of the classifier


@pytest.mark.parametrize("rnn", CELLS)
def test_every_weight_of_every_cell_is_counted(rnn):
    assert multiply_accumulates(model(rnn), torch.zeros(1, 12, 1000)) > 0


def test_weights_that_nothing_counts_are_refused():
    net = model()
    net.linear = torch.nn.Sequential(torch.nn.Linear(16, 4), torch.nn.Bilinear(4, 4, 23))
    with pytest.raises(ValueError, match=r"how often linear\.1\.weight are multiplied is not known"):
        multiply_accumulates(net, torch.zeros(1, 12, 1000))


def test_latency_is_the_shortest_in_milliseconds_once_warm(monkeypatch):
    ticks = iter([0, 0.001] * 5 + [0, 0.003, 0, 0.002, 0, 0.004])
    monkeypatch.setattr(cost.time, "perf_counter", lambda: next(ticks))
    assert latency(torch.nn.Identity(), torch.zeros(1), FP32, repeats=3) == pytest.approx(2)


def test_a_training_step_is_the_shortest_forward_and_backward_pass_once_warm(splits, monkeypatch):
    ticks, passed = iter([0, 0.001, 0, 0.3, 0, 0.2, 0, 0.4]), []
    monkeypatch.setattr(cost.time, "perf_counter", lambda: next(ticks))
    net = model()
    net.linear.weight.register_hook(lambda gradient: passed.append(net.training))
    signals = torch.from_numpy(splits["test"].signals[:8].copy())
    assert training_step_time(net, signals, torch.zeros(8, 23), FP32, repeats=3) == pytest.approx(200)
    assert passed == [True] * 4 and not net.training


def test_memory_is_what_a_forward_and_backward_pass_add_to_the_peak(splits, monkeypatch):
    peaks, passed = iter([100, 350]), []
    monkeypatch.setattr(cost, "_peak", lambda hardware: next(peaks))
    net = model()
    net.linear.weight.register_hook(lambda gradient: passed.append(net.training))
    signals = torch.from_numpy(splits["test"].signals[:8].copy())
    assert training_step_memory(net, signals, torch.zeros(8, 23), FP32) == 250
    assert passed == [True] and not net.training
    assert all(parameter.grad is None for parameter in net.parameters())


def test_the_probes_tell_what_depends_on_order_from_morphology(trained_on_synthetic):
    net, splits = trained_on_synthetic
    about = splits["train"].description
    labels = np.concatenate([splits[name].labels for name in ("validation", "test")])
    batches = [Batches(splits[name], 100, FP32) for name in ("validation", "test")]
    logits = np.concatenate([predict_logits(net, each, 500) for each in batches])
    orders = np.concatenate([permuted_logits(net, each, 500, 3, 0) for each in batches], axis=1)
    intact = average_precision(labels, logits)
    permuted = np.mean([average_precision(labels, of_one) for of_one in orders], axis=0)
    intact = dict(zip(about.classes, intact, strict=True))
    lost = {name: intact[name] - mean for name, mean in zip(about.classes, permuted, strict=True)}
    assert intact["_AVB"] > 0.75 and lost["_AVB"] > 0.2
    for morphology in ("AMI", "IMI", "CLBBB"):  # not NORM, which is also the absence of AV block
        assert intact[morphology] > 0.8 and lost[morphology] < 0.06, morphology


def test_each_record_and_each_seed_has_orders_of_its_own(splits):
    test = splits["test"].part(slice(0, 4))
    same = dataclasses.replace(test, signals=np.repeat(test.signals[:1], 4, axis=0))
    batches = Batches(same, 4, FP32)
    (found,), (other,) = (permuted_logits(model(), batches, 500, 1, seed) for seed in (0, 1))
    assert (found[0] != found[1]).any() and (found != other).any()
