from pathlib import Path
from shutil import copytree

import pytest

from ecg_temporal.comparison.results import read_csv, read_probes, read_results
from made_up import ARCHITECTURES, SEEDS


def test_results_are_those_of_params_not_of_whatever_lies_there(case):
    folder, _, results, _ = case
    assert list(results.headline.index) == list(ARCHITECTURES)
    assert set(results.per_class["architecture"]) == set(ARCHITECTURES)
    with pytest.raises(ValueError, match="no results of 'new'"):
        read_results(folder / "metrics", ["cnn", "new"], epochs=2)
    for name, stage in (("cnn", "train@cnn-0"), ("model", "train_model@0")):
        told = rf"history/{name}\.csv: seed 0 has 2 epochs up to 2, not 3.* `dvc repro -f -s {stage} "
        with pytest.raises(ValueError, match=told):
            read_results(folder / "metrics", [name], epochs=3)
    history = folder / "metrics/history/cnn.csv"
    whole = history.read_text()
    history.write_text(whole.replace("seed", "sead", 1))
    with pytest.raises(ValueError, match="no results of 'cnn' .*seed"):
        read_results(folder / "metrics", ["cnn"], epochs=2)
    history.write_text(whole)
    with pytest.raises(ValueError, match=r"no probes of 'cnn' \(they are of the seeds \[0, 1\], not \[0\]"):
        read_probes(folder / "probes", ["cnn"], [0])
    with pytest.raises(ValueError, match="no probes of 'new'"):
        read_probes(folder / "probes", ["new"], SEEDS)


def test_labels_of_digits_and_na_stay_text(tmp_path):
    (tmp_path / "t.csv").write_text("subclass,all\n01,3\nNA,4\n,5\n")
    table = read_csv(tmp_path / "t.csv")
    assert table["subclass"].tolist()[:2] == ["01", "NA"] and table["all"].tolist() == [3, 4, 5]


def test_a_history_that_lacks_an_epoch_is_refused(case, tmp_path):
    folder, *_ = case
    metrics = Path(copytree(folder / "metrics", tmp_path / "metrics"))
    history = metrics / "history/cnn.csv"
    lines = history.read_text().splitlines(keepends=True)
    assert lines[1].startswith("1,")
    history.write_text("".join([lines[0], *lines[2:]]))
    with pytest.raises(ValueError, match=r"history/cnn\.csv: seed 0 has 1 epochs up to 2, not 2"):
        read_results(metrics, ["cnn"], epochs=2)
