import os
import re
import shutil

import numpy as np
import pytest
import wfdb

from ecg_temporal.ptbxl import raw
from ecg_temporal.ptbxl.waveforms import LEADS, RecordError, read_record


def by_wfdb(path):
    """The same samples as an independent reader gives them: float mV [samples, leads] to int16 uV."""
    signal, fields = wfdb.rdsamp(str(path))
    columns = [[name.upper() for name in fields["sig_name"]].index(lead) for lead in LEADS]
    return np.rint(signal[:, columns].T * 1000).astype(np.int16)


@pytest.fixture
def record(tmp_path, rng):
    """A plain record as PTB-XL has them, and its samples in uV."""
    samples = rng.integers(-3000, 3000, (1000, 12))
    write(tmp_path, samples)
    return tmp_path / "00001_lr", samples.T.astype(np.int16)


def write(
    folder, samples, *, record="00001_lr", names=LEADS, fs=100, gain=1000.0, unit="mV", fmt="16", baseline=0
):
    count = samples.shape[1]
    wfdb.wrsamp(
        record,
        fs=fs,
        units=[unit] * count,
        sig_name=list(names),
        d_signal=samples,
        fmt=[fmt] * count,
        adc_gain=[gain] * count,
        baseline=[baseline] * count,
        write_dir=str(folder),
    )


def forbid_wfdb(monkeypatch):
    """Make reading through wfdb fail: what still works is read straight from the file."""
    monkeypatch.setattr(wfdb, "rdrecord", lambda *_, **__: pytest.fail("read through wfdb"))


def test_real_ptbxl_records_equal_wfdb(ptbxl_tree, monkeypatch):
    table = raw.read_table(ptbxl_tree / raw.TABLE)
    names = table["filename_lr"].iloc[:: max(1, len(table) // 100)]
    paths = [ptbxl_tree / name for name in names]
    expected = [by_wfdb(path) for path in paths]
    forbid_wfdb(monkeypatch)
    np.testing.assert_array_equal([read_record(path) for path in paths], expected)


def test_a_plain_record_is_read_without_wfdb(record, monkeypatch):
    path, samples = record
    forbid_wfdb(monkeypatch)
    np.testing.assert_array_equal(read_record(path), samples)


@pytest.mark.parametrize(
    "odd",
    [
        {"names": LEADS[::-1]},
        {"names": [name.lower() for name in LEADS]},
        {"gain": 500.0},
        {"unit": "uV", "gain": 1.0},
        {"unit": "V", "gain": 1e6},
        {"fmt": "32"},
        {"baseline": 70},
    ],
    ids=str,
)
def test_lead_order_gain_unit_and_format_are_understood(tmp_path, rng, odd):
    write(tmp_path, rng.integers(-2000, 2000, (1000, 12)), **odd)
    path = tmp_path / "00001_lr"
    expected = by_wfdb(path)
    if unit := odd.get("unit"):
        signal, _ = wfdb.rdsamp(str(path))
        expected = np.rint(signal.T * {"uV": 1, "V": 1e6}[unit]).astype(np.int16)
    np.testing.assert_array_equal(read_record(path), expected)


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        ({"fs": 500}, "at 500 Hz"),
        ({"names": [*LEADS[:-1], "V7"]}, "no lead V6"),
        ({"unit": "cm"}, "'cm'"),
        ({"gain": 50.0}, "a sample is beyond ±32767 microvolts"),
    ],
)
def test_what_cannot_become_such_a_record_is_refused(tmp_path, rng, odd, message):
    write(tmp_path, rng.integers(-2000, 2000, (1000, 12)), **odd)
    with pytest.raises(RecordError, match=f"00001_lr.*{message}"):
        read_record(tmp_path / "00001_lr")


def test_a_header_of_many_number_signs_is_read_in_no_time(record, monkeypatch):
    path, samples = record
    forbid_wfdb(monkeypatch)
    with path.with_suffix(".hea").open("a") as header:
        header.write("#" * 100_000 + "\n#x")
    np.testing.assert_array_equal(read_record(path), samples)
    with path.with_suffix(".hea").open("a") as header:
        header.write("\nx\n")
    monkeypatch.undo()
    with pytest.raises(RecordError, match="wfdb can't read it"):
        read_record(path)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (("00001_lr 12 ", "00001_lr 20000000 "), "00001_lr.hea says 20000000 signals and has 12"),
        (("dat 16 ", "dat 16:50000000 "), "a signal lags 50000000 samples behind"),
        (("00001_lr 12", "#" * 1_000_000 + "\n00001_lr 12"), "its header 00001_lr.hea has 100"),
        (("00001_lr 12 100 ", "00001_lr 12 150000 "), "lead I has 150000 Hz"),
        (("1000.0(0)/mV", "1e-400(0)/mV"), "lead I is not calibrated, its gain is '1e-400(0)/mV'"),
    ],
)
def test_what_a_header_only_says_takes_no_memory(record, monkeypatch, wrong, named):
    path, _ = record
    monkeypatch.setattr(wfdb, "rdrecord", lambda *_, **__: pytest.fail("read"))
    header = path.with_suffix(".hea")
    header.write_text(header.read_text().replace(*wrong))
    with pytest.raises(RecordError, match=re.escape(named)):
        read_record(path)


@pytest.mark.parametrize("what", ["signals", "segment"])
@pytest.mark.parametrize("plain", [True, False])
def test_a_pipe_is_not_waited_for(record, tmp_path, what, plain):
    path, _ = record
    header = path.with_suffix(".hea")
    if not plain:
        header.write_text(header.read_text().replace("1000.0(0)/mV", "1001.0(0)/mV"))
    piped = path.with_suffix(".dat" if what == "signals" else ".hea")
    piped.unlink()
    os.mkfifo(piped)
    if what == "segment":
        path = tmp_path / "two"
        path.with_suffix(".hea").write_text("two/1 12 100 1000\n00001_lr 1000\n")
    with pytest.raises(RecordError, match=r"0 bytes, not 24000|no regular file"):
        read_record(path)


@pytest.mark.parametrize("layout", ["whole", "segments"])
@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (("12 100", "12 49.9"), "lead I has 49.9 Hz; 50 to 10000 Hz can be read"),
        (("12 100", "12 0.00001"), "lead I has 1e-05 Hz"),
        (
            (" 0 V2\n", " 0 v2\n00001_lr.dat 16 1000.0(0)/mV 16 0 0 0 0 v2\n"),
            "lead V2 is there more than once",
        ),
        (("1000.0(0)/mV", "1000.0(0)/µV"), "its header is not ASCII, as WFDB wants it; write uV for µV"),
    ],
)
def test_a_header_that_no_samples_can_mend_is_refused(record, tmp_path, layout, wrong, named):
    path, _ = record
    header = path.with_suffix(".hea")
    header.write_text(header.read_text().replace(*wrong), encoding="utf-8")
    if layout == "segments":
        rate = header.read_text().split()[2]
        path = tmp_path / "two"
        path.with_suffix(".hea").write_text(f"two/2 12 {rate} 2000\n00001_lr 1000\n00001_lr 1000\n")
    with pytest.raises(RecordError, match=re.escape(f"00001_lr: {named}")):
        read_record(path, any_length=True)


def test_a_gap_between_segments_is_refused_as_missing_samples(record, tmp_path):
    (tmp_path / "gap.hea").write_text("gap/3 12 100 2500\n00001_lr 1000\n~ 500\n00001_lr 1000\n")
    with pytest.raises(RecordError, match="gap: segment 2 is a gap, samples are missing"):
        read_record(tmp_path / "gap", any_length=True)


def test_a_damaged_segment_is_refused_by_its_name(record, tmp_path):
    path, samples = record
    for part in ("one", "two"):
        text = path.with_suffix(".hea").read_text().replace(path.name, part)
        (tmp_path / f"{part}.hea").write_text(text)
        shutil.copy(path.with_suffix(".dat"), tmp_path / f"{part}.dat")
    (tmp_path / "both.hea").write_text("both/2 12 100 2000\none 1000\ntwo 1000\n")
    expected = np.concatenate([samples, samples], axis=1)
    np.testing.assert_array_equal(read_record(tmp_path / "both", any_length=True), expected)
    data = tmp_path / "two.dat"
    whole = data.read_bytes()
    data.write_bytes(whole[:500] + bytes([whole[500] ^ 64]) + whole[501:])
    with pytest.raises(RecordError, match=r"two: the checksum of signal .* damaged"):
        read_record(tmp_path / "both", any_length=True)


@pytest.mark.parametrize("layout", ["fixed", "variable"])
@pytest.mark.parametrize("odd", [{"gain": 500.0}, {"baseline": 70}, {"names": LEADS[::-1]}], ids=str)
def test_each_segment_has_its_own_gain_and_order_of_leads(tmp_path, rng, layout, odd):
    samples = rng.integers(-2000, 2000, (1000, 12))
    write(tmp_path, samples[:400], record="one")
    write(tmp_path, samples[400:], record="two", **odd)
    listed = ["one 400", "two 600"]
    if layout == "variable":
        signals = "".join(f"~ 0 1000(0)/mV 16 0 0 0 0 {lead}\n" for lead in LEADS)
        (tmp_path / "layout.hea").write_text(f"layout 12 100 0\n{signals}")
        listed.insert(0, "layout 0")
    header = "\n".join([f"both/{len(listed)} 12 100 1000", *listed])
    (tmp_path / "both.hea").write_text(f"{header}\n")
    expected = np.concatenate([by_wfdb(tmp_path / part) for part in ("one", "two")], axis=1)
    np.testing.assert_array_equal(read_record(tmp_path / "both"), expected)
    if layout == "variable" or "names" not in odd:  # in a fixed layout wfdb takes the first segment's order
        np.testing.assert_array_equal(by_wfdb(tmp_path / "both"), expected)


@pytest.mark.parametrize(
    ("given", "instead", "told"),
    [
        ("two 12 100 600", "two 12 500 600", "segment two has 600 samples at 500 Hz, not 600 at 100 Hz"),
        ("two 600", "two 599", "segment two has 600 samples at 100 Hz, not 599 at 100 Hz"),
        ("one 12 100 400", "one 12 100", "segment one has 0 samples at 100 Hz, not 400"),
        ("one 12 100 400", "one 12 100 0", "segment one has 0 samples at 100 Hz, not 400"),
        ("one 400", "one 0", "its segments have 600 samples, its header says 1000"),
        ("both/2 12 100 1000", "both/2 12 100 900", "its segments have 1000 samples, its header says 900"),
        ("one 400\ntwo 600", "one 0\ntwo 0", "its segments have 0 samples, its header says 1000"),
    ],
)
def test_a_segment_that_is_not_as_its_record_says_is_refused(tmp_path, rng, given, instead, told):
    for part, length in (("one", 400), ("two", 600)):
        write(tmp_path, rng.integers(-2000, 2000, (length, 12)), record=part)
    (tmp_path / "both.hea").write_text("both/2 12 100 1000\none 400\ntwo 600\n")
    assert read_record(tmp_path / "both").shape == (12, 1000)
    headers = {path: path.read_text() for path in tmp_path.glob("*.hea")}
    assert sum(given in text for text in headers.values()) == 1
    for path, text in headers.items():
        path.write_text(text.replace(given, instead))
    with pytest.raises(RecordError, match=f"both: {told}"):
        read_record(tmp_path / "both", any_length=True)


def test_segments_are_resampled_as_one(tmp_path):
    seconds = np.arange(5000) / 500
    samples = np.rint(1000 * np.sin(2 * np.pi * seconds[:, None] + np.arange(12))).astype(int)
    write(tmp_path, samples, fs=500)
    whole = read_record(tmp_path / "00001_lr")
    write(tmp_path, samples[:2003], fs=500, record="one")
    write(tmp_path, samples[2003:], fs=500, record="two")
    (tmp_path / "both.hea").write_text("both/2 12 500 5000\none 2003\ntwo 2997\n")
    np.testing.assert_array_equal(read_record(tmp_path / "both"), whole)


def test_a_lead_that_changes_its_rate_from_segment_to_segment_is_refused(tmp_path):
    write(tmp_path, np.ones((500, 12), int), record="one")
    write(tmp_path, np.ones((1000, 12), int), record="two")
    header = tmp_path / "two.hea"  # two samples a frame instead
    text = header.read_text().replace("two 12 100 1000", "two 12 100 500").replace(".dat 16 ", ".dat 16x2 ")
    header.write_text(text)
    (tmp_path / "both.hea").write_text("both/2 12 100 1000\none 500\ntwo 500\n")
    with pytest.raises(RecordError, match="both: lead I changes its sampling rate"):
        read_record(tmp_path / "both")


def test_what_is_missing_from_a_segment_is_told_by_its_name(tmp_path):
    samples = np.ones((500, 12), int)
    write(tmp_path, samples, record="one")
    samples[7, 3] = -(2**15)
    write(tmp_path, samples, record="two")
    (tmp_path / "both.hea").write_text("both/2 12 100 1000\none 500\ntwo 500\n")
    with pytest.raises(RecordError, match="two: 1 samples are missing"):
        read_record(tmp_path / "both")


@pytest.mark.parametrize("beside", [1, 4])
def test_several_samples_a_frame_are_so_many_times_the_rate(tmp_path, rng, beside):
    """Twelve leads at 100 Hz in 50 frames a second, and a signal of another kind at another rate."""
    samples = rng.integers(-2000, 2000, (12, 1000))
    wfdb.wrsamp(
        "frames",
        fs=50,
        units=["mV"] * 12 + ["Ohm"],
        sig_name=[*LEADS, "RESP"],
        e_d_signal=[*samples, rng.integers(-100, 100, 500 * beside)],
        samps_per_frame=[2] * 12 + [beside],
        fmt=["16"] * 13,
        adc_gain=[1000.0] * 13,
        baseline=[0] * 13,
        write_dir=str(tmp_path),
    )
    np.testing.assert_array_equal(read_record(tmp_path / "frames"), samples)


def test_each_lead_has_its_own_gain_unit_and_rate(tmp_path):
    """A slow sine in mV, uV and V, at 100, 200 and 100 Hz."""

    def sine(rate):
        return 1000 * np.sin(2 * np.pi * np.arange(10 * rate) / rate)

    kinds = [
        ("mV", 500.0, 0.5, 1),
        ("uV", 2.0, 2, 2),
        ("V", 1e6, 1, 1),
    ] * 4  # unit, gain, steps a uV, times fs
    wfdb.wrsamp(
        "mixed",
        fs=100,
        units=[unit for unit, *_ in kinds],
        sig_name=list(LEADS),
        e_d_signal=[np.rint(steps * sine(100 * frames)).astype(int) for _, _, steps, frames in kinds],
        samps_per_frame=[frames for *_, frames in kinds],
        fmt=["16"] * 12,
        adc_gain=[gain for _, gain, *_ in kinds],
        baseline=[0] * 12,
        write_dir=str(tmp_path),
    )
    found = read_record(tmp_path / "mixed")
    assert found.shape == (12, 1000)
    inside = slice(50, -50)  # the resampling filter has no signal beyond the record
    np.testing.assert_allclose(found[:, inside], np.tile(sine(100)[inside], (12, 1)), atol=3)


def test_damage_is_refused_by_name(record):
    path, _ = record
    data = path.with_suffix(".dat")
    whole = data.read_bytes()
    data.write_bytes(whole[:-7])
    with pytest.raises(RecordError, match=r"00001_lr\.dat: .*bytes"):
        read_record(path)
    for bit in range(16):  # of one sample
        changed = bytearray(whole)
        changed[500 + bit // 8] ^= 1 << bit % 8
        data.write_bytes(changed)
        with pytest.raises(RecordError, match=r"00001_lr.*checksum"):
            read_record(path)
    data.unlink()
    with pytest.raises(RecordError, match=r"00001_lr\.dat: no such file"):
        read_record(path)
    path.with_suffix(".hea").unlink()
    with pytest.raises(RecordError, match=r"00001_lr\.hea: no such file"):
        read_record(path)


def test_a_header_that_names_another_file_does_not_lead_there(record, tmp_path):
    path, _ = record
    other = tmp_path / "other"
    shutil.copy(path.with_suffix(".hea"), other.with_suffix(".hea"))
    np.testing.assert_array_equal(read_record(other), by_wfdb(path))
    path.with_suffix(".hea").unlink()
    np.testing.assert_array_equal(read_record(other), by_wfdb(other))


@pytest.mark.parametrize("rate", [50, 250, 257, 500, 1000])
def test_another_sampling_rate_is_resampled(tmp_path, rate):
    def tones(rate):
        seconds = np.arange(round(10 * rate)) / rate
        return np.stack([1000 * np.sin(2 * np.pi * (1 + k / 2) * seconds + k) for k in range(12)], axis=1)

    write(tmp_path, np.rint(tones(rate)).astype(int), fs=rate)
    signal = read_record(tmp_path / "00001_lr")
    assert signal.shape == (12, 1000)
    inside = slice(20, -20)  # what was before and after the record is unknown to any filter
    np.testing.assert_allclose(signal[:, inside], tones(100).T[:, inside], atol=15)


def test_missing_samples_are_refused_in_either_format(tmp_path, rng):
    samples = rng.integers(-2000, 2000, (1000, 12))
    samples[7, 3] = -(2**15)
    write(tmp_path, samples)
    with pytest.raises(RecordError, match="00001_lr: 1 samples are missing") as plain:
        read_record(tmp_path / "00001_lr")
    write(tmp_path, samples, gain=500.0)
    with pytest.raises(RecordError, match="00001_lr: 1 samples are missing") as odd:
        read_record(tmp_path / "00001_lr")
    assert plain.value.problem == odd.value.problem == "missing samples"


@pytest.mark.parametrize(
    ("given", "instead", "told"),
    [
        ("00001_lr 12 500 5000", "00001_lr 12 nan 5000", "no sampling rate in Hz: '00001_lr 12 nan 5000'"),
        ("00001_lr 12 500 5000", "00001_lr 12 500Hz 5000", "no sampling rate"),
        ("00001_lr 12 500 5000", "00001_lr 12", "no sampling rate"),
        (" 1000.0(0)/mV 16 0 7 ", " 0 16 0 7 ", "lead I is not calibrated, its gain is '0'"),
        (" 1000.0(0)/mV 16 0 7 ", " 0.0(0)/mV 16 0 7 ", "lead I is not calibrated"),
    ],
)
def test_a_rate_or_gain_that_wfdb_would_make_up_is_refused(tmp_path, rng, given, instead, told):
    samples = rng.integers(-500, 500, (5000, 12))
    samples[0, 0] = 7
    write(tmp_path, samples, fs=500)
    assert read_record(tmp_path / "00001_lr").shape == (12, 1000)
    header = tmp_path / "00001_lr.hea"
    text = header.read_text()
    assert text.count(given) == 1
    header.write_text(text.replace(given, instead))
    with pytest.raises(RecordError, match=told):
        read_record(tmp_path / "00001_lr", any_length=True)


def test_a_sample_below_what_int16_holds_is_refused(tmp_path):
    samples = np.zeros((1000, 12), int)
    samples[5, 0] = -2000
    write(tmp_path, samples, gain=50.0)
    with pytest.raises(RecordError, match="beyond"):
        read_record(tmp_path / "00001_lr")


def test_a_record_that_lacks_one_sample_is_refused(tmp_path):
    write(tmp_path, np.ones((999, 12), int), gain=500.0)
    with pytest.raises(RecordError, match="999 samples"):
        read_record(tmp_path / "00001_lr")


def odd_record(record):
    """Write the record with another gain, so that wfdb reads it; return its header."""
    path, samples = record
    write(path.parent, samples.T, gain=1000.5)
    return path.with_suffix(".hea")


def test_comments_of_a_header_come_first_or_in_any_language(record):
    header = odd_record(record)
    expected, text = read_record(record[0]), header.read_text()
    header.write_text(f"# né(e) 1950\n{text}# Größe 180\n", encoding="utf-8")
    np.testing.assert_array_equal(read_record(record[0]), expected)


def test_a_header_without_checksums_is_taken(record):
    header = odd_record(record)
    expected = read_record(record[0])
    first, *lines = (line.split() for line in header.read_text().splitlines())
    kept = [first, *([*line[:6], *line[8:]] for line in lines)]
    header.write_text("".join(" ".join(line) + "\n" for line in kept))
    np.testing.assert_array_equal(read_record(record[0]), expected)


@pytest.mark.parametrize(("fs", "frames", "beside"), [(25, 4, 4), (20, 5, 1)])
def test_the_lowest_rate_is_that_of_the_leads_alone(tmp_path, rng, fs, frames, beside):
    samples = rng.integers(-2000, 2000, (12, 1000))
    wfdb.wrsamp(
        "frames",
        fs=fs,
        units=["mV"] * 12 + ["Ohm"],
        sig_name=[*LEADS, "RESP"],
        e_d_signal=[*samples, rng.integers(-100, 100, 10 * fs * beside)],
        samps_per_frame=[frames] * 12 + [beside],
        fmt=["16"] * 13,
        adc_gain=[1000.0] * 13,
        baseline=[0] * 13,
        write_dir=str(tmp_path),
    )
    np.testing.assert_array_equal(read_record(tmp_path / "frames"), samples)


def test_a_signal_beside_the_leads_may_have_no_gain(tmp_path, rng):
    samples = rng.integers(-2000, 2000, (1000, 13))
    write(tmp_path, samples, names=[*LEADS, "RESP"])
    header = tmp_path / "00001_lr.hea"
    lines = header.read_text().splitlines()
    lines[13] = lines[13].replace("1000.0(0)/mV", "0")
    header.write_text("\n".join(lines) + "\n")
    np.testing.assert_array_equal(read_record(tmp_path / "00001_lr"), samples.T[:12])
