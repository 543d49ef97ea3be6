"""`lakeward experiment` on a real lake and on a file, and what is wrong with a command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import Lake
from lakeward.cli import main
from lakeward.interaction import iso
from lakeward.outcomes import Outcomes

START_MS = 1_788_253_200_000  # 2026-09-01T09:00:00Z
DAY_MS = 86_400_000


def when(day: float) -> str:
    return iso(START_MS + round(day * DAY_MS))


def told(lake: Lake) -> None:
    """120 people in two arms: of treatment every second books, of control every fourth."""
    collector = lake.collector()
    outcomes = Outcomes(collector)

    def expose(user: str, variant: str, day: float = 0, **more: Any) -> None:
        outcomes.experiment_exposed(
            experiment="match-page", variant=variant, user_id=user, timestamp=when(day),
            variant_index=["control", "treatment"].index(variant), hash_attribute="user_id", **more,
        )  # fmt: skip

    def book(user: str, day: float) -> None:
        outcomes.demo_booked(
            booking_id=f"{user}-{day}", user_id=user, partner_id="p1", date="2026-09-20",
            timestamp=when(day),
        )  # fmt: skip

    for n in range(120):
        variant = "treatment" if n % 2 else "control"
        expose(f"u{n}", variant)
        collector.record("page_view", user_id=f"u{n}", path="/", timestamp=when(-1))
        if n % 4 == 3 or n % 8 == 2:
            book(f"u{n}", 1)
        book(f"u{n}", -2)  # before the exposure
        book(f"u{n}", 20)  # too late
    for n in range(2):  # in both arms
        expose(f"both{n}", "control")
        expose(f"both{n}", "treatment", 1)
        book(f"both{n}", 2)
    expose("by-hand", "treatment", forced=True)
    expose("staff", "treatment", user_type="staff")
    for n, value in enumerate((1000.0, 500.0, 250.0)):
        outcomes.deal_closed(
            user_id=f"u{n}", partner_id="p1", deal_id="d1" if n < 2 else f"d{n}", value=value,
            currency="EUR" if n < 2 else "USD", timestamp=when(3 + n / 8),
        )  # fmt: skip
    collector.commit()
    collector.close()


@pytest.fixture
def asked(lake: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the command on the lake; gives its exit code, stdout and stderr."""
    for name, value in lake.env.items():
        monkeypatch.setenv(name, value)

    def run(*words: str) -> tuple[int, str, str]:
        code = main(("experiment", *words))
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_an_experiment_of_the_lake_is_judged_with_everything_it_stands_on(
    lake: Lake, asked: Any
) -> None:
    told(lake)
    code, out, err = asked(
        "match-page", "--metric", "demo_booking", "--metric", "count:demo_booking",
        "--metric", "sum:outcomes.value:deal_closed[outcomes.currency=EUR]",
        "--guardrail", "lower:count:page_view", "--cuped", "7", "--split", "50/50",
        "--since", "2026-09-01", "--until", "2026-09-30", "--format", "json",
    )  # fmt: skip
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert [(arm["arm"], arm["units"]) for arm in found["arms"]] == [
        ("control", 60), ("treatment", 60),
    ]  # fmt: skip
    aside = {each["reason"]: (each["arm"], each["units"]) for each in found["set_aside"]}
    assert aside == {
        "several_arms": ("control + treatment", 2), "forced": ("treatment", 1),
    }  # fmt: skip
    assert (found["open_units"], found["notes"]) == (0, [])
    booked, counted, spent, viewed = found["metrics"]
    assert (booked["kind"], counted["kind"], viewed["role"]) == ("share", "mean", "guardrail")
    # Everybody booked before; that takes nothing off what was booked after.
    assert [arm["value"] for arm in booked["arms"]] == [pytest.approx(15 / 60), pytest.approx(0.5)]
    assert booked["adjusted"] == {"theta": 0, "variance_kept": 1}
    assert [arm["value"] for arm in spent["arms"]] == [pytest.approx(500 / 60), 0]
    assert viewed["arms"][0]["value"] == 0
    assert found["verdict"]["status"] in ("ship", "keep_running")


def test_in_words_the_verdict_comes_first(lake: Lake, asked: Any) -> None:
    told(lake)
    code, out, _ = asked("match-page", "--metric", "demo_booking", "--fixed")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("Ship treatment: demo_booking is better: +0.25 (95 % interval +0.0")
    assert "Set aside: 2 met several arms (control + treatment)." in lines
    assert "Set aside: 1 were put into an arm by hand (treatment)." in lines
    assert lines[-1] == "Intervals of 95 %, valid once, at the end; p adjusted by holm."


def test_a_bad_split_is_the_verdict_whatever_the_metrics_say(lake: Lake, asked: Any) -> None:
    told(lake)
    _, out, _ = asked(
        "match-page", "--metric", "demo_booking", "--fixed", "--split", "treatment=90,control=10"
    )
    assert out.startswith("Broken: the arms do not have their planned shares (control 60 of 12 ")


def test_a_filter_is_about_the_exposures(lake: Lake, asked: Any) -> None:
    told(lake)
    code, out, _ = asked(
        "match-page", "--unit", "user_id", "--where", "user_id!=u0", "--format", "json"
    )
    assert code == 0
    found = json.loads(out)
    assert [arm["units"] for arm in found["arms"]] == [59, 60]
    assert found["notes"] == []


def test_a_unit_that_did_not_assign_is_noted(lake: Lake, asked: Any) -> None:
    collector = lake.collector()
    for n in range(70):
        collector.record(
            "experiment_exposure", user_id=f"u{n}", session_id=f"s{n}", experiment="x",
            variant="ab"[n % 2], hash_attribute="session_id",
        )  # fmt: skip
    collector.commit()
    for unit, noted in (("person", True), ("session_id", False)):
        code, out, _ = asked("x", "--unit", unit)
        assert code == 0
        assert ("Note: assigned by session_id and analysed by person" in out) == noted


def test_the_sql_is_shown_and_nothing_is_asked(asked: Any) -> None:
    code, out, _ = asked("match-page", "--sql", "--metric", "p90:response_time_ms:api_call")
    assert code == 0
    assert out.count("WITH seen AS") == 2
    assert "= 'match-page'" in out


UNASKED = (
    (("--metric", "sum:deal_closed"), "name a field and a type"),
    (("--split", "half"), "--split: 'half' must be like 50/50"),
    (("--split", "a=1,a=2"), "--split: 'a=1,a=2' must be like"),
    (("--level", "95"), "`level`"),
    (("--within", "-1"), "`within_days`"),
    (("--metric", "page_view", "--cuped", "-1"), "`before_days`"),
    (("--since", "soon"), "--since: 'soon' is no day"),
    (("--where", "colour=red"), "'colour' is no field"),
    (("--metric", "page_view") * 21, "at most 20 metrics"),
    (("--csv", "gone.csv"), "gone.csv"),
)


def refused(asked: Any, words: tuple[str, ...], named: str) -> None:
    code, out, err = asked(*words)
    assert (code, out) == (2, "")
    assert err.startswith("lakeward: ")
    assert named in err
    assert err.count("\n") == 1


def test_what_cannot_be_asked_is_one_sentence(lake: Lake, asked: Any) -> None:
    lake.collector().commit()
    for words, named in UNASKED:
        refused(asked, ("match-page", *words), named)
    refused(asked, ("nothing",), "nobody met the experiment 'nothing'")


def test_an_unknown_experiment_is_told_those_that_there_are(lake: Lake, asked: Any) -> None:
    told(lake)
    refused(asked, ("match-pag",), "nobody met the experiment 'match-pag' in this time, which has")
    refused(asked, ("match-pag",), "which has 'match-page': is one of these meant?")


def test_what_nobody_did_is_asked_for_by_its_name(lake: Lake, asked: Any) -> None:
    told(lake)
    _, out, _ = asked("match-page", "--metric", "demo_bookin")
    assert out.startswith("Keep running treatment: nobody did demo_bookin: is that its name?\n")
    words = ("--metric", "demo_booking", "--guardrail", "lower:count:api_cal")
    _, out, _ = asked("match-page", *words, "--format", "json")
    reasons = json.loads(out)["verdict"]["reasons"]
    assert [r["sentence"] for r in reasons if r["code"] == "guardrail"] == [
        "the guardrail: nobody did count:api_cal: is that its name?"
    ]


def test_what_cannot_be_judged_is_one_sentence(lake: Lake, asked: Any) -> None:
    told(lake)
    for words, named in (
        (("--metric", "sum:outcomes.value:deal_closed"), "several currencies: name one"),
        (("--split", "1/1/1"), "the split names 3 shares for 2 arms"),
        (("--control", "none"), "the control 'none' is no arm"),
        (("--unit", "environment"), "an experiment needs two arms: no unit met an arm"),
    ):
        refused(asked, ("match-page", *words), named)


def test_users_of_a_file_are_judged_without_a_lake(tmp_path: Path, asked: Any) -> None:
    rows = ["user,arm,orders,orders_before,slow"]
    for n in range(400):
        before = n % 5
        rows.append(f"u{n},{'b' if n % 2 else 'a'},{before + n % 2 + n % 3},{before},{n % 7}")
    path = tmp_path / "users.csv"
    path.write_text("\n".join([*rows, "u1,a,1,1,1", "u2,a,4,2,2", ""]))
    code, out, err = asked(
        "checkout", "--csv", str(path), "--guardrail", "lower:p90:slow", "--control", "a",
        "--metric", "orders", "--format", "json",
    )  # fmt: skip
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert [arm["units"] for arm in found["arms"]] == [200, 199]
    assert {e["reason"]: e["units"] for e in found["set_aside"]} == {
        "several_arms": 1, "repeated_rows": 1,
    }  # fmt: skip
    assert [m["metric"] for m in found["metrics"]] == ["orders", "p90:slow"]
    assert found["metrics"][0]["adjusted"]["variance_kept"] < 0.5
    assert (found["verdict"]["status"], found["verdict"]["arm"]) == ("ship", "b")
    code, out, _ = asked("checkout", "--csv", str(path))
    assert code == 0
    assert "orders (mean, higher is better)" in out
    assert "slow (mean, higher is better)" in out
    path.write_text("user,arm,n\nu1,a,1\nu2,b,x\n")
    code, _, err = asked("checkout", "--csv", str(path))
    assert (code, err) == (2, f"lakeward: {path}, line 3: n must be a number\n")


def test_names_of_strangers_steer_no_terminal(lake: Lake, asked: Any) -> None:
    collector = lake.collector()
    for n in range(70):
        collector.record(
            "experiment_exposure", user_id=f"u{n}", experiment="x",
            variant="\x1b[31mred" if n % 2 else "plain",
        )  # fmt: skip
    collector.commit()
    code, out, _ = asked("x", "--metric", "page_view")
    assert code == 0
    assert "\x1b" not in out
    code, out, _ = asked("x", "--format", "json")
    assert code == 0
    assert "\x1b" not in out
