"""Where the things lie that outlive a stage's run: own records, checkpoints, downloads, MLflow's store."""

import hashlib
import json
import os
from pathlib import Path


def project_root() -> Path:
    """Return the main repository's folder, also inside `dvc exp run --temp` and `--queue`.

    Those run in a copy of the project that is deleted afterwards; DVC names the main one in DVC_ROOT.
    """
    return Path(os.environ.get("DVC_ROOT") or Path.cwd()).resolve()


def from_project(path: str) -> Path:
    """Return a path of the environment: a relative one is from the project, not from an experiment's copy."""
    return project_root() / Path(path).expanduser()


def refuse_other_labels(manifest: Path) -> None:
    """Refuse a raw dataset that was made from another labels.csv than lies in OWN_DIR: DVC can't see that.

    Where OWN_DIR is not set, or the dataset is not of one's own records, there is nothing to compare.

    Parameters
    ----------
    manifest : Path
        data/raw/manifest.json

    Raises
    ------
    ValueError
        The message says how to read the records again.

    """
    own = os.environ.get("OWN_DIR")
    if not own or not manifest.is_file():
        return
    made_from = json.loads(manifest.read_text(encoding="utf-8"))["sources"].get("labels.csv")
    table = from_project(own) / "labels.csv"
    if made_from and table.is_file():
        sha256 = hashlib.sha256(table.read_bytes()).hexdigest()
        if made_from != f"SHA-256 {sha256}":
            raise ValueError(
                f"{manifest.parent} was made from another labels.csv than {table}: "
                "`dvc exp run -s -f fetch -S dataset=own` reads the records again; then run this again"
            )


def scratch(name: str) -> Path:
    """Return the folder `name` under .dvc/tmp of the main repository: never in git, never in an output."""
    return project_root() / ".dvc" / "tmp" / name
