"""reports/comparison.md: what was compared, on what, and how it came out."""

import pandas as pd

from ecg_temporal.comparison.findings import VERDICT_METRIC, Findings
from ecg_temporal.comparison.recipe import CANDIDATE, Recipe
from ecg_temporal.comparison.results import Results
from ecg_temporal.comparison.settings import BootstrapSettings
from ecg_temporal.comparison.verdict import LOWER_IS_BETTER
from ecg_temporal.evaluation.summary import THRESHOLDED
from ecg_temporal.probing.settings import ProbeSettings
from ecg_temporal.reporting.tables import (
    METRICS,
    SYNTHETIC,
    aligned,
    class_table,
    difference,
    differences,
    figure_table,
    markdown,
    sentence,
    verdict_rows,
)
from ecg_temporal.store import Description

RULE_METRICS = {
    "micro_f1": "micro-F1 ↑",
    "hamming_loss": "Hamming loss ↓",
    "subset_accuracy": "subset accuracy ↑",
    "macro_f1": "macro-F1 ↑",
}
PAPER = (
    " The paper's row is its abstract's, which gives no layer sizes, loss, splits or thresholds: no "
    "like-for-like comparison."
)
CALIBRATION = {"calibration_error": "calibration error ↓", "brier_score": "Brier score ↓"}


def comparison_page(
    recipe: Recipe,
    table: pd.DataFrame,
    results: Results,
    findings: Findings,
    about: Description,
    records: int,
    figures: list[str],
    skipped: dict[str, str],
    flat_leads: dict[str, list[str]],
) -> str:
    """Return the page in Markdown.

    `table` is `tables.comparison`'s, `about` and `records` are of the test fold, `figures` are paths relative
    to the page, `skipped` and `flat_leads` those of the raw dataset's manifest.
    """
    seeds = ", ".join(map(str, recipe.train.seeds))
    spread = (
        "mean ± standard deviation over seeds"
        if len(recipe.train.seeds) > 1
        else "one seed, so the spread between seeds is not known"
    )
    names, reference = list(recipe.architectures), recipe.bootstrap.reference
    models = table[table["kind"] == "architecture"].set_index("name")
    parts = [
        "# How much temporal modelling is enough?",
        f"> **{SYNTHETIC}.**" if about.synthetic else "",
        sentence(findings.verdict, models[VERDICT_METRIC], recipe.compared)
        + " The sentence is computed: of the best in macro-AUPRC and all whose 95% interval of the difference "
        "from it spans 0, the one with fewest recurrent layers, then one direction before two, then fewest "
        "parameters. An interval that spans 0 does not prove equality, and covers the choice of test "
        "patients alone, not another training.",
        f"{about.dataset}, test fold: {records:,} records, {len(about.classes)} diagnostic subclasses. "
        f"Epochs: {recipe.train.epochs}; seeds: {seeds} ({spread}). Decision rule: {recipe.rule}, learned on the "
        "validation fold.",
        markdown(table),
        "In bold the best architecture. *nothing* and *always …* are constant predictions."
        + (PAPER if (table["kind"] == "paper").any() else ""),
        "By each metric in turn, the best architecture and, found in the same way, what is enough:",
        aligned(verdict_rows(findings.verdicts, findings.intervals), text_columns=2),
        _other_readings(models, findings),
        _rules(results, names, recipe.rule),
        _differences(findings, names, recipe.bootstrap),
        _time(findings, names, recipe.probes, about.sampling_rate_hz),
        f"## Which diagnoses gain or lose\n\n{findings.recurrent}, the best with recurrence, against "
        f"{reference}: average precision on the test fold, with 95% intervals of the difference, "
        "in bold where they leave out 0 (not corrected for their number). A class that no record of a "
        "replicate has is left out there; the last column says how often. The others: tables/classes.csv.\n\n"
        + class_table(findings.classes, results.per_class, reference, findings.recurrent)
        if findings.recurrent
        else "",
        _cost(findings, models),
        _gaps(findings),
        _data_section(skipped, flat_leads),
        "## Figures",
        *(f"![{path.rsplit('/', 1)[-1].removesuffix('.png').replace('_', ' ')}]({path})" for path in figures),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _other_readings(models: pd.DataFrame, findings: Findings) -> str:
    ensemble = pd.DataFrame({name: models[f"ensemble_{name}"] for name in METRICS})
    at_half = pd.DataFrame({name: models[f"{name}_at_half"] for name in THRESHOLDED})
    return "\n\n".join(
        [
            "## Other summaries of the same models",
            "**Ensemble of the seeds**, whose logits are averaged:",
            figure_table(ensemble),
            "**Without the test records that have no label**, the same decisions, mean over seeds:",
            figure_table(findings.labelled),
            "**At a threshold of 0.5**, mean over seeds:",
            figure_table(at_half, columns={name: METRICS[name] for name in THRESHOLDED}),
        ]
    )


def _rules(results: Results, names: list[str], rule: str) -> str:
    compared = results.rules[results.rules["architecture"].isin(set(names) - {CANDIDATE})]
    means = compared.drop(columns="architecture").groupby(["fold", "rule"], sort=False).mean()
    validation, test = (pd.DataFrame(means.xs(fold, level="fold")) for fold in ("validation", "test"))
    ranks = [validation[name].rank(ascending=name in LOWER_IS_BETTER) for name in THRESHOLDED]
    validation = validation.assign(rank=sum(ranks) / len(ranks))
    first = validation.index[validation["rank"] == validation["rank"].min()]
    return "\n\n".join(
        [
            "## Decision rules",
            "Every rule is learned on the validation fold. half: probability of 0.5 or more, as trained; platt: "
            "the same after Platt scaling, class by class; f1: a threshold per class that maximises its F1; "
            "micro_f1: one threshold for all; +likeliest: where no class is left, the likeliest; powerset (label "
            "powerset): the most probable of the label sets that the training folds have. The tables above are "
            f"under **{rule}** (`decision.rule` in params.yaml). Mean over architectures and seeds. On the "
            "validation fold alone, cross-validated in five parts, the best by mean rank in the three "
            f"thresholded metrics is **{' and '.join(first)}**:",
            figure_table(validation, "rule", RULE_METRICS | {"rank": "mean rank of the first three ↓"}),
            "On the test fold, with the calibration of the probabilities that are given beside the decisions "
            "(classwise expected calibration error in 15 bins, and Brier score):",
            figure_table(test, "rule", RULE_METRICS | CALIBRATION),
        ]
    )


def _differences(findings: Findings, names: list[str], bootstrap: BootstrapSettings) -> str:
    parts = [
        f"## Differences from {bootstrap.reference}",
        "With 95% intervals of a paired bootstrap over the patients of the test fold "
        f"({bootstrap.replicates:,} replicates, seeds averaged within a replicate); in bold "
        "where Holm's correction over the compared architectures leaves p < 0.05 "
        f"(never `{CANDIDATE}`, which is not one of them). They say how far the test "
        "fold can be trusted, not how much another training would differ: that is the standard deviation "
        "over seeds above. "
        "Classes with fewer than ten positive test records move macro-AUPRC by hundredths; the second column "
        "leaves them out. They also make macro-AUPRC itself too high, on average and for all alike: a few "
        "positive records are ranked better by chance than many.",
        differences(findings.from_reference, names, CANDIDATE),
    ]
    if findings.best != bootstrap.reference:
        parts += [
            f"## Differences from the best, {findings.best}",
            "It was found on the same test fold, which flatters it a little. Holm's correction is over "
            "another family here, so that a pair may be in bold in one of the two tables alone. The sentence "
            "at the top goes by the intervals of macro-AUPRC here, which are not corrected.",
            differences(findings.from_best, names, CANDIDATE),
        ]
    return "\n\n".join(parts)


def _time(findings: Findings, names: list[str], probes: ProbeSettings, rate: int) -> str:
    order = findings.order.loc[names]
    rows = [["", "macro-AUPRC", "frames permuted", "difference"]]
    for name, row in order.iterrows():
        sure = row["low"] > 0 or row["high"] < 0
        rows.append(
            [
                str(name),
                f"{row['intact']:.4f}",
                f"{row['permuted']:.4f}",
                difference(row.to_dict(), bold=sure),
            ]
        )
    context = findings.context.loc[names]
    lengths = {column: f"{column:g} s" for column in context.columns}
    reach = int(findings.cost["receptive_field_samples"].iloc[0]) / rate
    return "\n\n".join(
        [
            "## What the models make of time",
            f"**Order.** One frame of the trunk sees {reach:.2f} s of signal. Here the frames of each piece "
            f"are put into random order before the recurrent layers ({probes.permutations} orders, averaged; "
            "95% intervals of the paired bootstrap, in bold where they leave out 0, not corrected for the number "
            "of architectures). Shuffled frames are unlike anything in training, so that a loss need not be due "
            "to order alone. Without recurrence nothing can change.",
            aligned(rows, text_columns=1),
            "**Context.** macro-AUPRC of the same models on the middle of each record; at 10 s on all of it, "
            "the mean over its pieces:",
            figure_table(context, columns=lengths),
        ]
    )


def _cost(findings: Findings, models: pd.DataFrame) -> str:
    cost, score = findings.cost, models[VERDICT_METRIC].to_dict()
    rows = [
        [
            "",
            "macro-AUPRC",
            "parameters",
            "multiply–accumulates, M",
            "latency, ms",
            "training, min",
            "step, MB",
        ]
    ]
    for name, row in cost.iterrows():
        rows.append(
            [
                str(name),
                f"{score[name]:.4f}",
                f"{row['parameters']:,.0f}",
                f"{row['multiply_accumulates'] / 1e6:.1f}",
                f"{row['latency_ms']:.1f}",
                f"{row['training_seconds'] / 60:.1f}",
                f"{row['training_step_bytes'] / 1e6:.0f}",
            ]
        )
    trained = sorted({hardware for each in cost["training_hardware"] for hardware in each})
    measured = sorted(set(cost["latency_hardware"]))
    return "\n\n".join(
        [
            "## What it costs",
            f"Trained on {'; '.join(trained)}: minutes of the training steps, validation left out, mean over "
            f"seeds, with whatever else the machine did. On {'; '.join(measured)}, in fp32: the shortest of 100 "
            "latencies of one record of ten seconds, in pieces, and the memory of a forward and backward pass of "
            "one batch, without the optimizer's state.",
            aligned(rows, text_columns=1),
        ]
    )


def _gaps(findings: Findings) -> str:
    gaps = findings.gaps
    columns = {str(column): str(column).replace("macro_auprc", "macro-AUPRC") for column in gaps.columns}
    rows = [["", *columns.values()]]
    rows += [
        [str(name), *(f"{value:.4f}" for value in row)]
        for name, row in zip(gaps.index, gaps.to_numpy(), strict=True)
    ]
    return (
        "## Overfitting\n\nBinary cross-entropy and macro-AUPRC of the finished models on an eighth of the "
        "training folds, on the validation and on the test fold.\n\n" + aligned(rows, text_columns=1)
    )


def _data_section(skipped: dict[str, str], flat_leads: dict[str, list[str]]) -> str:
    lines = [f"- record {ecg_id} was left out: {reason}" for ecg_id, reason in skipped.items()]
    lines += [
        f"- record {ecg_id} has a constant lead: {', '.join(leads)}" for ecg_id, leads in flat_leads.items()
    ]
    return "## What was wrong with the data\n\n" + "\n".join(lines) if lines else ""
