"""reports/comparison.md: what was compared, on what, and how it came out."""

import pandas as pd

from ecg_temporal.comparison.findings import PROBE_REPLICATES, Findings
from ecg_temporal.comparison.recipe import Recipe
from ecg_temporal.comparison.results import Results, positives
from ecg_temporal.comparison.settings import SIGNIFICANCE, BootstrapSettings
from ecg_temporal.comparison.verdict import LOWER_IS_BETTER, VERDICT_METRIC, Verdict
from ecg_temporal.evaluation.cross_validation import PARTS
from ecg_temporal.evaluation.summary import COMMON, THRESHOLDED
from ecg_temporal.models.settings import CANDIDATE
from ecg_temporal.reporting.style import RULE_TEXTS, context_shown, trained_on
from ecg_temporal.reporting.tables import (
    METRICS,
    STEADY,
    SYNTHETIC,
    aligned,
    class_table,
    context_table,
    contrast_table,
    differences,
    figure_table,
    leaves_out_zero,
    markdown,
    order_table,
    sentence,
    verdict_rows,
)
from ecg_temporal.store import Description

RULE_METRICS = {name: METRICS[name] for name in THRESHOLDED} | {"macro_f1": "macro-F1 ↑"}
PAPER_NOTE = (
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
    faults: list[str],
) -> str:
    """Return the page in Markdown.

    `table` is `tables.comparison`'s, `about` and `records` are of the test fold, `figures` are paths relative
    to the page, `faults` are those of `tables.data_faults`.
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
        sentence(findings.verdict, models[VERDICT_METRIC], recipe.compared, findings.recurrence)
        + " How this is decided: every architecture whose 95% interval of the difference from the best in "
        "macro-AUPRC spans 0 counts as good enough, and the one with the least temporal modelling among them is "
        "named: the fewest recurrent layers, then one direction before two, then the fewest parameters. An "
        "interval that spans 0 does not prove equality, and covers the choice of test patients alone, not another "
        "training.",
        f"{about.dataset}, test fold: {records:,} records, {len(about.classes)} diagnostic subclasses. "
        f"Epochs: {recipe.train.epochs}; seeds: {seeds} ({spread}). Learning rate: {recipe.learning_rates}. "
        f"Decision rule: {recipe.rule}, learned on the validation fold.",
        markdown(table),
        f"In bold the best of the compared architectures, or several that are the same to four digits; {recipe.candidate}. "
        "*nothing* and *always …* are constant predictions. The second figure leaves out the classes with fewer "
        f"than {COMMON} positive test records, where a record more or less on top moves macro-AUPRC by hundredths."
        + (PAPER_NOTE if (table["kind"] == "paper").any() else ""),
        "By each metric in turn, the best architecture and, found in the same way, what is enough:",
        aligned(verdict_rows(findings.verdicts, findings.intervals), text_columns=2),
        _other_readings(models, findings),
        _rules(results, findings, names, recipe.rule),
        _differences(findings, names, recipe.bootstrap),
        _time(findings, recipe, results, about.sampling_rate_hz),
        f"## Which diagnoses gain or lose\n\n{findings.best_recurrent}, the best with recurrence, against "
        f"{reference}: average precision on the test fold, with 95% intervals of the difference, "
        f"in bold where q, the false discovery rate over the classes with {COMMON} positive records or more "
        f"(Benjamini–Hochberg), is below {SIGNIFICANCE}. Some resamples hold no positive record of a rare class; they are skipped for it, and the "
        "last column says how many. The other architectures: tables/classes.csv.\n\n"
        + class_table(findings.classes, results.per_class, reference, findings.best_recurrent)
        if findings.best_recurrent
        else "",
        _cost(findings, models),
        _gaps(findings),
        "## What was wrong with the data\n\n" + "\n".join(f"- {fault}" for fault in faults) if faults else "",
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


def _rules(results: Results, findings: Findings, names: list[str], rule: str) -> str:
    compared = results.rules[results.rules["architecture"].isin(set(names) - {CANDIDATE})]
    means = compared.drop(columns="architecture").groupby(["fold", "rule"], sort=False).mean()
    validation, test = (pd.DataFrame(means.xs(fold, level="fold")) for fold in ("validation", "test"))
    ranks = [validation[name].rank(ascending=name in LOWER_IS_BETTER) for name in THRESHOLDED]
    validation = validation.assign(rank=sum(ranks) / len(ranks))
    first = validation.index[validation["rank"] == validation["rank"].min()]
    chosen = (
        f"On the validation fold alone, cross-validated in {PARTS} parts of its patients, the best by mean rank in "
        f"the three thresholded metrics is **{' and '.join(first)}**:"
        if len(first)
        else f"The validation fold has fewer than {PARTS} patients, too few to cross-validate the rules there:"
    )
    return "\n\n".join(
        [
            "## Decision rules",
            "Every rule is learned on the validation fold. "
            f"{'; '.join(f'{rule}: {text}' for rule, text in RULE_TEXTS.items())}. "
            f"The tables above are under **{rule}** (`decision.rule` in params.yaml). Mean over architectures and "
            f"seeds. {chosen}",
            figure_table(validation, "rule", RULE_METRICS | {"rank": "mean rank of the first three ↓"}),
            "On the test fold, with the calibration of the probabilities that are given beside the decisions "
            "(classwise expected calibration error in 15 bins, and Brier score):",
            figure_table(test, "rule", RULE_METRICS | CALIBRATION),
            "Calibration by architecture, on the test fold, as trained and after Platt scaling. Probabilities that "
            "came true exactly as often as they say would have a calibration error of "
            f"{findings.calibration_floor:.4f} on as many records, by chance alone (those of "
            f"{findings.verdict.least} after Platt scaling, labels drawn by them):",
            _calibration(results, names),
        ]
    )


def _calibration(results: Results, names: list[str]) -> str:
    test = results.rules[results.rules["fold"] == "test"].set_index(["architecture", "rule"])
    cells = test[list(CALIBRATION)].to_dict("index")
    told = {"half": "as trained", "platt": "Platt"}
    rows = [["", *(f"{text[:-2]}, {how}" for text in CALIBRATION.values() for how in told.values())]]
    rows += [
        [name, *(f"{cells[name, rule][metric]:.4f}" for metric in CALIBRATION for rule in told)]
        for name in names
    ]
    return aligned(rows, text_columns=1)


def _differences(findings: Findings, names: list[str], bootstrap: BootstrapSettings) -> str:
    too_small = "" if findings.verdict.decided else "; none here, where the test fold is too small"
    parts = [
        f"## Differences from {bootstrap.reference}",
        "With 95% intervals of a paired bootstrap over the patients of the test fold "
        f"({bootstrap.replicates:,} replicates, seeds averaged within a replicate); in bold "
        f"where Holm's correction over the compared architectures, metric by metric, leaves p < {SIGNIFICANCE} "
        f"(never `{CANDIDATE}`, which is not one of them{too_small}). A p near that is as much a matter of the replicates: "
        "others may make it bold or not. They say how far the test fold can be trusted, not how much another "
        "training would differ. "
        f"Classes with fewer than {COMMON} positive test records also make macro-AUPRC itself too high, on average and "
        "for all nearly alike: a few positive records are ranked better by chance than many.",
        differences(_after_holm(findings.from_reference, findings.verdict), names),
        "**By figures that rare classes and other seeds move less**, in the same way: the mean over the classes with "
        f"{COMMON} positive test records or more, and the binary cross-entropy, a mean over records and classes, as "
        "trained and after Platt scaling of each class on the validation fold.",
        differences(_after_holm(findings.from_reference, findings.verdict), names, STEADY),
    ]
    if len(findings.contrasts):
        parts += [
            "**One thing at a time**: the mean difference over the pairs of architectures that differ in one layer more, "
            "in direction or in the kind of cell alone (but for their learning rates), in bold where its interval leaves "
            "out 0, not corrected. Of both directions the classifier is given twice as many features as of one.",
            aligned(contrast_table(findings.contrasts), text_columns=1),
        ]
    again = findings.from_reference.drop(columns=["low", "high"])
    again = again.rename(columns={"again_low": "low", "again_high": "high"})
    sure = again.assign(sure=findings.verdict.decided & again.apply(leaves_out_zero, axis=1))
    if again["low"].notna().any():
        parts += [
            "**If all were trained again**: the same differences with intervals for other test patients *and* other "
            "seeds, whose variances are added, that of a training pooled over all architectures (Satterthwaite). In bold "
            "where they leave out 0, not corrected.",
            differences(sure, names),
            differences(sure, names, STEADY),
        ]
    if findings.best != bootstrap.reference:
        parts += [
            f"## Differences from the best, {findings.best}",
            "It was picked as the best on these same records, so its lead is likely somewhat too large. Holm's "
            "correction is over another family here, so that a pair may be in bold in one of the tables alone. The "
            "sentence at the top goes by the intervals of macro-AUPRC here, which are not corrected.",
            differences(_after_holm(findings.from_best, findings.verdict), names),
        ]
    return "\n\n".join(parts)


def _after_holm(differences: pd.DataFrame, verdict: Verdict) -> pd.DataFrame:
    corrected = (differences["architecture"] != CANDIDATE) & verdict.decided
    return differences.assign(sure=corrected & (differences["p_holm"] < SIGNIFICANCE))


def _time(findings: Findings, recipe: Recipe, results: Results, rate: int) -> str:
    names = list(recipe.architectures)
    context, longer, what = context_shown(findings.context, findings.longer)
    piece = recipe.train.crop_seconds
    lengths = [f"{c:g} s" + (", in pieces" if float(c) > piece else "") for c in context.columns]
    replicates = min(recipe.bootstrap.replicates, PROBE_REPLICATES)
    reach = int(findings.cost["receptive_field_samples"].iloc[0]) / rate
    return "\n\n".join(
        [
            "## What the models make of time",
            f"**Order.** One frame of the trunk sees {reach:.2f} s of signal. Here the frames of each piece "
            f"are put into random order before the recurrent layers ({recipe.probes.permutations} orders, averaged; "
            f"95% intervals of the paired bootstrap, here and below of its first {replicates:,} replicates, in bold where they leave out 0, not corrected for the number "
            "of architectures). Shuffled frames are unlike anything in training, so that a loss need not be due "
            "to order alone. Without recurrence nothing can change.",
            order_table(findings.order, names),
            _order_by_class(findings, recipe, results),
            f"**Context.** The same models on the middle of each record, at 10 s on all of it: {what}, in the last column "
            "with 95% intervals of the paired bootstrap, in bold where they leave out 0. They are trained on pieces of "
            f"{piece:g} s, so that one of another length is unlike training, too, and see no more at once: of more, the mean "
            "over pieces counts.",
            context_table(context, longer, lengths),
        ]
    )


def _order_by_class(findings: Findings, recipe: Recipe, results: Results) -> str:
    recurrent = [name for name, each in recipe.compared.items() if each.cells]
    common = [name for name, count in positives(results.per_class).items() if count >= COMMON]
    if not recurrent or not common:
        return ""
    change = findings.order_classes.loc[common, recurrent]
    falls = (change < 0).sum(axis=1).to_dict()
    told = [
        f"`{name}` ({mean:+.4f} on average; falls in {falls[name]} of {len(recurrent)})"
        for name, mean in change.mean(axis=1).nsmallest(3).items()
        if mean < 0
    ]
    if not told:
        return ""
    return (
        f"By diagnosis, of those with {COMMON} positive test records or more, average precision falls most in "
        f"{', '.join(told)}. All: tables/order_by_class.csv."
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
            "training step, ms",
            "training step, MB",
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
                f"{row['training_step_ms']:.0f}",
                f"{row['training_step_bytes'] / 1e6:.0f}",
            ]
        )
    measured = sorted(set(cost["hardware"]))
    return "\n\n".join(
        [
            "## What it costs",
            f"Trained on {trained_on(cost['training_hardware'])}. Measured on {'; '.join(measured)}, in fp32: the "
            "shortest of 100 latencies of one record of ten seconds, in pieces; the shortest time of a forward and "
            "backward pass of one batch, and its memory, without the optimizer's.",
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
