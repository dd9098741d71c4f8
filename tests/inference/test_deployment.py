import ast
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from shutil import copytree

import mlflow
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from filelock import FileLock, Timeout
from sqlalchemy.exc import OperationalError

from closure import ROOT, import_closure
from defaults import FP32
from ecg_temporal import cli
from ecg_temporal.comparison.verdict import Verdict, write_verdict
from ecg_temporal.inference import registry, serving
from ecg_temporal.inference.predictor import load_predictor
from ecg_temporal.inference.registry import register
from ecg_temporal.workspace import scratch
from locked import lock_as_it_lies
from servers import mlflow_on_loopback


@pytest.fixture
def store(trained, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(trained))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "start"]):
        subprocess.run(["git", *command], check=True)
    return trained


def report(folder, best, least, *difference):
    tables = folder / "reports" / "tables"
    tables.mkdir(parents=True)
    write_verdict(tables / "verdict.json", Verdict("macro_auprc", best, least, *difference))
    (tables / "comparison.csv").write_text(f"name,macro_auprc\n{best},0.5\n{least},0.5\n")


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_onnx_file_equals_pytorch_for_any_batch_and_length(trained, rng):
    cli.main(["export", "m.onnx", "--model", "cnn_gru"])
    predictor = load_predictor("cnn_gru", "platt+likeliest", FP32)
    session = onnxruntime.InferenceSession(trained / "m.onnx")
    for batch, samples in ((1, 500), (5, 333), (2, 1000)):
        signals = rng.normal(0, 300, (batch, 12, samples)).astype(np.float32)
        logits, probabilities = session.run(None, {"signals": signals})
        with torch.inference_mode():
            expected = (
                torch.stack([m(torch.from_numpy(signals)) for m in predictor.models]).mean(dim=0).numpy()
            )
        np.testing.assert_allclose(logits, expected, atol=1e-4)
        np.testing.assert_allclose(probabilities, predictor.rule.probabilities(expected), atol=1e-4)
    about = {each.key: each.value for each in onnx.load(trained / "m.onnx").metadata_props}
    assert json.loads(about["classes"]) == predictor.spec.classes and about["samples"] == "500"
    assert json.loads(about["leads"]) == predictor.spec.leads
    assert (about["sampling_rate_hz"], about["unit"]) == ("100", "uV")
    assert json.loads(about["rule"]) == json.loads(json.dumps(predictor.rule.fields()))
    for name in ("mean", "scale"):
        assert json.loads(about[name]) == getattr(predictor.models[0], name)[:, 0].tolist()


@pytest.mark.pipeline
def test_a_registered_model_is_served_on_loopback_and_refuses_a_wrong_shape(store, splits, monkeypatch):
    uri = register("cnn_gru", "platt+likeliest", "winner")
    assert uri == "models:/ecg-temporal-ptbxl@winner"
    assert register("cnn_gru", "platt+likeliest", "winner") == uri  # and nothing new
    assert len(mlflow.search_model_versions()) == 1
    weights = store / "models" / "cnn_gru" / "0" / "weights.pt"
    before, other = weights.read_bytes(), store / "models" / "cnn_gru" / "1" / "weights.pt"
    weights.write_bytes(other.read_bytes())  # trained anew at the same commit
    register("cnn_gru", "platt+likeliest", "winner")
    assert len(mlflow.search_model_versions()) == 2
    weights.write_bytes(before)
    assert register("cnn_gru", "platt+likeliest", "winner") == uri
    assert register("cnn_gru", "platt+likeliest", "best") == "models:/ecg-temporal-ptbxl@best"
    assert len(mlflow.search_model_versions()) == 2
    changed = Path(copytree(registry.PACKAGE, store / "ecg_temporal"))
    (changed / "inference" / "serving.py").write_text(Path(serving.__file__).read_text() + "\n# mended\n")
    with monkeypatch.context() as patch:
        patch.setattr(registry, "PACKAGE", changed)
        register("cnn_gru", "platt+likeliest", "mended")
    assert len(mlflow.search_model_versions()) == 3
    aliased = [
        mlflow.MlflowClient().get_model_version_by_alias("ecg-temporal-ptbxl", a) for a in ("winner", "best")
    ]
    assert [int(each.version) for each in aliased] == [1, 1]
    found = mlflow.MlflowClient().get_model_version_by_alias("ecg-temporal-ptbxl", "winner")
    assert found.tags["architecture"] == "cnn_gru" and "git.commit" in found.tags
    # params.yaml is in no commit here.
    assert found.tags["git.dirty"] == "true" and "that no commit has" in found.description
    assert found.tags["dataset"] == "ptbxl" and "dataset: ptbxl" in found.description  # by params.yaml
    required = Path(mlflow.pyfunc.get_model_dependencies(uri)).read_text()
    assert re.search(r"^torch==[\d.]+$", required, re.MULTILINE)  # a version that PyPI has
    signals = splits["test"].signals[:2].astype(np.float32)
    expected, _ = load_predictor("cnn_gru", "platt+likeliest", FP32).predict(signals)

    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{store / 'mlflow.db'}"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    environment.pop("PYTHONPATH", None)
    serve = ("models", "serve", "-m", uri, "--env-manager", "local")
    with mlflow_on_loopback(store, *serve, **environment) as (address, _):
        url = f"{address}/invocations"
        status, answer = post(url, {"inputs": signals.tolist()})
        assert status == 200, answer
        np.testing.assert_allclose(answer["predictions"], expected, atol=1e-4)
        status, answer = post(url, {"inputs": signals[:, :11].tolist()})
        assert 400 <= status < 500 and "shape" in answer, (status, answer)
        for wrong in (np.where(signals > 0, 1e9, 0), np.full_like(signals, np.nan), signals[:, :, :99]):
            status, answer = post(url, {"inputs": wrong.tolist()})
            assert status == 400 and re.search("is missing or beyond|at least 100", answer), (status, answer)
        for wrong in (signals / 1000, 0 * signals):  # millivolts, nothing
            status, answer = post(url, {"inputs": wrong.tolist()})
            assert status == 400 and "is the unit right?" in answer, (status, answer)
        status, answer = post(url, {"signals": 1})
        assert 400 <= status < 500, (status, answer)


def test_where_the_winner_alone_is_at_hand_it_is_registered(store, capsys, recwarn):
    report(store, "cnn_wide", "cnn_gru", -0.01, -0.02, 0.01)
    cli.main(["register", "--rule", "half"])
    said = capsys.readouterr()
    assert said.out == "models:/ecg-temporal-ptbxl@winner: cnn_gru, half\n"
    assert "best is not registered: models/cnn_wide: no trained model" in said.err
    assert "is no more" not in said.err
    assert not [each for each in recwarn if "type hint" in str(each.message).lower()]
    # Everything is committed now, and another model was the best before.
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    (store / "models/cnn_gru/0/weights.pt").write_bytes((store / "models/cnn_gru/1/weights.pt").read_bytes())
    lock_as_it_lies(store, "cnn_gru", "synthetic")
    for command in (["add", "params.yaml", "dvc.lock"], [*who, "commit", "-qm", "params"]):
        subprocess.run(["git", *command], check=True)
    register("cnn_gru", "half", "best")
    client = mlflow.MlflowClient()
    best = client.get_model_version_by_alias("ecg-temporal-synthetic", "best")
    again = f"git checkout {best.tags['git.commit']} && dvc repro evaluate@cnn_gru"
    assert best.tags["git.dirty"] == "false" and again in best.description
    assert best.tags["dataset"] == "synthetic"  # of dvc.lock, whatever params.yaml says now
    cli.main(["register", "--rule", "half"])
    said = capsys.readouterr()
    assert "models:/ecg-temporal-synthetic@best was another model's, and is no more" in said.err
    with pytest.raises(mlflow.MlflowException):
        client.get_model_version_by_alias("ecg-temporal-synthetic", "best")
    # What was trained on synthetic ECGs has not taken the place of what was trained on real ones.
    served = client.get_model_version_by_alias("ecg-temporal-ptbxl", "winner")
    assert "ecg-temporal-synthetic@winner" in said.out and served.tags["dataset"] == "ptbxl"


def test_one_architecture_is_registered_with_its_figures_and_the_runs_of_its_trainings(store, capsys):
    figures = {"macro_auprc": 0.4, "ensemble_macro_auprc": 0.5, "ensemble_micro_f1": 0.6}
    figures["ensemble_macro_auprc_common"] = None  # no class has ten positives
    (store / "metrics").mkdir()
    (store / "metrics/cnn_gru.json").write_text(json.dumps(figures))
    of_seed = store / "models/cnn_gru/0/run.json"
    of_seed.write_text(json.dumps({**json.loads(of_seed.read_text()), "mlflow_run_id": "5f"}))
    lock_as_it_lies(store, "cnn_gru", "ptbxl")
    cli.main(["register", "--model", "cnn_gru", "--rule", "half"])  # there is no report
    assert capsys.readouterr().out == "models:/ecg-temporal-ptbxl@cnn_gru: cnn_gru, half\n"
    client = mlflow.MlflowClient()
    version = client.get_model_version_by_alias("ecg-temporal-ptbxl", "cnn_gru")
    assert version.tags["training.runs"] == "5f"
    assert client.get_run(version.run_id).data.metrics == {"ensemble_macro_auprc": 0.5}
    (store / "metrics/cnn_gru.json").write_text(json.dumps({**figures, "ensemble_macro_auprc": 0.9}))
    cli.main(["register", "--model", "cnn_gru", "--rule", "platt"])  # of figures that are not the lock's none
    version = client.get_model_version_by_alias("ecg-temporal-ptbxl", "cnn_gru")
    assert client.get_run(version.run_id).data.metrics == {}
    for wrong, why in (
        ("cnn_lstm", "models/cnn_lstm: no trained model"),
        ("best", "--model best: "),
        ("v1", "--model v1: "),
    ):
        with pytest.raises(SystemExit, match=why):
            cli.main(["register", "--model", wrong])


def test_a_store_that_does_not_answer_is_a_sentence_without_the_password(store, monkeypatch):
    report(store, "cnn_gru", "cnn_gru", 0.0, 0.0, 0.0)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")  # nothing listens there
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(SystemExit) as refused:
        cli.main(["register"])
    assert "127.0.0.1:9" in str(refused.value) and "secret" not in str(refused.value)
    assert str(refused.value).startswith("ecg-temporal register: MLflow: ")


def test_a_database_that_is_away_is_a_sentence_too(store, monkeypatch):
    report(store, "cnn_gru", "cnn_gru", 0.0, 0.0, 0.0)

    def away(*_):
        with pytest.raises(Timeout):  # no other registers meanwhile
            FileLock(scratch("register.lock")).acquire(timeout=0)
        raise OperationalError(
            "SELECT 1", {}, Exception("could not connect to postgresql://me:secret@host/x")
        )

    monkeypatch.setattr("ecg_temporal.commands.register.register", away)
    with pytest.raises(SystemExit, match="ecg-temporal register: MLflow: .*could not connect") as refused:
        cli.main(["register"])
    assert "secret" not in str(refused.value)


def test_a_served_model_requires_what_its_code_imports():
    found = set()
    for name in import_closure(registry.PACKAGE / "inference" / "serving.py"):
        for node in ast.walk(ast.parse((ROOT / name).read_text())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            found |= {each.split(".")[0] for each in names}
    found -= {*sys.stdlib_module_names, "ecg_temporal"}
    assert {"pyyaml" if name == "yaml" else name for name in found} == set(registry.REQUIREMENTS)


def test_other_rules_are_another_version_and_what_no_commit_has_is_dirty(store):
    register("cnn_gru", "half", "winner")
    rules = store / "decisions/cnn_gru.json"
    rules.write_text(rules.read_text().replace("0.2", "0.3"))
    register("cnn_gru", "half", "winner")
    assert len(mlflow.search_model_versions()) == 2
    rules.write_text(rules.read_text().replace("0.3", "0.4"))
    lock_as_it_lies(store, "cnn_gru", "ptbxl")  # evaluated, in no commit
    register("cnn_gru", "half", "winner")
    served = mlflow.MlflowClient().get_model_version_by_alias("ecg-temporal-ptbxl", "winner")
    assert served.tags["git.dirty"] == "true"
    assert len(mlflow.search_model_versions()) == 3
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["add", "params.yaml", "dvc.lock"], [*who, "commit", "-qm", "results"]):
        subprocess.run(["git", *command], check=True)
    register("cnn_gru", "half", "winner")  # the same version, whose results have a commit now
    told = mlflow.MlflowClient().get_model_version_by_alias("ecg-temporal-ptbxl", "winner")
    assert told.version == served.version and told.tags["git.dirty"] == "false"
    again = f"git checkout {told.tags['git.commit']} && dvc repro evaluate@cnn_gru"
    assert again in told.description and told.tags["git.commit"] != served.tags["git.commit"]
