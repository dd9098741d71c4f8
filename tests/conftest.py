import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings as hypothesis_settings

from closure import ROOT
from defaults import FP32, KEEP_ALL, TRAINING
from ecg_temporal.evaluation.calibration import Platt
from ecg_temporal.evaluation.decisions import EnsembleRules, ThresholdRule, write_rules
from ecg_temporal.evaluation.settings import RULES
from ecg_temporal.models.settings import ArchitectureSettings, TrunkSettings
from ecg_temporal.probing.probes import receptive_field
from ecg_temporal.ptbxl import synthetic
from ecg_temporal.ptbxl.preprocess import preprocess
from ecg_temporal.ptbxl.raw import read_raw
from ecg_temporal.ptbxl.settings import SyntheticSettings
from ecg_temporal.training.artifacts import ModelSpec, write_model
from ecg_temporal.training.loop import train
from made_up import make_case

# Machines that also train can be slow for a moment; that is no failure.
hypothesis_settings.register_profile("any machine", deadline=None)
hypothesis_settings.load_profile("any machine")


def pytest_collection_modifyitems(items):
    """Put the slow ones first, so that of several processes none is left with a slow one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("pipeline") is None)


@pytest.fixture(scope="session")
def committed():
    """Skip what holds of the committed results alone, where the workspace has others."""
    results = ["params.yaml", "dvc.lock", "metrics", "reports", "published", ":!reports/ablations.md"]
    asked = subprocess.run(
        ["git", "status", "--porcelain", "--", *results],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.stdout:
        pytest.skip(f"these are not as committed, so README may say other things:\n{asked.stdout}")


@pytest.fixture(scope="session")
def ptbxl_tree(tmp_path_factory):
    """The real PTB-XL, or its first 300 ids: a tree as PhysioNet lays it out."""
    if tree := os.environ.get("PTBXL_DIR"):
        return Path(tree).expanduser()
    packed = ROOT.parent / "shared" / "ptb-xl" / "unpack.py"
    if not packed.is_file():
        pytest.skip("NO REAL PTB-XL: set PTBXL_DIR to a folder with it to run this test")
    tree = tmp_path_factory.mktemp("ptb-xl")
    subprocess.run([sys.executable, packed, tree, "--max-id", "300"], check=True, capture_output=True)
    return tree


@pytest.fixture(scope="session")
def full_tables():
    """Folder with the complete ptbxl_database.csv and scp_statements.csv of the real PTB-XL."""
    if tree := os.environ.get("PTBXL_DIR"):
        return Path(tree).expanduser()
    packed = ROOT.parent / "shared" / "ptb-xl"
    if not (packed / "ptbxl_database.csv.xz").is_file():
        pytest.skip("NO REAL PTB-XL: set PTBXL_DIR to a folder with it to run this test")
    return packed


@pytest.fixture(scope="session")
def synthetic_raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    synthetic.write(folder, SyntheticSettings(records=400, seed=1))
    return read_raw(folder)


@pytest.fixture(scope="session")
def splits(synthetic_raw):
    return preprocess(synthetic_raw, KEEP_ALL)


@pytest.fixture(scope="session")
def trained_on_synthetic(tmp_path_factory):
    """A small CNN + BiGRU trained on synthetic data where four diagnoses are common, and the splits.

    The generator makes an AV block of the time from P wave to QRS complex, or of a beat that is missing. It
    makes infarction and bundle branch block of the form of every beat. A frame sees a quarter of a second.
    The others are rare, so that what a small model learns differs little from seed to seed: over five seeds
    AV block lost .38 to .52 of average precision to a permutation, the other three .04 at most.
    """
    with pytest.MonkeyPatch.context() as patch:
        common = {"1AVB": 0.3, "2AVB": 0.1, "ASMI": 0.3, "IMI": 0.3, "CLBBB": 0.3}
        patch.setattr(synthetic, "_FREQUENCY", dict.fromkeys(synthetic._FREQUENCY, 0.02) | common)
        folder = tmp_path_factory.mktemp("order")
        synthetic.write(folder, SyntheticSettings(records=1000, seed=3))
    found = preprocess(read_raw(folder), KEEP_ALL)
    about = found["train"].description
    trunk = TrunkSettings(channels=[16], kernel_size=5, stem_kernel_size=7, dropout=0.1, block_dropout=0.0)
    assert receptive_field(trunk) == 24
    torch.manual_seed(0)
    architecture = ArchitectureSettings(rnn="bigru", hidden=24, learning_rate=0.01)
    spec = ModelSpec(about.classes, about.leads, about.sampling_rate_hz, 500, trunk, architecture)
    learner = spec.build(len(about.statements))
    learner.set_scaling(about.mean, about.scale)
    settings = TRAINING.model_copy(
        update={"epochs": 12, "batch_size": 32, "statement_weight": 0.0, "pos_weight_power": 0.0}
    )
    weights, _ = train(learner, found["train"], found["validation"], settings, 0.01, 0, FP32, lambda *_: None)
    net = spec.build()
    net.load_state_dict(weights)
    return net.eval(), found


@pytest.fixture(scope="session")
def case(tmp_path_factory):
    """The folder, labels, results and findings of a made-up comparison."""
    return make_case(tmp_path_factory.mktemp("results"))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def trained(splits, tmp_path, monkeypatch):
    """A project's folder with params.yaml, two seeds of an untrained model and its rules."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    about = splits["train"].description
    trunk = TrunkSettings(channels=[8, 8], kernel_size=3, stem_kernel_size=5, dropout=0.0, block_dropout=0.0)
    architecture = ArchitectureSettings(rnn="gru", hidden=8, learning_rate=0.1)
    for seed in (0, 1):
        torch.manual_seed(seed)
        spec = ModelSpec(about.classes, about.leads, 100, 500, trunk, architecture)
        model = spec.build()
        model.set_scaling(about.mean, about.scale)
        folder = tmp_path / "models" / "cnn_gru" / str(seed)
        folder.mkdir(parents=True)
        history = [{"epoch": 1, "seconds": 1.0, "records_per_second": 1.0}]
        write_model(folder, spec, dict(model.state_dict()), history, {})
    classes = len(about.classes)
    rule = ThresholdRule(Platt(np.full(classes, 3.0), np.full(classes, 0.2)), np.full(classes, 0.5), False)
    (tmp_path / "decisions").mkdir()
    rules = EnsembleRules([0, 1], about.classes, dict.fromkeys(RULES, rule))
    write_rules(tmp_path / "decisions" / "cnn_gru.json", rules)
    return tmp_path
