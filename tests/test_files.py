import errno
import os
import platform

import pytest

from ecg_temporal import files


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    with files.replacing_file(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.replacing_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "stale").touch()
    with files.replacing_folder(folder) as temporary:
        (temporary / "fresh").touch()
    assert [p.name for p in folder.iterdir()] == ["fresh"]
    with pytest.raises(RuntimeError), files.replacing_folder(folder) as temporary:
        raise RuntimeError
    assert [p.name for p in folder.iterdir()] == ["fresh"]
    assert list(tmp_path.iterdir()) == [folder]


def test_what_a_killed_writer_left_is_removed_and_a_living_one_is_left_alone(tmp_path):
    host = platform.node()
    processes = (2**22 + 1, os.getpid(), os.getppid())
    dead, namesake, alive = (tmp_path / f".out.{host}.{process}.tmp" for process in processes)
    elsewhere = tmp_path / ".out.another-host.1.tmp"
    for folder in (dead, namesake, alive, elsewhere):
        folder.mkdir()
        (folder / "half-written").touch()
    with files.replacing_folder(tmp_path / "out"):
        pass
    assert not dead.exists() and not namesake.exists() and alive.exists() and elsewhere.exists()
    assert not any((tmp_path / "out").iterdir())


def test_what_is_named_like_a_temporary_file_and_is_none_is_left_alone(tmp_path):
    odd = tmp_path / f".out.{platform.node()}.notes.tmp"
    odd.touch()
    with files.replacing_folder(tmp_path / "out"):
        pass
    assert odd.exists()


def test_the_old_folder_is_never_there_by_half(tmp_path, monkeypatch):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "old").touch()
    monkeypatch.setattr(files.shutil, "rmtree", lambda *_, **__: None)  # killed before anything is removed
    with files.replacing_folder(folder) as temporary:
        (temporary / "fresh").touch()
    assert [p.name for p in folder.iterdir()] == ["fresh"]
    monkeypatch.undo()
    with files.replacing_folder(folder) as temporary:
        (temporary / "newer").touch()
    assert [p.name for p in folder.iterdir()] == ["newer"] and list(tmp_path.iterdir()) == [folder]


def test_where_the_new_folder_cannot_take_its_place_the_old_one_is_kept(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "old").touch()
    with pytest.raises(FileNotFoundError), files.replacing_folder(folder) as temporary:
        temporary.rmdir()  # so that nothing can be renamed
    assert [p.name for p in folder.iterdir()] == ["old"] and list(tmp_path.iterdir()) == [folder]


def test_what_was_written_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    synced, real = [], os.fsync

    def fsync(descriptor):
        synced.append((tmp_path / "a").exists())
        real(descriptor)

    monkeypatch.setattr(files.os, "fsync", fsync)
    with files.replacing_file(tmp_path / "a") as temporary:
        temporary.write_text("x")
    assert synced == [False, True]  # the file, then the folder that has its name
    synced.clear()
    (tmp_path / "a").unlink()
    with files.replacing_folder(tmp_path / "a") as folder:
        (folder / "x").write_text("x")
        (folder / "y").write_text("y")
    assert synced == [False, False, True]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
def test_a_full_disk_is_told_with_what_could_not_be_written(tmp_path, number):
    with (
        pytest.raises(OSError, match=r"a\.txt could not be written.*free some space"),
        files.replacing_file(tmp_path / "a.txt"),
    ):
        raise OSError(number, os.strerror(number))


def test_what_another_user_is_writing_is_left_alone(tmp_path, monkeypatch):
    def refused(*_):
        raise PermissionError

    monkeypatch.setattr(files.os, "kill", refused)
    other = tmp_path / f".a.{platform.node()}.1.tmp"
    other.touch()
    with files.replacing_file(tmp_path / "a") as temporary:
        temporary.touch()
    assert other.exists()


def test_a_file_that_a_killed_writer_left_is_removed(tmp_path):
    left = tmp_path / f".a.{platform.node()}.{2**22 + 1}.tmp"
    left.touch()
    with files.replacing_file(tmp_path / "a") as temporary:
        temporary.touch()
    assert not left.exists()


def test_numpys_full_disk_is_told_with_what_could_not_be_written(tmp_path):
    with (
        pytest.raises(OSError, match=r"a\.npz could not be written.*free some space"),
        files.replacing_file(tmp_path / "a.npz"),
    ):
        raise OSError("24 requested and 8 written")
