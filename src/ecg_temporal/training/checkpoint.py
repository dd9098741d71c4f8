"""The state after the last finished epoch, so that a training that was killed goes on from there.

Checkpoints lie in .dvc/tmp/checkpoints of the main repository, named by a hash of params, data, code and
PyTorch: a run that differs in one never sees them; one inside `dvc exp run --temp`, or on other hardware with
the same precision, does.
"""

import hashlib
import io
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from ecg_temporal import files, workspace

PACKAGE = Path(__file__).resolve().parents[1]


def checkpoint_path(identity: dict[str, Any]) -> Path:
    """Return where the run of this `identity` (anything that JSON can hold) keeps its checkpoint."""
    sha = hashlib.sha256(json.dumps([identity, torch.__version__], sort_keys=True).encode())
    for pattern in ("models/*.py", "training/*.py", "evaluation/metrics.py", "store.py"):
        for source in sorted(PACKAGE.glob(pattern)):
            sha.update(source.read_bytes())
    return workspace.scratch("checkpoints") / f"{sha.hexdigest()[:24]}.pt"


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep the checkpoint at `path` to this process; wait for another that trains the same.

    The lock is an empty file beside it, which stays: removed, it would no longer hold those who wait for it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print("Another process is training the same; this one waits until it has ended.", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def save(path: Path, state: dict[str, Any]) -> None:
    """Replace the checkpoint at `path` by `state`, whole or not at all."""
    # Through a buffer, because torch.save hides the reason when a disk is full.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with files.replacing_file(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def load(path: Path) -> dict[str, Any] | None:
    """Return the checkpoint at `path`, its tensors on the CPU, or None if there is none.

    Raises:
        ValueError: it is damaged.

    """
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError:
        raise
    except Exception as error:  # what is no pickle can make unpickling raise anything
        raise ValueError(
            f"the checkpoint {path} is damaged ({error!r}); remove it to begin this training anew"
        ) from None
    return state


def remove_old(path: Path, days: float = 30) -> None:
    """Remove the checkpoints beside `path` that no training has touched for `days`."""
    for other in path.parent.glob("*.pt"):
        # Another training may remove the same file at the same time.
        with suppress(FileNotFoundError):
            if other != path and time.time() - other.stat().st_mtime > days * 86_400:
                other.unlink()
