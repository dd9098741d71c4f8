import copy
import hashlib
import json
import re
import subprocess
import sys

import pytest
import torch
import yaml

from closure import ROOT
from ecg_temporal.models.trunk import Trunk
from ecg_temporal.params import check
from ecg_temporal.ptbxl.settings import dataset_of
from ecg_temporal.settings import ParamsError, read_params

COMMITTED = read_params(ROOT / "params.yaml")


def changed(key, value):
    params = copy.deepcopy(COMMITTED)
    *parents, last = key.split("/")
    place = params
    for part in parents:
        place = place[part]
    place[last] = value
    return params


def test_the_committed_params_are_valid_and_the_real_comparison():
    params = check(COMMITTED)
    assert params.dataset == "ptbxl"
    assert {a.rnn for a in params.architectures.values()} >= {"none", "lstm", "gru", "bilstm", "bigru"}
    assert {a.layers for a in params.architectures.values() if a.rnn == "bilstm"} == {1, 2, 3}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model/rnn", "grru", "model.rnn = 'grru': must be none, one of lstm, gru, bilstm, bigru"),
        ("model/rnn", "lstm+", "model.rnn"),
        ("model/rnn", 3, "model.rnn = 3"),
        ("model/layers", 0, "model.layers = 0: .*greater than or equal to 1"),
        ("model/learning_rate", -0.1, "model.learning_rate = -0.1: .*greater than 0"),
        ("model/depth", 2, "model.depth is not a known key"),
        ("train/epochs", 0, "train.epochs = 0"),
        ("train/seeds", [], "train.seeds = .*at least 1"),
        ("train/seeds", [1, 1], "train.seeds = .*repeat"),
        ("train/seeds", [-1], "train.seeds.0 = -1"),
        ("train/device", "tpu", "train.device = 'tpu': must be 'auto', 'cpu' or 'cuda'"),
        ("trunk/kernel_size", 4, "trunk.kernel_size = 4: must be odd"),
        ("trunk/channels", [], "trunk.channels"),
        ("trunk/channels", [8] * 8, "trunk.kernel_size = 5: must be 2 or less"),
        ("trunk/kernel_size", 65, "trunk.kernel_size = 65: must be 63 or less"),
        ("train/crop_seconds", 11, "train.crop_seconds = 11"),
        ("decision/rule", "best", "decision.rule = 'best': must be 'half', 'platt'"),
        ("probes/seconds", [], "probes.seconds"),
        ("probes/seconds", [1, 10], "probes.seconds.1 = 10: must be less than 10"),
        ("probes/seconds", [5, 2.5], r"probes.seconds = \[5.*increasing order"),
        ("probes/seconds", [5, 5], r"probes.seconds = \[5.*none twice"),
        ("trunk/dropout", 1.0, "trunk.dropout = 1.0"),
        ("dataset", "mitbih", "dataset = 'mitbih': must be 'ptbxl', 'own' or 'synthetic'"),
        ("labels/min_likelihood", 101, "labels.min_likelihood = 101"),
        ("architectures", {}, "architectures"),
        ("architectures/a b", {"rnn": "gru", "learning_rate": 0.1}, "architectures.a b.*must be a small"),
        ("architectures/" + 65 * "a", {"rnn": "gru", "learning_rate": 0.1}, "must be a small letter, and"),
        ("architectures/a\\b", {"rnn": "gru", "learning_rate": 0.1}, "architectures"),
        ("architectures/model", {"rnn": "gru", "learning_rate": 0.1}, "yaml: architectures.model: this name"),
        ("architectures/new", {"rnn": "gru"}, "architectures.new.learning_rate is missing"),
        ("bootstrap/reference", "cnm", "yaml: bootstrap.reference = 'cnm': must be one of cnn, "),
        ("bootstrap/replicates", 10, "bootstrap.replicates = 10"),
        ("bootstrap/replicates", 479, "bootstrap.replicates = 479: must be 480 or more: .* among 12"),
        ("bootstrap/replicates", 20_001, "bootstrap.replicates = 20001"),
        ("report", {}, "report is not a known key"),
    ],
)
def test_what_cannot_work_is_refused_with_key_value_and_what_is_allowed(key, value, message):
    with pytest.raises(ParamsError, match=message):
        check(changed(key, value))


def test_a_stem_longer_than_a_piece_is_refused():
    params = changed("train/crop_seconds", 1)
    params["trunk"]["stem_kernel_size"] = 101
    with pytest.raises(ParamsError, match=r"trunk\.stem_kernel_size = 101: must be 100 or less"):
        check(params)


def test_the_shortest_piece_is_that_of_two_frames_and_kernels_are_no_longer_than_the_last_of_them():
    params = changed("train/crop_seconds", 0.5)
    params["trunk"] |= {"channels": [8] * 5, "kernel_size": 1}
    trunk = check(params).trunk
    assert Trunk(12, trunk)(torch.zeros(1, 12, 50)).shape[2] == 2
    params["trunk"]["channels"] = [8] * 6
    with pytest.raises(
        ParamsError, match=r"trunk.channels has 6 entries, too many for .* two frames at least"
    ):
        check(params)


@pytest.mark.parametrize("name", ["model", "nothing", "subclass"])
def test_an_architecture_name_that_the_report_has_another_use_for_is_refused(name):
    params = copy.deepcopy(COMMITTED)
    params["architectures"][name] = params["architectures"]["cnn"]
    with pytest.raises(ParamsError, match=f"architectures.{name}: this name is .*; choose another"):
        check(params)


def test_an_architecture_name_with_a_slash_is_refused():
    params = copy.deepcopy(COMMITTED)
    params["architectures"]["../x"] = params["architectures"]["cnn"]
    with pytest.raises(ParamsError, match=r"architectures\.\.\./x"):
        check(params)


def run_stage(folder, script, *arguments, options=(), **environment):
    return subprocess.run(
        [sys.executable, *options, ROOT / "stages" / script, *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT / "src"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_stage_refuses_in_a_moment(tmp_path):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(changed("model/rnn", "grru")))
    done = run_stage(tmp_path, "check_params.py", options=["-X", "importtime"])
    assert done.returncode == 1
    assert "model.rnn = 'grru': must be none, one of lstm, gru, bilstm, bigru" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()
    assert "| torch" not in done.stderr.replace("  ", "")  # it takes longer to import than all the rest


@pytest.mark.parametrize("stage", ["predict", "probe"])
def test_models_of_seeds_that_params_do_not_name_are_refused_before_dvc_has_them(tmp_path, stage):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(changed("train/seeds", [0, 2])))
    for name in ("cnn/0", "cnn/1", "cnn/.2.host.7.tmp", "cnn/13", "gone/1"):
        (tmp_path / "models" / name).mkdir(parents=True)
    done = run_stage(tmp_path, f"{stage}.py", "cnn")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "models/cnn/1, models/cnn/13: of what params.yaml does not name." in done.stderr


def test_predictions_of_architectures_that_params_do_not_name_are_refused_before_dvc_has_them(tmp_path):
    params = changed("architectures", {"cnn": COMMITTED["architectures"]["cnn"]})
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    (tmp_path / "predictions").mkdir()
    for name in ("cnn.npz", "model.npz", "gone.npz", ".cnn.npz.host.7.tmp"):
        (tmp_path / "predictions" / name).touch()
    done = run_stage(tmp_path, "report.py")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "report: predictions/gone.npz: of what params.yaml does not name." in done.stderr


@pytest.mark.parametrize("left", ["models/cnn/5", "models/model/5", "predictions/gone.npz", "probes/gone"])
def test_what_is_left_over_is_refused_before_anything_runs(tmp_path, left):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(COMMITTED))
    for path in ("models/cnn/0", "models/gone/5", "predictions/cnn.npz", "probes/model"):
        (tmp_path / path).mkdir(parents=True)

    def refused():
        done = run_stage(tmp_path, "check_params.py")
        return done.stderr if done.returncode else ""

    assert refused() == ""
    (tmp_path / left).mkdir(parents=True)
    assert refused().startswith(f"{left}: of what params.yaml does not name.")


def test_records_that_were_read_with_another_table_of_labels_are_refused(tmp_path):
    """DVC takes an earlier reading from its cache: it compares neither OWN_DIR nor labels.csv."""
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(changed("dataset", "own")))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/labels.csv").write_bytes(b"record,labels\na,AF\n")
    manifest = tmp_path / "data/raw/manifest.json"
    manifest.parent.mkdir(parents=True)

    def check_with(digest, **environment):
        manifest.write_text(json.dumps({"sources": {"labels.csv": f"SHA-256 {digest}"}}))
        return run_stage(tmp_path, "check_params.py", **environment)

    digest = hashlib.sha256(b"record,labels\na,AF\n").hexdigest()
    assert check_with(digest, OWN_DIR="mine").returncode == 0
    assert check_with("0" * 64).returncode == 0  # where the records lie is not known
    done = check_with("0" * 64, OWN_DIR="mine")
    assert done.returncode == 1
    assert re.match("data/raw was made from another labels.csv than .*/mine/labels.csv: `dvc", done.stderr)


@pytest.mark.parametrize("params", [{}, {"dataset": None}, {"dataset": "Own"}])
def test_a_dataset_that_is_not_known_is_refused_where_no_stage_did(params):
    with pytest.raises(ParamsError, match="dataset = .* must be one of ptbxl, own, synthetic"):
        dataset_of(params)
    assert dataset_of({"dataset": "own"}) == "own"
