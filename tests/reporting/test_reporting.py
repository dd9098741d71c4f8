import json

import numpy as np
import pandas as pd
import pytest

from ecg_temporal.evaluation.bootstrap import compare, draw
from ecg_temporal.evaluation.settings import BootstrapSettings
from ecg_temporal.models.settings import ArchitectureSettings
from ecg_temporal.reporting.figures import class_heat_map, differences, learning_curves, score_against_size
from ecg_temporal.reporting.page import SYNTHETIC, comparison_page
from ecg_temporal.reporting.results import read_results
from ecg_temporal.reporting.tables import METRICS, comparison, describe, markdown
from ecg_temporal.reporting.tables import differences as difference_table
from ecg_temporal.training.settings import TrainSettings

ARCHITECTURES = {
    "cnn": ArchitectureSettings(rnn="none", learning_rate=0.1),
    "cnn_mixed": ArchitectureSettings(rnn="bilstm+gru", learning_rate=0.1),
}
TRIVIAL = {"nothing": dict.fromkeys(METRICS, 0.0)}


@pytest.fixture
def metrics(tmp_path):
    for folder in ("per_class", "history"):
        (tmp_path / folder).mkdir()
    for k, name in enumerate([*ARCHITECTURES, "removed"]):
        figures = {
            **dict.fromkeys(METRICS, 0.5 + 0.1 * k),
            "macro_auprc_std": 0.01,
            "parameters": 1000 * (k + 1),
        }
        figures["micro_f1_std"] = None
        (tmp_path / f"{name}.json").write_text(json.dumps(figures))
        pd.DataFrame(
            {
                "subclass": ["NORM", "AMI"],
                "positives": [9, 0],
                "average_precision": [0.5, np.nan],
                "roc_auc": 0.5,
            }
        ).to_csv(tmp_path / "per_class" / f"{name}.csv", index=False)
        pd.DataFrame(
            {"epoch": [1, 2], "train_loss": [0.3, 0.2], "macro_auprc": [0.1, 0.4], "seed": 0}
        ).to_csv(tmp_path / "history" / f"{name}.csv", index=False)
    return tmp_path


def test_results_are_those_of_params_not_of_whatever_lies_there(metrics):
    results = read_results(metrics, list(ARCHITECTURES))
    assert list(results.headline.index) == ["cnn", "cnn_mixed"]
    assert set(results.per_class["architecture"]) == {"cnn", "cnn_mixed"}
    with pytest.raises(ValueError, match="no results of 'new'"):
        read_results(metrics, ["cnn", "new"])


def test_the_table_has_every_architecture_beside_the_trivial_lines_and_the_paper(metrics):
    table = comparison(read_results(metrics, list(ARCHITECTURES)), ARCHITECTURES, TRIVIAL, True)
    assert table["name"].tolist() == ["cnn", "cnn_mixed", "nothing", "arXiv:2601.18830"]
    assert table.set_index("name").loc["cnn_mixed", "parameters"] == 2000
    text = markdown(table)
    lines = text.splitlines()
    assert len({len(line) for line in lines}) == 1  # aligned as plain text too
    wide = next(line for line in lines if "cnn_mixed" in line)
    narrow = next(line for line in lines if line.startswith("| cnn "))
    assert "**0.6000 ± 0.0100**" in wide and "2,000" in wide and "**" in narrow  # cnn: lowest Hamming loss
    assert narrow.count("**") == 2 and "0.3379" not in text


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"rnn": "none"}, "no recurrence"),
        ({"rnn": "none", "widen": 1.25}, "no recurrence, trunk × 1.25"),
        ({"rnn": "bilstm", "layers": 2}, "2 × BiLSTM(128)"),
        ({"rnn": "bilstm+gru", "hidden": 64}, "BiLSTM(64) → GRU(64)"),
    ],
)
def test_architectures_are_described_in_words(settings, text):
    assert describe(ArchitectureSettings(learning_rate=0.1, **settings)) == text


def test_every_figure_draws_and_synthetic_data_says_so(metrics, splits, tmp_path):
    results = read_results(metrics, list(ARCHITECTURES))
    table = comparison(results, ARCHITECTURES, TRIVIAL, True)
    labels = splits["test"].labels
    rng = np.random.default_rng(0)
    probabilities = {"cnn": rng.random((1, *labels.shape)), "cnn_mixed": labels[None] * 0.9}
    intervals = compare(labels, probabilities, "cnn", draw(len(labels), 100, 0))
    for figure in (
        differences(intervals, ARCHITECTURES, "cnn", SYNTHETIC),
        score_against_size(table, ARCHITECTURES, SYNTHETIC),
        learning_curves(results.history, ARCHITECTURES, SYNTHETIC),
        class_heat_map(results.per_class, list(ARCHITECTURES), SYNTHETIC),
    ):
        assert SYNTHETIC in figure.get_suptitle()
        figure.savefig(tmp_path / "f.png")
        assert (tmp_path / "f.png").stat().st_size > 5000
    settings = TrainSettings(
        epochs=2, seeds=[0], batch_size=4, weight_decay=0, gradient_clip=1, device="cpu", precision="fp32"
    )
    bootstrap = BootstrapSettings(replicates=100, seed=0, reference="cnn")
    about = splits["test"].description
    skipped, flat = {"7": "r7.dat: no such file"}, {"9": ["V3"]}
    page = comparison_page(table, intervals, bootstrap, about, 40, settings, ["figures/a.png"], skipped, flat)
    assert "record 7 was left out: r7.dat: no such file" in page
    assert "record 9 has a constant lead: V3" in page
    rows = difference_table(intervals, list(ARCHITECTURES)).splitlines()
    assert len(rows) == 3 and "**+" in rows[2]  # better, and surely so
    assert SYNTHETIC in page and "](figures/a.png)" in page and "one seed" in page
