import json
import multiprocessing
import os
import re
import signal
import sqlite3
import subprocess
import time

import mlflow
import pytest
from mlflow.exceptions import MlflowException

from ecg_temporal import tracking
from servers import mlflow_on_loopback


def steps(run_id):
    return [metric.step for metric in mlflow.MlflowClient().get_metric_history(run_id, "train_loss")]


@pytest.fixture
def store(tmp_path, monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path


def log(name="x-0", resume=None, epochs=(1, 2)):
    with tracking.run("synthetic", name, {"a": 1}, {"dvc.stage": "train@x-0"}, resume) as run:
        for epoch in epochs:
            run.log_epoch({"epoch": epoch, "train_loss": 1 / epoch})
            run.push()
    return run.record


def test_runs_go_to_the_main_repository_with_params_metrics_and_tags(store, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "puffy-gaol")
    run_id = log()["id"]
    assert (store / "mlflow.db").is_file()
    run = mlflow.get_run(run_id)
    assert run.info.run_name == "x-0 puffy-gaol" and run.info.status == "FINISHED"
    assert run.data.params == {"a": "1"}
    assert run.data.tags["dvc.experiment"] == "puffy-gaol"
    assert "dvc exp apply puffy-gaol" in run.data.tags["mlflow.note.content"]
    assert steps(run_id) == [1, 2]
    assert run.info.artifact_uri.startswith((store / "mlartifacts").as_uri())


def test_a_figure_is_named_after_its_fold_and_the_run_has_its_dataset(store):
    row = {"epoch": 1, "train_loss": 0.3, "validation_loss": 0.4, "macro_auprc": 0.5, "learning_rate": 0.1}
    tags = {"dataset": "PTB-XL 1.0.3", "dataset.sha256": "5" * 64}
    with tracking.run("synthetic", "x-0", {}, tags) as run:
        run.log_epoch(row | {"seconds": 2.0, "records_per_second": 9.0})
        run.push()
    found = mlflow.get_run(run.record["id"])
    assert found.data.metrics == {
        "train_loss": 0.3,
        "validation_loss": 0.4,
        "validation_macro_auprc": 0.5,
        "learning_rate": 0.1,
        "seconds": 2.0,
        "records_per_second": 9.0,
    }
    (given,) = found.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("PTB-XL-1.0.3", "5" * 36)


def test_a_run_says_whether_its_code_is_that_of_the_commit(store):
    for command in ("init -q", "-c user.name=t -c user.email=t@localhost commit -q --allow-empty -m start"):
        subprocess.run(["git", *command.split()], check=True)
    (store / "elsewhere" / "notes.txt").write_text("no code")
    assert tracking.origin()["git.dirty"] == "false"
    (store / "elsewhere" / "src").mkdir()
    (store / "elsewhere" / "src" / "new.py").write_text("")
    tags = mlflow.get_run(log()["id"]).data.tags
    assert tags["git.dirty"] == "true" and "changes in src or stages" in tags["mlflow.note.content"]


def test_a_resumed_run_is_the_same_run(store):
    record = log(epochs=[1])
    assert log(resume=record, epochs=[2])["id"] == record["id"]
    assert steps(record["id"]) == [1, 2]


def test_a_run_that_goes_on_in_another_experiment_says_so(store, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "first")
    record = log(epochs=[1])
    monkeypatch.setenv("DVC_EXP_NAME", "second")
    log(resume=record, epochs=[2])
    run = mlflow.get_run(record["id"])
    assert run.info.run_name == "x-0 second" and run.data.tags["dvc.experiment"] == "second"
    assert "dvc exp apply second" in run.data.tags["mlflow.note.content"]
    assert run.info.start_time == record["begun"]


def test_params_of_the_data_that_changed_meanwhile_do_not_end_a_resumed_run(store, capsys):
    with pytest.raises(KeyboardInterrupt), tracking.run("synthetic", "x-0", {"fetch": "fail"}, {}) as run:
        run.log_epoch({"epoch": 1, "train_loss": 1.0})
        checkpoint = json.loads(json.dumps(run.record))  # saved before the epoch is sent
        run.push()
        raise KeyboardInterrupt
    with tracking.run("synthetic", "x-0", {"fetch": "skip"}, {}, checkpoint) as run:
        run.log_epoch({"epoch": 2, "train_loss": 0.5})
        run.push()
    found = mlflow.get_run(run.record["id"])
    assert found.info.status == "FINISHED" and found.data.params == {"fetch": "fail"}
    assert steps(run.record["id"]) == [1, 2] and "does not take" not in capsys.readouterr().err


def test_killed_between_sending_an_epoch_and_noting_it_the_run_is_found_again(store):
    with pytest.raises(KeyboardInterrupt), tracking.run("synthetic", "x-0", {}, {}) as run:
        run.log_epoch({"epoch": 1, "train_loss": 1.0})
        checkpoint = json.loads(json.dumps(run.record))  # saved before the epoch is sent
        run.push()
        sent = run.record["id"]
        raise KeyboardInterrupt
    assert checkpoint["id"] is None and mlflow.get_run(sent).info.status == "KILLED"
    with tracking.run("synthetic", "x-0", {}, {}, checkpoint) as run:
        run.log_epoch({"epoch": 2, "train_loss": 0.5})
        run.push()
    assert run.record["id"] == sent and mlflow.get_run(sent).info.status == "FINISHED"
    assert steps(sent) == [1, 2]
    assert len(mlflow.search_runs(search_all_experiments=True)) == 1


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_waits_until_mlflow_has_what_it_was_told_and_twice_it_does_not(store, monkeypatch, times):
    before, done, pushed = signal.signal(signal.SIGINT, signal.default_int_handler), [], tracking.push

    def push(record):
        if record["status"] == "RUNNING":
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
        pushed(record)
        done.append(record["status"])

    monkeypatch.setattr(tracking, "push", push)
    try:
        with pytest.raises(KeyboardInterrupt), tracking.run("synthetic", "x-0", {}, {}) as run:
            run.log_epoch({"epoch": 1, "train_loss": 1.0})
            run.push()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == ["RUNNING", "KILLED"][times - 1 :]
    assert mlflow.get_run(run.record["id"]).info.status == "KILLED" and steps(run.record["id"]) == [1]


def test_ctrl_c_while_mlflow_is_away_loses_nothing(store, monkeypatch):
    def away(record):
        os.kill(os.getpid(), signal.SIGINT)
        raise ConnectionError("the server is gone")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(tracking, "push", away)
            with pytest.raises(KeyboardInterrupt), tracking.run("synthetic", "lost", {}, {}) as run:
                run.log_epoch({"epoch": 1, "train_loss": 1.0})
                run.push()
    finally:
        signal.signal(signal.SIGINT, before)
    log("next")
    (lost,) = mlflow.search_runs(
        search_all_experiments=True, filter_string="run_name = 'lost'", output_format="list"
    )
    assert lost.info.status == "KILLED" and steps(lost.info.run_id) == [1]


def test_a_run_that_the_store_no_longer_has_is_begun_anew(store):
    record = log(epochs=[1])
    (store / "mlflow.db").unlink()
    mlflow.set_tracking_uri(f"sqlite:///{store / 'other.db'}")
    again = log(resume=record, epochs=[2])
    assert again["id"] != record["id"] and steps(again["id"]) == [1, 2]


def test_a_relative_path_to_sqlite_is_one_from_the_main_repository(store, tmp_path, monkeypatch):
    (tmp_path / "copy").mkdir()
    monkeypatch.chdir(tmp_path / "copy")  # where DVC runs an experiment; DVC_ROOT is the main repository
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mine.db")
    log()
    assert (store / "mine.db").is_file() and not list((tmp_path / "copy").iterdir())
    # What is logged as a file is not to be lost with the copy either.
    location = mlflow.get_experiment_by_name("ecg-temporal-synthetic").artifact_location
    assert location.startswith((store / "mlartifacts").as_uri())


def test_a_failure_marks_the_run_as_failed(store):
    with pytest.raises(RuntimeError), tracking.run("synthetic", "x-0", {}, {}) as run:
        run.log_epoch({"epoch": 1, "train_loss": 1.0})
        raise RuntimeError
    assert mlflow.get_run(run.record["id"]).info.status == "FAILED"


def _child(root):
    os.environ["DVC_ROOT"] = root
    log()


def test_processes_that_create_the_store_at_once_do_not_damage_it(store):
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=_child, args=(str(store),)) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * 4
    tracking.configure("synthetic")
    assert len(mlflow.search_runs(search_all_experiments=True)) == 4


def test_an_experiment_that_another_training_has_just_made_is_taken(store, monkeypatch):
    made, real, asked = tracking.configure("synthetic"), mlflow.get_experiment_by_name, []
    monkeypatch.setattr(
        mlflow, "get_experiment_by_name", lambda name: real(name) if asked else asked.append(name)
    )
    assert tracking.configure("synthetic") == made


def test_what_mlflow_does_not_take_is_told_once_and_logged_by_the_next_run(store, monkeypatch, capsys):
    # Nothing listens on port 9.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert log("lost")["id"] is None
    said = capsys.readouterr().err
    assert said.count("MLflow does not take this run") == 1
    assert "secret" not in said

    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    log("next")
    found = mlflow.search_runs(search_all_experiments=True, output_format="list")
    runs = {run.info.run_name: run for run in found}
    assert runs.keys() == {"lost", "next"}
    assert runs["lost"].info.status == "FINISHED"
    assert steps(runs["lost"].info.run_id) == [1, 2]
    log("third")
    assert len(mlflow.search_runs(search_all_experiments=True)) == 3


def without_mlflow(monkeypatch, action):
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        return action()


def test_what_was_kept_of_a_run_that_went_on_since_does_not_overwrite_it(store, monkeypatch):
    record = log(epochs=[1])

    def killed():
        with pytest.raises(KeyboardInterrupt), tracking.run("synthetic", "x-0", {}, {}, record):
            raise KeyboardInterrupt

    without_mlflow(monkeypatch, killed)
    assert len(list((store / ".dvc" / "tmp" / "mlflow-not-logged").iterdir())) == 1
    log(resume=record, epochs=())  # nothing is sent before the end
    log("next")
    assert mlflow.get_run(record["id"]).info.status == "FINISHED" and steps(record["id"]) == [1]


def test_what_mlflow_refuses_of_one_kept_run_does_not_hold_up_the_others(store, monkeypatch):
    without_mlflow(monkeypatch, lambda: [log(name) for name in ("a", "b")])
    kept = sorted((store / ".dvc" / "tmp" / "mlflow-not-logged").iterdir())
    kept[0].write_text("{}")
    log("next")
    assert [path.exists() for path in kept] == [True, False]


def logged_by_the_next_run(log_next):
    """Return the epochs in MLflow of the run "lost", once a run after it has ended."""
    log_next()
    (lost,) = mlflow.search_runs(
        search_all_experiments=True, filter_string="run_name = 'lost'", output_format="list"
    )
    assert lost.info.status == "FINISHED"
    return steps(lost.info.run_id)


def test_a_server_that_dies_in_the_middle_gets_the_rest_from_the_next_run(store, monkeypatch, capsys):
    database = f"sqlite:///{store / 'server.db'}"
    with mlflow_on_loopback(store, "server", "--backend-store-uri", database, "--workers", "1") as (
        uri,
        process,
    ):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with tracking.run("synthetic", "lost", {}, {}) as run:
            run.log_epoch({"epoch": 1, "train_loss": 1.0})
            run.push()
            assert steps(run.record["id"]) == [1]
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for epoch in (2, 3):
                run.log_epoch({"epoch": epoch, "train_loss": 1.0})
                run.push()
    assert capsys.readouterr().err.count("MLflow does not take this run") == 1
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)
    assert logged_by_the_next_run(lambda: log("next")) == [1, 2, 3]


def test_a_server_that_dies_once_the_run_is_created_gets_its_params_later(store, monkeypatch):
    def die(*_, **__):
        raise ConnectionError("the server is gone")

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "log_batch", die)
        record = log("lost")
    assert record["id"] and record["logged"] == 0
    assert logged_by_the_next_run(lambda: log("next")) == [1, 2]
    assert mlflow.get_run(record["id"]).data.params == {"a": "1"}


def test_a_locked_database_gets_the_rest_from_the_next_run(store, capsys):
    log("before")
    locked = sqlite3.connect(store / "mlflow.db", isolation_level=None)
    locked.execute("BEGIN EXCLUSIVE")
    begun = time.monotonic()
    log("lost", epochs=(1, 2, 3))
    assert time.monotonic() - begun < 60
    told = re.findall(r"MLflow does not take this run \(.*", capsys.readouterr().err)
    assert len(told) == 1 and "database is locked" in told[0]
    locked.execute("ROLLBACK")
    assert logged_by_the_next_run(lambda: log("next")) == [1, 2, 3]


def test_secrets_in_a_url_are_hidden():
    assert tracking.without_secrets("at postgresql://me:pass@host/db.") == "at postgresql://***@host/db."
    assert tracking.without_secrets("at postgresql://me:p/a@s@host/db.") == "at postgresql://***@host/db."
    for url in ("'http://host/db?user=me&password=hidden'", "'http://host/db?api_token=hidden&user=me'"):
        assert tracking.without_secrets(url) == url.replace("hidden", "***")


def test_a_run_that_was_deleted_meanwhile_is_begun_again_with_its_first_start(store):
    record = log(epochs=[1])
    mlflow.delete_run(record["id"])
    before = json.loads(json.dumps(record))
    again = log(resume=record, epochs=[2])
    assert again["id"] != before["id"]
    assert mlflow.get_run(again["id"]).info.start_time == before["begun"]


def test_a_store_in_trouble_is_not_taken_for_one_without_the_run(store, monkeypatch):
    record = log(epochs=[1])

    def trouble(*_):
        raise MlflowException("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "get_run", trouble)
        log(resume=record, epochs=[2])
    log("next")
    assert len(mlflow.search_runs(search_all_experiments=True)) == 2


def test_a_dataset_that_two_trainings_name_at_once_is_named_by_both(store, monkeypatch, capsys):
    log_inputs, refused = mlflow.MlflowClient.log_inputs, []

    def second(client, *given):
        if not refused:  # what MLflow says of the later of two
            refused.append(given)
            raise MlflowException('duplicate key value violates unique constraint "dataset_pk"')
        return log_inputs(client, *given)

    monkeypatch.setattr(mlflow.MlflowClient, "log_inputs", second)
    tags = {"dataset": "PTB-XL 1.0.3", "dataset.sha256": "5" * 64}
    with tracking.run("synthetic", "x-0", {}, tags) as run:
        run.log_epoch({"epoch": 1, "train_loss": 1.0})
        run.push()
    assert refused and len(mlflow.get_run(run.record["id"]).inputs.dataset_inputs) == 1
    assert "MLflow does not take" not in capsys.readouterr().err


def test_of_an_experiment_deleted_in_mlflow_it_is_said_how_it_comes_back(store, capsys):
    log("before")
    experiment = tracking.configure("synthetic")
    mlflow.delete_experiment(experiment)
    log("lost")
    said = capsys.readouterr().err
    assert f"mlflow experiments restore -x {experiment}" in said and f"{store / 'mlflow.db'}" in said
    mlflow.MlflowClient().restore_experiment(experiment)
    assert logged_by_the_next_run(lambda: log("next")) == [1, 2]
