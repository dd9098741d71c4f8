import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ecg_temporal.comparison.bootstrap import of_metric
from ecg_temporal.comparison.verdict import Verdict
from ecg_temporal.evaluation.summary import HEADLINE
from ecg_temporal.models.settings import ArchitectureSettings
from ecg_temporal.ptbxl.raw import OWN
from ecg_temporal.reporting.style import context_shown
from ecg_temporal.reporting.tables import (
    METRICS,
    STEADY,
    context_table,
    contrast_table,
    data_faults,
    figure_table,
    markdown,
    sentence,
)
from made_up import ARCHITECTURES, NAMES_BY_ID, manifest, rows_of, table_of


def test_the_table_has_every_architecture_beside_the_trivial_lines_and_the_paper(case):
    _, labels, results, _ = case
    table = table_of(labels, results)
    assert table["name"].tolist() == [*ARCHITECTURES, "nothing", "always NORM", "arXiv:2601.18830"]
    rows = table.set_index("name")
    assert rows.loc["cnn_bilstm", "parameters"] == 2000
    seeds = results.seeds.query("architecture == 'cnn' and split == 'test'")["micro_f1"]
    assert rows.loc["cnn", "micro_f1_std"] == pytest.approx(seeds.std(ddof=1))
    lines = markdown(table).splitlines()
    assert len({len(line) for line in lines}) == 1  # aligned as plain text too
    best = next(line for line in lines if "cnn_mixed" in line)
    assert best.count("**") == 2 * len(METRICS) and " ± " in best and "3,000" in best
    for line in lines:  # in bold elsewhere is only what looks the same
        assert set(re.findall(r"\*\*(\S+)", line)) <= set(re.findall(r"\*\*(\S+)", best))


def test_every_headline_metric_has_a_name_in_the_tables():
    assert list(METRICS) == list(HEADLINE)


def test_the_verdict_reads_as_a_sentence():
    values = pd.Series({"cnn": 0.5, "cnn_bilstm": 0.52})
    enough = Verdict("macro_auprc", "cnn_bilstm", "cnn", -0.02, -0.05, 0.01)
    text = sentence(enough, values, ARCHITECTURES)
    assert text.startswith(
        "**No gain from a recurrent layer was found**: the best macro-AUPRC, 0.5200, is that of cnn_bilstm "
        "(BiLSTM(128)), and cnn has 0.5000; "
    )
    assert "-0.0200 [-0.0500, +0.0100]" in text
    best = Verdict("macro_auprc", "cnn", "cnn", 0, 0, 0)
    text = sentence(best, values, ARCHITECTURES)
    assert text == (
        "**No gain from a recurrent layer was found**: the best macro-AUPRC, 0.5000, is that of cnn "
        "(no recurrence)."
    )
    alone = Verdict("macro_auprc", "cnn_bilstm", "cnn_bilstm", 0, 0, 0)
    text = sentence(alone, values, ARCHITECTURES)
    assert text.startswith("**BiLSTM(128) is enough**: the best") and "measurably worse" in text
    recurrent = {name: each for name, each in ARCHITECTURES.items() if name != "cnn"}
    assert "BiLSTM(128) is enough of those compared, all with recurrence**" in sentence(
        alone, values, recurrent
    )
    wide = {**ARCHITECTURES, "wide": ArchitectureSettings(rnn="none", widen=2, learning_rate=0.1)}
    smaller = Verdict("macro_auprc", "wide", "cnn", -0.01, -0.05, 0.01)
    text = sentence(smaller, pd.Series({"cnn": 0.5, "wide": 0.51}), wide)
    assert (
        text.startswith("**No gain from a recurrent layer was found**: the best")
        and "is that of wide (" in text
    )
    recurrent = {"architecture": "cnn_bilstm", "difference": 0.003, "low": -0.02, "high": 0.04}
    values_of_three = pd.Series({"cnn": 0.5, "wide": 0.51, "cnn_bilstm": 0.503})
    assert sentence(smaller, values_of_three, wide, recurrent) == (
        "**No gain from a recurrent layer was found**: cnn_bilstm, the best with one, has a macro-AUPRC of "
        "0.5030, cnn without has 0.5000; the 95% interval of the difference, +0.0030 [-0.0200, +0.0400], "
        "spans 0. The best of all is wide (no recurrence, channels × 2), 0.5100, from which cnn differs by "
        "-0.0100 [-0.0500, +0.0100]."
    )
    worse = {**recurrent, "difference": -0.03, "high": -0.01}
    text = sentence(best, values_of_three, wide, worse)
    assert text.startswith("**No gain") and text.endswith("from cnn by -0.0300 [-0.0200, -0.0100].")
    ahead = {**recurrent, "low": 0.001}
    text = sentence(smaller, values_of_three, wide, ahead)
    assert text.startswith("**cnn is enough**: ") and text.endswith("by +0.0030 [+0.0010, +0.0400].")
    small = Verdict("macro_auprc", "cnn_bilstm", "cnn", -0.02, None, None)
    text = sentence(small, values, ARCHITECTURES)
    assert text.startswith("**The test fold is too small to say**: the best") and text.endswith("is -0.0200.")
    unknown = {**recurrent, "low": np.nan, "high": np.nan}
    text = sentence(replace(smaller, low=None, high=None), values_of_three, wide, unknown)
    assert text.startswith("**The test fold is too small to say**") and "spans 0" not in text
    same = Verdict("macro_auprc", "cnn_bilstm", "cnn_bilstm", 0, None, None)
    assert "measurably" not in sentence(same, values, ARCHITECTURES)


def test_what_looks_the_same_is_best_together():
    found = figure_table(
        pd.DataFrame({"micro_f1": {"a": 0.50001, "b": 0.50002, "c": 0.4}}), "", {"micro_f1": "F1"}
    )
    assert found.count("**0.5000**") == 2 and found.count("**") == 4
    found = figure_table(
        pd.DataFrame({"micro_f1": {"a": 0.5, "b": 0.4, "model": 0.6}}), "", {"micro_f1": "F1"}
    )
    assert re.findall(r"\*\*(\S+)\*\*", found) == ["0.5000"]  # the candidate is not among the compared
    found = figure_table(pd.DataFrame({"micro_f1": {"a": 0.5, "model": 0.5}}), "", {"micro_f1": "F1"})
    assert found.count("**") == 2
    low = {name: [0.1, 0.2] for name in ("hamming_loss", "brier_score", "calibration_error")}
    found = figure_table(pd.DataFrame(low, ["a", "b"]), "", {name: name for name in low})
    a, b = found.splitlines()[2:]
    assert a.count("**0.1000**") == 3 and "**" not in b  # what is better low is bold where it is low


def test_what_a_longer_signal_and_one_thing_more_change_is_in_bold_where_it_is_sure(case):
    findings = case[-1]
    context, longer, _ = context_shown(findings.context, findings.longer)
    table = context_table(context, longer, ["a", "b", "c", "d"])
    rows = rows_of(table, " a |")
    assert re.search(r"\| +c less a \|", table)
    assert rows["cnn"][:4] == [f"{value:.4f}" for value in context.loc["cnn"]]
    assert rows["with recurrence"][:4] == [""] * 4 and rows["with recurrence"][4].startswith("**+")
    surely = of_metric(findings.longer, "macro_auprc_common").loc["with minus without"]
    assert rows["with minus without"][4].startswith("**") == (surely["low"] > 0 or surely["high"] < 0)
    effects = [(0.1, 0.05, 0.2), (0.1, -0.05, 0.2), (-0.1, -0.2, -1e-19), (-0.1, -0.2, -0.05)]
    made = pd.DataFrame(effects, columns=["difference", "low", "high"])
    made = made.assign(contrast="GRU instead of LSTM", pairs=3, metric=list(STEADY))
    _, (words, number, *cells) = contrast_table(made)
    assert (words, number) == ("GRU instead of LSTM", "3")
    assert [cell.startswith("**") for cell in cells] == [True, False, False, True]


def test_own_records_are_called_by_their_names():
    given = manifest(OWN, {"7": "clinic/seven.dat: no such file"}, {"9": ["V3"]})
    assert data_faults(given, NAMES_BY_ID, []) == [
        "a record was left out: clinic/seven.dat: no such file",
        "record clinic/nine has a constant lead: V3",
    ]
