"""What `flows.toml` declares, and the sentence that says what is wrong with one."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeward.errors import SettingError
from lakeward.flows import Flow, Flows, parse, read
from lakeward.settings import load

GOOD = """
[flows.contractor]
steps = ["verification", "focus_areas", "business_profile", "matching", "completion"]
quiet_seconds = 900
description = "From the landing page to a partner."

[flows.partner_onboarding]
steps = ["company", "focus_areas"]

[outcomes]
expected = ["partner_match", "demo_booking", "signed_up"]
"""


def declared(folder: Path, text: str, **more: str) -> Flows:
    (folder / "flows.toml").write_text(text, encoding="utf-8")
    return read(load(more, folder))


def test_a_file_beside_the_env_files_is_read(tmp_path: Path) -> None:
    flows = declared(tmp_path, GOOD)
    assert flows.flows == (
        Flow(
            "contractor",
            ("verification", "focus_areas", "business_profile", "matching", "completion"),
            900.0,
            "From the landing page to a partner.",
        ),
        Flow("partner_onboarding", ("company", "focus_areas"), 1800.0),
    )
    assert flows.expected == ("partner_match", "demo_booking", "signed_up")
    assert flows.named("contractor") == flows.flows[0]
    assert flows.named("nothing") is None


def test_the_setting_names_another_file_and_another_quiet_time(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('[flows.a]\nsteps = ["x"]\n')
    settings = load({"LAKEWARD_FLOWS": "mine.toml", "LAKEWARD_FLOW_QUIET_SECONDS": "60"}, tmp_path)
    assert read(settings).flows == (Flow("a", ("x",), 60.0),)


def test_without_a_file_nothing_is_declared(tmp_path: Path) -> None:
    assert read(load({}, tmp_path)) == Flows()
    assert declared(tmp_path, "") == Flows()


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"^LAKEWARD_FLOWS names .*gone\.toml, which is not"):
        read(load({"LAKEWARD_FLOWS": "gone.toml"}, tmp_path))
    (tmp_path / "folder").mkdir()
    with pytest.raises(SettingError, match="cannot be read: Is a directory"):
        read(load({"LAKEWARD_FLOWS": "folder"}, tmp_path))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[flows", "flows.toml is not TOML: "),
        ("a = 1", "the file has the unknown key 'a'; known are flows, outcomes"),
        ("flows = 3", "flows must be a table, [flows]"),
        ("flows.a = 3", "flows.a must be a table, [flows.a]"),
        ("[flows.a]", "flows.a.steps must be a list of names"),
        ("[flows.a]\nsteps = []", "flows.a.steps must name 1 to 100 steps"),
        ('[flows.a]\nsteps = "x"', "flows.a.steps must be a list of names"),
        ("[flows.a]\nsteps = [1]", "flows.a.steps must be a list of names"),
        ('[flows.a]\nsteps = [""]', "has a name that is not of 1 to 200 letters"),
        ('[flows.a]\nsteps = ["x", "y", "x"]', "flows.a.steps has 'x' twice"),
        ('[flows.a]\nsteps = ["x"]\nquiet = 3', "[flows.a] has the unknown key 'quiet'"),
        ('[flows.a]\nsteps = ["x"]\nquiet_seconds = "3"', "quiet_seconds must be a number"),
        ('[flows.a]\nsteps = ["x"]\nquiet_seconds = true', "quiet_seconds must be a number"),
        ('[flows.a]\nsteps = ["x"]\nquiet_seconds = 0', "quiet_seconds must be a number"),
        ('[flows.a]\nsteps = ["x"]\nquiet_seconds = nan', "quiet_seconds must be a number"),
        ('[flows.a]\nsteps = ["x"]\ndescription = 3', "flows.a.description must be text"),
        ('[flows.""]\nsteps = ["x"]', "must have a name of 1 to 200 letters"),
        ("outcomes = []", "outcomes must be a table, [outcomes]"),
        ("[outcomes]\nmust = []", "[outcomes] has the unknown key 'must'; known are expected"),
        ('[outcomes]\nexpected = "a"', "outcomes.expected must be a list of names"),
        ('[outcomes]\nexpected = ["a", "a"]', "outcomes.expected has 'a' twice"),
        ('[outcomes]\nexpected = ["Partner Match"]', "which no type can be called"),
        ('[outcomes]\nexpected = ["api_call"]', "outcomes.expected has api_call, which is no"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_file_and_place(
    tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(SettingError) as raised:
        declared(tmp_path, text)
    said = str(raised.value)
    assert said.startswith(str(tmp_path / "flows.toml"))
    assert sentence in said
    assert "\n" not in said


HUGE = ("9" * 400, "-" + "9" * 400, "0x" + "f" * 6000, "1e308", "31622401")
NO_TIME = ("inf", "-inf", "nan", "true", "false", "0", "0.99", "-1", "1e400")


@pytest.mark.parametrize("seconds", [*HUGE, *NO_TIME])
def test_a_quiet_time_that_is_none_is_one_sentence_that_names_the_flow(
    tmp_path: Path, seconds: str
) -> None:
    with pytest.raises(SettingError) as raised:
        declared(tmp_path, f'[flows.a]\nsteps = ["x"]\nquiet_seconds = {seconds}')
    assert str(raised.value) == (
        f"{tmp_path / 'flows.toml'}: flows.a.quiet_seconds must be a number of seconds "
        "from 1 to 31622400"
    )


def test_a_number_of_more_digits_than_python_reads_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingError) as raised:
        declared(tmp_path, f'[flows.a]\nsteps = ["x"]\nquiet_seconds = {"9" * 5000}')
    assert str(raised.value).startswith(f"{tmp_path / 'flows.toml'} is not TOML: ")


def test_bytes_that_are_no_text_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="is not UTF-8 text"):
        parse(b"\xff\xfe", "flows.toml", 1800.0)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_the_file_holds_the_error_is_a_setting_error(content: bytes) -> None:
    with contextlib.suppress(SettingError):
        parse(content, "flows.toml", 1800.0)
