"""What a GPU does otherwise than a CPU: bf16, recurrent layers in fp16, steps launched as a CUDA graph."""

import copy

import pytest
import torch

from ecg_temporal.models.settings import CELLS
from ecg_temporal.models.temporal import RecurrentStack
from ecg_temporal.models.trunk import Convolution
from ecg_temporal.training import loop
from ecg_temporal.training.batches import Batches
from ecg_temporal.training.graph import Captured
from ecg_temporal.training.hardware import Hardware
from ecg_temporal.training.loop import GRADIENT_SCALE
from training.test_training import FP32, TRUNK, fit, learner

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="NO GPU: training on CUDA is not tested"
)
CUDA = torch.device("cuda")
NO_DROPOUT = TRUNK.model_copy(update={"dropout": 0.0, "block_dropout": 0.0})


@pytest.fixture(autouse=True)
def exact():
    """Let differences be those that are looked for: fp32 is fp32, and cuDNN adds in one order."""
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        yield


def losses(history):
    return [row[name] for row in history for name in ("train_loss", "validation_loss")]


# On a CPU, mistakes put in on purpose (gradients that add up, running statistics of the warm-up that are
# kept, always the same batch, no clipping) change a loss by .4% or more, other rounding by .03%.
@pytest.mark.parametrize("rnn", ["none", "gru", "bilstm"])
def test_a_graph_trains_as_kernels_launched_one_by_one_do(splits, monkeypatch, rnn):
    launched = 0

    class Counted(Captured):
        def __call__(self, *batch):
            nonlocal launched
            launched += 1
            return super().__call__(*batch)

    settings = {"hardware": Hardware(CUDA, "fp32"), "rnn": rnn, "trunk": NO_DROPOUT}
    monkeypatch.setattr(loop, "Captured", Counted)
    ours = losses(fit(splits, **settings)[1])
    assert launched > 0
    monkeypatch.setattr(loop, "Captured", lambda step, *_: step)
    assert ours == pytest.approx(losses(fit(splits, **settings)[1]), rel=2e-3)


def test_a_gpu_reads_the_pieces_and_targets_that_a_cpu_reads(splits):
    on_cpu, on_gpu = (Batches(splits["train"], 50, place) for place in (FP32, Hardware(CUDA, "fp32")))
    places = zip(on_cpu.shuffled(0, 1, 500), on_gpu.shuffled(0, 1, 500), strict=True)
    for here, there in places:
        for one, other in zip(on_cpu.read(*here, 500), on_gpu.read(*there, 500), strict=True):
            assert torch.equal(one, other.cpu())


def test_fp32_on_a_gpu_computes_what_a_cpu_computes(splits, monkeypatch):
    model = learner(splits["train"], rnn="none", trunk=NO_DROPOUT)
    signals = torch.from_numpy(splits["train"].signals[:8].copy())
    products, as_product = [], Convolution.as_product

    def counted(layer, x):
        products.append(layer)
        return as_product(layer, x)

    monkeypatch.setattr(Convolution, "as_product", counted)
    here, there = model(signals), copy.deepcopy(model).to(CUDA)(signals.to(CUDA)).cpu()
    assert torch.allclose(here, there, atol=1e-5), (here - there).abs().max()
    assert len(products) == sum(isinstance(layer, Convolution) for layer in model.modules())
    with Hardware(CUDA, "bf16").autocast():
        copy.deepcopy(model).to(CUDA)(signals.to(CUDA))
    assert len(products) == sum(isinstance(layer, Convolution) for layer in model.modules())


def test_bf16_trains(splits):
    weights, history = fit(splits, hardware=Hardware(CUDA, "bf16"), rnn="bilstm")
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert all(value.device == FP32.device for value in weights.values())


@pytest.mark.parametrize("cell", CELLS)
def test_scaled_gradients_of_recurrent_layers_in_fp16_are_those_in_fp32(cell):
    torch.manual_seed(0)
    stack = RecurrentStack(64, [cell], 128).to(CUDA)
    frames = torch.randn(128, 64, 63, device=CUDA)
    received = 1e-7 * torch.randn(128, stack.features, 63, device=CUDA)  # as much as in a training

    def gradients(precision, scale):
        stack.zero_grad(set_to_none=True)
        with Hardware(CUDA, precision).autocast():
            states = stack(frames)
        assert states.dtype == {"fp32": torch.float32, "bf16": torch.float16}[precision]
        (states * (scale * received)).sum().backward()
        return torch.cat([weights.grad.flatten() for weights in stack.parameters()]) / scale

    exact = gradients("fp32", 1.0)
    lost, kept = (
        float((gradients("bf16", scale) - exact).norm() / exact.norm()) for scale in (1.0, GRADIENT_SCALE)
    )
    assert kept < 0.005, kept
    assert lost > 0.02, lost


def test_a_run_that_goes_on_from_its_checkpoint_trains_as_if_it_had_not_stopped(splits):
    states, hardware = [], Hardware(CUDA, "fp32")
    _, history = fit(splits, hardware=hardware, on_epoch=lambda _, state: states.append(copy.deepcopy(state)))
    _, again = fit(splits, hardware=hardware, resume=states[0])
    assert losses(again) == pytest.approx(losses(history), rel=2e-3)


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
