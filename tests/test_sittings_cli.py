"""`lakeward retention`, `sessions` and `paths` on a real lake, and what is wrong with a command."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conftest import Lake
from lakeward.cli import main

AT = "2026-09-{:02}T09:0{}:00Z".format


@pytest.fixture
def asked(lake: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command on a lake of two people; gives its exit code, stdout and stderr."""
    collector = lake.collector()
    for user, day, minute, path in (
        ("u1", 7, 0, "/"), ("u1", 7, 1, "/"), ("u1", 7, 2, "/pricing"), ("u1", 14, 0, "/"),
        ("u2", 7, 0, "/"), ("u2", 7, 3, "/blog"),
    ):  # fmt: skip
        collector.record("page_view", user_id=user, timestamp=AT(day, minute), path=path)
    collector.commit()

    def run(*words: str) -> tuple[int, str, str]:
        for name, value in lake.env.items():
            monkeypatch.setenv(name, value)
        code = main(words)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_retention_is_by_week_and_knows_which_weeks_are_over(asked: Any) -> None:
    code, out, _ = asked("retention", "--since", "2026-09-01", "--until", "2026-09-16",
                         "--format", "json")  # fmt: skip
    assert code == 0
    told = [(r["cohort"], r["period"], r["size"], r["returned"], r["complete"])
            for r in json.loads(out)]  # fmt: skip
    assert told == [("2026-09-07", 0, 2, 2, True), ("2026-09-07", 1, 2, 1, False)]
    _, out, _ = asked("retention", "page_view[path=/]", "page_view[path=/blog]", "--or-later",
                      "--grain", "day", "--periods", "1", "--until", "2026-09-16", "--by",
                      "user_id", "--cohort", "every", "--format", "json")  # fmt: skip
    assert [(r["user_id"], r["returned"]) for r in json.loads(out)] == [
        ("u1", 0), ("u1", 0), ("u1", 0), ("u1", 0), ("u2", 1), ("u2", 0),
    ]  # fmt: skip


def test_the_same_command_shows_how_often_and_since_when(asked: Any) -> None:
    _, out, _ = asked("retention", "--show", "stickiness", "--format", "json")
    assert [(r["periods"], r["units"]) for r in json.loads(out)] == [(1, 1), (2, 1)]
    _, out, _ = asked("retention", "--show", "active", "--until", "2026-09-15", "--format", "json")
    told = {r["day"]: (r["daily"], r["weekly"], r["monthly"]) for r in json.loads(out)}
    assert (told["2026-09-13"], told["2026-09-14"]) == ((0, 2, 2), (1, 1, 2))
    _, out, _ = asked("retention", "--show", "lifecycle", "--until", "2026-09-15",
                      "--format", "json")  # fmt: skip
    assert [(r["new"], r["returning"], r["dormant"]) for r in json.loads(out)] == [
        (2, 0, 0), (0, 1, 1),
    ]  # fmt: skip


def test_sessions_end_with_a_pause(asked: Any) -> None:
    code, out, _ = asked("sessions", "--grain", "all", "--format", "json")
    [row] = json.loads(out)
    assert code == 0
    assert (row["sessions"], row["units"], row["median_seconds"]) == (3, 2, 120)
    _, out, _ = asked("sessions", "--gap", "90s", "--by", "path", "--ends", "path", "--format",
                      "json")  # fmt: skip
    assert [(r["moment"], r["path"], r["last_path"]) for r in json.loads(out)] == [
        ("2026-09-07", "/", "/"), ("2026-09-07", "/", "/pricing"), ("2026-09-07", "/blog", "/blog"),
        ("2026-09-14", "/", "/"),
    ]  # fmt: skip


def test_paths_lead_from_a_page_and_to_one(asked: Any) -> None:
    code, out, _ = asked("paths", "--format", "json")
    assert code == 0
    first = [(r["from"], r["to"], r["sessions"], r["median_seconds"])
             for r in json.loads(out) if r["position"] == 1]  # fmt: skip
    assert first == [("/", "/blog", 1, 180), ("/", "/pricing", 1, 120), ("/", None, 1, None)]
    _, out, _ = asked("paths", "--end", "/pricing", "--format", "csv")
    assert out.splitlines()[1:] == ["-2,,/,1,1,", "-1,/,/pricing,1,1,120.0"]


@pytest.mark.parametrize("command", ["retention", "sessions", "paths"])
def test_the_sql_is_shown_without_values(asked: Any, command: str) -> None:
    code, out, _ = asked(command, "--where", "path=/x'y", "--sql")
    assert code == 0
    assert "/x'y" not in out.partition("\n-- ")[0]
    assert '= "/x\'y"' in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("retention", "a["), "is no step"),
        (("retention", "--periods", "63"), "`periods` must be from 1 to 62"),
        (("retention", "--grain", "hour"), "grain"),
        (("retention", "--show", "active", "--grain", "day"), "takes no --grain"),
        (("retention", "a", "b", "--show", "stickiness"), "takes no BACK"),
        (("sessions", "--gap", "soon"), "--gap: 'soon' is no span"),
        (("sessions", "--by", "day"), "take it as `grain`"),
        (("paths", "--depth", "11"), "`depth` must be from 1 to 10"),
        (("paths", "--node", "nothing"), "is no field"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(asked: Any, words: Any, said: str) -> None:
    code, out, err = asked(*words)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
