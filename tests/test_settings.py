from pathlib import Path

import pytest
from dvc.utils.serialize import parse_yaml
from hypothesis import given
from hypothesis import strategies as st

from ecg_temporal.settings import ParamsError, Settings, parse, read_params, section


class Small(Settings):
    size: int
    rate: float = 0.5


def test_floats_in_exponent_notation_are_numbers_as_for_dvc(tmp_path):
    (tmp_path / "p.yaml").write_text("a: 4e-3\nb: 1E5\nc: -2.5e+1\nd: 12\ne: e5\n")
    assert read_params(tmp_path / "p.yaml") == {"a": 4e-3, "b": 1e5, "c": -25.0, "d": 12, "e": "e5"}


@pytest.mark.parametrize(
    "text",
    ["4e-3", "+3", "-0", "1.5E3", ".5", "1.", "0.50", "yes", "on", "1:30", "~", "", "null", "True", "TRUE"],
)
def test_a_value_is_read_as_dvc_reads_it(tmp_path, text):
    (tmp_path / "p.yaml").write_text(f"a: {text}\n")
    ours, dvcs = read_params(tmp_path / "p.yaml"), parse_yaml(f"a: {text}\n", "p.yaml")
    assert ours == dvcs
    assert type(ours["a"]) is type(dvcs["a"])


@pytest.mark.parametrize("text", ["010", "00", "0o10", "0x1f", "0b11", "1_000", "2026-11-25", "2026-13-45"])
def test_what_the_versions_of_yaml_read_differently_is_text_and_no_number(tmp_path, text):
    (tmp_path / "p.yaml").write_text(f"a: {{size: {text}}}\n")
    with pytest.raises(ParamsError, match=f"a.size = '{text}'"):
        section(read_params(tmp_path / "p.yaml"), "a", Small)


@pytest.mark.parametrize(
    "text",
    ["[1, 2]", "a: [", "", "\x00", "a: " + "[" * 3000, "a: !!int x", "a: !!bool 3", "a: !!timestamp x"],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(ParamsError, match=r"p\.yaml"):
        read_params(tmp_path / "p.yaml")


def test_a_missing_file_is_refused():
    with pytest.raises(ParamsError, match="no such file"):
        read_params(Path("nowhere.yaml"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 1, "sice": 2}, "a.sice is not a known key; known are size, rate$"),
        (None, "a = None: must be a section with size, rate$"),
        ({}, "a.size is missing"),
        ({"size": "1"}, r"a.size = '1': must be a valid integer"),
        ({"size": True}, "a.size = True"),
        ({"size": 1, "rate": float("nan")}, "a.rate = nan"),
    ],
)
def test_refusals_name_key_and_value(values, message):
    with pytest.raises(ParamsError, match=message):
        parse(Small, values, "a")


def test_section_descends_and_says_what_there_is():
    params = {"a": {"b": {"size": 3}, "c": {}}}
    assert section(params, "a.b", Small).size == 3
    with pytest.raises(ParamsError, match="'a.x'.*b, c"):
        section(params, "a.x", Small)


@given(
    st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.dictionaries(st.text(), x))
)
def test_any_value_is_parsed_or_refused(values):
    try:
        parse(Small, values)
    except ParamsError:
        pass


@pytest.mark.parametrize("text", ["train: {}\nmodel: {}\ntrain: {}\n", "train: {epochs: 1, epochs: 2}\n"])
def test_a_key_that_is_there_twice_is_refused_with_its_line(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ParamsError, match=r"'(train|epochs)' is there twice(.|\n)*line 1"):
        read_params(path)


def test_a_section_may_share_another_ones_keys(tmp_path):
    (tmp_path / "p.yaml").write_text("a: &a {rnn: gru, layers: 1}\nb: {<<: *a, layers: 2}\n")
    assert read_params(tmp_path / "p.yaml")["b"] == {"rnn": "gru", "layers": 2}
