"""What `dvc plots` draws of the metrics: dvc.yaml's entries, and the templates in .dvc/plots."""

import json
import subprocess
import sys

import pandas as pd
import pytest
import yaml

from closure import ROOT

APART = {
    "bar_horizontal": ["y"],
    "learning_curves": ["x", "seed"],
    "seeds": ["y", "seed"],
    "rules": ["y", "fold"],
}
"""Template → what tells its marks of one revision apart: a field of the file, or the x or y of the entry."""


def entries():
    """Yield file and entry of every plot of one architecture, and of the labels."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    for name in ("preprocess", "predict", "evaluate"):
        for entry in stages[name].get("do", stages[name])["plots"]:
            ((file, about),) = entry.items()
            yield pytest.param(file.replace("${key}", "cnn"), about, id=file)


@pytest.mark.parametrize(("file", "about"), list(entries()))
def test_no_two_rows_are_drawn_as_one(file, about):
    rows = pd.read_csv(ROOT / file)
    fields = [about.get(field, field) for field in APART[about["template"]]]
    assert not rows.duplicated(fields).any()
    command = [sys.executable, "-m", "dvc", "plots", "show", file, "--show-vega"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    spec = json.loads(done.stdout)
    drawn = json.dumps({key: value for key, value in spec.items() if key != "data"})
    assert [field for field in fields if f'"field": "{field}"' not in drawn] == []
    assert "DVC_METRIC" not in drawn and len(spec["data"]["values"]) == len(rows)
