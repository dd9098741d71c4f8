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
