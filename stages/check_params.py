"""Refuse a params.yaml that can't work, before any stage has done anything.

The output never changes, so that a good params.yaml invalidates nothing downstream.
"""

import sys
from pathlib import Path

from ecg_temporal import files
from ecg_temporal.leftovers import refuse_left_over
from ecg_temporal.models.settings import CANDIDATE
from ecg_temporal.params import check
from ecg_temporal.settings import read_params
from ecg_temporal.workspace import refuse_other_labels


def main() -> None:
    """Run the stage."""
    params = check(read_params())
    if params.dataset == "own":
        refuse_other_labels(Path("data/raw/manifest.json"))
    # The stages that read these refuse what is left over, too: DVC may take this stage from its cache.
    names = [*params.architectures, CANDIDATE]
    for name in names:
        refuse_left_over(Path("models") / name, params.train.seeds)
    for folder in ("predictions", "probes", "decisions"):
        refuse_left_over(Path(folder), names)
    with files.replacing_file(Path("data/params_are_valid")) as temporary:
        temporary.write_text("params.yaml was checked by stages/check_params.py\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(str(error))
