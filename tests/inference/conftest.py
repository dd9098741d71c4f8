import numpy as np
import pytest
import torch

from ecg_temporal.evaluation.calibration import Platt
from ecg_temporal.evaluation.decisions import DecisionRule, write_rules
from ecg_temporal.evaluation.settings import RULES
from ecg_temporal.models.settings import ArchitectureSettings, TrunkSettings
from ecg_temporal.training.artifacts import ModelSpec, write_model

TRUNK = TrunkSettings(channels=[8, 8], kernel_size=3, stem_kernel_size=5, dropout=0.0)


@pytest.fixture
def trained(splits, tmp_path, monkeypatch):
    """A project's folder with two seeds of an untrained model and its rules."""
    monkeypatch.chdir(tmp_path)
    about = splits["train"].description
    architecture = ArchitectureSettings(rnn="gru", hidden=8, learning_rate=0.1)
    for seed in (0, 1):
        torch.manual_seed(seed)
        spec = ModelSpec(about.classes, about.leads, 100, 500, TRUNK, architecture)
        model = spec.build()
        model.set_scaling(about.mean, about.scale)
        folder = tmp_path / "models" / "cnn_gru" / str(seed)
        folder.mkdir(parents=True)
        history = [{"epoch": 1, "seconds": 1.0, "records_per_second": 1.0}]
        write_model(folder, spec, dict(model.state_dict()), history, {})
    classes = len(about.classes)
    rule = DecisionRule(Platt(np.full(classes, 3.0), np.full(classes, 0.2)), np.full(classes, 0.5), False)
    (tmp_path / "decisions").mkdir()
    write_rules(tmp_path / "decisions" / "cnn_gru.json", dict.fromkeys(RULES, rule))
    return tmp_path
