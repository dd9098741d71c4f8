"""Settings that many tests share."""

import torch

from closure import ROOT
from ecg_temporal.ptbxl.settings import LabelSettings
from ecg_temporal.settings import read_params
from ecg_temporal.training.hardware import Hardware
from ecg_temporal.training.settings import TrainSettings

KEEP_ALL = LabelSettings(min_likelihood=0, unlabelled="keep")
FP32 = Hardware(torch.device("cpu"), "fp32")
FEW = {"epochs": 3, "seeds": [0], "batch_size": 64, "crop_seconds": 5, "device": "cpu", "precision": "fp32"}
TRAINING = TrainSettings(**{**read_params(ROOT / "params.yaml")["train"], **FEW})
