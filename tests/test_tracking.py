import multiprocessing
import os

import mlflow
import pytest

from ecg_temporal import tracking


@pytest.fixture
def store(tmp_path, monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path


def log(name, resume=None, epochs=(1, 2)):
    with tracking.run("synthetic", name, {"a": 1}, {"dvc.stage": "train@x-0"}, resume) as run:
        for epoch in epochs:
            run.log_epoch({"epoch": epoch, "loss": 1 / epoch})
        run.log_summary({"best": 2.0})
    return run.run_id


def test_runs_go_to_the_main_repository_with_params_metrics_and_tags(store, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "puffy-gaol")
    run_id = log("x-0")
    assert (store / "mlflow.db").is_file()
    run = mlflow.get_run(run_id)
    assert run.info.run_name == "x-0 puffy-gaol" and run.info.status == "FINISHED"
    assert run.data.params == {"a": "1"}
    assert run.data.tags["dvc.experiment"] == "puffy-gaol"
    assert "dvc exp apply puffy-gaol" in run.data.tags["mlflow.note.content"]
    steps = [m.step for m in mlflow.MlflowClient().get_metric_history(run_id, "loss")]
    assert steps == [1, 2]
    assert run.info.artifact_uri.startswith((store / "mlartifacts").as_uri())


def test_a_resumed_run_is_the_same_run(store):
    run_id = log("x-0", epochs=[1])
    assert log("x-0", resume=run_id, epochs=[2]) == run_id
    assert [m.step for m in mlflow.MlflowClient().get_metric_history(run_id, "loss")] == [1, 2]


def test_a_run_that_the_store_no_longer_has_is_begun_anew(store):
    tracking.configure("synthetic")
    assert log("x-0", resume="0" * 32) != "0" * 32


def test_a_failure_marks_the_run_as_failed(store):
    with pytest.raises(RuntimeError), tracking.run("synthetic", "x-0", {}, {}) as run:
        raise RuntimeError
    assert mlflow.get_run(run.run_id).info.status == "FAILED"


def _child(root):
    os.environ["DVC_ROOT"] = root
    log("x-0")


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
