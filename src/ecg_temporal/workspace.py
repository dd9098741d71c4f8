"""Where the things lie that outlive one run of a stage: MLflow's store, checkpoints, downloads."""

import os
from pathlib import Path


def project_root() -> Path:
    """Return the main repository's folder, also inside `dvc exp run --temp` and `--queue`.

    Those run in a copy of the project that is deleted afterwards; DVC names the main one in DVC_ROOT.
    """
    return Path(os.environ.get("DVC_ROOT") or Path.cwd()).resolve()


def scratch(name: str) -> Path:
    """Return the folder `name` under .dvc/tmp of the main repository: never in git, never in an output."""
    return project_root() / ".dvc" / "tmp" / name
