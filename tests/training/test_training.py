import dataclasses
import importlib
import json
import os
import shutil
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import log_loss

from closure import ROOT
from defaults import FP32, TRAINING
from ecg_temporal.evaluation.metrics import thresholded_metrics
from ecg_temporal.models.settings import ArchitectureSettings, TrunkSettings
from ecg_temporal.store import write_split
from ecg_temporal.training import checkpoint, loop
from ecg_temporal.training.artifacts import ModelSpec, read_model, write_model
from ecg_temporal.training.batches import Batches
from ecg_temporal.training.hardware import Hardware, choose_hardware
from ecg_temporal.training.loop import predict_logits, train

CPU = torch.device("cpu")
TRUNK = TrunkSettings(channels=[8, 8], kernel_size=3, stem_kernel_size=5, dropout=0.3, block_dropout=0.1)
WITHOUT_DROPOUT = TRUNK.model_copy(update={"dropout": 0.0, "block_dropout": 0.0})


def spec(split, rnn="gru", trunk=TRUNK):
    architecture = ArchitectureSettings(rnn=rnn, hidden=8, learning_rate=0.01)
    about = split.description
    return ModelSpec(about.classes, about.leads, about.sampling_rate_hz, 500, trunk, architecture)


def learner(split, **changes):
    model = spec(split, **changes).build(len(split.description.statements))
    model.scale.fill_(300.0)
    return model


def fit(
    splits,
    seed=0,
    resume=None,
    on_epoch=lambda row, state: None,
    settings=TRAINING,
    hardware=FP32,
    **changes,
):
    """Train a small model; `changes` are those of `spec`."""
    torch.manual_seed(seed)
    model = learner(splits["train"], **changes).to(hardware.device)
    folds = splits["train"], splits["validation"]
    return train(model, *folds, settings, 0.01, seed, hardware, on_epoch, resume)


def textbook(splits, settings):
    """Train one epoch as PyTorch's documentation would; return the weights of the classes and the loss."""
    split = splits["train"]
    model = learner(split, trunk=WITHOUT_DROPOUT)
    classes = len(split.description.classes)
    batches = Batches(split, settings.batch_size, FP32)
    share = np.concatenate([split.labels, split.statements], axis=1).mean(axis=0)
    weight = torch.from_numpy(np.maximum(share, 1 / len(split)) ** -settings.pos_weight_power).float()
    loss_of = torch.nn.BCEWithLogitsLoss(pos_weight=weight, reduction="none")
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=settings.weight_decay)
    steps = len(split) // settings.batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=steps + 1)
    losses = []
    for signals, targets in read(batches, 0, 1, 500):
        optimizer.zero_grad()
        logits = model.train()(signals)
        loss = loss_of(logits + weight.log(), targets)
        loss = loss[:, :classes].mean() + settings.statement_weight * loss[:, classes:].mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
        optimizer.step()
        schedule.step()
        said, wanted = logits[:, :classes].detach().sigmoid(), targets[:, :classes]
        losses.append(log_loss(wanted.numpy().ravel(), said.numpy().ravel()))
    weights = model.state_dict()
    linear = {name: weights[name][:classes] for name in ("linear.weight", "linear.bias")}
    return {**weights, **linear}, np.mean(losses)


def read(batches, seed, epoch, samples):
    return [batches.read(*where, samples) for where in batches.shuffled(seed, epoch, samples)]


def figures(history):
    return [{k: v for k, v in row.items() if k not in ("seconds", "records_per_second")} for row in history]


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(splits):
    weights, history = fit(splits)
    again, history_again = fit(splits)
    assert_same(weights, again)
    assert figures(history) == figures(history_again)
    other, _ = fit(splits, seed=1)
    assert not torch.equal(weights["linear.weight"], other["linear.weight"])


def test_an_epoch_trains_as_a_textbook_loop_does(splits):
    # Rounding grows from step to step: after a second epoch it would hide what is wrong.
    change = {"epochs": 1, "statement_weight": 2.0, "weight_decay": 0.1}
    settings = TRAINING.model_copy(update=change)
    weights, (row,) = fit(splits, settings=settings, trunk=WITHOUT_DROPOUT)
    torch.manual_seed(0)
    expected, loss = textbook(splits, settings)
    torch.manual_seed(0)
    start = learner(splits["train"], trunk=WITHOUT_DROPOUT).state_dict()
    flat, wanted, begun = (
        torch.cat([each[name][: len(weights[name])].flatten() for name in weights if weights[name].ndim])
        for each in (weights, expected, start)
    )
    # Adam turns a rounding error into a step where a gradient is next to nothing, so no element by itself.
    assert (flat - wanted).norm() < 1e-2 * (wanted - begun).norm()
    assert row["train_loss"] == pytest.approx(loss, rel=1e-5)


def test_a_run_that_goes_on_from_its_checkpoint_ends_bit_for_bit_the_same(splits, tmp_path):
    class Killed(Exception):
        pass

    def keep_and_die(row, state):
        checkpoint.save(tmp_path / "c.pt", state)
        if row["epoch"] == 2:
            raise Killed

    weights, history = fit(splits)
    with pytest.raises(Killed):
        fit(splits, on_epoch=keep_and_die)
    seen = []
    resumed, resumed_history = fit(
        splits,
        resume=checkpoint.load(tmp_path / "c.pt"),
        on_epoch=lambda row, _: seen.append(row["epoch"]),
    )
    assert seen == [3]
    assert_same(weights, resumed)
    assert figures(resumed_history) == figures(history)


def test_each_epoch_seed_and_process_drops_out_by_itself(splits):
    """What follows depends on the generator, and so does dropout: its first number in each epoch."""

    def first_of_each_epoch(seed, rank):
        model, drawn = learner(splits["train"]), []

        def look(*_):
            if model.training and len(drawn) == len(seen):
                drawn.append(float(torch.rand(1, generator=torch.default_generator.clone_state())))

        seen = []
        model.register_forward_pre_hook(look)
        hardware = dataclasses.replace(FP32, rank=rank)
        # Alone, a process of a rank other than 0 evaluates nothing and does not say when an epoch ends.
        train(
            model,
            splits["train"],
            splits["validation"],
            TRAINING,
            0.01,
            seed,
            hardware,
            lambda *_: seen.append(1),
        )
        return drawn

    # Rank 2, so that its share is even: with an odd one, oneDNN's convolutions of 8 channels write beside
    # their memory on some CPUs with AMX and two threads (PyTorch 2.13).
    drawn = [*first_of_each_epoch(0, 0), *first_of_each_epoch(1, 0), *first_of_each_epoch(0, 2)]
    assert len(drawn) == len(set(drawn)) == 2 * TRAINING.epochs + 1
    assert drawn[: TRAINING.epochs] == first_of_each_epoch(0, 0)


def test_the_loss_falls_and_the_weights_are_those_of_the_last_epoch_for_the_classes_alone(splits):
    weights, history = fit(splits, settings=TRAINING.model_copy(update={"epochs": 6}))
    assert history[-1]["train_loss"] < 0.8 * history[0]["train_loss"]
    model = spec(splits["train"]).build()
    model.load_state_dict(weights)
    logits = predict_logits(model, Batches(splits["validation"], 64, FP32), 500)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.from_numpy(logits), torch.from_numpy(splits["validation"].labels).float()
    )
    assert float(loss) == pytest.approx(history[-1]["validation_loss"], rel=1e-5)


def test_the_statements_are_learned_at_their_weight(splits, rng):
    split = splits["train"]
    assert split.statements.shape == (len(split), len(split.description.statements)) != (len(split), 0)
    others = {**splits, "train": dataclasses.replace(split, statements=rng.permutation(split.statements))}
    assert not torch.equal(fit(splits)[0]["linear.weight"], fit(others)[0]["linear.weight"])
    without = TRAINING.model_copy(update={"statement_weight": 0.0})
    assert_same(fit(splits, settings=without)[0], fit(others, settings=without)[0])


def test_a_loss_that_is_not_finite_stops_with_epoch_step_and_rate(splits):
    torch.manual_seed(0)
    model = learner(splits["train"])
    model.scale.zero_()
    with pytest.raises(FloatingPointError, match="epoch 1, step 1 of .* learning rate"):
        train(model, splits["train"], splits["validation"], TRAINING, 0.01, 0, FP32, lambda *_: None)


def test_weights_that_the_last_step_of_an_epoch_ruins_stop_with_epoch_and_rate(splits):
    model = learner(splits["train"])
    steps = len(splits["train"]) // TRAINING.batch_size
    passes = 0

    def ruin(gradient):
        nonlocal passes
        passes += 1
        return gradient * (float("nan") if passes == steps else 1)

    model.linear.weight.register_hook(ruin)
    with pytest.raises(FloatingPointError, match="last step of epoch 1, learning rate"):
        train(model, splits["train"], splits["validation"], TRAINING, 0.01, 0, FP32, lambda *_: None)


def test_batches_shuffle_every_record_once_and_differ_by_epoch(splits):
    # The first sample of a record says which one it is.
    n = len(splits["train"])
    signals = np.zeros((n, 12, 10), np.int16)
    signals[:, 0, 0] = np.arange(n)
    batches = Batches(dataclasses.replace(splits["train"], signals=signals), 50, FP32)
    epochs = [torch.cat([x[:, 0, 0] for x, _ in read(batches, 0, epoch, 10)]).tolist() for epoch in (1, 2)]
    for epoch in epochs:
        assert len(set(epoch)) == len(epoch) == n // 50 * 50
    assert epochs[0] != epochs[1]
    assert torch.cat([x[:, 0, 0] for x in batches.ordered()]).tolist() == list(range(n))


def test_targets_travel_with_their_signals(splits):
    split = splits["train"]
    for signals, targets in read(Batches(split, 50, FP32), 3, 1, 1000):
        row = int(np.flatnonzero((split.signals == signals[0].numpy()).all(axis=(1, 2)))[0])
        assert targets[0].tolist() == [*split.labels[row], *split.statements[row]]


def test_a_trained_model_survives_the_disk_and_equal_weights_are_equal_bytes(splits, tmp_path):
    weights, history = fit(splits)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_model(tmp_path / name, spec(splits["train"]), weights, history, {"hardware": name})
    for file in ("weights.pt", "model.json", "history.csv"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    model, back = read_model(tmp_path / "a")
    assert back == spec(splits["train"])
    assert_same(dict(model.state_dict()), weights)
    assert len(pd.read_csv(tmp_path / "a" / "history.csv")) == 3
    whole = (tmp_path / "a" / "weights.pt").read_bytes()
    for damaged in (b"junk", whole[:-200], b""):
        (tmp_path / "a" / "weights.pt").write_bytes(damaged)
        with pytest.raises(ValueError, match="not a trained model"):
            read_model(tmp_path / "a")


def test_a_checkpoint_belongs_to_its_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    path = checkpoint.checkpoint_path({"epochs": 1})
    assert path == checkpoint.checkpoint_path({"epochs": 1}) != checkpoint.checkpoint_path({"epochs": 2})
    assert tmp_path in path.parents
    assert checkpoint.load(path) is None
    path.parent.mkdir(parents=True)
    for damaged in (b"", b"junk" * 100, b".", b"X"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"{path.name} is damaged .*; remove it to begin"):
            checkpoint.load(path)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "__version__", "1.0")
        assert checkpoint.checkpoint_path({"epochs": 1}) != path


def test_a_checkpoint_belongs_to_its_data_and_to_their_scaling(splits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "stages")
    monkeypatch.setattr(sys, "argv", ["train.py", "cnn", "0"])
    shutil.copy(ROOT / "params.yaml", tmp_path)
    stage = importlib.import_module("train")
    identities = []

    def named(identity):
        identities.append(json.dumps(identity, sort_keys=True))
        raise InterruptedError

    monkeypatch.setattr(checkpoint, "checkpoint_path", named)
    about = splits["train"].description
    scales = (about.scale, about.scale, [2 * scale for scale in about.scale])
    for k, scale in enumerate(scales):
        for name in ("train", "validation"):
            folder = tmp_path / str(k) / name
            folder.mkdir(parents=True)
            write_split(
                folder, dataclasses.replace(splits[name], description=dataclasses.replace(about, scale=scale))
            )
        monkeypatch.setattr(stage, "DATA", tmp_path / str(k))
        with pytest.raises(InterruptedError):
            stage.main()
    first, same, other = identities
    assert first == same != other


def test_checkpoints_that_nobody_touched_for_a_month_are_removed_and_no_others(tmp_path):
    mine, old, new = (tmp_path / f"{name}.pt" for name in ("mine", "old", "new"))
    for path in (mine, old, new):
        path.touch()
    for path, days in ((mine, 31), (old, 31), (new, 29)):
        os.utime(path, (0, time.time() - days * 86_400))
    checkpoint.remove_old(mine)
    assert mine.exists() and new.exists() and not old.exists()


def test_cuda_is_refused_where_there_is_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_hardware("auto", "fp32") == FP32
    with pytest.raises(RuntimeError, match=r"train\.device is cuda"):
        choose_hardware("cuda", "auto")


def test_pieces_begin_anywhere_in_the_record_and_another_seed_deals_others(splits):
    # A sample says where it is in its record.
    n = len(splits["train"])
    signals = np.broadcast_to(np.arange(1000, dtype=np.int16), (n, 12, 1000))
    batches = Batches(dataclasses.replace(splits["train"], signals=signals), 50, FP32)
    first, other = (torch.cat([x[:, 0, 0] for x, _ in read(batches, seed, 1, 500)]) for seed in (0, 1))
    assert 0 <= first.min() < 50 and 450 < first.max() <= 500 and len(first.unique()) > 100
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    "change",
    [{"gradient_clip": 1e-6}, {"weight_decay": 10.0}, {"weight_decay": 0.0}, {"pos_weight_power": 0.0}],
)
def test_gradient_clip_weight_decay_and_weights_of_positives_count(splits, change):
    one, other = (fit(splits, settings=s)[0] for s in (TRAINING, TRAINING.model_copy(update=change)))
    assert not torch.equal(one["linear.weight"], other["linear.weight"])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_scale_of_gradients_changes_nothing_but_what_underflows(splits, monkeypatch, precision):
    hardware = Hardware(CPU, precision)
    scaled = fit(splits, hardware=hardware, rnn="bilstm")
    monkeypatch.setattr(loop, "GRADIENT_SCALE", 1.0)
    plain = fit(splits, hardware=hardware, rnn="bilstm")
    assert_same(scaled[0], plain[0])


def test_precision_is_what_the_forward_pass_runs_in_and_tf32_is_never_allowed():
    x = torch.ones(2, 2)
    with Hardware(CPU, "bf16").autocast():
        assert (x @ x).dtype == torch.bfloat16
    with FP32.autocast():
        assert (x @ x).dtype == torch.float32
    backends = (torch.backends.cudnn, torch.backends.cuda.matmul)
    for precision in ("bf16", "fp32"):
        for backend in backends:
            backend.allow_tf32 = True
        choose_hardware("cpu", precision)
        assert not any(backend.allow_tf32 for backend in backends)


def test_a_checkpoint_belongs_to_the_code_that_wrote_it(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr(checkpoint, "PACKAGE", tmp_path)
    sources = ("models/a.py", "training/b.py", "evaluation/metrics.py", "store.py")
    for name in sources:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    seen = {checkpoint.checkpoint_path({})}
    for name in sources:
        (tmp_path / name).write_text("2")
        seen.add(checkpoint.checkpoint_path({}))
    assert len(seen) == 1 + len(sources)


def test_the_rate_of_an_epoch_is_that_of_its_last_step(splits):
    (row,) = fit(splits, settings=TRAINING.model_copy(update={"epochs": 1}))[1]
    steps = len(splits["train"]) // TRAINING.batch_size
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.01, total_steps=steps + 1, cycle_momentum=False
    )
    for _ in range(steps - 1):
        optimizer.step()
        schedule.step()
    assert row["learning_rate"] == pytest.approx(schedule.get_last_lr()[0])


def test_records_per_second_are_those_of_whole_batches(splits):
    row = fit(splits, settings=TRAINING.model_copy(update={"batch_size": 50}))[1][0]
    assert len(splits["train"]) % 50
    trained = len(splits["train"]) // 50 * 50
    assert row["records_per_second"] * row["seconds"] == pytest.approx(trained)


def test_a_piece_may_begin_at_the_first_and_end_at_the_last_sample(splits):
    batches = Batches(splits["train"], 50, FP32)
    starts = torch.cat([each for epoch in range(20) for _, each in batches.shuffled(0, epoch, 500)])
    assert (starts.min(), starts.max()) == (0, 500)


@pytest.mark.parametrize(
    ("has", "precision"), [({}, "fp32"), ({"amx_bf16": True}, "bf16"), ({"avx512_bf16": True}, "bf16")]
)
def test_bf16_is_taken_where_the_processor_has_it(monkeypatch, has, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert choose_hardware("cpu", "auto").precision == precision


def test_each_process_of_a_node_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert choose_hardware("auto", "fp32").device == torch.device("cuda", 1)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(RuntimeError, match="2 CUDA devices, too few for process 2"):
        choose_hardware("auto", "fp32")


def test_a_checkpoint_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    (tmp_path / "c.pt").touch()

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied", "c.pt")

    monkeypatch.setattr(torch, "load", refused)
    with pytest.raises(PermissionError):
        checkpoint.load(tmp_path / "c.pt")


def test_divergence_is_told_with_its_first_step():
    losses = np.array([0.5, 0.4, np.nan, 0.3, np.inf])
    with pytest.raises(FloatingPointError, match="the loss is nan in epoch 2, step 3 of 5"):
        loop._refuse_divergence(losses, torch.nn.Linear(1, 1), 2, 0.1)


def test_what_is_logged_of_the_validation_fold_is_at_a_probability_of_one_half(splits):
    weights, (row,) = fit(splits, settings=TRAINING.model_copy(update={"epochs": 1}))
    model = spec(splits["train"]).build()
    model.load_state_dict(weights)
    logits = predict_logits(model, Batches(splits["validation"], 64, FP32), 500)
    expected = thresholded_metrics(splits["validation"].labels, logits >= 0)
    assert {name: row[name] for name in expected} == pytest.approx(expected, nan_ok=True)


def test_fewer_records_than_a_batch_are_one_batch(splits):
    few = {**splits, "train": splits["train"].part(slice(0, TRAINING.batch_size - 1))}
    _, history = fit(few)
    assert np.isfinite([row["train_loss"] for row in history]).all()
    assert history[0]["train_loss"] != history[-1]["train_loss"]
