"""Refuse a params.yaml that can't work, before any stage has done anything.

The output never changes, so that a good params.yaml invalidates nothing downstream.
"""

import sys
from pathlib import Path

from ecg_temporal import files
from ecg_temporal.params import check, left_over_models
from ecg_temporal.settings import read_params
from ecg_temporal.workspace import refuse_other_labels


def main() -> None:
    """Run the stage."""
    params = check(read_params())
    if left := left_over_models(params, Path("models")):
        raise ValueError(
            f"{', '.join(map(str, left))}: of seeds that params.yaml does not name; dvc.lock would have "
            "their checksums, too. `dvc checkout --allow-missing` takes them away; then run this again"
        )
    if params.dataset == "own":
        refuse_other_labels(Path("data/raw/manifest.json"))
    with files.replacing_file(Path("data/params_are_valid")) as temporary:
        temporary.write_text("params.yaml was checked by stages/check_params.py\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(str(error))
