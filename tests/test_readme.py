import json
import re
import shlex
import sys
import urllib.request

import numpy as np
import pandas as pd
import pytest
import yaml

from closure import ROOT
from ecg_temporal.evaluation.summary import HEADLINE
from project import Project
from ptbxl.test_own import write_own
from readme import COMMANDS, README, TRAINED_MODELS
from servers import mlflow_on_loopback

REPORT = (ROOT / "reports" / "comparison.md").read_text()
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
PUBLISHED = {*PARAMS["architectures"], "model"}


@pytest.mark.usefixtures("committed")
def test_the_published_table_is_what_the_stages_found():
    rows = [line for line in README.splitlines() if re.match(r"\| (cnn|model|nothing|always|arXiv)", line)]
    cells = {row[0]: row for row in ([cell.strip(" *") for cell in line.split("|")[1:-1]] for line in rows)}
    columns = list(HEADLINE)
    assert cells.keys() >= PUBLISHED and len(cells) == len(rows) == len(PUBLISHED) + 3
    for name in PUBLISHED:
        found = json.loads((ROOT / "metrics" / f"{name}.json").read_text())
        seeds = (
            pd.read_csv(ROOT / "metrics" / "seeds" / f"{name}.csv").set_index("split").loc["test", columns]
        )
        figures = [f"{found[metric]:.4f} ± {seeds[metric].std(ddof=1):.4f}" for metric in columns]
        assert cells[name][2:] == [f"{found['parameters']:,}", *figures]
    constant = [row for row in rows if not re.match(r"\| (cnn|model)", row)]
    assert [row for row in constant if row not in REPORT.splitlines()] == []


@pytest.mark.usefixtures("committed")
def test_differences_and_intervals_of_the_report_are_told_as_it_has_them():
    """Those with a 0 before the point; the others were computed by hand, as docs/findings.md says."""
    columns, tables = ["difference", "low", "high"], ROOT / "reports/tables"
    verdict = json.loads((tables / "verdict.json").read_text())
    rows = [*pd.read_csv(tables / "differences.csv")[columns].to_numpy(), [verdict[name] for name in columns]]
    found = {tuple(f"{value:+.4f}" for value in row) for row in rows}
    figure = r"([+-]0\.\d{4})"
    told = re.findall(rf"{figure},? \[{figure}, {figure}\]", " ".join(README.split()))
    assert len(told) > 3 and set(told) <= found


def test_the_citation_has_types_that_its_format_knows():
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert found["cff-version"] == "1.2.0" and found["type"] in ("software", "dataset")
    assert {each["type"] for each in found["references"]} <= {"article", "data", "software"}  # no dataset


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_every_published_training_is_of_the_epochs_and_seeds_of_the_params(name):
    history = pd.read_csv(ROOT / "metrics" / "history" / f"{name}.csv")
    expected = dict.fromkeys(PARAMS["train"]["seeds"], PARAMS["train"]["epochs"])
    assert history.groupby("seed")["epoch"].size().to_dict() == expected


@pytest.mark.usefixtures("committed")
def test_the_verdict_is_the_one_that_the_report_stage_computed():
    (verdict,) = re.findall(r"^(\*\*.*?\.) How this is decided", REPORT, re.MULTILINE)
    assert f"\n\n{verdict}\n\n" in README


PAGES = [
    path.relative_to(ROOT).as_posix()
    for folder in (".", "docs", "reports", "benchmarks")
    for path in sorted((ROOT / folder).glob("*.md"))
]


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_links_to_is_there(page):
    for target in re.findall(r"\]\((?!http)([^)]+)\)", (ROOT / page).read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        linked = (ROOT / page).parent / path if path else ROOT / page
        assert linked.is_file(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor in anchors, target


def test_the_tests_that_the_table_of_faults_names_are_there():
    table = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    named = re.findall(r"\btest_\w+(?!\w|\.py|…)", table)
    modules = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
    defined = set(re.findall(r"^def (test_\w+)", "\n".join(modules.values()), re.MULTILINE))
    assert len(named) > 80 and set(named) <= defined
    assert set(re.findall(r"\btest_\w+\.py", table)) <= modules.keys()


@pytest.mark.parametrize("target", re.findall(r"^    make (\w+)", README, re.MULTILINE))
def test_the_makefile_has_the_targets_that_the_readme_names(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


ELSEWHERE = {
    "make": "CI runs them",
    "TRAIN_LAUNCHER": "test_two_processes_train_as_one_does",
    "mlflow server": "test_ten_trainings_at_once_log_to_a_server_on_postgresql",
    "export MLFLOW_TRACKING_URI=http": "the same",
    "export PTBXL_DIR": "the copy of the project runs on synthetic data",
    "dvc pull -r published": "test_a_newcomer_pulls_the_winner_and_predicts_real_records",
    "dvc exp run -S model.rnn": "tests/test_pipeline.py, which takes these from here",
    "dvc exp run --temp": "the same",
    "ecg-temporal compare": "the same",
    "dvc queue start": "the same",
    "dvc exp run --queue": "the same",
    "dvc exp run -S 'train.seeds": "the same",
    "dvc exp run -S '+architectures": "the same",
    "dvc exp run -S decision.rule": "the same",
    "dvc plots show": "the same",
}
SCRIPT = "\n".join(
    re.findall(r"^    ((?:from|paths|predictor|probabilities).*)$", TRAINED_MODELS, re.MULTILINE)
)


def ask_mlflow(project, command, post):
    """Start the UI or the model's server that `command` starts, and ask it once, the model by `post`."""
    arguments = shlex.split(re.sub(r"--(host|port) \S+", "", command))[1:]
    with mlflow_on_loopback(project.folder, *arguments, **project.environment) as (uri, _):
        if "serve" not in arguments:
            assert b"MLflow" in urllib.request.urlopen(uri, timeout=30).read()
            return
        signals = json.dumps({"inputs": np.tile(500 * np.sin(np.arange(1000) / 15), (1, 12, 1)).tolist()})
        (project.folder / "request.json").write_text(signals)
        post = post.replace("127.0.0.1:5001", uri)
        said = project(re.sub(r"-d .*", "-d @request.json --silent --show-error", post))
        assert '"predictions"' in said


@pytest.mark.pipeline
def test_every_command_runs_as_the_readme_gives_it(tmp_path, rng):
    project = Project(tmp_path / "project")
    params = project.params()
    offered = PARAMS["architectures"]
    names = ("cnn", "cnn_bigru")
    project.write_params(params | {"architectures": {name: offered[name] for name in names}})
    project("git commit -qam 'the architectures that it names'")
    write_own(tmp_path / "clinic", rng, records=80)
    record = tmp_path / "clinic/clinic/ecg_000"
    damaged, hidden = tmp_path / "clinic/clinic/ecg_079.dat", tmp_path / "ecg_079.dat"
    assert "set OWN_DIR" in project("dvc exp run --temp -S dataset=own", ok=False)
    here = {
        "/data/clinic": str(tmp_path / "clinic"),
        "$PWD": str(tmp_path / "project"),
        "/shared/ecg-temporal": str(tmp_path / "remote"),
        "RECORD FOLDER …": f"{record} {record.parent}",
        "RECORD": str(record),
        "ecg-temporal-ptbxl@": "ecg-temporal-synthetic@",
        "repro train@": "repro -f train@",
    }
    back = "git checkout -q . && git clean -qfd metrics decisions && dvc checkout -q"
    commands = [c for c in COMMANDS if not c.startswith(tuple(ELSEWHERE))]
    assert len(commands) > 20
    # What is registered can be served: in the README the prose names it before the code does.
    commands.sort(key=lambda command: command.startswith(("mlflow", "curl")))
    assert any(command.startswith("mlflow models serve") for command in commands)
    for given in commands:
        command = re.sub("|".join(map(re.escape, here)), lambda found: here[found[0]], given)
        if command.startswith("export "):
            name, _, value = command.removeprefix("export ").partition("=")
            project.environment[name] = value
        elif command.startswith("mlflow"):
            ask_mlflow(project, command, post=next(c for c in commands if c.startswith("curl")))
        elif not command.startswith("curl"):
            if command.startswith("dvc exp run"):
                project(back)
            skips = "on_bad_record=skip" in command
            if skips:
                damaged.rename(hidden)
            said = project(command)
            if command == "dvc repro":
                project("git add -A && git commit -qm results --allow-empty")
            if skips:
                manifest = json.loads((project.folder / "data/raw/manifest.json").read_text())
                assert "ecg_079.dat" in "".join(manifest["skipped"].values())
                assert "steps in all" in said
                hidden.rename(damaged)
            if command == "dvc exp run -S dataset=own":
                page = (project.folder / "reports/comparison.md").read_text()
                assert "own records" in page and "arXiv" not in page and "SYNTHETIC" not in page
                assert "PTB-XL was recorded" not in (project.folder / "MODEL_CARD.md").read_text()
            if "dataset=own" in command:
                project(back)
    made = ("found.json", "drawn", "why.png", "order.png", "frames.png", "model.onnx")
    assert [name for name in made if not (project.folder / name).exists()] == []
    script = SCRIPT.replace("/data/clinic", here["/data/clinic"])
    (project.folder / "use.py").write_text(f"{script}\nassert decisions.shape == (80, 23)\n")
    project(f"PYTHONPATH=src {sys.executable} use.py")
