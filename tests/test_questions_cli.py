"""`lakeward ask` and `lakeward funnel` on a real lake, and what is wrong with a command."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest

from conftest import Lake
from lakeward.cli import main

DAY = "2026-09-{:02}T09:00:00Z".format


@pytest.fixture
def asked(lake: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command on a lake of three people; gives its exit code, stdout and stderr."""
    collector = lake.collector()
    told: dict[str, dict[str, Any]] = {
        "deal_closed": {"value": 10.0, "currency": "USD"}, "demo_booking": {"status": "booked"},
    }  # fmt: skip
    for user, types in (
        ("u1", ("page_view", "demo_booking", "deal_closed")),
        ("u2", ("page_view", "demo_booking")),
        ("u3", ("page_view",)),
    ):
        for day, name in enumerate(types, 1):
            outcome = told.get(name, {})
            collector.record(
                name, user_id=user, timestamp=DAY(day), partner_id="p1", path="/x", **outcome
            )
    collector.record("page_view", user_id="boss", user_type="staff", timestamp=DAY(1), path="/x")
    collector.commit()

    def run(*words: str, given: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        for name, value in lake.env.items():
            monkeypatch.setenv(name, value)
        code = main(words)
        out, err = capsys.readouterr()
        return code, out, err

    return run


STEPS = ("funnel", "page_view", "demo_booking", "deal_closed")


def test_a_funnel_as_json_is_its_steps(asked: Any) -> None:
    code, out, _ = asked(*STEPS, "--within", "7d", "--format", "json")
    steps = json.loads(out)["steps"]
    assert code == 0
    assert [(s["name"], s["users"]) for s in steps] == [
        ("page_view", 3), ("demo_booking", 2), ("deal_closed", 1),
    ]  # fmt: skip
    assert steps[0]["median_seconds"] is None
    assert steps[1]["median_seconds"] == 86_400
    assert steps[2]["median_seconds_from_start"] == 2 * 86_400
    assert [s["conversion"] for s in steps] == [1, pytest.approx(2 / 3), pytest.approx(1 / 3)]


def test_a_step_that_nothing_in_the_time_is_is_named_on_stderr(asked: Any) -> None:
    words = ("funnel", "page_view[path=/x]", "demo_bookin", "deal_closed", "--format", "json")
    code, out, err = asked(*words)
    assert (code, [s["users"] for s in json.loads(out)["steps"]]) == (0, [3, 0, 0])
    assert err == "lakeward: no interaction of this time is a demo_bookin: is that its name?\n"
    assert asked("funnel", "deal_closed", "page_view")[2] == ""  # they are there, in another order

    _, _, err = asked("funnel", "page_view[path=/y]", "gone:=deal_closed[outcomes.value>99]")
    assert err == (
        "lakeward: no interaction of this time is a page_view[path=/y] or a "
        "gone:=deal_closed[outcomes.value>99]: are these their names?\n"
    )


def test_a_funnel_by_a_field_is_in_groups(asked: Any) -> None:
    _, out, _ = asked(*STEPS, "--by", "day,user_id", "--format", "json")
    groups = json.loads(out)["groups"]
    assert [group["by"] for group in groups] == [
        {"day": "2026-09-01", "user_id": f"u{n}"} for n in (1, 2, 3)
    ]
    assert [step["users"] for step in groups[1]["steps"]] == [1, 1, 0]


def test_who_dropped_is_listed(asked: Any) -> None:
    _, out, _ = asked(*STEPS, "--dropped", "2", "--format", "json")
    [row] = json.loads(out)
    assert (row["unit"], row["reached"]) == ("u2", 2)
    _, out, _ = asked(*STEPS, "--reached", "2", "--format", "csv")
    assert sorted(line.split(",")[0] for line in out.splitlines()[1:]) == ["u1", "u2"]


def test_conditions_exclusions_and_times_are_heard(asked: Any) -> None:
    _, out, _ = asked("funnel", "page_view", "deal_closed", "--exclude", "1:demo_booking",
                      "--format", "json")  # fmt: skip
    assert [step["users"] for step in json.loads(out)["steps"]] == [3, 0]
    _, out, _ = asked(*STEPS, "--where", "user_id=u1", "--where", "user_id=u2", "--internal",
                      "--format", "json")  # fmt: skip
    assert json.loads(out)["steps"][0]["users"] == 2
    _, out, _ = asked(*STEPS, "--times", "4", "--format", "json")
    assert [row["users"] for row in json.loads(out)] == [1]
    _, out, _ = asked(*STEPS, "--internal", "--format", "json")
    assert json.loads(out)["steps"][0]["users"] == 4


def test_the_sql_is_shown_and_its_values_beside_it(asked: Any) -> None:
    code, out, _ = asked(*STEPS, "--where", "path=/x'y", "--sql")
    assert code == 0
    assert "/x'y" not in out.partition("\n-- ")[0]
    assert '= "/x\'y"' in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("page_view",), "`steps` takes 2 to 20"),
        (("a", "b["), "is no step"),
        (("a", "b", "--within", "soon"), "--within: 'soon' is no span"),
        (("a", "b", "--where", "x=1"), "--where: 'x' is no field"),
        (("a", "b", "--by", "nothing"), "`by`: 'nothing' is no field"),
        (("a", "b", "--dropped", "3"), "`step` must be from 1 to 2"),
        (("a", "b", "--dropped", "1", "--times", "3"), "two questions"),
    ],
)
def test_what_is_no_funnel_is_one_sentence(asked: Any, words: tuple[str, ...], said: str) -> None:
    code, out, err = asked("funnel", *words)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("funnel", "a", "b", "--engine", "oracle"), "lakeward funnel --help"),
        (("flags", "check"), "lakeward flags check --help"),
        (("nothing",), "lakeward --help"),
    ],
)
def test_words_that_no_command_takes_are_one_sentence(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    _, err = capsys.readouterr()
    assert ended.value.code == 2
    assert err.startswith("lakeward: ")
    assert err.endswith(f"; see `{said}`\n")
    assert err.count("\n") == 1


def test_any_question_is_asked_by_its_name(asked: Any) -> None:
    parameters = {"by": ["interaction_type"], "grain": None}
    code, out, _ = asked("ask", "trend", json.dumps(parameters), "--format", "json")
    assert code == 0
    assert {row["interaction_type"]: row["series_1"] for row in json.loads(out)} == {
        "page_view": 3, "demo_booking": 2, "deal_closed": 1,
    }  # fmt: skip
    _, piped, _ = asked("ask", "trend", "-", "--format", "json", given=json.dumps(parameters))
    assert piped == out
    _, names, _ = asked("ask", "list")
    assert {"trend", "funnel", "ai_cost"} <= {line.split()[0] for line in names.splitlines()}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("mood",), "is no question: ask one of trend"),
        (("trend", "{"), "are no JSON object"),
        (("trend", "[]"), "are no JSON object"),
        (("trend", '{"grain": "year"}'), "Invalid enum value 'year'"),
        (("trend", '{"colour": 1}'), "'colour' is no parameter of trend"),
        (("trend", '{"where": {"field": "a"}}'), "takes 1 to 1000 values"),
        (("trend", '{"since": "2026-01-01"}'), "trend: "),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(
    asked: Any, words: tuple[str, ...], said: str
) -> None:
    code, _, err = asked("ask", *words)
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
