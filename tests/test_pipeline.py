"""The DAG itself: what its stages declare, and what DVC does with them in a copy of the project."""

import ast
import dataclasses
import json
import re

import pandas as pd
import pytest
import yaml

from closure import PACKAGE, ROOT, import_closure, with_whole_folders
from ecg_temporal import cli
from ecg_temporal.evaluation.predictions import read_predictions, write_predictions
from ecg_temporal.training.settings import TrainSettings
from project import Project
from readme import given

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
BODIES = {name: stage.get("do", stage) for name, stage in STAGES.items()}


def script(body):
    return re.search(r"stages/\w+\.py", body["cmd"])[0]


LOGGING = {"src/ecg_temporal/tracking.py"}
"""No dependency: what MLflow is told changes no weights."""


def code(name):
    return {dep for dep in BODIES[name]["deps"] if dep.startswith(("src/", "stages/"))}


@pytest.mark.parametrize("name", BODIES)
def test_a_stage_depends_on_the_code_that_it_imports_and_no_other(name):
    names = list(BODIES)
    before = set().union(*(code(other) for other in names[: names.index(name)]))
    imported = import_closure(ROOT / script(BODIES[name])) - LOGGING
    assert code(name) == with_whole_folders(imported, before)


@pytest.mark.parametrize("name", BODIES)
def test_a_stage_depends_on_the_sections_of_params_that_it_reads(name):
    text = (ROOT / script(BODIES[name])).read_text().replace("read_params()", "params")
    read = set(re.findall(r'(?:section\(params, f?"?|params\["|params\.get\(")(\w+)', text))
    read |= {"dataset"} if "dataset_of(params)" in text else set()
    variables = {"key": "model" if name == "train_model" else "architectures", "CANDIDATE": "model"}
    declared = {param.split(".")[0] for param in BODIES[name]["params"] if param != {"params.yaml": None}}
    assert declared == {variables.get(section, section) for section in read}


def test_a_training_depends_on_every_setting_but_those_that_say_where_or_which():
    declared = {param for param in BODIES["train"]["params"] if param.startswith("train.")}
    assert declared == {f"train.{name}" for name in TrainSettings.model_fields} - {
        "train.seeds",
        "train.device",
    }


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("__init__.py")), ids=lambda path: path.parent.name)
def test_a_package_holds_its_docstring_alone_so_that_no_stage_needs_to_name_it(path):
    (docstring,) = ast.parse(path.read_text()).body
    assert isinstance(docstring, ast.Expr)


def test_the_candidate_is_trained_and_measured_as_the_others_are():
    def general(body):
        text = json.dumps(
            {key: value for key, value in body.items() if key not in ("matrix", "foreach", "desc")}
        )
        for own in ("architectures.${item.architecture}", "${item.architecture}"):
            text = text.replace(own, "model")
        return text.replace("${item.seed}", "${item}")

    assert general(BODIES["train"]) == general(BODIES["train_model"])
    for kind in ("predict", "probe", "evaluate"):
        assert STAGES[f"{kind}_model"] == {"foreach": {"model": None}, "do": BODIES[kind]}


def test_training_cannot_open_the_test_fold():
    for name in ("train", "train_model"):
        data = [dep for dep in BODIES[name]["deps"] if dep.startswith("data")]
        assert data == ["data/processed/train", "data/processed/validation"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("project"))
    ran = project.ran("dvc repro")
    assert {
        "fetch",
        "preprocess",
        "train@cnn-0",
        "train_model@0",
        "evaluate@cnn_bilstm",
        "report",
        "card",
    } <= set(ran)
    project("git add -A && git commit -qm results")
    return project


@pytest.mark.pipeline
def test_the_whole_dag_leaves_small_results_in_git_and_the_rest_in_dvc(project):
    tracked = project("git ls-files").split()
    assert {
        "metrics/cnn.json",
        "metrics/labels.csv",
        "reports/comparison.md",
        "reports/tables/comparison.csv",
    } <= set(tracked)
    assert not [
        name
        for name in tracked
        if name.startswith(("data/", "models/", "predictions/", "probes/", "mlflow.db"))
    ]
    figures = json.loads((project.folder / "metrics/cnn_bilstm.json").read_text())
    assert len(figures) <= 20 and 0 < figures["macro_auprc"] < 1
    assert "SYNTHETIC" in (project.folder / "reports/comparison.md").read_text()
    runs = project.runs()
    assert set(runs["tags.architecture"]) == {"cnn", "cnn_bilstm", "model"}
    assert set(runs["status"]) == {"FINISHED"}
    logged = ["train_loss", "validation_loss", "validation_macro_auprc", "learning_rate", "seconds"]
    columns = [f"metrics.{name}" for name in logged] + ["params.train.epochs", "params.parameters"]
    for column in [*columns, "tags.dvc.stage", "tags.git.commit", "tags.dataset"]:
        assert runs[column].notna().all(), column


@pytest.mark.pipeline
def test_training_runs_where_the_test_fold_does_not_exist(project):
    weights = project.folder / "models/cnn/0/weights.pt"
    before = weights.read_bytes()
    project("mv data/processed/test hidden && PYTHONPATH=src python stages/train.py cnn 0")
    assert weights.read_bytes() == before
    project("mv hidden data/processed/test && dvc checkout -q --force")


@pytest.mark.pipeline
def test_evaluation_runs_where_no_model_exists(project):
    project("mv models hidden && PYTHONPATH=src python stages/evaluate.py cnn && mv hidden models")
    project("git diff --exit-code")


@pytest.mark.pipeline
def test_predictions_of_other_records_are_not_measured(project):
    path = project.folder / "predictions/cnn.npz"
    found = read_predictions(path, [0], {})
    turned = {**found.ecg_id, "test": found.ecg_id["test"][::-1]}
    write_predictions(path, dataclasses.replace(found, ecg_id=turned))
    text = project("PYTHONPATH=src python stages/evaluate.py cnn", ok=False)
    assert "predictions/cnn.npz has other records than the test split; run `dvc repro`" in text
    project("dvc checkout -q --force && git diff --exit-code")


@pytest.mark.pipeline
def test_a_clone_that_shares_a_remote_pulls_everything_and_runs_nothing(project, tmp_path):
    remote = f"dvc remote add --local -d team {tmp_path / 'remote'}"
    project(f"{remote} && dvc push -q && git clone -q . {tmp_path / 'clone'}")
    here, clone = project.folder, tmp_path / "clone"
    project(f"cd {clone} && {remote} && dvc pull -q")
    assert project.ran(f"cd {clone} && dvc repro") == []
    assert project(f"cd {clone} && git status --porcelain") == ""
    show = "dvc metrics show --json"
    assert json.loads(project(f"cd {clone} && {show}")) == json.loads(project(show))
    for name in ("models/cnn/0/weights.pt", "predictions/cnn.npz"):
        assert (clone / name).read_bytes() == (here / name).read_bytes()


@pytest.mark.pipeline
def test_editing_a_figure_or_a_bootstrap_setting_reruns_report_and_card_alone(project):
    path = project.folder / "src/ecg_temporal/reporting/figures.py"
    before = path.read_text()
    path.write_text(before.replace("Learning curves", "Curves of learning"))
    assert project.ran("dvc repro") == ["report", "card"]
    path.write_text(before)
    assert project.ran("dvc exp run -S bootstrap.replicates=200") == ["params", "report", "card"]
    project("git checkout -q . && dvc checkout -q")


@pytest.mark.pipeline
def test_another_decision_rule_reruns_evaluation_and_report_and_trains_nothing(project):
    before = json.loads((project.folder / "metrics/cnn.json").read_text())
    evaluations = {"evaluate@cnn", "evaluate@cnn_bilstm", "evaluate_model@model"}
    assert set(project.ran(given("dvc exp run -S decision.rule"))) == {
        "params",
        *evaluations,
        "report",
        "card",
    }
    after = json.loads((project.folder / "metrics/cnn.json").read_text())
    assert {name for name in before if before[name] != after[name]} <= {
        f"{prefix}{name}"
        for prefix in ("", "ensemble_")
        for name in ("micro_f1", "hamming_loss", "subset_accuracy")
    }
    assert before["micro_f1"] != after["micro_f1"]
    project("git checkout -q . && dvc checkout -q")


@pytest.mark.pipeline
def test_an_unknown_cell_is_refused_before_anything_is_trained(project):
    text = project("dvc exp run -S model.rnn=grru", ok=False)
    assert "must be none, one of lstm, gru, bilstm, bigru" in text
    assert "stages/train.py" not in text
    project("git checkout -q params.yaml dvc.lock && dvc checkout -q")


@pytest.mark.pipeline
def test_the_candidate_alone_is_retrained_and_the_difference_shown(project):
    ran = project.ran(f"{given('dvc exp run -S model.rnn')} -n as-gru")
    assert ran[:2] == ["params", "train_model@0"] and ran[-2:] == ["report", "card"]
    assert sorted(ran[2:-2]) == ["evaluate_model@model", "predict_model@model", "probe_model@model"]
    changed = project(given("dvc metrics diff"))
    assert "metrics/model.json" in changed and "metrics/cnn.json" not in changed
    assert "validation_macro_auprc" in changed  # to choose by
    assert "as-gru" in project("dvc exp show --csv")
    run = project.runs().query("`tags.dvc.experiment` == 'as-gru'").iloc[0]
    assert run["params.model.rnn"] == "gru"
    assert (run["params.dataset"], run["params.synthetic.records"]) == ("synthetic", "300")
    assert run["params.labels.unlabelled"] == "keep"
    assert "dvc exp apply as-gru" in run["tags.mlflow.note.content"]
    project("git checkout -q . && dvc checkout -q")


@pytest.mark.pipeline
def test_experiments_in_a_copy_and_from_the_queue_keep_their_runs_and_leave_the_workspace(project):
    before = {p: p.read_bytes() for p in (project.folder / "metrics").rglob("*") if p.is_file()}
    project(given("dvc exp run --temp"))
    project(given("dvc exp run --queue").replace("range(1,3)", "range(3,4)"))
    project(given("dvc queue start"))
    project("while dvc queue status | grep -qE 'Running|Queued'; do sleep 1; done")
    assert "Failed" not in project("dvc queue status")
    assert {p: p.read_bytes() for p in (project.folder / "metrics").rglob("*") if p.is_file()} == before
    assert project("git status --porcelain") == ""
    runs = project.runs()
    queued = runs[runs["params.model.layers"] == "3"]
    assert set(queued["params.model.rnn"]) == {"lstm", "gru"}
    assert queued["tags.dvc.experiment"].notna().all()
    assert "deeper" in set(runs["tags.dvc.experiment"])
    assert not list((project.folder / ".dvc/tmp/checkpoints").glob("*.pt"))
    shown = pd.read_csv(pd.io.common.StringIO(project("dvc exp show --csv 2>/dev/null")))
    assert {"lstm", "gru"} <= set(shown["model.rnn"])


def refused(arguments):
    """Return why `ecg-temporal compare` refuses these arguments here."""
    with pytest.raises(SystemExit) as refusal:
        cli.main(["compare", *arguments.split()])
    return str(refusal.value)


@pytest.mark.pipeline
def test_an_experiment_is_set_against_the_workspace(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    deeper = given("dvc exp run --temp")
    if "deeper" not in project("dvc exp list --name-only"):
        project(deeper)
    command = given("ecg-temporal compare model model")
    said = project(f"{command} --split test --out pair.csv")
    assert "model@deeper less model: " in said and "macro-AUPRC ↑" in said
    assert "\nParams: layers 1 → 2. Code and data: the same.\n" in said
    table = pd.read_csv(project.folder / "pair.csv").set_index("metric")
    assert table.loc["macro_auprc", "first"] == pytest.approx(
        json.loads((project.folder / "metrics/model.json").read_text())["macro_auprc"], rel=1e-5
    )
    project("dvc exp apply -q deeper")
    applied = json.loads((project.folder / "metrics/model.json").read_text())
    assert table.loc["macro_auprc", "second"] == pytest.approx(applied["macro_auprc"], rel=1e-5)
    # Where the workspace has the experiment, its own are the same.
    again = project("ecg-temporal compare model@deeper model")
    assert "+0.0000 [+0.0000, +0.0000]" in again and "\nParams: the same. Code and data: the same.\n" in again
    lock = yaml.safe_load((project.folder / "dvc.lock").read_text())
    for stage, path in (("train_model@0", "stages/train.py"), ("predict_model@model", "stages/predict.py")):
        (code,) = (dep for dep in lock["stages"][stage]["deps"] if dep["path"] == path)
        code["md5"] = "0" * 32
    (project.folder / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False))
    again = project("ecg-temporal compare model@deeper model")
    assert "\nParams: the same. Code or data that differ: stages/predict.py, stages/train.py.\n" in again
    project("git checkout -q . && dvc checkout -q && rm pair.csv")
    for wrong, why in {
        "model model@shallower": "model@shallower: unknown Git revision 'shallower'; `dvc exp list -A`",
        "model model@": "model@: no revision is named after the @",
        "model cnnn": "there is no architecture 'cnnn'; there are cnn, cnn_bilstm, model",
        "model cnnn@deeper": "cnnn@deeper: there is no architecture 'cnnn'",
        "model model": "model would be set against itself",
    }.items():
        assert why in refused(wrong), wrong
    project("dvc exp run --temp -n short evaluate@cnn -S trunk.kernel_size=3")
    assert "cnn@short less cnn" in project("ecg-temporal compare cnn cnn@short")
    said = refused("cnn cnn_bilstm@short")
    assert (
        "cnn_bilstm@short: cnn_bilstm was trained with another trunk than params.yaml has; run predict@"
        in said
    )
    project("dvc exp run --temp -n untested train_model -S model.rnn=gru")
    said = refused("model model@untested")
    assert "model@untested: model was predicted with other models than dvc.lock has now; " in said
    project(": > dvc.lock")
    assert "dvc.lock has no stages" in refused("cnn cnn_bilstm")
    project("git show HEAD:dvc.lock | head -n 20 > dvc.lock")
    assert "`git checkout dvc.lock`" in refused("cnn cnn_bilstm")
    project("git checkout -q dvc.lock")
    project("sed -i 's/kernel_size: 5/kernel_size: 9/' params.yaml && rm predictions/cnn.npz")
    assert "model was trained with another trunk" in refused("model model@HEAD")
    project("git checkout -q params.yaml")
    said = refused("cnn cnn@short")
    assert "predictions/cnn.npz is not there as predict@cnn wrote it; run `dvc repro predict@cnn`" in said
    project("dvc checkout -q")
    project("dvc exp run --temp -n other predict_model -S synthetic.seed=1")
    said = refused("model model@other")
    assert "model@other: its train split has other records or labels than the workspace's" in said
    project("git clone -q . clone && cp -r data predictions clone/")
    said = project("cd clone && ecg-temporal compare model@HEAD model", ok=False)
    assert "model@HEAD: data/processed/train/ecg_id.npy is not in DVC's cache" in said
    project("rm -rf clone && git diff --exit-code")


@pytest.mark.pipeline
def test_a_new_seed_and_a_new_architecture_train_only_what_is_new(project):
    seeds = given("dvc exp run -S 'train.seeds").replace("[0,1,2,3,4,5]", "[0,1]")
    new = given("dvc exp run -S '+architectures").removeprefix("dvc exp run")
    ran = project.ran(f"{seeds} {new}")
    trained = {stage for stage in ran if stage.startswith("train")}
    assert trained == {
        "train@cnn-1",
        "train@cnn_bilstm-1",
        "train@cnn_gru4-0",
        "train@cnn_gru4-1",
        "train_model@1",
    }
    seeds = pd.read_csv(project.folder / "metrics/seeds/cnn.csv")
    assert set(seeds["seed"]) == {0, 1}
    test = seeds[seeds["split"] == "test"]
    figures = json.loads((project.folder / "metrics/cnn.json").read_text())
    assert figures["macro_auprc"] == pytest.approx(test["macro_auprc"].mean())
    assert figures["ensemble_macro_auprc"] != figures["macro_auprc"]
    cost = json.loads((project.folder / "probes/cnn/cost.json").read_text())
    run = json.loads((project.folder / "models/cnn/1/run.json").read_text())
    assert cost["training_hardware"] == [f"{run['hardware']} in {run['precision']}"]
    assert "cnn_gru4" in (project.folder / "reports/comparison.md").read_text()
    project("git checkout -q . && git clean -qfd metrics && dvc checkout -q")


@pytest.mark.pipeline
def test_what_was_predicted_with_other_records_or_labels_is_not_compared(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    params = project.params()
    params["synthetic"]["records"] = 310
    for target, said in (
        ("preprocess", "cnn was predicted with other records or labels"),
        ("-s fetch", "data/processed was made from other records than data/raw"),
    ):
        project.write_params(params)
        project(f"dvc repro -q {target}")
        assert said in refused("cnn cnn_bilstm")
        project("git checkout -q . && dvc checkout -q")
    project("ecg-temporal compare cnn cnn_bilstm")


@pytest.mark.pipeline
def test_plots_can_be_shown(project):
    project(given("dvc plots show"))
    page = (project.folder / "dvc_plots/index.html").read_text()
    assert "macro_auprc" in page and "average_precision" in page and "learning_curves.png" in page
