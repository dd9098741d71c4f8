"""`ecg-temporal explain`: which seconds and leads a finding rests on."""

import argparse
from dataclasses import replace

from ecg_temporal.commands.model import load, print_warnings
from ecg_temporal.commands.output import named, refuse_unwritable, replacing, shortened
from ecg_temporal.inference.drawing import SECONDS, draw_ecg
from ecg_temporal.inference.explain import occlusion
from ecg_temporal.inference.records import find_records, read_ecg

PARTS = {"all": "", "order": ", from the order of frames", "frames": ", whatever the order of frames"}
"""How the title says what is drawn."""


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    paths = find_records([options.record])
    if len(paths) != 1:
        raise ValueError(f"{options.record} holds {len(paths)} records; name one of them")
    ecg = read_ecg(paths[0])
    refuse_unwritable(options.out.resolve().parent)
    name, predictor = load(options.model, options.rule)
    if options.part != "all" and not predictor.spec.architecture.cells:
        raise ValueError(f"{name} has no recurrent layer, nothing in it rests on the order of frames")
    # What is drawn; hiding every part of half an hour would also take hours.
    signals = ecg.signals[:, : round(SECONDS * predictor.spec.sampling_rate_hz)]
    print_warnings(replace(ecg, signals=signals), predictor)
    found = occlusion(predictor, signals, options.subclass, order=options.part != "frames")
    if options.part == "order":
        found -= occlusion(predictor, signals, options.subclass, order=False)
    title = f"For (orange) and against (violet) {options.subclass}, by {name}{PARTS[options.part]}"
    title += f": {shortened(ecg.name)}"
    if ecg.signals.shape[1] > signals.shape[1]:
        title += f", the first {SECONDS:g} s alone"
    (probabilities,), (decisions,) = predictor.predict([signals])
    findings = named(predictor.spec.classes, probabilities, decisions)
    with replacing(options.out) as temporary:
        figure = draw_ecg(signals, predictor.spec.sampling_rate_hz, title, findings, found)
        figure.savefig(temporary, format="png")
