"""Settings that many tests share."""

import torch

from ecg_temporal.ptbxl.settings import LabelSettings
from ecg_temporal.training.hardware import Hardware
from ecg_temporal.training.settings import TrainSettings

KEEP_ALL = LabelSettings(min_likelihood=0, unlabelled="keep")
FP32 = Hardware(torch.device("cpu"), "fp32")
TRAINING = TrainSettings(
    epochs=3,
    seeds=[0],
    batch_size=64,
    crop_seconds=5,
    statement_weight=1,
    pos_weight_power=0.25,
    weight_decay=0.01,
    gradient_clip=1,
    device="cpu",
    precision="fp32",
)
