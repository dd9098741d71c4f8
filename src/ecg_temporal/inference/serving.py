"""A predictor as an MLflow model. MLflow runs this file as a script where it loads the model: no pickle.

Input: float32 tensor [records, leads, time], microvolts at 100 Hz. Output: probabilities [records, classes],
calibrated except under the rules `half` and `half+likeliest`, in the order of the class names in the model's
metadata.
"""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from numpy.typing import NDArray

from ecg_temporal.inference.predictor import SHORTEST_SECONDS, Predictor, load_predictor
from ecg_temporal.ptbxl.amplitude import is_plausible, span_mv
from ecg_temporal.training.hardware import choose_hardware

LARGEST_MICROVOLTS = np.iinfo(np.int16).max


class ServedPredictor(PythonModel):  # type: ignore[misc]
    """What `mlflow models serve` calls."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the seeds and the rule from the model's artifacts."""
        models, decisions = (Path(context.artifacts[name]) for name in ("models", "decisions"))
        about = context.model_config
        hardware = choose_hardware("auto", "fp32")
        self.predictor: Predictor = load_predictor(
            about["architecture"], about["rule"], hardware, models, decisions
        )

    # np.ndarray, no more exactly: MLflow takes other hints for the schema, which the signature states.
    def predict(
        self,
        context: PythonModelContext,
        model_input: np.ndarray,  # type: ignore[type-arg]
        params: dict[str, Any] | None = None,
    ) -> NDArray[np.float64]:
        """Return the probabilities of every record; what is no signal is the caller's error, a 400."""
        signals = np.asarray(model_input)
        shortest = round(SHORTEST_SECONDS * self.predictor.spec.sampling_rate_hz)
        if signals.shape[2] < shortest:
            raise MlflowException.invalid_parameter_value(
                f"{signals.shape[2]} samples a lead: at least {shortest} are needed"
            )
        if not (np.abs(signals) <= LARGEST_MICROVOLTS).all():  # nor is NaN
            raise MlflowException.invalid_parameter_value(
                f"a sample is missing or beyond ±{LARGEST_MICROVOLTS} microvolts"
            )
        for k, record in enumerate(signals):
            if not is_plausible(record):
                raise MlflowException.invalid_parameter_value(
                    f"the leads of record {k} span {1000 * span_mv(record):.3g} (the median of those that "
                    "are not constant), which is no ECG in microvolts: is the unit right?"
                )
        return self.predictor.predict(signals)[0]


mlflow.models.set_model(ServedPredictor())
