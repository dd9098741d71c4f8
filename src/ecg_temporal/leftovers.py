"""What lies among a stage's inputs though params.yaml no longer names it."""

from collections.abc import Iterable
from pathlib import Path


def refuse_left_over(folder: Path, names: Iterable[object]) -> None:
    """Refuse outputs in `folder` that are not of `names` (their suffixes don't count).

    dvc.lock would have their checksums, too, and no other clone has them.

    Raises:
        ValueError: names them, and says how they go.

    """
    known = set(map(str, names))
    # What is being written has a hidden, temporary name.
    found = [path for path in sorted(folder.glob("*")) if not path.name.startswith(".")]
    if left := [str(path) for path in found if path.name.partition(".")[0] not in known]:
        raise ValueError(
            f"{', '.join(left)}: of what params.yaml does not name. `dvc checkout --allow-missing` takes "
            "away what DVC put there, `rm -r` what stays; then run this again"
        )
