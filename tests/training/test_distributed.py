import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from closure import ROOT
from ecg_temporal.store import write_split
from ecg_temporal.training import distributed
from ecg_temporal.training.batches import Batches
from ecg_temporal.training.hardware import Hardware

CPU = torch.device("cpu")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")


@pytest.fixture
def project(tmp_path, splits):
    """A copy of the project with a small model, no dropout, fp32, and the synthetic splits in place."""
    for folder in ("src", "stages"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["trunk"] |= {"channels": [8, 16], "dropout": 0.0, "block_dropout": 0.0}
    params["train"] |= {"epochs": 3, "batch_size": 32, "device": "cpu", "precision": "fp32"}
    # Adam amplifies rounding: at 2e-3, one process differs by 3e-5 between one thread and two.
    params["architectures"]["cnn_bigru"]["learning_rate"] = 1e-4
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    for name, split in splits.items():
        folder = tmp_path / "data" / "processed" / name
        folder.mkdir(parents=True)
        write_split(folder, split)
    return tmp_path


def train(project, *launcher, out):
    environment = {**os.environ, "PYTHONPATH": "src", "DVC_ROOT": str(project), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, "stages/train.py", "cnn_bigru", "0"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        (project / "models" / "cnn_bigru" / "0").rename(project / out)
    return done


def test_two_processes_train_as_one_does(project):
    for out, launcher in (("one", ()), ("two", TORCHRUN)):
        done = train(project, *launcher, out=out)
        assert done.returncode == 0, done.stderr
    one, two = (pd.read_csv(project / out / "history.csv") for out in ("one", "two"))
    np.testing.assert_allclose(two["train_loss"], one["train_loss"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(two["validation_loss"], one["validation_loss"], atol=1e-4, rtol=0)
    first, second = (torch.load(project / out / "weights.pt", weights_only=True) for out in ("one", "two"))
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(second[name], first[name], atol=1e-3, rtol=1e-3)
    about = json.loads((project / "two" / "run.json").read_text(encoding="utf-8"))
    assert about["hardware"].startswith("2 ×")


def test_two_processes_go_on_from_a_checkpoint_that_the_first_alone_reads(project):
    assert train(project, out="one").returncode == 0
    tracking = project / "src" / "ecg_temporal" / "tracking.py"
    code = tracking.read_text(encoding="utf-8")
    stopped = '        if row["epoch"] == 2:\n            raise OSError("stopped")\n'
    logs = '        self.record["rows"].append('
    tracking.write_text(code.replace(logs, stopped + logs), encoding="utf-8")
    assert "stopped" in train(project, out="none").stderr
    tracking.write_text(code, encoding="utf-8")
    (checkpoint,) = project.glob(".dvc/tmp/checkpoints/*.pt")
    assert len(torch.load(checkpoint, weights_only=True)["history"]) == 1
    done = train(project, *TORCHRUN, out="two")
    assert done.returncode == 0, done.stderr
    one, two = (pd.read_csv(project / out / "history.csv") for out in ("one", "two"))
    np.testing.assert_allclose(two["train_loss"], one["train_loss"], atol=1e-5, rtol=0)
    assert not checkpoint.exists()


def test_processes_share_every_batch(splits):
    alone = Batches(splits["train"], 32, Hardware(CPU, "fp32"))
    shares = [Batches(splits["train"], 32, Hardware(CPU, "fp32", rank, 2)) for rank in (0, 1)]
    for whole, *parts in zip(*(batches.shuffled(0, 1, 500) for batches in (alone, *shares)), strict=True):
        for kind in (0, 1):  # rows, starts
            assert torch.equal(torch.stack([part[kind] for part in parts], 1).flatten(), whole[kind])


def test_a_batch_that_cannot_be_shared_is_refused(splits):
    with pytest.raises(ValueError, match="batch of 32 can't be shared equally among 3 processes"):
        Batches(splits["train"], 32, Hardware(CPU, "fp32", 0, 3))


def test_batch_normalisation_is_over_the_batches_of_all_processes(monkeypatch):
    """Of two that hold the same."""
    monkeypatch.setattr(distributed.dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed, "differentiable_all_reduce", lambda values: 2 * values)
    ours, theirs = distributed.GlobalBatchNorm2d(3), torch.nn.BatchNorm2d(3)
    x = torch.randn(2, 3, 1, 2)
    torch.testing.assert_close(ours(x), theirs(torch.cat([x, x]))[:2])
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())
