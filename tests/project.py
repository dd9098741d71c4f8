"""A copy of the project with a tiny comparison, for tests that run DVC for real."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import yaml

from closure import ROOT


def copy_of_the_project(folder, without=()):
    """Copy what Git has or would take, but for names that begin like one of `without`."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(without):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


class Project:
    """A copy of the project in a git repository of its own, with a tiny comparison on synthetic data.

    `train` changes params of that section.
    """

    def __init__(self, folder, **train):
        self.folder = folder
        copy_of_the_project(folder, without=("metrics/", "reports/", "published/", "dvc.lock"))
        params = yaml.safe_load((folder / "params.yaml").read_text())
        params["dataset"] = "synthetic"
        params["synthetic"]["records"] = 300
        params["trunk"]["channels"] = [8, 8]
        params["train"] |= {"epochs": 1, "seeds": [0], "batch_size": 64, "device": "cpu", **train}
        params["bootstrap"]["replicates"] = 100
        params["architectures"] = {n: params["architectures"][n] for n in ("cnn", "cnn_bilstm")}
        self.write_params(params)
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "MLFLOW_", "GIT_"))}
        self.environment = environment | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DVC_NO_ANALYTICS": "1",
            "GIT_AUTHOR_NAME": "test",
            "GIT_AUTHOR_EMAIL": "test@localhost",
            "GIT_COMMITTER_NAME": "test",
            "GIT_COMMITTER_EMAIL": "test@localhost",
        }
        self("git init -q -b main")
        self("git add -A")
        self("git commit -qm start")

    def __call__(self, command, ok=True):
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) == ok, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout + done.stderr

    def ran(self, command):
        """Run `command` and return the stages that DVC ran for it."""
        return re.findall(r"Running stage '(.+?)'", self(command))

    def params(self):
        return yaml.safe_load((self.folder / "params.yaml").read_text())

    def write_params(self, params):
        (self.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))

    def runs(self):
        mlflow.set_tracking_uri(f"sqlite:///{self.folder / 'mlflow.db'}")
        return mlflow.search_runs(search_all_experiments=True)
