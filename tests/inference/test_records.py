import os
import sys
from pathlib import Path

import numpy as np
import pytest
import wfdb
from scipy.signal import resample_poly

from ecg_temporal.inference.records import find_records, read_ecg
from ecg_temporal.ptbxl.waveforms import RecordError
from records import UNKNOWN, write, write_mat


@pytest.mark.parametrize(
    ("name", "first", "form", "tail", "codes"),
    [
        ("A0002", "{name} 12 500 {samples}", "16+24 1000/mV", "#Dx:\n#Rx: Unknown\n", []),
        # As the Challenges' A0001 (CPSC, 2020), E00001 (Georgia, 2021) and JS00001 (Chapman, 2021).
        (
            "A0001",
            "{name} 12 500 {samples} 05-Feb-2020 11:39:16",
            "16+24 1000/mV",
            "#Age: 74\n#Sex: Male\n#Dx: 59118001\n" + UNKNOWN.replace("# ", "#"),
            ["59118001"],
        ),
        (
            "E00001",
            "{name} 12 500 {samples}",
            "16x1+24 1000.0(0)/mV",
            "# Age: NaN\n# Sex: Female\n# Dx: 426783006,733534002,713427006\n" + UNKNOWN,
            ["426783006", "733534002", "713427006"],
        ),
        (
            "JS00001",
            "{name} 12 500 {samples}",
            "16x1+24 1000.0(0)/mV",
            "# Age: 85\n# Sex: Male\n# Dx: Unknown\n" + UNKNOWN,
            [],
        ),
    ],
)
def test_records_of_the_challenges_are_read(tmp_path, splits, name, first, form, tail, codes):
    signals = splits["test"].signals[0]
    write_mat(tmp_path, name, signals, first, form, tail)
    ecg = read_ecg(tmp_path / name)
    assert ecg.codes == codes
    assert np.abs(ecg.signals[:, 50:-50].astype(int) - signals[:, 50:-50]).max() < 20
    physical = wfdb.rdrecord(str(tmp_path / name)).p_signal  # at 500 Hz, in millivolts
    np.testing.assert_allclose(
        ecg.signals, resample_poly(physical.T * 1000, 1, 5, axis=1, padtype="line"), atol=0.51
    )


def test_a_header_with_two_lines_in_one_is_refused_by_name(tmp_path, splits):
    # As that of JS01052 (Chapman), whose record line and first signal line are merged.
    write_mat(tmp_path, "JS01052", splits["test"].signals[0])
    header = tmp_path / "JS01052.hea"
    header.write_text(header.read_text().replace("\n", " ", 1))
    with pytest.raises(RecordError, match="JS01052"):
        read_ecg(tmp_path / "JS01052")


def test_the_segments_of_a_record_are_no_records_of_their_own(trained, splits):
    folder = trained / "records"
    signals = splits["test"].signals[0]
    write(folder, "m_1", signals[:, :400])
    write(folder, "m_2", signals[:, 400:])
    (folder / "m.hea").write_text("# a comment\nm/2 12 100 1000\nm_1 400\nm_2 600\n")
    assert find_records([folder]) == [folder / "m"]
    assert find_records([folder / "m_1"]) == [folder / "m_1"]
    assert find_records([folder / "m_2.hea", folder / "m.hea"]) == [folder / "m"]  # as `find` lists them
    np.testing.assert_array_equal(read_ecg(folder / "m").signals, signals)
    told = []
    find_records([folder], joined=lambda *each: told.append(each))
    assert told == [(folder / "m", [folder / "m_1", folder / "m_2"])]
    (folder / "own.hea").write_text("own/2 12 100 1000\nown 500\nown 500\n")
    assert folder / "own" in find_records([folder])
    with pytest.raises(RecordError, match="its segment own has segments"):
        read_ecg(folder / "own")


def test_what_a_mac_puts_beside_a_record_is_none(tmp_path, splits):
    write(tmp_path / "records", "one", splits["test"].signals[0])
    (tmp_path / "records" / "._one.hea").write_bytes(b"\0\5\26\7")
    assert find_records([tmp_path / "records"]) == [tmp_path / "records" / "one"]


def test_links_to_folders_are_followed_and_lead_round_once(tmp_path, splits):
    for name in ("here/one", "elsewhere/two"):
        write((tmp_path / name).parent, Path(name).name, splits["test"].signals[0])
    (tmp_path / "here/linked").symlink_to("../elsewhere")
    (tmp_path / "here/round").symlink_to(".")
    (tmp_path / "elsewhere/back").symlink_to("../here")
    (tmp_path / "here/twice").symlink_to("../elsewhere")
    (tmp_path / "here/gone.hea").symlink_to("nowhere.hea")
    assert find_records([tmp_path / "here"]) == [tmp_path / "here/linked/two", tmp_path / "here/one"]


def test_a_folder_that_cannot_be_read_is_told(tmp_path, splits, monkeypatch):
    write(tmp_path / "records", "one", splits["test"].signals[0])
    locked = tmp_path / "records" / "locked"
    locked.mkdir()
    scandir = os.scandir

    def refused(path):  # root may read everything
        if Path(path) == locked:
            raise PermissionError(13, "Permission denied", str(locked))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(PermissionError, match="locked"):
        find_records([tmp_path / "records"])
    told = []
    assert find_records([tmp_path / "records"], told.append) == [tmp_path / "records" / "one"]
    assert [error.filename for error in told] == [str(locked)]
    told.clear()
    assert find_records([locked], told.append) == [] and len(told) == 1


def test_a_folder_that_may_be_listed_and_not_entered_is_told(tmp_path, splits, monkeypatch):
    for name in ("a", "b", "c"):
        write(tmp_path / name, "one", splits["test"].signals[0])
    is_file = Path.is_file

    def refused(path):
        if path.parent.name == "b":
            raise PermissionError(13, "Permission denied", str(path))
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", refused)
    told = []
    assert find_records([tmp_path], told.append) == [tmp_path / "a/one", tmp_path / "c/one"]
    assert [error.filename for error in told] == [str(tmp_path / "b/one.hea")]
    assert find_records([tmp_path / "b/one"], told.append) == [] and len(told) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file names are Unicode")
def test_a_name_that_is_not_utf_8_can_be_written(tmp_path, splits):
    write(tmp_path, "cafe", splits["test"].signals[0])
    latin = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.hea")  # as old archives have it; of the same file
    (tmp_path / "cafe.hea").rename(latin)
    (path,) = find_records([tmp_path])
    ecg = read_ecg(path)
    assert ecg.name == f"{tmp_path}/caf\\xe9"
    np.testing.assert_array_equal(ecg.signals, splits["test"].signals[0])


@pytest.mark.parametrize("suffix", ["", ".hea", ".dat"])
def test_a_record_may_be_named_by_each_of_its_files_and_last_a_second(tmp_path, splits, suffix):
    write(tmp_path / "records", "one", splits["test"].signals[0][:, :100])
    (path,) = find_records([tmp_path / "records" / f"one{suffix}"])
    assert read_ecg(path).signals.shape == (12, 100)
