"""How commands name and write what they made."""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TextIO

from ecg_temporal import files
from ecg_temporal.ptbxl.names import full_names

LONGEST_NAME, LONGEST_MESSAGE = 90, 2000


def named(classes: list[str], probabilities: Any, decisions: Any) -> list[tuple[str, float, bool]]:
    """Return full name, probability and decision of each class, the likeliest first."""
    order = probabilities.argsort()[::-1]
    full = full_names(classes)
    return [(full.get(classes[k], classes[k]), float(probabilities[k]), bool(decisions[k])) for k in order]


def shortened(name: str) -> str:
    """Return a record's name short enough for a title: of a long path, its end."""
    return name if len(name) <= LONGEST_NAME else f"…{name[-LONGEST_NAME:]}"


def printable(text: str) -> str:
    """Return what may be told in a terminal: a record's header can hold what a terminal would obey."""
    escaped = "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode()
        for c in text[:LONGEST_MESSAGE]
    )
    return escaped if len(text) <= LONGEST_MESSAGE else f"{escaped}…"


def tell(text: str) -> None:
    """Print `text` on stderr."""
    print(printable(text), file=sys.stderr)


def replacing(path: Path) -> AbstractContextManager[Path]:
    """As `files.replacing_file`, but write through a symbolic link instead of replacing it."""
    return files.replacing_file(path.resolve())


@contextmanager
def to_stdout() -> Iterator[TextIO]:
    """Yield stdout, and flush it at the end; a reader that closes the pipe early, as `head`, is no error."""
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError:  # nor may Python's own flush at exit fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def refuse_unwritable(folder: Path) -> None:
    """Refuse, before anything that takes long, a folder that can't be made or written to.

    Raises:
        OSError: names it.

    """
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise NotADirectoryError(f"{there} is no folder")
    if not os.access(there, os.W_OK):
        raise PermissionError(f"{folder} can't be written to")
