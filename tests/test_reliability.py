"""Faults for real: killed processes, full disks, crowds, forged files. docs/reliability.md lists them."""

import os
import platform
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_temporal.evaluation.predictions import SPLITS, Predictions, read_predictions, write_predictions
from ecg_temporal.ptbxl.download import DownloadError, parse_sums
from ecg_temporal.ptbxl.labels import LabelError, parse_codes
from ecg_temporal.ptbxl.waveforms import LEADS, RecordError, read_record
from ecg_temporal.settings import ParamsError, read_params
from ecg_temporal.store import read_split, write_split
from ecg_temporal.training import checkpoint
from ecg_temporal.training.artifacts import read_model
from project import Project
from servers import free_port, mlflow_on_loopback

KILLS = 20
EPOCHS = 5
SEEDS = list(range(100, 110))


def outputs(folder):
    """The content of everything that a seed alone determines."""
    found = {}
    for pattern in ("data/**/*.npy", "models/**/weights.pt", "models/**/history.csv", "predictions/*.npz"):
        found |= {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.glob(pattern))}
    found |= {p.name: p.read_bytes() for p in sorted((folder / "metrics").glob("*.json"))}
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("undisturbed"), epochs=EPOCHS)
    project.environment["OMP_NUM_THREADS"] = "1"
    project("dvc repro && git add -A && git commit -qm results")
    return project


OUTS = {
    "fetch": ("data/raw", 2),
    "preprocess": ("data/processed", 2),
    "train@cnn-0": ("models/cnn", 6),
    "train@cnn_bilstm-0": ("models/cnn_bilstm", 6),
    "evaluate@cnn": ("predictions/cnn.npz metrics/cnn.json", 4),
}
"""A stage → what to remove so that it runs again, and about how many seconds it takes."""

CHECKPOINTS = ".dvc/tmp/checkpoints/*.pt"

REMEDIES = {
    "dvc.lock' (is invalid|validation failed)": "git checkout -q dvc.lock",
    "Unable to read RWLock-file": "rm .dvc/tmp/rwlock",
}
"""What DVC says where a kill left half of a file that it writes in place → docs/reliability.md's remedy."""


def repro_after_a_kill(project, at_stage=None, seconds=0.0, with_signal=signal.SIGKILL):
    """Run `dvc repro` to its end, or kill it some seconds into a stage; remedy what the last kill left.

    Returns whether it was killed; it may have ended before.
    """
    targets = [at_stage] if at_stage else []
    for attempt in (1, 2):
        process = subprocess.Popen(
            ["dvc", "repro", *targets],
            cwd=project.folder,
            env=project.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        said, reached, killed = "", False, False
        for line in process.stdout:
            said += line
            if f"Running stage '{at_stage}'" in line:
                reached = True
                time.sleep(seconds)
                if process.poll() is None:
                    os.killpg(process.pid, with_signal)
                    killed = True
        if killed or process.wait() == 0:
            break
        remedies = [remedy for complaint, remedy in REMEDIES.items() if re.search(complaint, said)]
        assert attempt == 1 and remedies, said
        project(remedies[0])
    process.wait()
    assert reached == bool(targets), said
    return killed


@pytest.mark.pipeline
def test_killed_at_random_moments_it_ends_as_if_it_had_not_been(undisturbed, tmp_path):
    project = Project(tmp_path, epochs=EPOCHS)
    project.environment["OMP_NUM_THREADS"] = "1"
    project("dvc repro -q params && git add dvc.lock && git commit -qm lock")
    rng = random.Random(0)
    kills = 0
    while kills < KILLS:
        stage, (outs, seconds) = rng.choice(list(OUTS.items()))
        project(f"rm -rf .dvc/cache {outs}")
        with_signal = rng.choice([signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
        kills += repro_after_a_kill(project, stage, rng.uniform(0, seconds), with_signal)
    repro_after_a_kill(project)
    assert outputs(tmp_path) == outputs(undisturbed.folder)
    # Ours alone: DVC, too, names what it has not finished .….tmp, and does not come back for it.
    assert not list(tmp_path.glob(f"**/.*.{platform.node()}.*.tmp"))
    for run_id in project.runs().query("status == 'FINISHED'")["run_id"]:
        history = mlflow.MlflowClient().get_metric_history(run_id, "train_loss")
        assert sorted(metric.step for metric in history) == list(range(1, EPOCHS + 1))


@pytest.mark.pipeline
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_in_a_training_is_a_sentence_and_what_was_done_is_kept(tmp_path, sent):
    project = Project(tmp_path, epochs=200)
    project("dvc repro -q preprocess")
    training = subprocess.Popen(
        [sys.executable, "stages/train.py", "cnn", "0"],
        cwd=project.folder,
        env={**project.environment, "PYTHONPATH": "src", "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts what it puts into the background with Ctrl-C ignored, these tests included.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 (no threads here)
    )
    epochs = 0
    while epochs < 2 and training.poll() is None:  # MLflow has the run once the first is logged
        time.sleep(0.1)
        epochs = max((len(torch.load(p)["history"]) for p in tmp_path.glob(CHECKPOINTS)), default=0)
    training.send_signal(sent)
    said = training.communicate()[1]
    assert training.returncode == 128 + signal.SIGINT and "Traceback" not in said, said
    assert said.splitlines()[-1] == "train cnn 0: stopped; run again, it goes on from its last whole epoch"
    (checkpoint,) = tmp_path.glob(CHECKPOINTS)
    assert len(torch.load(checkpoint)["history"]) >= epochs
    assert list(project.runs()["status"]) == ["KILLED"]


@pytest.mark.pipeline
def test_params_that_change_during_a_training_are_not_recorded_as_its_own(tmp_path):
    project = Project(tmp_path, epochs=30)
    project("dvc repro -q preprocess")
    params = project.params()
    training = subprocess.Popen(
        ["dvc", "repro", "-s", "train_model@0"],
        cwd=project.folder,
        env={**project.environment, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not list(tmp_path.glob(".dvc/tmp/checkpoints/*.pt")) and training.poll() is None:
        time.sleep(0.1)
    assert training.poll() is None
    changed = {"model": params["model"] | {"hidden": 16}, "bootstrap": params["bootstrap"] | {"seed": 1}}
    project.write_params(params | changed)
    said = training.communicate()[0]
    assert training.returncode != 0 and "params.yaml has changed since this training began" in said, said
    assert not (tmp_path / "models/model/0").exists()
    project.write_params(params | {"bootstrap": changed["bootstrap"]})  # no param of a training
    project("dvc repro -q -s train_model@0")
    assert read_model(tmp_path / "models/model/0")[1].architecture.hidden == 128
    (run_id,) = project.runs().query("status == 'FINISHED'")["run_id"]
    history = mlflow.MlflowClient().get_metric_history(run_id, "train_loss")
    assert sorted(metric.step for metric in history) == list(range(1, 31))


@pytest.mark.pipeline
@pytest.mark.parametrize("name", ["dvc.lock", ".dvc/tmp/rwlock"])
def test_half_of_a_file_of_dvc_itself_has_a_remedy(undisturbed, name):
    path = undisturbed.folder / name
    path.write_text((path.read_text() * 3)[:40])
    said = undisturbed("dvc repro", ok=False)
    undisturbed(next(remedy for complaint, remedy in REMEDIES.items() if re.search(complaint, said)))
    assert undisturbed.ran("dvc repro") == []
    assert undisturbed("git status --porcelain") == ""


@pytest.mark.pipeline
def test_two_repros_at_once_both_succeed_or_one_says_that_the_other_runs(undisturbed, tmp_path):
    project = Project(tmp_path)
    both = [
        subprocess.Popen(
            ["dvc", "repro", "evaluate@cnn"],
            cwd=tmp_path,
            env=project.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate()[0] for process in both]
    for process, text in zip(both, said, strict=True):
        assert process.returncode == 0 or re.search(
            "Unable to acquire lock|is busy, it is being blocked", text
        ), text
    assert any(process.returncode == 0 for process in both), said
    project("dvc repro evaluate@cnn")
    assert project.ran("dvc repro evaluate@cnn") == []


def train_at_once(project, seeds, **environment):
    """Run a training of each seed at once, and return what they print."""
    crowd = [
        subprocess.Popen(
            [sys.executable, "stages/train.py", "cnn", str(seed)],
            cwd=project.folder,
            env={**project.environment, "PYTHONPATH": "src", **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in seeds
    ]
    said = [process.communicate()[1] for process in crowd]
    assert [process.returncode for process in crowd] == [0] * len(crowd), said
    return said


def refusals(said):
    return [line for text in said for line in text.splitlines() if "MLflow does not take" in line]


@pytest.mark.pipeline
def test_ten_trainings_at_once_share_a_new_store(undisturbed):
    folder = undisturbed.folder
    (folder / "mlflow.db").rename(folder / "before.db")
    assert refusals(train_at_once(undisturbed, SEEDS)) == []
    runs = undisturbed.runs()
    assert sorted(map(int, runs["params.seed"])) == SEEDS
    assert set(runs["status"]) == {"FINISHED"}


@pytest.mark.pipeline
def test_of_the_same_training_twice_at_once_the_second_waits_and_each_has_its_run(undisturbed):
    said = train_at_once(undisturbed, [200, 200])
    assert sum("Another process is training the same" in text for text in said) == 1, said
    runs = undisturbed.runs().query("`params.seed` == '200'")
    assert list(runs["status"]) == ["FINISHED", "FINISHED"]
    for run_id in runs["run_id"]:
        history = mlflow.MlflowClient().get_metric_history(run_id, "train_loss")
        assert sorted(metric.step for metric in history) == list(range(1, EPOCHS + 1))


@pytest.fixture
def postgresql():
    """The URL of a new database on loopback; the server ends with the test."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("NO POSTGRESQL: install Debian's package postgresql to run this test")
    programs, port = found[-1].parent, free_port()
    # The server refuses to run as root, and another user has no access to pytest's own folders.
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as folder:
        if user:
            shutil.chown(folder, "postgres")
        data = Path(folder) / "db"
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
        steps = (
            [programs / "initdb", "-D", data, "-A", "trust", "-U", "mlflow"],
            [programs / "pg_ctl", "-D", data, "-o", options, "-l", f"{folder}/log", "-w", "start"],
            [programs / "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "mlflow", "mlflow"],
        )
        for step in steps:
            subprocess.run([*user, *step], check=True, capture_output=True, cwd=folder)
        yield f"postgresql://mlflow@127.0.0.1:{port}/mlflow"
        stop = [programs / "pg_ctl", "-D", data, "-m", "immediate", "stop"]
        subprocess.run([*user, *stop], check=True, capture_output=True, cwd=folder)


@pytest.mark.pipeline
def test_ten_trainings_at_once_log_to_a_server_on_postgresql(undisturbed, postgresql, tmp_path):
    command = ["server", "--backend-store-uri", postgresql, "--artifacts-destination", str(tmp_path)]
    with mlflow_on_loopback(tmp_path, *command, "--workers", "1", **undisturbed.environment) as (uri, _):
        said = train_at_once(undisturbed, SEEDS, MLFLOW_TRACKING_URI=uri, MLFLOW_HTTP_REQUEST_TIMEOUT="600")
        assert refusals(said) == []
        mlflow.set_tracking_uri(uri)
        runs = mlflow.search_runs(search_all_experiments=True)
        assert sorted(map(int, runs["params.seed"])) == SEEDS
        assert set(runs["status"]) == {"FINISHED"}
        for run_id in runs["run_id"]:
            history = mlflow.MlflowClient().get_metric_history(run_id, "train_loss")
            assert sorted(metric.step for metric in history) == list(range(1, EPOCHS + 1))


@pytest.mark.pipeline
@pytest.mark.parametrize("stage", ["fetch", "preprocess", "train", "evaluate"])
def test_a_full_disk_is_an_error_and_what_was_there_stays(undisturbed, stage):
    before = outputs(undisturbed.folder)
    arguments = {"train": ["cnn", "0"], "evaluate": ["cnn"]}.get(stage, [])
    done = subprocess.run(
        [sys.executable, f"stages/{stage}.py", *arguments],
        cwd=undisturbed.folder,
        env={**undisturbed.environment, "PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        check=False,
        # A file may not grow beyond 5 kB: the nearest thing to a full disk that needs no rights.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)),
    )
    assert done.returncode == 1, (done.returncode, done.stderr)
    # MLflow's database does not grow either, and MLflow logs that at length; the last line is ours.
    assert stage == "train" or "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert re.match(
        rf"{stage}\b.*could not be written, what was there before is kept \(.*\): free some space", last
    )
    assert re.search(r"File too large|requested and \d+ written", last), last
    assert outputs(undisturbed.folder) == before
    assert not list(undisturbed.folder.glob("**/.*.tmp"))


class Evil:
    """What runs when a pickle is trusted."""

    def __reduce__(self):
        return (Path.touch, (Path("was_here"),))


def test_no_pickle_of_a_stranger_is_run(trained, splits):
    """In each a whole file but for the pickle: what refuses it is nothing but the pickle."""
    evil = np.array([Evil()], object)
    weights = trained / "models/cnn_gru/0/weights.pt"
    assert read_model(weights.parent)
    torch.save({"x": Evil()}, weights)
    with pytest.raises(ValueError, match="damaged.*Weights only load failed"):
        checkpoint.load(weights)
    with pytest.raises(ValueError, match="not a trained model.*Weights only load failed"):
        read_model(weights.parent)

    logits = {split: np.zeros((1, 2, 3), np.float32) for split in SPLITS}
    ids = {split: np.arange(2) for split in SPLITS}
    write_predictions(trained / "p.npz", Predictions([7], logits, ids, parameters=1))
    with np.load(trained / "p.npz") as found:
        arrays = dict(found)
    np.savez(trained / "p.npz", **arrays)
    assert read_predictions(trained / "p.npz", [7], {})
    np.savez(trained / "p.npz", **arrays | {"test": evil})
    with pytest.raises(ValueError, match=r"not a file of predictions.*allow_pickle=False"):
        read_predictions(trained / "p.npz", [7], {})

    (trained / "split").mkdir()
    write_split(trained / "split", splits["test"])
    assert read_split(trained / "split")
    np.save(trained / "split/labels.npy", evil)
    with pytest.raises(ValueError, match=r"not a processed split.*allow_pickle=False"):
        read_split(trained / "split")
    assert not (trained / "was_here").exists()


TEXT = st.text() | st.text("{}[]():'\",.0123456789eE+-NORM_ \n\t&*!|>%@`#?").map(lambda s: s[:200])


@settings(max_examples=3000)
@given(TEXT)
def test_any_cell_of_the_table_is_parsed_or_refused(text):
    try:
        parse_codes(text)
    except LabelError:
        pass


@settings(max_examples=3000)
@given(TEXT)
def test_any_list_of_checksums_is_parsed_or_refused(text):
    try:
        parse_sums(text)
    except DownloadError:
        pass


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@settings(max_examples=2500)
@given(TEXT | st.binary(max_size=200))
def test_any_params_file_is_read_or_refused(scratch, content):
    path = scratch / "params.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))
    try:
        read_params(path)
    except ParamsError:
        pass


HEADER = "r 12 100 1000\n" + "".join(f"r.dat 16 1000.0(0)/mV 16 0 0 0 0 {lead}\n" for lead in LEADS)


@settings(max_examples=2500)
@given(
    st.integers(0, len(HEADER) - 1),
    st.text("0123456789 .-/()mVr:x\n", max_size=12),
    st.integers(0, 6),
    st.integers(0, 30_000),
)
def test_any_header_and_any_file_are_read_or_refused(scratch, place, inserted, removed, size):
    (scratch / "r.hea").write_text(HEADER[:place] + inserted + HEADER[place + removed :])
    (scratch / "r.dat").write_bytes(bytes(size))
    try:
        signal = read_record(scratch / "r")
    except RecordError as error:
        assert str(scratch / "r") in str(error)
    else:
        assert signal.shape == (12, 1000)
