"""`ecg-temporal compare`: whether what one experiment gains on another is more than chance."""

import argparse
from dataclasses import replace
from pathlib import Path

from ecg_temporal.commands.output import refuse_unwritable, replacing
from ecg_temporal.comparison.settings import BootstrapSettings
from ecg_temporal.evaluation.predictions import SPLITS
from ecg_temporal.experiments.compare import compare
from ecg_temporal.experiments.page import pair_page, recipe_page
from ecg_temporal.experiments.revisions import read_contender, refuse_stale_data
from ecg_temporal.ptbxl.raw import TABLE, read_table
from ecg_temporal.settings import read_params, section
from ecg_temporal.store import read_split


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    if options.first == options.second:
        raise ValueError(f"{options.first} would be set against itself")
    if options.out:
        refuse_unwritable(options.out.resolve().parent)
    bootstrap = section(read_params(), "bootstrap", BootstrapSettings)
    splits = {split: read_split(Path("data/processed") / split) for split in SPLITS}
    fold = splits[options.split]
    refuse_stale_data(Path("dvc.lock"))
    patients = read_table(Path("data/raw") / TABLE).loc[fold.ecg_id, "patient_id"].to_numpy()
    first, second = (read_contender(name, splits) for name in (options.first, options.second))
    if options.rule:
        first, second = (replace(each, rule=options.rule) for each in (first, second))
    labels = {split: data.labels for split, data in splits.items()}
    pair = compare(first, second, labels, fold.description.classes, patients, options.split, bootstrap)
    if options.out:
        with replacing(options.out) as temporary:
            pair.table().to_csv(temporary, index=False, float_format="%.6g")
    seeds = " and ".join(str(len(each.predictions.seeds)) for each in (second, first))
    rules = " and ".join(dict.fromkeys([second.rule, first.rule]))
    print(
        f"{second.name} less {first.name}: {fold.description.dataset}, {options.split} fold, {len(fold)} "
        f"records of {len(set(patients))} patients, {fold.labels.shape[1]} classes; mean of {seeds} seeds, "
        f"{bootstrap.replicates} replicates, rule {rules}"
    )
    print(f"{recipe_page(first, second)}\n")
    print(pair_page(pair, first.name, second.name), end="")
