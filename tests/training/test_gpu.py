"""What a GPU does otherwise than a CPU: bf16, cuDNN's recurrent layers, steps launched as a CUDA graph."""

import copy

import pytest
import torch

from conftest import TRAINING
from ecg_temporal.models.settings import ArchitectureSettings, TrunkSettings
from ecg_temporal.training import loop
from ecg_temporal.training.artifacts import ModelSpec
from ecg_temporal.training.graph import Captured
from ecg_temporal.training.hardware import Hardware

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="NO GPU: training on CUDA is not tested"
)
CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def fit(splits, rnn="gru", dropout=0.0, precision="fp32", on_epoch=lambda *_: None, resume=None, rate=1e-3):
    trunk = TrunkSettings(
        channels=[8, 8], kernel_size=3, stem_kernel_size=5, dropout=dropout, block_dropout=dropout
    )
    about = splits["train"].description
    architecture = ArchitectureSettings(rnn=rnn, hidden=8, learning_rate=rate)
    spec = ModelSpec(about.classes, about.leads, about.sampling_rate_hz, 500, trunk, architecture)
    torch.manual_seed(0)
    model = spec.build(len(about.statements)).to(CUDA)
    model.scale.fill_(300.0)
    hardware = Hardware(CUDA, precision)
    folds = splits["train"], splits["validation"]
    return loop.train(model, *folds, TRAINING, rate, 0, hardware, on_epoch, resume)


def losses(history):
    return [row[name] for row in history for name in ("train_loss", "validation_loss")]


@pytest.mark.parametrize("rnn", ["none", "gru", "bilstm"])
def test_a_graph_trains_as_kernels_launched_one_by_one_do(splits, monkeypatch, rnn):
    ours = losses(fit(splits, rnn)[1])
    monkeypatch.setattr(loop, "Captured", lambda step, *_: step)
    assert ours == pytest.approx(losses(fit(splits, rnn)[1]), rel=1e-3)


def test_bf16_trains_and_recurrent_layers_are_fp32(splits, monkeypatch):
    # Without a scaled loss, fp16 would lose gradients: autocast gives it to cuDNN's recurrent layers.
    types, forward = set(), torch.nn.GRU.forward

    def seen(layer, x):
        types.add(x.dtype)
        return forward(layer, x)

    monkeypatch.setattr(torch.nn.GRU, "forward", seen)
    weights, history = fit(splits, dropout=0.2, precision="bf16", rate=0.01)
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert all(value.device == CPU for value in weights.values())
    assert types == {torch.float32}


def test_a_run_that_goes_on_from_its_checkpoint_trains_as_if_it_had_not_stopped(splits):
    states = []
    history = fit(splits, dropout=0.2, on_epoch=lambda _, state: states.append(copy.deepcopy(state)))[1]
    again = fit(splits, dropout=0.2, resume=states[0])[1]
    assert losses(again) == pytest.approx(losses(history), rel=1e-3)


def test_each_launch_draws_another_dropout_and_a_seed_the_same_again():
    model = torch.nn.Sequential(torch.nn.BatchNorm1d(64), torch.nn.Dropout(0.5)).to(CUDA)

    def step(x, scale):
        model.zero_grad(set_to_none=True)
        loss = (model(x) * scale).square().mean()
        loss.backward()
        return loss.detach()

    x, scale = torch.randn(32, 64, device=CUDA), torch.ones((), device=CUDA)
    before = copy.deepcopy(model.state_dict())
    captured = Captured(step, model, x, scale)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    torch.manual_seed(0)
    first, second = (float(captured(x, scale)) for _ in range(2))
    torch.manual_seed(0)
    assert first != second
    assert [float(captured(x, scale)) for _ in range(2)] == [first, second]
    assert float(captured(x, 0 * scale)) == 0
    assert all(float(p.grad.abs().max()) == 0 for p in model.parameters())
