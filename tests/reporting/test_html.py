import json
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from ecg_temporal.comparison.bootstrap import of_metric
from ecg_temporal.comparison.findings import find
from ecg_temporal.comparison.results import read_results
from ecg_temporal.models.settings import ArchitectureSettings
from ecg_temporal.reporting import svg
from ecg_temporal.reporting.examples import choose_examples, predicted_of_each
from ecg_temporal.reporting.html import Shown, _row_of, line_class, report_page
from ecg_temporal.reporting.style import COSTS, context_shown, order_shown
from ecg_temporal.reporting.tables import METRICS, SYNTHETIC, data_faults, population
from made_up import (
    ARCHITECTURES,
    BOOTSTRAP,
    CLASSES,
    NAMES_BY_ID,
    PATIENTS,
    RECIPE,
    manifest,
    read_case,
    table_of,
)


def page_of(labels, results, findings, splits, recipe=RECIPE):
    truth = labels["test"]
    table = table_of(labels, results, recipe.architectures)
    decisions = np.roll(truth, 1, axis=0).astype(bool)
    examples = choose_examples(truth, decisions, 0.5 + 0.4 * decisions, CLASSES)
    signals = np.resize(splits["test"].signals, (300, 12, 1000))
    about = replace(splits["test"].description, classes=CLASSES)
    counts = pd.DataFrame({"subclass": CLASSES, "all": [10, 20, 3]})
    shown = Shown(predicted_of_each(truth, decisions), examples, signals, list(map(str, range(300))))
    faults = data_faults(manifest("PTB-XL", {"7": "<r7>.dat: no such file"}, {}), NAMES_BY_ID, [])
    records = pd.DataFrame({"patient_id": PATIENTS, "sex": PATIENTS % 2, "age": 50.0}, range(300))
    people = population(records, {"train": np.arange(200), "test": np.arange(200, 300)})
    return report_page(recipe, table, results, findings, about, people, counts, faults, shown)


@pytest.fixture(scope="module")
def html(case, splits, tmp_path_factory):
    """The report page on disk."""
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(page_of(*case[1:], splits), encoding="utf-8")
    return path


def test_the_page_is_whole_and_needs_no_network(html):
    page = html.read_text(encoding="utf-8")
    assert len(page) < 3e6
    assert not re.search(r"(src|href)=\"(?!#)|url\(|@import|https?:", page)
    assert "Learning rate: 0.1; 0.02 for cnn_mixed.</li>" in page
    assert SYNTHETIC in page and "<li>record 7 was left out: &lt;r7&gt;.dat: no such file</li>" in page
    for section in re.findall(r'<section id="(\w+)".*?</section>', page, re.DOTALL):
        assert f'href="#{section}"' in page
    outline = ElementTree.fromstring(re.search(r"<main>.*</main>", page, re.DOTALL)[0])
    facts = outline.findall(".//section[@id='data']//tbody")[0]
    said = {row.find("th").text: [cell.text for cell in row.findall("td")] for row in facts}
    assert said == {
        "train": ["200", "100", "50", "50"],
        "test": ["100", "50", "50", "50"],
        "all": ["300", "150", "50", "50"],
    }
    charts = outline.findall(".//svg")
    assert len(charts) >= 14
    for chart in charts:  # every figure has its data, and says in words what it shows
        assert chart.get("aria-label") and any(
            chart.findall(f".//{mark}") for mark in ("circle", "rect", "path[@class='trace']")
        )
        assert "nan" not in ElementTree.tostring(chart, encoding="unicode")
    figures, by_metric, ensembles = outline.findall(".//section[@id='comparison']//tbody")
    assert [row.find("th").text for row in by_metric] == [*METRICS.values()]
    for row in by_metric:  # sorted as numbers
        last = row.findall("td")[-1]
        shown = 0 if last.text == "–" else float(last.text.split()[0])
        assert float(last.get("data-value")) == pytest.approx(shown, abs=5e-5)
    assert [row.find("th").text for row in ensembles] == list(ARCHITECTURES)
    rows = figures.findall("tr")
    assert [row.find("th").text for row in rows] == [
        *ARCHITECTURES,
        "nothing",
        "always NORM",
        "arXiv:2601.18830",
    ]


def test_the_charts_and_bold_figures_are_those_of_the_findings(case, html):
    _, labels, results, findings = case
    page = unescape(html.read_text(encoding="utf-8"))
    truth = labels["test"]
    said = predicted_of_each(truth, np.roll(truth, 1, axis=0).astype(bool))
    assert f"NORM, predicted for records with AMI: {said[0, 1]:.0%}<" in page and said[0, 1] != said[1, 0]
    from_best = of_metric(findings.from_best, "macro_auprc")
    order, what = order_shown(findings.order)
    assert what == "macro-AUPRC, ≥ 10 positives"
    for row in (from_best.loc["cnn"], order.loc["cnn_bilstm"]):
        title = f"{row.name}: {row['difference']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]"
        assert f"<title>{title}</title>" in page
    outline = ElementTree.fromstring(
        re.search(r"<main>.*</main>", html.read_text(encoding="utf-8"), re.DOTALL)[0]
    )
    table, _, ensembles = outline.findall(".//section[@id='comparison']//tbody")
    for row in ensembles:
        value = results.headline.loc[row.find("th").text, "ensemble_macro_auprc"]
        assert float(row.find("td").get("data-value")) == pytest.approx(value)
    for row in table.findall("tr")[: len(ARCHITECTURES)]:
        cell = of_metric(findings.intervals, "macro_auprc").loc[row.find("th").text]
        assert row.find("td").findall("small")[0].text == f"{cell['low']:.4f} – {cell['high']:.4f}"
    score = of_metric(findings.intervals, "macro_auprc")["value"]
    context, _, of_context = context_shown(findings.context, findings.longer)
    for name in RECIPE.compared:
        for column, (label, unit) in COSTS.items():
            spent = svg._short(findings.cost.loc[name, column] / unit)
            assert f"<title>{name}: {label} {spent}, macro-AUPRC {score[name]:.4f}</title>" in page
        for seconds, value in context.loc[name].items():
            assert f"<title>{name}: seconds of signal {seconds:g}, {of_context} {value:.4f}</title>" in page
    assert f"<title>BiLSTM: recurrent layers 1, macro-AUPRC {score['cnn_bilstm']:.4f}</title>" in page
    for what, values in (("training loss", [0.3, 0.2]), ("macro-AUPRC, validation", [0.4, 0.4])):
        for epoch, value in enumerate(values, 1):
            assert f"<title>cnn: epoch {epoch}, {what} {value:.4f}</title>" in page
    mean, share, _ = findings.reliability["calibrated"]
    point = f"predicted probability {mean[0]:.4g}, share of positive records {share[0]:.4f}"
    assert f"<title>calibrated: {point}</title>" in page
    for metric, best in (("hamming_loss", min), ("micro_f1", max)):
        assert f"<strong>{best(results.headline[metric].drop('model')):.4f}</strong>" in page


def test_on_the_page_too_the_candidate_is_never_bold():
    compared = pd.DataFrame({"name": ["a"], "micro_f1": [0.5]})
    for name, value, bold in (("a", 0.5, True), ("model", 0.5, False), ("model", 0.6, False)):
        row = {"name": name, "kind": "architecture", "temporal": "GRU", "micro_f1": value}
        assert ("<strong>" in _row_of(row, compared, {"micro_f1": "micro_f1"}, {}, "")) == bold


def test_lines_of_one_colour_differ_in_their_dashes():
    kinds = {
        "f-lstm": ArchitectureSettings(learning_rate=0.1, rnn="lstm"),
        "f-lstm dashed": ArchitectureSettings(learning_rate=0.1, rnn="lstm", layers=2),
        "f-lstm dotted": ArchitectureSettings(learning_rate=0.1, rnn="lstm", layers=3),
        "f-no-recurrence": ArchitectureSettings(learning_rate=0.1, rnn="none"),
        "f-no-recurrence dashed": ArchitectureSettings(learning_rate=0.1, rnn="none", widen=1.25),
    }
    assert {css: line_class(each) for css, each in kinds.items()} == {css: css for css in kinds}


@pytest.mark.parametrize("names", [["cnn"], ["cnn_bilstm"], ["cnn_mixed"]])
def test_a_report_of_one_architecture_says_nothing_that_is_not_so(case, splits, names):
    folder, labels, _, _ = case
    few = {name: ARCHITECTURES[name] for name in [*names, "model"]}
    results = read_results(folder / "metrics", list(few), epochs=2)
    predictions, probes = read_case(folder, few)
    reference = BOOTSTRAP.model_copy(update={"reference": names[0]})
    alone = replace(RECIPE, architectures=few, bootstrap=reference)
    found = find(alone, CLASSES, labels, PATIENTS, predictions, probes, results)
    assert found.best_recurrent is None
    page = unescape(page_of(labels, results, found, splits, alone))
    assert "with less temporal modelling" not in page and "starts at" not in page
    none, itself = "No recurrent architecture is compared.", "The best with recurrence, cnn_"
    assert "There is nothing to compare it with" in page
    assert (none in page) == (names == ["cnn"]) and (itself in page) == (names != ["cnn"])


def test_a_recurrent_reference_is_not_set_against_itself(case, splits):
    folder, labels, results, _ = case
    predictions, probes = read_case(folder)
    reference = BOOTSTRAP.model_copy(update={"reference": "cnn_mixed"})
    against = replace(RECIPE, bootstrap=reference)
    found = find(against, CLASSES, labels, PATIENTS, predictions, probes, results)
    assert found.best_recurrent is None
    page = page_of(labels, results, found, splits, against)
    assert "The best with recurrence, cnn_mixed, is what the others are set against." in page


def test_the_page_leads_back_to_its_commit(html, tmp_path):
    page = html.read_text(encoding="utf-8")
    (command,) = re.findall(r"<pre><code>(git checkout .*)", unescape(page))

    def run(text):
        done = subprocess.run(text, shell=True, cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    run("git init -q . && git config user.email a@b && git config user.name a")
    (tmp_path / "index.html").write_text("another\n", encoding="utf-8")
    run("git add . && git commit -qm before")
    (tmp_path / "index.html").write_text(page, encoding="utf-8")
    run("git commit -qam this")
    (tmp_path / "index.html").write_text("another\n", encoding="utf-8")
    run("git commit -qam after")
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "index.html").write_text(page, encoding="utf-8")
    run(command.replace("index.html", "saved/index.html"))
    assert run("git log -1 --format=%s") == "this"


def test_a_browser_shows_the_page_without_an_error_and_sorts_the_table(html, tmp_path):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("NO CHROMIUM: install it to see the report page in a browser")
    act = """
      const heads = [...document.querySelectorAll("#comparison th button")];
      const rows = () => [...document.querySelector("#comparison tbody").rows];
      const names = () => rows().map((row) => row.cells[0].firstChild.data);
      const seen = {};
      heads[1].click(); seen.down = names(); heads[1].click(); seen.up = names();
      heads[0].click(); seen.byName = names();
      heads[5].click(); seen.least = rows()[0].cells[5].dataset.value;
      seen.all = rows().map((row) => row.cells[5].dataset.value).filter(Boolean);
      const mark = document.querySelector("svg circle");
      mark.dispatchEvent(new PointerEvent("pointerover", {bubbles: true}));
      seen.tip = document.getElementById("tip").textContent;
      const late = document.querySelectorAll("#time svg [tabindex]")[0];
      late.focus();
      setTimeout(() => {
        const shown = !document.getElementById("tip").hidden && document.getElementById("tip").textContent;
        document.title = JSON.stringify({...JSON.parse(document.title), focused: shown});
      }, 300);
      const fits = document.documentElement.scrollWidth <= document.documentElement.clientWidth;
      document.title = JSON.stringify({...seen, fits});
    """
    copy = tmp_path / "index.html"
    copy.write_text(
        html.read_text(encoding="utf-8").replace("</script>", f"{act}</script>"), encoding="utf-8"
    )
    flags = "--headless --no-sandbox --disable-gpu --disable-background-networking --enable-logging=stderr"
    size = f"--window-size=500,900 --user-data-dir={tmp_path / 'profile'}"
    wait = ["--virtual-time-budget=2000", "--dump-dom"]
    command = [browser, *flags.split(), *size.split(), *wait, copy.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    seen = json.loads(unescape(re.search(r"<title>(\{.*?\})</title>", done.stdout)[1]))
    value = pd.Series({"cnn_mixed": 3, "cnn_bilstm": 2, "cnn": 1, "model": 0})
    assert [name for name in seen["down"] if name in value] == list(value.index)
    assert [name for name in seen["up"] if name in value] == list(value.index[::-1])
    models, others = seen["byName"][:4], seen["byName"][4:]
    assert set(models) == set(value.index)
    for group in (models, others):
        assert group == sorted(group, key=str.lower, reverse=True)
    assert float(seen["least"]) == min(map(float, seen["all"][:4]))  # of a loss the least on top
    assert re.fullmatch(r"\S+: .+, macro-AUPRC 0\.\d{4}", seen["tip"])
    assert re.match(r"cnn: [+-]0\.\d{4} \[", seen["focused"])  # though the page scrolled to it
    assert seen["fits"], "the page is wider than a phone"
