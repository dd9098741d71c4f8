import json
from pathlib import Path
from shutil import copy, copytree

import pytest
import yaml

from closure import ROOT
from defaults import FP32
from ecg_temporal import cli
from ecg_temporal.inference.predictor import load_predictor
from ecg_temporal.inference.provenance import refuse_other_results, trained_on
from ecg_temporal.lock import read_stages
from locked import lock_as_it_lies


def load():
    return load_predictor("cnn_gru", "half", FP32)


def test_rules_that_were_learned_with_other_weights_are_refused(trained):
    load()  # what DVC did not make is taken as it is
    lock_as_it_lies(trained, "cnn_gru", "ptbxl")
    load()
    weights = trained / "models/cnn_gru/0/weights.pt"
    before = weights.read_bytes()
    weights.write_bytes((trained / "models/cnn_gru/1/weights.pt").read_bytes())  # trained anew, not evaluated
    with pytest.raises(
        ValueError, match="models/cnn_gru has other weights than .*`dvc repro evaluate@cnn_gru`"
    ):
        load()
    with pytest.raises(SystemExit, match="has other weights"):
        cli.main(["export", "m.onnx", "--model", "cnn_gru"])
    weights.write_bytes(before)
    left = trained / "models/cnn_gru/.0.host.1.tmp/weights.pt"  # by a killed writer
    left.parent.mkdir()
    left.write_text("half")
    load()
    rules = trained / "decisions/cnn_gru.json"
    rules.write_text(rules.read_text() + " ")
    with pytest.raises(ValueError, match="decisions/cnn_gru.json is not what dvc.lock has"):
        load()


def test_rules_from_other_predictions_than_those_of_the_weights_are_refused(trained):
    lock_as_it_lies(trained, "cnn_gru", "ptbxl")
    lock = trained / "dvc.lock"
    found = yaml.safe_load(lock.read_text())
    found["stages"]["predict@cnn_gru"]["outs"][0]["md5"] = "1" * 32  # predicted anew, not evaluated
    lock.write_text(yaml.safe_dump(found))
    with pytest.raises(ValueError, match="has other weights"):
        load()
    lock.write_text("stages: [")
    with pytest.raises(ValueError, match="dvc.lock is damaged"):
        load()


def test_a_report_of_other_figures_than_the_metrics_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    metrics = Path(copytree(ROOT / "metrics", tmp_path / "metrics"))
    table = Path(copy(ROOT / "reports/tables/comparison.csv", tmp_path))
    refuse_other_results(table)
    figures = json.loads((metrics / "cnn_gru.json").read_text())
    for name in (
        "model",
        "of_an_experiment",
    ):  # the candidate changes no verdict, nor does what is not compared
        (metrics / f"{name}.json").write_text(json.dumps({**figures, "macro_auprc": 0.9}))
    (metrics / "cnn_lstm.json").unlink()
    refuse_other_results(table)
    (metrics / "cnn_gru.json").write_text(
        json.dumps({**figures, "macro_auprc": figures["macro_auprc"] + 1e-4})
    )
    with pytest.raises(
        ValueError, match="metrics/cnn_gru.json has macro_auprc .* of other results; `dvc repro`"
    ):
        refuse_other_results(table)
    for text in ("[]", "{", "{}"):
        (metrics / "cnn_gru.json").write_text(text)
        with pytest.raises(ValueError, match="is damaged"):
            refuse_other_results(table)


def test_what_was_trained_on_synthetic_ecgs_says_so_whatever_params_say_now(trained, capsys):
    arguments = ["export", "m.onnx", "--model", "cnn_gru"]
    cli.main(arguments)
    assert "synthetic" not in capsys.readouterr().err
    lock_as_it_lies(trained, "cnn_gru", "synthetic")
    cli.main(arguments)
    assert "cnn_gru was trained on synthetic ECGs" in capsys.readouterr().err


def test_numbers_of_a_lock_are_those_of_params(tmp_path):
    (tmp_path / "dvc.lock").write_text("stages: {a: {rate: 4e-3, name: 1:30, yes: yes}}")
    assert read_stages(tmp_path / "dvc.lock") == {"a": {"rate": 0.004, "name": "1:30", "yes": "yes"}}


def test_a_lock_that_is_cut_off_anywhere_is_a_sentence(trained):
    lock_as_it_lies(trained, "cnn_gru", "ptbxl")
    lock = trained / "dvc.lock"
    lines = lock.read_text().splitlines()
    refusals = []
    for kept in range(len(lines)):
        lock.write_text("\n".join(lines[:kept]))
        try:
            load()
            trained_on("cnn_gru")
        except ValueError as refused:
            assert "`git checkout dvc.lock`" in str(refused) or "`dvc repro" in str(refused), kept
            refusals.append(str(refused))
    assert sum("dvc.lock is cut off" in refused for refused in refusals) > 5, refusals


@pytest.mark.parametrize("text", ["schema: '2.0'\n", "[1]"])
def test_a_lock_without_stages_is_refused(tmp_path, text):
    (tmp_path / "dvc.lock").write_text(text)
    with pytest.raises(ValueError, match="dvc.lock has no stages"):
        read_stages(tmp_path / "dvc.lock")
