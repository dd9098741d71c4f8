import csv
import io
import json
import os
import re
import subprocess
import sys
import textwrap
import weakref
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from defaults import FP32
from ecg_temporal import cli
from ecg_temporal.commands.output import LONGEST_NAME, named, shortened
from ecg_temporal.comparison.verdict import Verdict, write_verdict
from ecg_temporal.evaluation.decisions import ThresholdRule, read_rules, write_rules
from ecg_temporal.evaluation.metrics import average_precision, roc_auc
from ecg_temporal.inference.predictor import load_predictor
from ecg_temporal.inference.records import find_records, read_ecg
from ecg_temporal.ptbxl.names import NAMES
from ecg_temporal.ptbxl.waveforms import LEADS, RecordError
from readme import TRAINED_MODELS
from records import write, write_mat


def test_what_cannot_be_used_is_refused_by_name(trained, splits):
    folder = trained / "records"
    write(folder, "good", splits["test"].signals[0])
    write(folder, "short", splits["test"].signals[0][:, :60])
    with pytest.raises(RecordError, match=r"short: 0\.6 s is shorter than 1 s"):
        read_ecg(folder / "short")
    with pytest.raises(FileNotFoundError, match=r"nothing: neither a folder nor a record.*nothing\.hea"):
        find_records([folder / "nothing"])
    (trained / "empty" / "folder.hea").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="empty: no WFDB header"):
        find_records([trained / "empty"])
    with pytest.raises(ValueError, match="are: cnn_gru. If .* `dvc repro evaluate@cnn_lstm` trains it"):
        load_predictor("cnn_lstm", "half", FP32)
    rules = json.loads((trained / "decisions" / "cnn_gru.json").read_text())
    turned = rules | {"classes": rules["classes"][::-1]}
    (trained / "decisions" / "cnn_gru.json").write_text(json.dumps(turned))
    told = r"cnn_gru.json is of other classes than models.cnn_gru; run `dvc repro evaluate@cnn_gru`"
    with pytest.raises(ValueError, match=told):
        load_predictor("cnn_gru", "half", FP32)
    (trained / "decisions" / "cnn_gru.json").write_text(json.dumps(rules | {"seeds": []}))
    with pytest.raises(ValueError, match="cnn_gru.json names no seed"):
        load_predictor("cnn_gru", "half", FP32)
    (trained / "decisions" / "cnn_gru.json").write_text('{"seeds": [0], "rules": {}}')
    with pytest.raises(ValueError, match="cnn_gru.json is not a file of decision rules .it lacks 'half'"):
        load_predictor("cnn_gru", "half", FP32)
    (trained / "decisions" / "cnn_gru.json").write_text("[]")
    with pytest.raises(ValueError, match="not a file of decision rules"):
        read_rules(trained / "decisions" / "cnn_gru.json")


def test_the_documented_script_scores_predictions_against_ones_own_labels(trained, splits, capsys):
    folder, test = trained / "clinic", splits["test"]
    records = 30
    for k in range(records):
        write(folder, f"{100 + k}", test.signals[k])
    classes = np.array(test.description.classes)
    labels = ["; ".join([*classes[row.astype(bool)], "mine"]) for row in test.labels[: records + 1]]
    names = [f"{100 + k}" for k in range(records + 1)]  # one that is not predicted
    pd.DataFrame({"record": names, "labels": labels}).to_csv(folder / "labels.csv", index=False)
    cli.main(["predict", "clinic", "--model", "cnn_gru", "--out", "predicted.csv"])
    script = re.search(r"^    import pandas as pd\n(?:    .*\n)+", TRAINED_MODELS, re.MULTILINE)[0]
    exec(textwrap.dedent(script).replace("/data/clinic", "clinic"))
    lines = capsys.readouterr().out.splitlines()
    truth = test.labels[:records]
    scored = [k for k in range(len(classes)) if 0 < truth[:, k].sum() < records]
    rows = csv.DictReader(io.StringIO((trained / "predicted.csv").read_text()))
    probabilities = np.array([[float(row[name]) for name in classes] for row in rows])
    precision, area = average_precision(truth, probabilities), roc_auc(truth, probabilities)
    assert sorted(lines) == sorted(
        f"{classes[k]}: {truth[:, k].sum()} positives, AP {precision[k]:.3f}, ROC AUC {area[k]:.3f}"
        for k in scored
    )
    assert len(lines) > 3


def test_the_command_writes_csv_json_and_pictures(trained, splits, capsys):
    folder = trained / "records"
    write(folder, "one", splits["test"].signals[0])
    write_mat(folder, "two", splits["test"].signals[1])
    cli.main(["predict", "records", "--model", "cnn_gru"])
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["record"] for row in rows] == ["records/one", "records/two"]
    assert rows[1]["codes"] == "426783006;164889003" and float(rows[0]["seconds"]) == 10
    assert all(0 <= float(rows[0][name]) <= 1 for name in splits["test"].description.classes)
    cli.main(["predict", "records/one.hea", "--model", "cnn_gru", "--out", "found.json", "--plot", "drawn"])
    (found,) = json.loads((trained / "found.json").read_text())
    assert found["subclasses"].keys() == set(splits["test"].description.classes)
    for subclass, said in found["subclasses"].items():
        assert said["name"] == NAMES[subclass]
        assert said["probability"] == float(rows[0][subclass])
        assert said["decision"] == (subclass in found["findings"])
    assert found["findings"] == rows[0]["findings"].split(";")
    assert found["warnings"] == [] and "synthetic" not in capsys.readouterr().err
    flat = splits["test"].signals[0].copy()
    flat[3] = 0
    write(folder, "flat", flat)
    (trained / "params.yaml").write_text("dataset: synthetic\ndecision: {rule: half}\n")
    cli.main(["predict", "records/flat", "--model", "cnn_gru", "--out", "found.json"])
    (found,) = json.loads((trained / "found.json").read_text())
    assert found["warnings"] == ["lead AVR is constant"]
    assert "was trained on synthetic ECGs" in capsys.readouterr().err
    assert (trained / "drawn" / "records" / "one.png").stat().st_size > 20_000


def test_what_is_told_does_not_get_into_the_table_where_stderr_is_closed(
    trained, splits, monkeypatch, capsys
):
    dead = splits["test"].signals[0].copy()
    dead[6] = 0
    write(trained / "records", "dead", dead)
    monkeypatch.setattr(sys, "stderr", None)
    cli.main(["predict", "records/dead", "--model", "cnn_gru"])
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_service_may_have_closed_its_standard_streams(trained, splits, monkeypatch):
    write(trained / "records", "one", splits["test"].signals[0])
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    cli.main(["predict", "records/one", "--model", "cnn_gru", "--out", "x.csv"])
    assert len((trained / "x.csv").read_text().splitlines()) == 2
    with pytest.raises(SystemExit, match="stdin names no record"):
        cli.main(["predict", "-", "--model", "cnn_gru"])
    for arguments, status in (("--help", 0), ("predict", 2), ("export x.onnx --model none", 1)):
        for name in ("stdin", "stdout", "stderr"):
            monkeypatch.setattr(sys, name, None)
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments.split())
        assert (ended.value.code == status) if isinstance(ended.value.code, int) else status == 1


def test_a_link_is_written_through_and_a_pipe_refused(trained, splits, capsys):
    write(trained / "records", "one", splits["test"].signals[0])
    (trained / "latest.csv").symlink_to("first.csv")
    cli.main(["predict", "records/one", "--model", "cnn_gru", "--out", "latest.csv"])
    assert (trained / "latest.csv").is_symlink()
    assert len((trained / "first.csv").read_text().splitlines()) == 2
    (trained / "latest.json").symlink_to("stamp")
    cli.main(["predict", "records/one", "--model", "cnn_gru", "--out", "latest.json"])
    assert (trained / "latest.json").is_symlink() and len(json.loads((trained / "stamp").read_text())) == 1
    os.mkfifo(trained / "pipe.csv")
    with pytest.raises(SystemExit):
        cli.main(["predict", "records/one", "--model", "cnn_gru", "--out", "pipe.csv"])
    assert "pipe.csv: must be a file" in capsys.readouterr().err


def test_an_archive_need_not_fit_into_memory(trained, splits, monkeypatch):
    for k in range(12):
        write(trained / "records", f"r{k}", splits["test"].signals[k])
    known, most = [], 0

    def read(path):
        nonlocal most
        known.append(weakref.ref((ecg := read_ecg(path)).signals))
        most = max(most, sum(each() is not None for each in known))
        return ecg

    monkeypatch.setattr("ecg_temporal.commands.predict.read_ecg", read)
    monkeypatch.setattr("ecg_temporal.inference.predictor.BATCH_RECORDS", 3)
    cli.main(["predict", "records", "--model", "cnn_gru", "--out", "x.json"])
    assert len(json.loads((trained / "x.json").read_text())) == 12 and most <= 6
    assert (trained / "x.json").read_text().splitlines()[:2] == ["[", "  {"]


def test_every_record_has_a_drawing_of_its_own_and_the_table_is_written_first(trained, splits, monkeypatch):
    write(trained / "a", "b_c", splits["test"].signals[0])
    write(trained / "a_b", "c", splits["test"].signals[1])
    arguments = ["predict", "a", "a_b", "--model", "cnn_gru", "--out", "x.csv", "--plot", "drawn"]
    cli.main(arguments)
    assert sorted(path.parent.name for path in (trained / "drawn").rglob("*.png")) == ["a", "a_b"]
    (trained / "x.csv").unlink()

    (trained / "a_b" / "a").mkdir()
    write(trained / "a_b" / "a", "b_c", splits["test"].signals[2])
    with pytest.raises(SystemExit, match="a_b/../a/b_c and a_b/a/b_c would have one drawing"):
        cli.main(["predict", "a_b/../a/b_c", "a_b/a/b_c", *arguments[3:]])
    rmtree(trained / "a_b" / "a")

    def stop(*_):
        raise ValueError("no more ink")

    monkeypatch.setattr("ecg_temporal.commands.predict.draw_ecg", stop)
    with pytest.raises(SystemExit, match="no more ink"):
        cli.main(arguments)
    assert len((trained / "x.csv").read_text().splitlines()) == 3


def test_a_record_may_lie_beside_a_folder_of_its_name_and_be_named_like_a_formula(trained, splits):
    folder = trained / "$x^_$y"
    write(folder, "r", splits["test"].signals[0])
    (folder / "r").mkdir()
    assert find_records([folder / "r"]) == [folder / "r"]
    cli.main(["predict", f"{folder.name}/r", "--model", "cnn_gru", "--out", "x.csv", "--plot", "drawn"])
    assert (trained / "drawn" / folder.name / "r.png").is_file()
    write(folder / "r", "inside", splits["test"].signals[0])
    assert find_records([folder / "r"]) == [folder / "r" / "inside"]


def test_the_rule_is_that_of_the_params_unless_another_is_named(trained, splits, capsys):
    write(trained / "records", "one", splits["test"].signals[0])
    rules = json.loads((trained / "decisions" / "cnn_gru.json").read_text())
    of_params = rules["rules"]["micro_f1"]
    of_params["thresholds"] = [-1.0] * len(of_params["thresholds"])  # says every class
    (trained / "decisions" / "cnn_gru.json").write_text(json.dumps(rules))
    params = (trained / "params.yaml").read_text()
    assert "rule: powerset" in params
    (trained / "params.yaml").write_text(params.replace("rule: powerset", "rule: micro_f1"))
    said = []
    for rule in ([], ["--rule", "half"]):
        cli.main(["predict", "records", "--model", "cnn_gru", *rule])
        (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
        said.append(row["findings"].split(";"))
    classes = load_predictor("cnn_gru", "half", FP32).spec.classes
    assert sorted(said[0]) == classes != sorted(said[1])
    with pytest.raises(ValueError, match="no rule 'quarter', but half"):
        load_predictor("cnn_gru", "quarter", FP32)


def test_the_command_refuses_in_a_sentence_and_writes_nothing(trained, splits, capsys):
    folder = trained / "records"
    write(folder, "good", splits["test"].signals[0])
    write(folder, "bad", splits["test"].signals[0])
    (folder / "bad.dat").write_bytes(b"\0" * 100)
    for arguments, message in (
        (["predict", "records", "--model", "cnn_gru", "--out", "x.csv"], "bad"),
        (
            ["predict", "records", "--model", "cnn_gru", "--out", "x.txt"],
            "must be a file that ends in .csv or .json",
        ),
        (["predict", "records", "--rule", "best"], "invalid choice: 'best'"),
        (["predict", "records"], "run `dvc repro`, or say which model"),
        (
            ["explain", "records", "NORM", "--model", "cnn_gru", "--out", "x.png"],
            "records holds 2 records; name",
        ),
    ):
        with pytest.raises(SystemExit) as refused:
            cli.main(arguments)
        assert message in f"{refused.value} {capsys.readouterr().err}"
    assert not (trained / "x.csv").exists() and not (trained / "x.png").exists()
    with pytest.raises(SystemExit, match="nothing: neither a folder nor a record"):
        cli.main(["predict", "nothing", "--model", "cnn_gru", "--out", "new/x.csv", "--plot", "drawn"])
    with pytest.raises(SystemExit, match="bad"):
        cli.main(["predict", "records", "--model", "cnn_gru", "--out", "new/x.csv", "--plot", "drawn"])
    assert not (trained / "new").exists() and not (trained / "drawn").exists()
    cli.main(["predict", "records", "--model", "cnn_gru", "--out", "x.csv", "--skip-bad"])
    said = capsys.readouterr().err
    assert "left out: records/bad" in said and "1 predicted, 1 left out" in said
    assert len((trained / "x.csv").read_text().splitlines()) == 2
    given = ["predict", "gone", "records/good", "--model", "cnn_gru", "--out", "x.csv"]
    with pytest.raises(SystemExit, match="gone: neither a folder nor a record"):
        cli.main(given)
    cli.main([*given, "--skip-bad"])
    said = capsys.readouterr().err
    assert "left out: gone: neither" in said and "1 predicted, 1 left out" in said
    assert (trained / "x.csv").read_text().splitlines()[1].startswith("records/good,")
    (folder / "good.dat").unlink()
    with pytest.raises(SystemExit, match="no record is left"):
        cli.main(["predict", "records", "--model", "cnn_gru", "--skip-bad"])


def test_a_header_that_may_not_be_read_is_one_record_less(trained, splits, monkeypatch, capsys):
    for name in ("good", "locked"):
        write(trained / "records", name, splits["test"].signals[0])

    def refusing(read):
        def refused(path, *given, **options):
            if path.name == "locked.hea":  # root may read everything
                raise PermissionError(13, "Permission denied", str(path))
            return read(path, *given, **options)

        return refused

    for read in (Path.read_text, Path.read_bytes):
        monkeypatch.setattr(Path, read.__name__, refusing(read))
    cli.main(["predict", "records", "--model", "cnn_gru", "--out", "x.csv", "--skip-bad"])
    said = capsys.readouterr().err
    assert "left out: records/locked" in said and "1 predicted, 1 left out" in said


def test_order_is_not_explained_where_nothing_depends_on_it(trained, splits, monkeypatch):
    write(trained / "records", "good", splits["test"].signals[0])
    architecture = SimpleNamespace(cells=[])
    without = SimpleNamespace(spec=SimpleNamespace(architecture=architecture))
    monkeypatch.setattr("ecg_temporal.commands.model.load_predictor", lambda *_: without)
    monkeypatch.setattr("ecg_temporal.commands.model.trained_on", lambda *_: "ptbxl")
    with pytest.raises(SystemExit, match="cnn has no recurrent layer"):
        cli.main(["explain", "records/good", "NORM", "--model", "cnn", "--part", "order", "--out", "x.png"])


def test_a_dead_lead_and_an_unlikely_amplitude_are_told(trained, splits, capsys):
    signals = splits["test"].signals[0].copy()
    folder = trained / "records"
    write(folder, "good", signals)
    assert read_ecg(folder / "good").quality_warnings() == []
    signals[6] = 5
    write(folder, "faint", signals // 100)
    faint = read_ecg(folder / "faint").quality_warnings()
    assert faint[0] == "lead V1 is constant" and "mV (their median): are unit and gain right?" in faint[1]
    write(folder, "dead", signals)
    cli.main(["predict", "records/good", "records/dead", "--model", "cnn_gru"])
    assert capsys.readouterr().err == "records/dead: lead V1 is constant\n"


def test_a_lead_far_from_zero_is_moved_to_it_and_that_is_told(trained, splits, capsys):
    predictor = load_predictor("cnn_gru", "half", FP32)
    for model in predictor.models:
        model.mean.fill_(300.0)
        model.scale.fill_(200.0)
    signals = splits["test"].signals[0] - splits["test"].signals[0].mean(axis=1, keepdims=True) + 300
    near, far, low, high = (signals.copy() for _ in range(4))
    near[0] += 190
    far[[0, 7]] += [[2000], [-500]]
    low[3, :250], high[3, :250] = -5000, 5000  # far on average, but for most of the time at its place
    for one in (near, low, high):
        assert not predictor.offsets(one).any()
    offsets = predictor.offsets(far)
    assert {LEADS[k]: round(offsets[k]) for k in np.flatnonzero(offsets)} == {"I": 2000, "V2": -500}
    np.testing.assert_allclose(predictor.predict([far])[0], predictor.predict([signals])[0], atol=1e-4)
    write(trained / "records", "far", (splits["test"].signals[0] + 4000).astype(np.int16))
    cli.main(["predict", "records/far", "--model", "cnn_gru"])
    said = capsys.readouterr().err
    assert re.search(r"leads far from zero, whose mean \(mV\) is taken away: I \+4, ", said)


def test_names_of_records_come_from_stdin_too(trained, splits, capsys, monkeypatch):
    for k, name in enumerate(("one", "two")):
        write(trained / "records", name, splits["test"].signals[k])
    monkeypatch.setattr(
        "sys.stdin", io.TextIOWrapper(io.BytesIO("\ufeffrecords/two.hea\r\n\nrecords/one\n".encode()))
    )
    cli.main(["predict", "-", "--model", "cnn_gru"])
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["record"] for row in rows] == ["records/two", "records/one"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    with pytest.raises(SystemExit, match="stdin names no record"):
        cli.main(["predict", "-", "--model", "cnn_gru"])


def test_a_folder_may_be_the_one_that_we_are_in(trained, splits, monkeypatch):
    write(trained / "records", "one", splits["test"].signals[0])
    monkeypatch.chdir(trained / "records")
    assert find_records([Path()]) == [Path("one")]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file names are Unicode")
def test_a_name_from_stdin_need_not_be_utf_8(trained, splits, capsys, monkeypatch):
    write(trained / "records", "cafe", splits["test"].signals[0])
    named = b"records/caf\xe9.hea"
    (trained / "records" / "cafe.hea").rename(trained / os.fsdecode(named))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(named + b"\n"), encoding="utf-8"))
    cli.main(["predict", "-", "--model", "cnn_gru"])
    assert capsys.readouterr().out.splitlines()[1].startswith("records/caf\\xe9,10.0,")


def test_a_folder_that_cannot_be_written_to_is_refused_before_anything_is_read(trained, splits, monkeypatch):
    write(trained / "records", "one", splits["test"].signals[0])
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    for late in ("read_ecg", "load"):
        monkeypatch.setattr(f"ecg_temporal.commands.predict.{late}", lambda *_: pytest.fail("it took long"))
    with pytest.raises(SystemExit, match="drawn can't be written to"):
        cli.main(["predict", "records", "--model", "cnn_gru", "--plot", "drawn"])


def test_the_table_has_what_the_predictor_finds_under_the_rule_that_is_asked_for(trained, splits, capsys):
    records = [trained / "records" / f"r{k}" for k in (0, 1)]
    for k, record in enumerate(records):
        write(record.parent, record.name, splits["test"].signals[k])
    signals = [read_ecg(record).signals for record in records]
    rules = read_rules(trained / "decisions" / "cnn_gru.json")
    likely = np.sort(load_predictor("cnn_gru", "half", FP32).predict(signals)[0][0])
    threshold = likely[-5:-3].mean()  # of the first record four classes are above
    high = ThresholdRule(rules.rules["half"].calibration, np.full(len(likely), threshold), False)
    changed = replace(rules, rules={**rules.rules, "f1": high})
    write_rules(trained / "decisions" / "cnn_gru.json", changed)
    write_verdict(
        trained / "reports" / "tables" / "verdict.json", Verdict("macro_auprc", "big", "cnn_gru", 0, 0, 0)
    )
    cli.main(["predict", "records", "--rule", "f1"])  # of the winner
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    predictor = load_predictor("cnn_gru", "f1", FP32)
    classes, (probabilities, decisions) = predictor.spec.classes, predictor.predict(signals)
    assert decisions[0].sum() == 4
    for row, of_one, made in zip(rows, probabilities, decisions, strict=True):
        np.testing.assert_allclose([float(row[name]) for name in classes], of_one, atol=1e-5)
        listed = [classes[k] for k in np.argsort(-of_one) if made[k]]
        assert row["findings"] == ";".join(listed)
    listed = named(classes, probabilities[0], decisions[0])
    assert [probability for _, probability, _ in listed] == sorted(probabilities[0], reverse=True)
    assert [made for *_, made in listed] == [True] * 4 + [False] * (len(classes) - 4)


def test_of_a_long_name_the_end_is_kept():
    assert shortened("a" * 10 + "b" * LONGEST_NAME) == "…" + "b" * LONGEST_NAME


def test_what_a_terminal_would_obey_is_told_in_escapes_and_a_long_name_is_drawn(trained, splits, capsys):
    folder = trained / "records"
    write(folder, "odd", splits["test"].signals[0])
    header = folder / "odd.hea"
    header.write_text(header.read_text().replace(" V1", " \x1b[2J") + "#Dx: =1+1,164889003\n")
    write(folder, "n" * 240, splits["test"].signals[0])
    command = ["predict", "records", "--model", "cnn_gru", "--out", "o.csv", "--plot", "drawn", "--skip-bad"]
    cli.main(command)
    said = capsys.readouterr().err
    assert "\x1b" not in said and r"\x1b[2J" in said
    (drawn,) = (trained / "drawn/records").iterdir()
    assert re.fullmatch(r"n{40}-[0-9a-f]{16}\.png", drawn.name)


def test_codes_that_are_none_are_left_out(trained, splits):
    write(trained / "records", "one", splits["test"].signals[0])
    with (trained / "records/one.hea").open("a") as header:
        header.write("#Dx: =1+1,164889003,Unknown,-x\n")
    assert read_ecg(trained / "records/one").codes == ["164889003"]


def test_drawings_need_a_folder(trained, splits):
    write(trained / "records", "one", splits["test"].signals[0])
    with pytest.raises(SystemExit, match="records/one.hea is no folder"):
        cli.main(["predict", "records/one", "--model", "cnn_gru", "--plot", "records/one.hea"])


def test_skip_bad_is_offered_where_records_would_be_left_and_all_left_out_are_counted(
    trained, splits, capsys
):
    folder = trained / "records"
    write(folder, "good", splits["test"].signals[0])
    write(folder, "bad", splits["test"].signals[0])
    (folder / "bad.dat").write_bytes(b"\0" * 100)
    for given, hint in ((["records"], True), (["records/bad"], False)):
        with pytest.raises(SystemExit) as refused:
            cli.main(["predict", *given, "--model", "cnn_gru"])
        assert ("--skip-bad leaves such records out" in str(refused.value)) == hint
    cli.main(["predict", "gone", "away", "records", "--model", "cnn_gru", "--skip-bad"])
    assert "1 predicted, 3 left out" in capsys.readouterr().err


def test_a_reader_that_has_enough_ends_the_table_and_nothing_else(trained, splits):
    """Of stdout alone: where no one reads what is told, the work was not done."""
    for name in ("one", "two"):
        write(trained / "records", name, (splits["test"].signals[0] + 4000).astype(np.int16))
    begin = f"{sys.executable} -m ecg_temporal.cli predict records --model cnn_gru"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def status(command):
        done = subprocess.run(["bash", "-c", command], env=environment, check=False, cwd=trained)
        return done.returncode

    assert status(f"{begin} --plot drawn 2>said | true; exit ${{PIPESTATUS[0]}}") == 0
    assert "BrokenPipe" not in (trained / "said").read_text()
    assert len(list((trained / "drawn").rglob("*.png"))) == 2
    gone = "exec 2> >(exec true); sleep 0.5; PYTHONUNBUFFERED=1"
    assert status(f"{gone} {begin} --out found.csv") == 1 and not (trained / "found.csv").exists()
