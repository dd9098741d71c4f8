import json

import numpy as np
import pytest
import torch
import yaml

import benchmarks.reading
import benchmarks.resampling
from benchmarks import pipeline
from benchmarks.measure import Row, in_turn, markdown, row, write
from benchmarks.reading import reading
from benchmarks.resampling import resampling
from benchmarks.training import OneBatch, TextbookRecords
from closure import ROOT
from defaults import FP32
from ecg_temporal.params import check
from ecg_temporal.settings import read_params
from ecg_temporal.training.batches import Batches


def line(ratio, goal):
    return Row("a", 1.0, 2.0, ratio, goal, "s", "h")


@pytest.mark.parametrize(
    ("ratio", "goal", "met"),
    [
        (2.0, "≥ 2", True),
        (1.9, "≥ 2", False),
        (1.5, "≤ 1.5", True),
        (1.6, "≤ 1.5", False),
        (2.0, "1.9–2.1", True),
        (2.2, "1.9–2.1", False),
        (5.0, "–", None),
    ],
)
def test_a_goal_is_reached_or_not(ratio, goal, met):
    assert line(ratio, goal).met is met


def test_measurements_alternate_and_ratios_are_those_of_the_pairs():
    calls = []
    times = {"ours": iter([1.0, 10.0, 2.0]), "reference": iter([2.0, 40.0, 6.0])}

    def measure(who):
        calls.append(who)
        return next(times[who])

    ours, reference = in_turn(lambda: measure("ours"), lambda: measure("reference"), 3)
    assert calls == ["ours", "reference"] * 3
    assert row("a", ours, reference, "–", "s", "h").ratio == pytest.approx(1 / 3)
    assert row("a", ours, reference, "–", "s", "h", "reference / ours").ratio == pytest.approx(3)


def test_a_cpu_shows_ratios_alone_and_what_is_missed(tmp_path):
    rows = [line(1.0, "≥ 2")]
    assert "**no**" in markdown(rows, "h", False, []) and "| 2 |" not in markdown(rows, "h", False, [])
    assert "| 1 | 2 | s |" in markdown(rows, "h", True, [])
    write(tmp_path, rows, "page")
    assert json.loads((tmp_path / "results.json").read_text())[0]["goal"] == "≥ 2"


def test_the_fixed_batch_is_read_once_and_as_ours_reads_it(splits):
    batches, ours = (kind(splits["train"], 8, FP32) for kind in (OneBatch, Batches))
    places = list(ours.shuffled(0, 1, 500))
    first, again = batches.read(*places[0], 500), batches.read(*places[1], 500)
    assert all(map(torch.equal, first, ours.read(*places[0], 500)))
    assert all(a is b for a, b in zip(first, again, strict=True))


def test_reading_and_resampling_agree_with_their_references(splits, monkeypatch):
    monkeypatch.delenv("PTBXL_DIR", raising=False)
    monkeypatch.setattr("benchmarks.reading.RECORDS", 20)
    monkeypatch.setattr("benchmarks.resampling.ARCHITECTURES", 1)
    monkeypatch.setattr("benchmarks.resampling.REPLICATES", 4)
    assert reading(splits["train"], "h").ratio > 1
    assert resampling(splits["train"].part(slice(100)), "h").ratio > 0


@pytest.mark.parametrize("folder", ["benchmarks", "benchmarks/h200"])
def test_the_committed_tables_show_the_committed_figures(folder):
    page = (ROOT / folder / "results.md").read_text(encoding="utf-8")
    for found in json.loads((ROOT / folder / "results.json").read_text(encoding="utf-8")):
        assert f"| {found['name']} | {found['ratio']:.3g} | {found['goal']} |" in page


def test_the_small_project_has_params_that_are_not_refused(monkeypatch):
    monkeypatch.chdir(ROOT)
    params = read_params()
    for setting in pipeline.SMALL:
        key, _, value = setting.partition("=")
        *sections, name = key.split(".")
        section = params
        for part in sections:
            section = section[part]
        section[name] = yaml.safe_load(value)
    check(params)


def test_a_row_has_the_medians():
    found = row("a", [1.0, 2.0, 9.0], [4.0, 5.0, 6.0], "–", "s", "h")
    assert (found.ours, found.reference) == (2, 5)


def test_reading_is_in_milliseconds_a_record(splits, monkeypatch):
    monkeypatch.delenv("PTBXL_DIR", raising=False)
    monkeypatch.setattr(benchmarks.reading, "RECORDS", 2)
    ticks = iter(np.cumsum([0, 0.002, 0, 0.2] * 6))
    monkeypatch.setattr(benchmarks.reading.time, "process_time", lambda: next(ticks))
    found = reading(splits["train"], "h")
    assert (found.ours, found.reference, found.ratio) == pytest.approx((1, 100, 100))


def test_resampling_is_in_milliseconds_a_replicate_of_all(splits, monkeypatch):
    for name, value in {"ARCHITECTURES": 2, "REPLICATES": 4, "seconds": lambda _: 8.0}.items():
        monkeypatch.setattr(benchmarks.resampling, name, value)
    found = resampling(splits["train"].part(slice(100)), "h")
    assert (found.ours, found.reference, found.ratio) == (1000, 4000, 4)


def test_every_note_is_a_line():
    assert "\n- first\n- second\n" in markdown([], "h", False, ["first", "second"])


def test_the_textbook_takes_random_pieces_too(splits):
    records = TextbookRecords(splits["train"].part(slice(1)), 500)
    assert len({float(records[0][0][0, 0]) for _ in range(50)}) > 10
