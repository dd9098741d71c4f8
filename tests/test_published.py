import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from sklearn.metrics import f1_score

from closure import ROOT
from ecg_temporal.comparison.verdict import read_verdict
from ecg_temporal.lock import folder_md5, read_stages
from ecg_temporal.ptbxl import raw
from ecg_temporal.ptbxl.labels import label_matrix
from project import copy_of_the_project

REMOTE = ROOT / "published" / "files" / "md5"
WINNER = read_verdict(ROOT / "reports/tables/verdict.json").least


def stored(md5):
    return REMOTE / md5[:2] / md5[2:]


@pytest.mark.usefixtures("committed")
def test_what_is_published_is_what_dvc_lock_has_of_the_winner_and_nothing_else():
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]
    seeds = yaml.safe_load((ROOT / "params.yaml").read_text())["train"]["seeds"]
    folders = [lock[f"train@{WINNER}-{seed}"]["outs"][0]["md5"] for seed in seeds]
    (rules,) = [out["md5"] for out in lock[f"evaluate@{WINNER}"]["outs"] if "decisions" in out["path"]]
    inside = [file["md5"] for md5 in folders for file in json.loads(stored(md5).read_text())]
    assert {path for path in REMOTE.rglob("*") if path.is_file()} == set(
        map(stored, [*folders, *inside, rules])
    )
    for md5 in [*folders, *inside, rules]:
        assert hashlib.md5(stored(md5).read_bytes()).hexdigest() == md5.removesuffix(".dir"), md5


@pytest.mark.pipeline
def test_a_newcomer_pulls_the_winner_and_predicts_real_records(ptbxl_tree, tmp_path):
    copy_of_the_project(tmp_path)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "MLFLOW_", "GIT_"))}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}

    def run(command):
        subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=environment, check=True, capture_output=True
        )

    table = raw.read_table(ptbxl_tree / raw.TABLE)
    table = table[table["strat_fold"] == 10].head(200)
    names = "\n".join(str(ptbxl_tree / name) for name in table["filename_lr"])
    (tmp_path / "records.txt").write_text(names)
    run(f"git init -q && dvc pull -r published train@{WINNER}-{{0..4}} evaluate@{WINNER}")
    run("xargs ecg-temporal predict --out found.csv < records.txt")
    found = pd.read_csv(tmp_path / "found.csv")
    assert found["record"].tolist() == names.splitlines()
    labels, classes = label_matrix(table, raw.read_statements(ptbxl_tree / raw.STATEMENTS), 0)
    decided = [[name in said.split(";") for name in classes] for said in found["findings"].fillna("")]
    assert f1_score(labels, decided, average="micro") > 0.6  # .70 on all of fold 10


def test_the_md5_of_a_folder_is_dvcs_in_whatever_order_its_files_come():
    md5 = read_stages(ROOT / "dvc.lock")[f"train@{WINNER}-0"]["outs"][0]["md5"]
    files = json.loads(stored(md5).read_text())
    assert folder_md5({file["relpath"]: file["md5"] for file in reversed(files)}) == md5
