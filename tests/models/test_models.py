import pytest
import torch
import torch.nn.functional as F

from closure import ROOT
from ecg_temporal.models.classifier import ECGClassifier, count_parameters
from ecg_temporal.models.settings import CELLS, ArchitectureSettings, TrunkSettings
from ecg_temporal.models.temporal import FUNCTIONS, RecurrentStack, initialise
from ecg_temporal.models.trunk import Convolution, Trunk, convolution
from ecg_temporal.params import check
from ecg_temporal.settings import read_params

TRUNK = TrunkSettings(channels=[8, 16], kernel_size=5, stem_kernel_size=7, dropout=0.1, block_dropout=0.1)


def architecture(rnn, **settings):
    return ArchitectureSettings(rnn=rnn, hidden=6, learning_rate=0.1, **settings)


def test_every_cell_that_params_may_name_has_its_function():
    assert tuple(FUNCTIONS) == CELLS


def test_a_convolution_equals_conv1d_and_batch_norm():
    torch.manual_seed(0)
    layer = convolution(3, 4, 5, stride=2).train()
    x = torch.randn(2, 3, 21)
    expected = F.batch_norm(
        F.conv1d(x, layer[0].weight.squeeze(2), stride=2, padding=2), None, None, training=True
    )
    torch.testing.assert_close(layer(x.unsqueeze(2)).squeeze(2), expected)


@pytest.mark.parametrize(("size", "stride"), [(1, 1), (1, 2), (5, 1), (5, 2), (7, 2)])
@pytest.mark.parametrize("samples", [5, 20, 21])
def test_a_convolution_as_a_matrix_product_is_the_same(size, stride, samples):
    torch.manual_seed(0)
    layer = Convolution(3, 4, size, stride)
    x = torch.randn(2, 3, 1, samples).contiguous(memory_format=torch.channels_last).requires_grad_()
    results = layer(x), layer.as_product(x)
    torch.testing.assert_close(*results)
    gradients = [torch.autograd.grad(y.square().sum(), (x, layer.weight)) for y in results]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-5)
    assert results[1].is_contiguous(memory_format=torch.channels_last)


def test_in_training_a_block_drops_whole_channels_between_its_convolutions():
    torch.manual_seed(0)
    trunk = Trunk(12, TRUNK.model_copy(update={"block_dropout": 0.5}))
    for block in trunk.blocks:
        seen = []
        block.second.register_forward_pre_hook(lambda _, x, seen=seen: seen.append(x[0]))
        x = torch.randn(64, block.first[0].in_channels, 1, 40)
        block.train()(x)
        dropped = (seen[0] == 0).all(dim=3)
        assert 0.4 < dropped.float().mean() < 0.6
        block.eval()(x)
        assert not (seen[1] == 0).all(dim=3).any()


@pytest.mark.parametrize("samples", [250, 500, 999, 1000])
def test_the_trunk_gives_a_frame_per_stride(samples):
    trunk = Trunk(12, TRUNK)
    frames = trunk(torch.randn(2, 12, samples))
    assert frames.shape[:2] == (2, trunk.features)
    assert abs(frames.shape[2] - samples / 4) <= 1


def by_hand(model, signals, cells, hidden):
    """The logits of `model` in evaluation, from its weights by one-dimensional functions of PyTorch."""
    weights = model.state_dict()

    def convolved(x, name, stride=1):
        kernel = weights[f"{name}.0.weight"].squeeze(2)
        x = F.conv1d(x, kernel, stride=stride, padding=kernel.shape[2] // 2)
        statistics = [
            weights[f"{name}.1.{each}"] for each in ("running_mean", "running_var", "weight", "bias")
        ]
        return F.batch_norm(x, *statistics)

    x = (signals - weights["mean"]) / weights["scale"]
    x = F.max_pool1d(F.relu(convolved(x, "trunk.stem")), 2)
    for k in range(len(TRUNK.channels)):
        name, stride = f"trunk.blocks.{k}", 1 if k == 0 else 2
        within = convolved(F.relu(convolved(x, f"{name}.first", stride)), f"{name}.second")
        same = f"{name}.shortcut.0.weight" not in weights
        x = F.relu(within + (x if same else convolved(x, f"{name}.shortcut", stride)))
    x = x.transpose(1, 2)
    for k, cell in enumerate(cells):
        x = F.layer_norm(
            x, x.shape[2:], weights[f"temporal.norms.{k}.weight"], weights[f"temporal.norms.{k}.bias"]
        )
        kind = torch.nn.LSTM if cell.endswith("lstm") else torch.nn.GRU
        layer = kind(x.shape[2], hidden, batch_first=True, bidirectional=cell.startswith("bi"))
        prefix = f"temporal.layers.{k}."
        layer.load_state_dict({n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)})
        x = layer(x)[0]
    x = torch.cat([x.mean(dim=1), x.max(dim=1).values], dim=1)
    return F.linear(x, weights["linear.weight"], weights["linear.bias"])


@pytest.mark.parametrize(
    ("rnn", "layers", "cells"),
    [
        ("none", 1, []),
        ("bilstm", 1, ["bilstm"]),
        ("gru", 2, ["gru", "gru"]),
        ("bilstm+gru", 1, ["bilstm", "gru"]),
    ],
)
def test_the_logits_are_those_of_the_same_layers_put_together_by_hand(rnn, layers, cells):
    torch.manual_seed(0)
    model = ECGClassifier(12, 23, TRUNK, architecture(rnn, layers=layers))
    model.set_scaling([float(k) for k in range(12)], [100.0 + k for k in range(12)])
    signals = 200 * torch.randn(8, 12, 300)
    assert len({model.train()(signals).sum().item() for _ in range(3)}) == 3  # dropout, and other statistics
    model.eval()
    torch.testing.assert_close(model(signals), by_hand(model, signals, cells, 6))


def test_in_training_the_features_of_a_record_are_dropped_before_the_classifier():
    torch.manual_seed(0)
    model = ECGClassifier(12, 23, TRUNK.model_copy(update={"dropout": 0.5}), architecture("none"))
    seen = []
    model.linear.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    frames = 1 + torch.rand(64, 16, 20)
    model.train().classify(frames)
    model.eval().classify(frames)
    assert 0.4 < (seen[0] == 0).float().mean() < 0.6 and not (seen[1] == 0).any()


@pytest.mark.parametrize("rnn", ["none", *CELLS, "bilstm+gru"])
@pytest.mark.parametrize("layers", [1, 3])
def test_logits_and_gradients_of_every_architecture(rnn, layers):
    torch.manual_seed(0)
    model = ECGClassifier(12, 23, TRUNK, architecture(rnn, layers=layers))
    logits = model(torch.randint(-2000, 2000, (4, 12, 400), dtype=torch.int16))
    assert logits.shape == (4, 23) and logits.dtype == torch.float32
    logits.square().mean().backward()
    # Also those of the backward direction: nothing that is computed is thrown away.
    dead = [name for name, each in model.named_parameters() if each.grad is None or not each.grad.any()]
    assert dead == []


@pytest.mark.parametrize(
    ("rnn", "layers", "modules", "features"),
    [
        ("none", 2, 0, 10),
        ("lstm", 2, 2, 6),
        ("bigru", 3, 3, 12),
        ("bilstm+gru", 1, 2, 6),
        ("gru+bilstm", 2, 4, 12),
    ],
)
def test_stacks_have_the_layers_that_they_name(rnn, layers, modules, features):
    stack = RecurrentStack(10, architecture(rnn, layers=layers).cells, 6)
    assert len(stack.layers) == modules
    assert stack.features == features
    assert stack(torch.randn(2, 10, 7)).shape == (2, features, 7)


def test_with_a_skip_the_frames_go_on_beside_the_states():
    torch.manual_seed(0)
    stack = RecurrentStack(10, ["gru", "bilstm"], 6, skip=True)
    assert stack.features == 10 + 12
    frames = torch.randn(2, 10, 7)
    found = stack(frames)
    stack.skip = False
    torch.testing.assert_close(found, torch.cat([frames, stack(frames)], dim=1), rtol=0, atol=0)
    model = ECGClassifier(12, 23, TRUNK, architecture("lstm", skip=True))
    assert model(torch.randn(4, 12, 400)).shape == (4, 23)
    plain = ECGClassifier(12, 23, TRUNK, architecture("none", skip=True))  # nothing to be skipped
    assert plain.linear.in_features == 2 * plain.trunk.features


def test_recurrent_weights_are_initialised_gate_by_gate():
    layer = RecurrentStack(10, ["bilstm"], 6).layers[0]
    for suffix in ("", "_reverse"):
        for gate in getattr(layer, f"weight_hh_l0{suffix}").detach().split(6):
            torch.testing.assert_close(gate @ gate.T, torch.eye(6), atol=1e-5, rtol=0)
        bias = getattr(layer, f"bias_ih_l0{suffix}") + getattr(layer, f"bias_hh_l0{suffix}")
        assert bias.tolist() == [0.0] * 6 + [1.0] * 6 + [0.0] * 12


def test_a_unidirectional_state_knows_only_the_past_and_a_bidirectional_one_both():
    x = torch.randn(1, 5, 9)
    later = x.clone()
    later[:, :, 5:] *= -2
    past, both = RecurrentStack(5, ["gru"], 4), RecurrentStack(5, ["bigru"], 4)
    torch.testing.assert_close(past(x)[:, :, :5], past(later)[:, :, :5])
    assert not torch.allclose(both(x)[:, :, :5], both(later)[:, :, :5])


def test_scaling_is_part_of_the_model():
    model = ECGClassifier(2, 3, TRUNK, architecture("none")).eval()
    x = torch.randn(2, 2, 300) * 100
    before = model(x)
    model.mean.fill_(7.0)
    model.scale.fill_(50.0)
    torch.testing.assert_close(model(x * 50 + 7), before, rtol=1e-4, atol=1e-4)
    assert {"mean", "scale"} <= set(model.state_dict())


def test_a_layer_that_is_not_recurrent_keeps_its_weights():
    layer = torch.nn.Linear(6, 6)
    before = layer.weight.clone()
    initialise(layer, 6)
    assert torch.equal(layer.weight, before)


@pytest.mark.usefixtures("committed")
def test_cnn_wide_is_as_large_as_cnn_bilstm():
    params = check(read_params(ROOT / "params.yaml"))
    wide, recurrent = (
        count_parameters(ECGClassifier(12, 23, params.trunk, params.architectures[name]))
        for name in ("cnn_wide", "cnn_bilstm")
    )
    assert abs(wide / recurrent - 1) < 0.01
