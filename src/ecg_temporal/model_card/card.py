"""MODEL_CARD.md: what the model is for, what it was made from, and where it fails.

After Mitchell et al., Model Cards for Model Reporting (arXiv:1810.03993).
"""

from typing import Any

import pandas as pd

from ecg_temporal.evaluation.summary import COMMON
from ecg_temporal.model_card.subgroups import DIAGNOSIS, SHOWN
from ecg_temporal.models.settings import ArchitectureSettings
from ecg_temporal.ptbxl.names import full_names
from ecg_temporal.reporting.style import describe
from ecg_temporal.reporting.tables import METRICS, STEADY, SYNTHETIC, aligned
from ecg_temporal.store import Description
from ecg_temporal.training.settings import TrainSettings

FAILURES = 5
PTBXL = (
    " The project's recipe, learning rates and decision rule were chosen on fold 9. PTB-XL was recorded between 1989 and 1996 with devices of one make at 51 sites; ethnicity is not known. "
    "Labels are diagnostic SCP-ECG statements; they come from reports that cardiologists wrote or the recording "
    "device drafted, not from other examinations; a cardiologist validated those of folds 9 and 10, and of two thirds of "
    "the others."
)
NO_RHYTHM = "\n- No rhythm is among the classes: atrial fibrillation, for one, is not detected, and such a record may be predicted NORM."
PTBXL_LICENCE = (
    "PTB-XL: CC BY 4.0, Wagner et al., *PTB-XL, a large publicly available electrocardiography dataset*, "
    "PhysioNet 2022, doi 10.13026/kfzx-aw45. "
)


def model_card(
    name: str,
    architecture: ArchitectureSettings,
    about: Description,
    people: pd.DataFrame,
    groups: pd.DataFrame,
    classes: pd.DataFrame,
    rule: str,
    settings: TrainSettings,
    decided: bool,
    unlearned: list[str],
    uncalibrated: list[str],
) -> str:
    """Return the card of the architecture `name`, the one that the verdict calls enough, in Markdown.

    Parameters
    ----------
    name, architecture, about, rule, settings
        Of the comparison.
    people : DataFrame
        PTB-XL's columns sex and age, of every record of the three splits.
    groups : DataFrame
        `subgroups.by_subgroup`'s, of the ensemble on the test fold.
    classes : DataFrame
        `subgroups.by_diagnosis`'s, of the same.
    decided : bool
        Whether the test fold was large enough for a verdict.
    unlearned, uncalibrated : list of str
        Classes without a training record, and those whose probabilities are as trained.

    """
    seeds = ", ".join(map(str, settings.seeds))
    seeds = f"as an ensemble of the seeds {seeds}" if len(settings.seeds) > 1 else f"with seed {seeds}"
    full = full_names(about.classes)
    on_ptbxl = about.dataset.startswith("PTB-XL")
    chosen = (
        "It is the architecture that the comparison's computed verdict calls enough (reports/comparison.md)"
        if decided
        else "It is the architecture with the least temporal modelling; **the test fold is too small to say "
        "whether that is enough** (reports/comparison.md)"
    )
    parts = [
        f"# Model card: {name}",
        f"> **{SYNTHETIC}.**" if about.synthetic else "",
        f"A residual CNN over a 12-lead ECG; temporal part: {describe(architecture)}. It gives a probability "
        f"and a decision for each of {len(about.classes)} diagnostic subclasses. {chosen}, "
        f"{seeds}. Decisions here are those of the rule {rule} (`--rule {rule}`). Made by the "
        "stage `card`.",
        "## Intended use\n\n"
        "- For research: a baseline to compare with, a model to probe, a start for other data.\n"
        "- Not for: diagnosis, triage or monitoring of people. **It is not a medical device**; nobody has tested it in "
        "care.\n"
        "- Input: a resting 12-lead ECG of ten seconds or more (from a second on, with lower scores); `ecg-temporal predict` resamples to "
        f"{about.sampling_rate_hz} Hz. Most of what is no such ECG gets an answer all the same.",
        "## Data\n\n"
        f"{about.dataset}: {len(people):,} records; folds 1–8 train; fold 9 calibrates; fold 10 tests"
        f"{', and it is there that the verdict called this architecture enough' if decided else ''}. {_who(people)}{PTBXL if on_ptbxl else ''}",
        "## How well, for whom\n\n"
        "On the test fold, with 95% intervals of a bootstrap over its patients. Groups differ in what they suffer "
        "from, so a difference between them is not by itself one of the model. macro-AUROC is the mean over the diagnoses "
        f"with {COMMON} positive records or more in the group, so over fewer in a small one; a record without sex or age is "
        "in none of their groups.",
        _groups(groups),
        "## By diagnosis\n\nIntervals as above; of a recall or precision of 0 or 1 that no resample changes, those of "
        "Clopper and Pearson for as many patients. Another figure that none changes has no interval: it rests on too few records to say "
        "anything.",
        _classes(classes, full),
        "## Where it fails",
        f"Of the diagnoses with {COMMON} positive test records or more the {FAILURES} that are found least often, and the "
        f"{FAILURES} that are most often called normal; all are in the table above.",
        _failures(classes, full, unlearned, uncalibrated) + (NO_RHYTHM if on_ptbxl else ""),
        f"## Licence and citation\n\nCode: MIT. {PTBXL_LICENCE if on_ptbxl else ''}To cite this project: CITATION.cff.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _who(people: pd.DataFrame) -> str:
    sex, ages = people["sex"].dropna(), people["age"].dropna().clip(upper=90)  # 300 stands for more than 89
    said = [f"{(sex == 1).mean():.0%} women" if len(sex) else "sex is not known"]
    if len(ages):
        low, middle, high = ages.quantile([0.05, 0.5, 0.95])
        said.append(f"ages {low:.0f} to {high:.0f} (5th to 95th percentile), median {middle:.0f}")
    else:
        said.append("age is not known")
    known = len(sex) and len(ages) and people[["sex", "age"]].isna().any(axis=None)
    text = "; ".join(said) + (", of those that are known." if known else ".")
    return text[0].upper() + text[1:]


def _groups(groups: pd.DataFrame) -> str:
    rows = [["", "records", *((METRICS | STEADY)[metric] for metric in SHOWN)]]
    for name, of_group in groups.groupby("group", sort=False):
        cells = of_group.set_index("metric").to_dict("index")
        texts = [_with_interval(cells[metric]) for metric in SHOWN]
        rows.append([str(name), f"{of_group['records'].iloc[0]:,}", *texts])
    return aligned(rows, text_columns=1)


def _classes(classes: pd.DataFrame, full: dict[str, str]) -> str:
    rows = [["", "", "positives", *DIAGNOSIS.values()]]
    for name, row in classes.sort_values("positives", ascending=False, kind="stable").iterrows():
        cells = [
            {"value": row[key], "low": row[f"{key}_low"], "high": row[f"{key}_high"]} for key in DIAGNOSIS
        ]
        texts = [_with_interval(cell, digits=3) for cell in cells]
        rows.append([str(name), full.get(str(name), ""), f"{row['positives']:.0f}", *texts])
    return aligned(rows, text_columns=2)


def _failures(
    classes: pd.DataFrame, full: dict[str, str], unlearned: list[str], uncalibrated: list[str]
) -> str:
    def named(subclass: object) -> str:
        return f"{subclass} ({full[str(subclass)]})" if full else str(subclass)

    enough = classes[classes["positives"] >= COMMON]
    missed = enough[enough["recall"] < 1].nsmallest(FAILURES, "recall", keep="all")
    lines = [
        f"- {reason}: {', '.join(map(named, names))}."
        for reason, names in (
            ("Not learned, for no training record has it", unlearned),
            (
                "Not calibrated, for want of positive records in fold 9 that score above the others",
                uncalibrated,
            ),
        )
        if names
    ]
    lines += [
        f"- {named(name)}: {row['recall']:.0%} of {row['positives']:.0f} found."
        for name, row in missed.iterrows()
    ]
    few = classes.index[classes["positives"] < COMMON]
    if len(few):
        lines.append(
            f"- Fewer than {COMMON} positive test records, too few to judge: {', '.join(map(named, few))}."
        )
    called = enough["called_normal"].nlargest(FAILURES, keep="all")
    lines += [
        f"- {named(name)}: {share:.0%} of those not also annotated NORM are predicted NORM instead."
        for name, share in called[called > 0].items()
    ]
    return "\n".join(lines)


def _with_interval(cell: dict[Any, Any], digits: int = 4) -> str:
    if pd.isna(cell["value"]):
        return "–"
    value, low, high = (f"{cell[key]:.{digits}f}" for key in ("value", "low", "high"))
    return value if pd.isna(cell["low"]) else f"{value} [{low}, {high}]"
