"""Atomic writes, so that a file is either whole or not there: temporary name, fsync, rename.

Raises OSError with the name of what could not be written, also where a library raises it without: a disk that
is full says so and is not mistaken for another fault.
"""

import errno
import glob
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what was written there becomes `path` at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        with _named(path):
            yield temporary
            _sync(temporary)
            temporary.replace(path)
            _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a new, empty folder beside `path`; it becomes `path`, instead of what is there, at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    before = temporary.with_suffix(".old.tmp")
    temporary.mkdir()
    try:
        with _named(path):
            yield temporary
            for written in temporary.rglob("*"):
                _sync(written)
            if path.exists():  # aside, because to remove it takes a while in which it would be half there
                path.replace(before)
            temporary.replace(path)
            _sync(path.parent)
            shutil.rmtree(before, ignore_errors=True)
    finally:
        if before.exists() and not path.exists():
            before.replace(path)
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    # numpy says how many bytes are missing, Python "File too large", and neither of which file.
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT) and "requested and" not in str(error):
            raise
        raise OSError(
            f"{path} could not be written, what was there before is kept ({error.strerror or error}): "
            "free some space and run the same command again"
        ) from error


def _temporary(path: Path) -> Path:
    # Host and process id keep two writers apart, and tell what a killed one left behind.
    host = platform.node()
    for left in path.parent.glob(f".{glob.escape(path.name)}.{glob.escape(host)}.*.tmp"):
        process = left.name.removeprefix(f".{path.name}.{host}.").split(".")[0]
        # In a container the dead writer may well have had the number that this process has.
        if process.isdecimal() and (int(process) == os.getpid() or not _runs(int(process))):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    return path.with_name(f".{path.name}.{host}.{os.getpid()}.tmp")


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
