"""A predictor as an ONNX file, for whatever runs ONNX and not PyTorch."""

import copy
import io
import json
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from ecg_temporal import files
from ecg_temporal.inference.predictor import Predictor

OPSET = 17


class Ensemble(nn.Module):
    """The seeds of a predictor as one module, over one piece of signal."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.models = nn.ModuleList(predictor.models)
        calibration = predictor.rule.calibration
        self.register_buffer("slope", torch.tensor(calibration.slope, dtype=torch.float32))
        self.register_buffer("intercept", torch.tensor(calibration.intercept, dtype=torch.float32))

    def forward(self, signals: Tensor) -> tuple[Tensor, Tensor]:
        """Map signals [batch, leads, time] in microvolts to mean logits and calibrated probabilities."""
        logits = torch.stack([model(signals) for model in self.models]).mean(dim=0)
        return logits, torch.sigmoid(self.slope * logits + self.intercept)  # type: ignore[operator]


def export_onnx(predictor: Predictor, path: Path) -> None:
    """Write `predictor` to `path`, for any batch size and any length of signal.

    Input `signals`: float32 [batch, leads, time], microvolts. Outputs `logits` and `probabilities`: float32
    [batch, classes]. The file's metadata name classes, leads, their mean and scale (of the training records,
    for `Predictor.offsets`), sampling rate, unit, the decision rule as decisions/<architecture>.json has it,
    and `samples`, the length of the pieces that a record is cut into. Its doc_string says how to predict as a
    `Predictor` does.
    """
    ensemble = copy.deepcopy(Ensemble(predictor)).cpu().eval()  # the predictor's own stay where they are
    example = torch.zeros(2, len(predictor.spec.leads), predictor.spec.samples)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # PyTorch warns that this exporter is the older one; the newer needs another package.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            ensemble,
            (example,),
            buffer,  # type: ignore[arg-type]  # any file will do
            input_names=["signals"],
            output_names=["logits", "probabilities"],
            dynamic_axes={
                "signals": {0: "batch", 2: "time"},
                "logits": {0: "batch"},
                "probabilities": {0: "batch"},
            },
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_from_string(buffer.getvalue())
    model.doc_string = (
        "First, where a lead's mean and its median both lie further than `scale` from `mean` (in the "
        "metadata, microvolts by lead, of the training records), on one side, take away its mean less "
        "`mean`. Cut the record into pieces of `samples`, each half over the one before but the last, which "
        "ends with the record. Take the mean of their logits, then "
        "sigmoid(slope * logits + intercept) with the slope and the intercept of `rule`. With "
        "`thresholds`, predict each class whose probability is at least its threshold; if `likeliest` is "
        "true and none is, the most probable class. With `sets` (a character per class), predict the set "
        "with the largest sum of its classes' mean logits, not calibrated, and its `bonus`."
    )
    about = {
        "classes": json.dumps(predictor.spec.classes),
        "leads": json.dumps(predictor.spec.leads),
        "sampling_rate_hz": str(predictor.spec.sampling_rate_hz),
        "samples": str(predictor.spec.samples),
        "rule": json.dumps(predictor.rule.fields()),
        "unit": "uV",
        **{name: json.dumps(getattr(predictor.models[0], name)[:, 0].tolist()) for name in ("mean", "scale")},
    }
    onnx.helper.set_model_props(model, about)
    onnx.checker.check_model(model)
    with files.replacing_file(path) as temporary:
        temporary.write_bytes(model.SerializeToString())
