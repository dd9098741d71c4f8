"""reports/index.html: the report as one page that needs no network, in light and dark, on any screen."""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_temporal.comparison.bootstrap import of_metric
from ecg_temporal.comparison.findings import Findings
from ecg_temporal.comparison.recipe import Recipe
from ecg_temporal.comparison.results import Results, positives
from ecg_temporal.comparison.settings import SIGNIFICANCE
from ecg_temporal.comparison.verdict import LOWER_IS_BETTER, VERDICT_METRIC
from ecg_temporal.evaluation.summary import COMMON
from ecg_temporal.models.settings import CANDIDATE, ArchitectureSettings
from ecg_temporal.ptbxl.names import full_names
from ecg_temporal.ptbxl.waveforms import LEADS
from ecg_temporal.reporting import svg
from ecg_temporal.reporting.examples import Example
from ecg_temporal.reporting.style import (
    COSTS,
    RULE_TEXTS,
    best_by_depth,
    context_shown,
    dash,
    family,
    leaning,
    order_shown,
    pareto_front,
    trained_on,
)
from ecg_temporal.reporting.tables import METRICS, SYNTHETIC, contrast_table, sentence, verdict_rows
from ecg_temporal.store import Description

SHOWN_LEADS = ("II", "V1", "V5")
DASH_NOTE = "<p>Dashed: two recurrent layers, or a wider trunk. Dotted: three. Dash-dotted: four or more.</p>"
STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
SCRIPT = (Path(__file__).parent / "page.js").read_text(encoding="utf-8")

FIND_COMMIT = "git checkout $(git log --all --reverse --format=%h --find-object=$(git hash-object index.html) | head -1)"
"""A page can't name the commit that it will be in, but Git finds it."""


@dataclass(frozen=True)
class Shown:
    """What the page shows of the model that the verdict calls enough; `predicted` is predicted_of_each's."""

    predicted: NDArray[np.float64]
    examples: list[Example]
    signals: NDArray[np.int16]
    names: list[str]


def report_page(
    recipe: Recipe,
    table: pd.DataFrame,
    results: Results,
    findings: Findings,
    about: Description,
    people: pd.DataFrame,
    counts: pd.DataFrame,
    faults: list[str],
    shown: Shown,
) -> str:
    """Return the page.

    Parameters
    ----------
    recipe : Recipe
    table : DataFrame
        `tables.comparison`'s.
    results : Results
    findings : Findings
    about : Description
        Of the test fold.
    people : DataFrame
        `tables.population`'s.
    counts : DataFrame
        metrics/labels.csv: positive records by subclass and split.
    faults : list of str
        `tables.data_faults`.
    shown : Shown
        `signals` are the test fold's, int16 [records, leads, samples], and `names` those of its records.

    """
    compared, reference = recipe.compared, recipe.bootstrap.reference
    models = table[table["kind"] == "architecture"].set_index("name")
    score = models[VERDICT_METRIC]
    seeds = ", ".join(map(str, recipe.train.seeds))
    sections = [
        ("comparison", "The comparison", _comparison(table, findings, recipe)),
        ("cost", "What a point of score costs", _cost(findings, score, compared)),
        ("depth", "Depth and direction", _depth(findings, compared)),
        ("time", "Order and context", _time(findings, recipe, about.sampling_rate_hz)),
        (
            "diagnoses",
            "Which diagnoses gain or lose",
            _diagnoses(findings, results, reference, compared),
        ),
        ("mistaken", "Predicted where annotated", _predicted(shown, about.classes, findings)),
        ("calibration", "Calibration", _calibration(findings)),
        ("training", "Learning curves", _training(results, compared)),
        ("examples", "Right and wrong", _examples(shown, about)),
        ("data", "The data", _data(people, counts, faults, about)),
        ("methods", "How it was made", _methods(findings, about, recipe)),
    ]
    links = "".join(f'<li><a href="#{key}">{escape(title)}</a></li>' for key, title, _ in sections)
    body = "".join(
        f'<section id="{key}" aria-labelledby="h-{key}"><h2 id="h-{key}">{escape(title)}</h2>{content}</section>'
        for key, title, content in sections
    )
    warning = f'<p class="warning"><strong>{escape(SYNTHETIC)}.</strong></p>' if about.synthetic else ""
    verdict = _bold(sentence(findings.verdict, score, compared, findings.recurrence))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>How much temporal modelling is enough?</title><style>{STYLE}</style></head><body>"
        '<a class="skip" href="#comparison">Skip to the comparison</a>'
        f"<header><h1>How much temporal modelling is enough?</h1>{warning}"
        f'<p class="verdict">{verdict}</p>'
        f"<p>{escape(about.dataset)}, test fold; {len(compared)} architectures on a CNN trunk of one design; seeds: {seeds}; "
        f'epochs: {recipe.train.epochs}.</p><nav aria-label="Sections"><ul>{links}</ul></nav></header>'
        f"<main>{body}</main><footer><p>Not a medical device. Written by the DVC stage <code>report</code>; dvc.lock of "
        "the same commit or experiment has the checksums of all that went in.</p></footer>"
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def _comparison(table: pd.DataFrame, findings: Findings, recipe: Recipe) -> str:
    cells = findings.intervals.set_index(["architecture", "metric"]).to_dict("index")
    compared = table[(table["kind"] == "architecture") & (table["name"] != CANDIDATE)]
    rows, ensembles = "", ""
    for row in table.to_dict("records"):
        name = str(row["name"])
        notes = {}
        for metric in METRICS:
            if found := cells.get((name, metric)):
                known = not pd.isna(found["low"])
                notes[metric] = f"<small>{found['low']:.4f} – {found['high']:.4f}</small>" if known else ""
                spread = row.get(f"{metric}_std")
                notes[metric] += "" if pd.isna(spread) else f"<small>seeds ± {spread:.4f}</small>"
        size = "" if pd.isna(row["parameters"]) else f"{row['parameters']:,}"
        last = f'<td data-value="{size.replace(",", "")}">{size}</td>'
        rows += _row_of(row, compared, {metric: metric for metric in METRICS}, notes, last)
        if row["kind"] == "architecture":
            ensembles += _row_of(row, compared, {metric: f"ensemble_{metric}" for metric in METRICS}, {}, "")
    heads, *verdicts = verdict_rows(findings.verdicts, findings.intervals)
    by_metric = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in rest)}'
        f'<td data-value="{verdict.difference}">{escape(last)}</td></tr>'
        for (first, *rest, last), verdict in zip(verdicts, findings.verdicts.values(), strict=True)
    )
    return (
        f"<p>Decision rule {escape(recipe.rule)}: {escape(_rule(recipe.rule))}. Mean over seeds, below it the 95% "
        "interval of a bootstrap over the test patients and the standard deviation over seeds. A click on a heading "
        "sorts. In bold the best of the compared architectures, or several that are the same to four digits; "
        f"{escape(recipe.candidate)}. <em>nothing</em> and <em>always …</em> are constant predictions.</p>"
        + _table("Test fold", ["architecture", *METRICS.values(), "parameters"], rows)
        + "<p>The same question by each metric in turn: the best architecture, and the least temporal modelling whose "
        "95% interval of the difference from it spans 0.</p>"
        + _table("What is enough, by metric", ["metric", *heads[1:]], by_metric)
        + "<p>The seeds of each as an ensemble, whose logits are averaged:</p>"
        + _table("Ensembles", ["architecture", *METRICS.values()], ensembles)
    )


def _row_of(
    row: dict[Any, Any], compared: pd.DataFrame, columns: dict[str, str], notes: dict[str, str], last: str
) -> str:
    """Return a row: the metrics of `columns`, the best of `compared` in bold, with notes below them."""
    temporal = "" if pd.isna(row["temporal"]) else f"<small>{escape(row['temporal'])}</small>"
    text = f'<tr class="{row["kind"]}"><th scope="row">{escape(str(row["name"]))}{temporal}</th>'
    for metric, column in columns.items():
        value = row[column]
        if pd.isna(value):
            text += "<td></td>"
            continue
        best = compared[column].min() if metric in LOWER_IS_BETTER else compared[column].max()
        shown = f"{value:.4f}"
        if row["name"] in set(compared["name"]) and shown == f"{best:.4f}":
            shown = f"<strong>{shown}</strong>"
        text += f'<td data-value="{value}">{shown}{notes.get(metric, "")}</td>'
    return f"{text}{last}</tr>"


def _table(caption: str, heads: list[str], rows: str) -> str:
    """Return a table that sorts, in a region that scrolls where the screen is narrow."""
    head = ""
    for text in heads:
        lower = ' data-lower=""' if "↓" in text else ""
        head += f'<th scope="col"{lower}><button type="button">{escape(text)}</button></th>'
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}"><table class="sortable">'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _cost(findings: Findings, score: pd.Series, compared: dict[str, ArchitectureSettings]) -> str:
    names = list(compared)
    charts = ""
    for column, (label, unit) in COSTS.items():
        spent = findings.cost.loc[names, column] / unit
        marks = [
            svg.Mark(float(spent[name]), float(score[name]), name, _css(compared[name])) for name in names
        ]
        front = pareto_front(spent, score[names])
        charts += f"<figure>{svg.scatter(marks, label, 'macro-AUPRC', front)}</figure>"
    return (
        "<p>Nothing cheaper scores higher than what the dashed line joins. Point at a mark, or tap it, for its figures. The "
        "shortest of 100 latencies of a record of ten seconds; the shortest time of a forward and backward pass of one "
        "batch, and its memory, without the optimizer's. All in fp32 on "
        f"{escape('; '.join(sorted(set(findings.cost['hardware']))))}.</p>"
        f'{_legend(compared)}<div class="charts">{charts}</div>'
    )


def _depth(findings: Findings, compared: dict[str, ArchitectureSettings]) -> str:
    rows = of_metric(findings.intervals, VERDICT_METRIC)
    value = rows["value"].to_dict()
    plain = [name for name, each in compared.items() if not each.cells and each.widen == 1]
    series: dict[str, tuple[str, list[tuple[float, float]]]] = {}
    best = best_by_depth(compared, rows["value"])
    for name, each in compared.items():
        layers = len(each.cells)
        start = [(0.0, float(value[plain[0]]))] if plain else []
        point = (float(layers), float(value[name]))
        if name in best:
            series.setdefault(family(each), (_css(each), start))[1].append(point)
        elif layers:
            series[name] = (_css(each), [point])
    series = {kind: (css, sorted(points)) for kind, (css, points) in series.items()}
    from_best = of_metric(findings.from_best, VERDICT_METRIC)
    marks = [
        _row(name, from_best.loc[name], _css(compared[name])) for name in compared if name in from_best.index
    ]
    charts = [svg.lines(series, "recurrent layers", "macro-AUPRC")] if series else []
    charts += [svg.forest(marks, f"macro-AUPRC minus that of {findings.best}, the best")] if marks else []
    about = (
        "A line joins the best of each kind of cell and depth"
        if series
        else "No recurrent architecture is compared"
    )
    about += f"; it starts at {plain[0]}." if series and plain else "."
    drawn = "".join(f"<figure>{chart}</figure>" for chart in charts)
    found = f'<p>{escape(about)}</p>{_legend(compared)}<div class="charts">{drawn}</div>'
    if len(findings.contrasts):
        heads, *contrasts = contrast_table(findings.contrasts)
        text = "".join(
            f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{_bold(cell)}</td>" for cell in rest)}</tr>'
            for first, *rest in contrasts
        )
        found += (
            "<p>The mean difference over the pairs of architectures that differ in one thing alone (but for their learning "
            "rates), with 95% intervals; in bold where these leave out 0, not corrected.</p>"
            + _table("One thing at a time", ["what differs", *heads[1:]], text)
        )
    return found


def _time(findings: Findings, recipe: Recipe, rate: int) -> str:
    compared, (order, what) = recipe.compared, order_shown(findings.order)
    marks = [_row(name, order.loc[name], _css(each)) for name, each in compared.items()]
    context, _, of_context = context_shown(findings.context, findings.longer)
    series = {
        name: (line_class(each), [(float(s), float(v)) for s, v in context.loc[name].items()])  # type: ignore[arg-type]
        for name, each in compared.items()
    }
    seconds = [float(s) for s in context.columns]
    reach = int(findings.cost["receptive_field_samples"].iloc[0]) / rate
    return (
        f"<p>One frame of the trunk sees {reach:.2f} s of signal. First: what changes when the frames come in "
        f"random order ({recipe.probes.permutations} orders, averaged). Shuffled frames are unlike anything in training, "
        "so that a loss need not be due to order alone; the intervals are not corrected for their number. Second: the "
        f"same models on the middle of each record, at 10 s on all of it. No model sees more than "
        f"{recipe.train.crop_seconds:g} s at once: of more, the mean over pieces counts.</p>"
        f'{_legend(compared)}{DASH_NOTE}<div class="charts"><figure>'
        f"{svg.forest(marks, f'change of {what} with permuted frames')}</figure>"
        f"<figure>{svg.lines(series, 'seconds of signal', of_context, x_ticks=seconds)}</figure></div>"
    )


def _diagnoses(
    findings: Findings, results: Results, reference: str, compared: dict[str, ArchitectureSettings]
) -> str:
    if findings.best_recurrent is None:
        if not compared[reference].cells:
            return "<p>No recurrent architecture is compared.</p>"
        return f"<p>The best with recurrence, {escape(reference)}, is what the others are set against.</p>"
    rows = findings.classes[findings.classes["architecture"] == findings.best_recurrent].set_index("subclass")
    marks: list[svg.Mark] = []
    for name, count in positives(results.per_class).items():
        row = rows.loc[name]
        css = ("even", "gain", "lose")[leaning(row)]
        marks.append(_row(f"{name} ({count})", row, css))
    chart = svg.forest(marks, "difference in average precision")
    return (
        f"<p>Average precision of {escape(findings.best_recurrent)}, the best with recurrence, minus that of "
        f"{escape(reference)}; in brackets the positive test records. 95% intervals; in colour where the false "
        f"discovery rate over the classes with {COMMON} positive records or more is below {SIGNIFICANCE}.</p>"
        f'<figure class="one">{chart}</figure>'
    )


def _predicted(shown: Shown, classes: list[str], findings: Findings) -> str:
    chart = svg.heat(shown.predicted, classes, classes, "predicted for records with")
    return (
        "<p>Of the test records annotated with the diagnosis of a row, the share predicted to have that of a column, by "
        f"the ensemble of {escape(findings.verdict.least)}. Records have several diagnoses: off the diagonal are errors "
        f'and co-occurring diagnoses. The stronger the colour, the larger the share.</p><figure class="one">{chart}</figure>'
    )


def _calibration(findings: Findings) -> str:
    series = {
        kind: (css, list(zip(mean.tolist(), share.tolist(), strict=True)))
        for (kind, (mean, share, _)), css in zip(findings.reliability.items(), ("even", "gain"), strict=True)
    }
    keys = '<p class="legend"><span class="even">as trained</span><span class="gain">calibrated</span></p>'
    chart = svg.lines(series, "predicted probability", "share of positive records", diagonal=True)
    return (
        f"<p>{escape(findings.verdict.least)} on the test fold, classes and seeds pooled, as trained and after Platt scaling per "
        f'class, fitted on the validation fold.</p>{keys}<figure class="one">{chart}</figure>'
    )


def _training(results: Results, compared: dict[str, ArchitectureSettings]) -> str:
    means = results.history.groupby(["architecture", "epoch"])[["train_loss", "macro_auprc"]].mean()
    charts = ""
    for column, label in (("train_loss", "training loss"), ("macro_auprc", "macro-AUPRC, validation")):
        series = {
            name: (line_class(each), [(float(e), float(v)) for e, v in means.loc[name][column].items()])  # type: ignore[arg-type]
            for name, each in compared.items()
        }
        charts += f"<figure>{svg.lines(series, 'epoch', label)}</figure>"
    return f'{_legend(compared)}{DASH_NOTE}<div class="charts">{charts}</div>'


def _examples(shown: Shown, about: Description) -> str:
    rows = [LEADS.index(lead) for lead in SHOWN_LEADS]
    cards, full = "", full_names(about.classes)
    for example in shown.examples:
        chart = svg.ecg(
            shown.signals[example.row][rows],
            SHOWN_LEADS,
            about.sampling_rate_hz,
            f"record {shown.names[example.row]}",
        )
        truth, found = (
            ", ".join(full.get(name, name) for name in names) or "nothing"
            for names in (example.truth, example.predicted)
        )
        css = "right" if example.right else "wrong"
        cards += (
            f'<figure class="{css}"><figcaption><strong>{css.capitalize()}</strong>, record '
            f"{escape(shown.names[example.row])}. Annotated: {escape(truth)}. Predicted: {escape(found)}; probability of "
            f"{escape(full.get(example.about, example.about))}: {example.probability:.0%}.</figcaption>{chart}</figure>"
        )
    said = "<p>The most confident right and wrong decisions, two of each, about different diagnoses.</p>"
    return f'{said}<div class="charts">{cards}</div>'


def _data(people: pd.DataFrame, counts: pd.DataFrame, faults: list[str], about: Description) -> str:
    columns = [column for column in counts.columns if column != "subclass"]
    rows, full_name = "", full_names(about.classes)
    for row in counts.to_dict("records"):
        name = str(row["subclass"])
        cells = "".join(f'<td data-value="{row[c]}">{row[c]:,}</td>' for c in columns)
        full = f"<small>{escape(full_name[name])}</small>" if full_name else ""
        rows += f'<tr><th scope="row">{escape(name)}{full}</th>{cells}</tr>'
    items = "".join(f"<li>{escape(fault)}</li>" for fault in faults)
    return (
        f"<p>{escape(about.dataset)} at {about.sampling_rate_hz} Hz: who was recorded, and positive records by subclass "
        "and split.</p>"
        + _table("Records and patients", ["split", *people.columns], _population(people))
        + _table("Positive records", ["subclass", *columns], rows)
        + (
            f"<details><summary>What was wrong with the data</summary><ul>{items}</ul></details>"
            if items
            else ""
        )
    )


def _population(people: pd.DataFrame) -> str:
    rows = ""
    for split, row in people.iterrows():
        cells = "".join(
            "<td></td>" if pd.isna(value) else f'<td data-value="{value}">{value:,.0f}</td>' for value in row
        )
        rows += f'<tr><th scope="row">{escape(str(split))}</th>{cells}</tr>'
    return rows


def _methods(findings: Findings, about: Description, recipe: Recipe) -> str:
    beside = (
        f" Auxiliary targets beside the {len(about.classes)} subclasses: {len(about.statements)} other SCP-ECG "
        "statements of the training folds; their outputs are cut off after training."
        if about.statements
        else ""
    )
    source = ""
    if about.dataset.startswith("PTB-XL"):
        source = "export PTBXL_DIR=/data/ptb-xl   # or leave it unset to download\n"
    elif not about.synthetic:
        source = "export OWN_DIR=/data/clinic   # the records and their labels.csv\n"
    return (
        "<ul><li>Each architecture has a residual CNN of the same design (a wider one where the table says so), "
        "trained with it from scratch; recurrent layers over its frames, or none; mean and maximum over time, and a "
        f"linear classifier. Learning rate: {escape(recipe.learning_rates)}.</li>"
        f"<li>Trained on random pieces of {recipe.train.crop_seconds:g} s with binary cross-entropy, AdamW and a one-cycle "
        f"schedule; a record's prediction is the mean over half-overlapping pieces.{beside}</li>"
        f"<li>The test fold is no input of training, scaling or the fit of decision rules (here {escape(recipe.rule)}). The "
        "recipe, learning rates and rule of the project's params.yaml were chosen on PTB-XL's fold 9. Which architecture "
        "is called the best, and which enough, is found on the test fold.</li>"
        f"<li>Intervals: paired bootstrap over the test patients, {recipe.bootstrap.replicates:,} replicates, seeds averaged "
        "within a replicate; percentiles, which say what another fold of this size would give. They don't say how "
        "much another training would differ.</li>"
        f"<li>Trained on {escape(trained_on(findings.cost['training_hardware']))}.</li></ul>"
        "<p>To reproduce it, in a clone of the project, from the commit that this page, saved as index.html, is in "
        "(another processor gives slightly other weights):</p>"
        f"<pre><code>{escape(FIND_COMMIT)}\nmake setup &amp;&amp; source .venv/bin/activate\n{source}dvc repro</code></pre>"
        "<p>All tables and intervals: comparison.md and tables/ beside this page. "
        f"Signals and labels of the test fold: SHA-256 <code>{about.sha256[:16]}…</code></p>"
    )


def _rule(rule: str) -> str:
    first, *rest = rule.split("+")
    return "; ".join([RULE_TEXTS[first], *(RULE_TEXTS[f"+{each}"] for each in rest)])


def _row(name: str, row: Any, css: str) -> svg.Mark:
    return svg.Mark(float(row["difference"]), 0.0, name, css, float(row["low"]), float(row["high"]))


def _css(settings: ArchitectureSettings) -> str:
    return "f-" + family(settings).lower().replace(" ", "-")


def line_class(settings: ArchitectureSettings) -> str:
    """Return the CSS classes of an architecture's line: its family, and its dashes within the family."""
    return f"{_css(settings)} {('', 'dashed', 'dotted', 'mixed-dashes')[dash(settings)]}".rstrip()


def _legend(compared: dict[str, ArchitectureSettings]) -> str:
    kinds = {family(each): _css(each) for each in compared.values()}
    keys = "".join(f'<span class="{css}">{escape(kind)}</span>' for kind, css in kinds.items())
    return f'<p class="legend">{keys}</p>'


def _bold(text: str) -> str:
    parts = escape(text).split("**")
    return "".join(f"<strong>{part}</strong>" if k % 2 else part for k, part in enumerate(parts))
