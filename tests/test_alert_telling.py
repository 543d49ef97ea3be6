"""Who is told and when: the tables of `alerts.toml`, quiet hours, filters, the daily digest."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

from alerted import HOUR, MINUTE, T0, Office, well, wrong
from asked import answered, fill
from databases import Store
from lakeward.alerts.desk import Desk
from lakeward.alerts.digest import digest_of, totals_of
from lakeward.alerts.notifier import Digest, Total
from lakeward.alerts.telling import Telling, telling_of
from lakeward.alerts.wording import digest_paragraphs
from lakeward.analysis.question import Answer, Question
from lakeward.errors import SettingError, Transient
from lakeward.testing import MemoryCollector

DAY = 24 * HOUR
SLACK = {"by": "slack", "url_env": "A"}


def read(text: str) -> Telling:
    content = tomllib.loads(text)
    return telling_of(content.get("tell", []), content.get("digest"), "alerts.toml")


# The file


def test_every_key_of_the_file_is_read() -> None:
    telling = read("""
[[tell]]
by = "slack"
url_env = "OPS_SLACK_URL"
severity = "warning"
kinds = ["anomaly", "threshold"]
series = ["route:*"]
quiet = "22:00-07:00"
zone = "Europe/Lisbon"
[[tell]]
by = "webhook"
url_env = "OPS_HOOK_URL"
secret_env = "OPS_HOOK_SECRET"
[[tell]]
by = "email"
to_env = "OPS_MAIL"
[[tell]]
by = "sms"
to_env = "OPS_PHONE"
severity = "critical"
[digest]
at = "08:00"
zone = "Europe/Lisbon"
by = ["slack", "email"]
""")
    slack, hook, mail, sms = telling.channels
    assert (slack.address, slack.severity, slack.kinds) == (
        "OPS_SLACK_URL", "warning", ("anomaly", "threshold"),
    )  # fmt: skip
    assert slack.quiet is not None
    assert (slack.quiet.begins, slack.quiet.ends) == (1320, 420)
    assert (hook.secret, mail.address, sms.severity) == ("OPS_HOOK_SECRET", "OPS_MAIL", "critical")
    assert [channel.by for channel in telling.digested()] == ["slack", "email"]
    assert slack.wants("anomaly", "critical", ["type:click", "route:/a"])
    assert not slack.wants("budget", "critical", ["route:/a"])
    assert not slack.wants("anomaly", "info", ["route:/a"])
    assert not slack.wants("anomaly", "critical", ["type:click"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[[tell]]\nurl_env = "A"', "[[tell]] number 1 needs `by` to be one of slack, webhook"),
        ('[[tell]]\nby = "pager"', "needs `by` to be one of"),
        ('[[tell]]\nby = "slack"', "by slack, needs `url_env`, the name of a variable"),
        ('[[tell]]\nby = "slack"\nurl_env = "https://hooks.example.com/T0P"', "the name of a var"),
        ('[[tell]]\nby = "slack"\nurl_env = "A"\nto_env = "B"', "has the unknown key 'to_env'"),
        ('[[tell]]\nby = "email"\nto_env = "A"\nsecret_env = "B"', "unknown key 'secret_env'"),
        ('[[tell]]\nby = "slack"\nurl_env = "A"\nwho = 1', "has the unknown key 'who'"),
        ('[[tell]]\nby = "slack"\nurl_env = "A"\nkinds = ["loud"]', "knows no kind 'loud'"),
        ('[[tell]]\nby = "slack"\nurl_env = "A"\nkinds = []', "needs a list of texts as `kinds`"),
        ('[[tell]]\nby = "slack"\nurl_env = "A"\nseverity = "high"', "needs `severity` to be one"),
        ('[[tell]]\nby = "slack"\nurl_env = "A"\nquiet = "22-7"', "needs `quiet` hours such as"),
        ('[[tell]]\nby = "slack"\nurl_env = "A"\nquiet = "07:00-07:00"', "needs `quiet` hours"),
        ('[[tell]]\nby = "slack"\nurl_env = "A"\nzone = "UTC"', "has a zone but no `quiet`"),
        ('[[tell]]\nby = "slack"\nurl_env = "A"\nquiet = "22:00-07:00"\nzone = "Mars/X"',
         "no known time zone 'Mars/X'"),
        ('[[tell]]\nby = "slack"\nurl_env = "A"\n' * 2, "number 2 has the url_env of an earlier"),
        ('[digest]\nat = "8"', "[digest] needs `at`, a time of the day"),
        ('[digest]\nby = ["slack"]', 'there is no [[tell]] with by = "slack"'),
        ('[digest]\nby = ["sms"]', "goes `by` slack, webhook or email"),
        ("[digest]\nhour = 8", "[digest] has the unknown key 'hour'"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_file_is_one_sentence_with_its_place(text: str, sentence: str) -> None:
    with pytest.raises(SettingError) as caught:
        read(text)
    assert str(caught.value).startswith("alerts.toml: ")
    assert sentence in str(caught.value)
    assert "T0P" not in str(caught.value)


# Who


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_each_channel_hears_what_it_is_for_and_of_what_joins_later(store: Store) -> None:
    office = Office(
        store,
        [
            SLACK | {"series": ["route:*"]},
            {"by": "webhook", "url_env": "B", "series": ["partner:*"]},
            {"by": "sms", "to_env": "C", "severity": "critical"},
        ],
    )
    office.take(wrong("route:/a errors", at=0), wrong("type:click count", at=0),
                wrong("step:buy count", at=0), wrong("step:pay:x count", at=0),
                wrong("type:page_view count", at=0))  # fmt: skip
    assert [office.heard(n) for n in range(3)] == [["opened"], [], []]
    office.take(wrong("partner:p1 leads", at=5, begins=False))
    assert [office.heard(n) for n in range(3)] == [[], ["opened"], []]
    office.take(wrong("route:/a errors", at=10, severity="critical"))
    assert [office.heard(n) for n in range(3)] == [["worse"], ["worse"], ["worse"]]
    assert office.only().members == 6


# Quiet hours


def test_quiet_hours_hold_back_what_is_not_critical_and_then_tell_it_at_once(store: Store) -> None:
    office = Office(store, [SLACK | {"quiet": "12:00-14:00"}])  # T0 is 12:00
    office.take(wrong("route:/a errors", at=0))
    office.take(wrong("type:click count", at=20))
    office.take(well("type:click count", at=30))
    office.take(wrong("step:pay count", at=40, severity="critical"))
    assert office.heard() == ["opened"]
    office.step(at=119)
    assert office.heard() == []
    office.listeners[0].error = Transient("away")
    office.step(at=121)
    office.listeners[0].error = None
    office.step(at=123)
    (notice,) = office.listeners[0].heard
    assert [(one.what, one.series[0]) for one in notice.events] == [
        ("opened", "route:/a errors"), ("resolved", "type:click count"),
    ]  # fmt: skip
    office.take(wrong("route:/late errors", at=200))
    assert office.heard() == ["opened+resolved", "opened"]


def test_what_was_held_is_told_as_it_stands_or_not_at_all(store: Store) -> None:
    office = Office(store, [SLACK | {"quiet": "12:00-14:00"}])
    for n, series in enumerate(("route:/worse", "type:acked", "step:snoozed", "ai:open")):
        office.take(wrong(series, at=n * 6))
    worse, acked, snoozed, still = office.all()
    office.take(wrong("route:/worse", at=25, severity="critical"))
    assert office.heard() == ["worse"]
    office.take(well("route:/worse", at=40))  # it was critical to the end
    assert office.heard() == ["resolved"]
    office.acts.acknowledge(acked.incident_id, actor="me")
    office.acts.snooze(snoozed.incident_id, 240, actor="me")
    office.step(at=121)
    (notice,) = office.listeners[0].heard
    assert [one.incident_id for one in notice.events] == [still.incident_id]
    assert office.desk.queue.of(acked.incident_id) == []
    assert [one.state for one in office.desk.queue.of(worse.incident_id)] == ["told", "told"]


def test_what_is_tried_again_waits_for_the_end_of_quiet_hours_unless_it_is_critical(
    store: Store,
) -> None:
    office = Office(store, [SLACK | {"quiet": "12:30-14:00"}])
    office.listeners[0].error = Transient("away")
    office.take(wrong("route:/a errors", at=0))
    office.take(wrong("type:click count", at=20, severity="critical"))
    office.listeners[0].error = None
    office.step(at=31)
    (notice,) = office.listeners[0].heard
    assert notice.events[0].severity == "critical"
    assert office.step(at=119) == T0 + 120 * MINUTE
    office.step(at=121)
    assert office.heard() == ["opened", "opened"]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_what_flapped_in_quiet_hours_is_told_as_flapping(store: Store) -> None:
    office = Office(store, [SLACK | {"quiet": "12:00-13:00"}])
    for at in (0, 10, 20):
        office.take(wrong("route:/a errors", at=at))
        office.take(well("route:/a errors", at=at + 5))
    assert office.only().flapping
    office.step(at=61)
    assert office.heard() == ["flapping"]


@pytest.mark.parametrize(
    ("day", "clock", "until"),
    [
        ("2025-08-14", "21:59", None),
        ("2025-08-14", "22:00", "2025-08-15 07:00"),
        ("2025-08-15", "00:00", "2025-08-15 07:00"),
        ("2025-08-15", "06:59", "2025-08-15 07:00"),
        ("2025-08-15", "07:00", None),
        ("2025-03-29", "23:00", "2025-03-30 07:00"),  # clocks go forward in between
        ("2025-10-25", "23:00", "2025-10-26 07:00"),  # and back
    ],
)
def test_quiet_hours_are_the_zones_own(day: str, clock: str, until: str | None) -> None:
    zone = ZoneInfo("Europe/Lisbon")
    tell = SLACK | {"quiet": "22:00-07:00", "zone": "Europe/Lisbon"}
    quiet = telling_of([tell], None, "alerts.toml").channels[0].quiet
    assert quiet is not None
    now = datetime.fromisoformat(f"{day} {clock}").replace(tzinfo=zone)
    found = quiet.until(round(now.timestamp() * 1000))
    shown = found and datetime.fromtimestamp(found / 1000, zone).strftime("%Y-%m-%d %H:%M")
    assert shown == until


def test_in_the_night_when_clocks_go_back_quiet_hours_end_with_their_second_end() -> None:
    tell = SLACK | {"quiet": "22:00-01:30", "zone": "Europe/Lisbon"}
    quiet = telling_of([tell], None, "alerts.toml").channels[0].quiet
    assert quiet is not None

    def utc(clock: str) -> int:
        return round(datetime.fromisoformat(f"2025-10-26T{clock}:00+00:00").timestamp() * 1000)

    # 01:30 comes at 00:30 and at 01:30 of UTC
    found = [quiet.until(utc(clock)) for clock in ("00:10", "00:40", "01:10", "01:30")]
    assert found == [utc("00:30"), None, utc("01:30"), None]


# The digest


def digest_desk(
    store: Store, at: str, zone: str = "UTC", totals: Any = None, heard: list[Any] | None = None
) -> Desk:
    telling = telling_of([SLACK], {"at": at, "zone": zone, "by": ["slack"]}, "alerts.toml")

    class Ear:
        def tell(self, notice: Any) -> None:
            if heard is not None:
                heard.append(notice)

        def close(self) -> None:
            """Nothing is held."""

    named = {telling.channels[0].channel_id: Ear()}
    return Desk(store.open(), telling, named, MemoryCollector(), totals=totals)


def test_the_digest_is_told_once_a_day_whoever_starts_anew(store: Store) -> None:
    heard: list[Any] = []
    asked: list[tuple[str, str]] = []

    def totals(day: str, zone: str) -> Sequence[Total]:
        asked.append((day, zone))
        return [Total(name="events", value=1.0)]

    midnight = T0 - 12 * HOUR
    for hour in (7, 7.9, 8, 8.1, 9, 20, 24 + 7, 24 + 22, 24 + 23, 72 + 1, 72 + 8):
        desk = digest_desk(store, "08:00", totals=totals, heard=heard)
        desk.step(round(midnight + hour * HOUR))
    assert [notice.digest.day for notice in heard] == ["2025-08-13", "2025-08-14", "2025-08-16"]
    assert asked == [(notice.digest.day, "UTC") for notice in heard]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("zone", "at", "day", "told"),
    [  # minutes of the UTC day, beginning two hours before it with what is due by then
        ("Europe/Lisbon", "01:30", "2025-03-30", [-120, 90]),  # 01:00 to 02:00 are skipped
        ("Europe/Lisbon", "01:30", "2025-10-26", [-120, 30]),  # and here they come twice
        ("Asia/Tokyo", "08:00", "2025-08-14", [-60]),
    ],
)
def test_the_digest_is_due_once_where_clocks_change(
    store: Store, zone: str, at: str, day: str, told: list[int]
) -> None:
    heard: list[Any] = []
    desk = digest_desk(store, at, zone, heard=heard)
    begins = round(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp() * 1000)
    found = []
    for minute in range(-120, 24 * 60 - 120, 30):
        before = len(heard)
        desk.step(begins + minute * MINUTE)
        found += [minute] * (len(heard) - before)
    assert found == told


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_the_digest_counts_the_days_incidents_in_its_zone(store: Store) -> None:
    office = Office(store)
    office.take(wrong("route:/a errors", at=0))
    office.take(well("route:/a errors", at=10))
    office.take(wrong("type:click count", at=60))
    office.take(wrong("step:pay count", at=11 * 60, begins=False))  # 23:00 in UTC, 08:00 in Tokyo
    found = digest_of(office.desk.table, "2025-08-14", "UTC", None, office.now)
    assert (found.opened, found.resolved, found.open_count) == (3, 1, 2)
    tokyo = digest_of(office.desk.table, "2025-08-15", "Asia/Tokyo", None, office.now)
    assert (tokyo.opened, tokyo.resolved) == (1, 0)
    lines = digest_paragraphs(found)
    assert lines[0] == "Alerts: 3 opened, 1 resolved, 2 open."
    assert "type:click count" in lines[1]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Transient("the lake is busy"), "the lake is busy"),
        (OSError(5, "Input/output error", "/home/somebody"), "OSError"),
        (duckdb.IOException("HTTP 503 of https://somewhere"), "IOException"),
    ],
)
def test_a_lake_that_cannot_be_asked_leaves_the_digest_without_totals(
    store: Store, error: Exception, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    def totals(day: str, zone: str) -> Sequence[Total]:
        raise error

    heard: list[Any] = []
    digest_desk(store, "08:00", totals=totals, heard=heard).step(T0)
    assert heard[0].digest.totals == ()
    assert caplog.messages == [f"the digest has no totals: {said}"]


def asked(question: Question) -> Answer:
    """The answer to the filled table."""
    return Answer(question.columns(), [tuple(row.values()) for row in answered(question)])


def test_totals_stand_beside_the_mean_of_the_same_weekday() -> None:
    def on(day: int, n: int, **more: Any) -> list[dict[str, Any]]:
        base = T0 - day * DAY
        return [{"ms": base + i, "user_id": f"u{i}", **more} for i in range(n)]

    call = {"interaction_type": "api_call", "response_status": 500}
    fill([*on(0, 6), *on(0, 2, **call), *on(7, 3), *on(14, 1, **call), *on(3, 99), *on(18, 1)])
    found = {one.name: one for one in totals_of(asked, "2025-08-14", "UTC")}
    assert (found["events"].value, found["events"].usual) == (8.0, 2.0)
    assert (found["visitors"].value, found["visitors"].usual) == (6.0, 2.0)
    assert (found["API errors"].value, found["API errors"].usual) == (2.0, 0.5)
    assert (found["AI cost"].value, found["AI cost"].unit) == (0.0, "USD")
    fill(on(0, 2))
    assert [one.usual for one in totals_of(asked, "2025-08-14", "UTC")] == [None] * 7
    text = digest_paragraphs(
        Digest(day="d", zone="UTC", opened=0, resolved=0, open=(), open_count=0,
               totals=tuple(found.values()))
    )[-1]  # fmt: skip
    assert "- events: 8 interactions (usually 2, +300 %)" in text
    assert "- demo bookings: 0 (usually 0)" in text
