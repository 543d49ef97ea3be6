"""Signals become incidents: opened once, grouped, damped, acknowledged, snoozed, resolved; each
change is one `anomaly` interaction. On SQLite and a real PostgreSQL."""

from __future__ import annotations

import threading

import pytest

from alerted import HOUR, MINUTE, T0, Office, well, wrong
from databases import Store, exit_code, forked
from lakeward.alerts.desk import Desk
from lakeward.errors import Terminal
from lakeward.store.trail import entries
from lakeward.testing import MemoryCollector

ROUTES = [f"route:/r{n} errors" for n in range(4)]


@pytest.fixture
def office(store: Store) -> Office:
    return Office(store)


# Its way


def test_an_incident_opens_goes_on_and_is_resolved_and_two_of_these_are_told(
    office: Office,
) -> None:
    office.take(wrong(at=0))
    assert office.only().state == "opened"
    office.take(wrong(at=5, begins=False))
    office.take(wrong(at=10, begins=False, value=50.0))
    assert office.only().state == "ongoing"
    assert office.only().signal["value"] == 50.0
    office.take(well(at=15))
    assert office.heard() == ["opened", "resolved"]
    incident = office.only()
    assert (incident.state, incident.resolved_at) == ("resolved", T0 + 20 * MINUTE)
    assert office.recorded() == [
        (state, incident.incident_id) for state in ("opened", "ongoing", "resolved")
    ]


def test_a_change_is_recorded_with_what_the_signal_said_and_who_was_told(office: Office) -> None:
    office.take(wrong(at=0, low=0.0, high=9.0))
    (row,) = office.collector.records
    assert row["timestamp"] == "2025-08-14T12:05:00.000Z"
    assert row["analysis"] == {
        "series": "route:/a errors", "kind": "anomaly", "state": "opened", "severity": "warning",
        "direction": "up", "score": 0.97, "value": 41.0, "expected": 3.0, "low": 0.0, "high": 9.0,
        "why": "41 errors where 0 to 9 are usual.", "bucket_start": "2025-08-14T12:00:00.000Z",
        "bucket_seconds": 300.0, "alert_id": office.only().incident_id, "notified": ["slack"],
    }  # fmt: skip


def test_signals_fed_again_change_nothing(office: Office) -> None:
    signals = [wrong(at=0), wrong("type:click count", at=5), well(at=10)]
    assert office.take(*signals) == 3
    heard, recorded, incidents = office.heard(), office.recorded(), office.all()
    assert office.take(*signals) == 0
    assert office.take(wrong(at=5)) == 0  # older than the last that was said of it
    assert (office.heard(), office.recorded(), office.all()) == ([], recorded, incidents)
    assert heard == ["opened", "opened", "resolved"]


def test_what_gets_worse_is_told_again_even_when_it_was_acknowledged(office: Office) -> None:
    office.take(wrong(at=0))
    office.acts.acknowledge(office.only().incident_id, actor="ada")
    office.take(wrong(at=5, begins=False))
    assert office.only().state == "acknowledged"
    office.take(wrong(at=10, severity="critical"))
    office.take(wrong(at=15, severity="critical"))
    assert office.only().severity == "critical"
    assert office.heard() == ["opened", "worse"]
    office.take(well(at=20))
    assert office.heard() == ["resolved"]


def test_history_is_recorded_and_wakes_nobody_until_it_reaches_the_present(office: Office) -> None:
    office.take(wrong(at=0, begins=False), at=300)
    assert (office.heard(), office.states()) == ([], ["opened"])
    office.take(wrong(at=290, begins=True))
    assert office.heard() == ["opened"]
    office.take(wrong("type:click count", at=10, begins=False), well("type:click count", at=20),
                at=310)  # fmt: skip
    assert office.heard() == []
    assert office.states().count("resolved") == 1


# Grouping


def test_routes_that_fail_together_are_one_incident_and_one_telling(office: Office) -> None:
    office.take(*(wrong(series, at=0) for series in ROUTES))
    (notice,) = office.listeners[0].heard
    (event,) = notice.events
    assert (event.members, event.series) == (4, tuple(ROUTES))
    office.take(wrong("route:/late errors", at=5))
    assert office.only().members == 5
    assert office.heard() == ["opened"]
    office.take(*(well(series, at=10) for series in (*ROUTES, "route:/late errors")[1:]))
    assert office.only().state != "resolved"
    office.take(well(ROUTES[0], at=15))
    assert office.only().state == "resolved"


def test_a_series_that_joins_and_is_graver_is_told(office: Office) -> None:
    office.take(wrong(ROUTES[0], at=0))
    office.take(wrong(ROUTES[1], at=5, severity="critical"))
    assert office.only().members == 2
    assert office.heard() == ["opened", "worse"]


def test_what_differs_in_direction_or_began_later_is_another_incident(office: Office) -> None:
    office.take(wrong(ROUTES[0], at=0), wrong(ROUTES[1], at=0, direction="down"))
    office.take(wrong(ROUTES[2], at=30))
    assert [incident.members for incident in office.all()] == [1, 1, 1]


def test_five_series_of_any_kind_at_once_are_one_incident_but_a_budget_is_its_own(
    office: Office,
) -> None:
    office.take(
        wrong(ROUTES[0], at=0), wrong("type:click count", at=0, direction="down"),
        wrong("step:buy:pay count", at=0, direction="down"), wrong("partner:p1 leads", at=0),
        wrong("flow:buy completed", at=0), wrong("demo_booking", at=0, kind="silent", rule="d"),
        wrong("AI cost", at=0, kind="budget", rule="AI"),
    )  # fmt: skip
    assert sorted(incident.members for incident in office.all()) == [1, 1, 5]
    assert office.heard() == ["opened"] * 3


# Damping


def test_a_limit_of_ones_own_is_an_incident_of_its_own_whatever_else_is_wrong(
    office: Office,
) -> None:
    office.take(*[wrong(f"{name}:x count", at=0) for name in ("ai", "type", "step", "flow")])
    limit = wrong("event:checkout", at=0, kind="threshold", rule="checkout errors")
    silence = wrong("type:demo", at=0, kind="silent", rule="demo", direction="down")
    office.take(limit, silence, wrong("partner:p9 rating", at=0))
    office.take(wrong("route:/b p95", at=0), at=8)
    alone = {one.kind: one.members for one in office.all() if one.kind != "anomaly"}
    assert alone == {"threshold": 1, "silent": 1}
    assert sum(one.members for one in office.all() if one.kind == "anomaly") == 6


def test_what_is_wrong_again_within_the_cool_down_is_the_same_incident(office: Office) -> None:
    office.take(wrong(at=0))
    office.take(well(at=5))
    office.take(wrong(at=30))
    assert office.only().state == "opened"
    office.take(well(at=35))
    office.take(wrong(at=120))
    assert len(office.all()) == 2


def test_what_comes_and_goes_is_told_once_as_flapping_and_once_when_it_has_calmed(
    office: Office,
) -> None:
    office.take(wrong(at=0))
    office.take(well(at=5))
    office.take(wrong(at=10, begins=False))
    assert office.heard() == ["opened", "resolved", "flapping"]
    for at in range(15, 55, 10):
        office.take(well(at=at))
        office.take(wrong(at=at + 5, begins=True))
    office.take(well(at=55))
    assert office.heard() == []
    office.step(at=110)
    assert office.heard() == []
    office.step(at=121)
    assert office.heard() == ["resolved"]
    office.step(at=200)
    assert office.heard() == []
    assert office.states().count("resolved") == 6
    assert len(office.all()) == 1


# What people do


def test_a_snooze_hushes_and_tells_again_when_it_is_over_and_all_is_not_well(
    office: Office,
) -> None:
    office.take(wrong(at=0))
    office.acts.snooze(office.only().incident_id, 60, actor="ada")
    office.take(wrong(at=5))
    office.step(at=65)
    assert office.heard() == ["opened"]
    assert office.only().state == "snoozed"
    office.step(at=67)
    assert (office.only().state, office.heard()) == ("ongoing", ["still"])
    office.acts.snooze(office.only().incident_id, 60, actor="ada")
    office.take(well(at=70))
    office.step(at=200)
    assert (office.only().state, office.heard()) == ("resolved", [])


def test_what_gets_worse_wakes_a_snoozed_incident(office: Office) -> None:
    office.take(wrong(at=0))
    office.acts.snooze(office.only().incident_id, 60, actor="ada")
    office.take(wrong(at=5, severity="critical"))
    assert (office.only().state, office.heard()) == ("ongoing", ["opened", "worse"])


def test_series_are_snoozed_by_their_names_before_anything_is_wrong(office: Office) -> None:
    assert office.acts.snooze_series("route:/r*", 60, actor="ada") == []
    office.take(wrong(ROUTES[0], at=0), wrong("route:/other errors", at=0))
    assert sorted(incident.state for incident in office.all()) == ["opened", "snoozed"]
    assert office.heard() == ["opened"]
    hushed = office.acts.snooze_series("anomaly::route:/other*", 60, actor="ada")
    assert [incident.state for incident in hushed] == ["snoozed"]
    office.step(at=70)
    assert office.heard() == ["still", "still"]


def test_a_snooze_is_ended_by_hand(office: Office) -> None:
    office.take(wrong(at=0))
    which = office.only().incident_id
    office.acts.snooze(which, 60, actor="ada")
    assert office.acts.snooze(which, 0, actor="ada").state == "ongoing"
    office.step(at=7)
    assert office.heard() == ["opened", "still"]
    with pytest.raises(Terminal, match="is not snoozed"):
        office.acts.snooze(which, 0, actor="ada")
    office.acts.snooze_series("route:/a*", 60, actor="ada")
    (again,) = office.acts.snooze_series("route:/a*", 0, actor="ada")
    assert (again.incident_id, again.state, again.snoozed_until) == (which, "ongoing", None)
    assert office.desk.table.snoozes(office.now) == []
    office.acts.snooze_series("route:/b*", 60, actor="ada")
    office.acts.snooze(which, 90, actor="ada")
    assert office.acts.snooze_series("route:/b*", 0, actor="ada") == []
    assert office.only().state == "snoozed", "that one was snoozed for itself"
    with pytest.raises(Terminal, match="is not snoozed"):
        office.acts.snooze_series("route:/b*", 0, actor="ada")


def test_what_somebody_resolved_stays_so_until_it_was_well_or_begins_anew(office: Office) -> None:
    office.take(wrong(at=0))
    office.acts.resolve(office.only().incident_id, actor="ada")
    office.step(at=7)
    assert office.heard() == ["opened", "resolved"]
    office.take(wrong(at=5, begins=False), wrong(at=10, begins=False))
    assert (len(office.all()), office.heard()) == (1, [])
    office.take(wrong(at=15, begins=True))
    assert (len(office.all()), office.heard()) == (2, ["opened"])


def test_acts_are_in_the_history_and_the_audit_and_refuse_what_is_over(office: Office) -> None:
    office.take(wrong(at=0))
    which = office.only().incident_id
    office.acts.acknowledge(which[-8:], actor="ada")
    office.now += 1
    office.acts.resolve(which, actor="bo")
    for act in (office.acts.acknowledge, office.acts.resolve):
        with pytest.raises(Terminal, match="resolved already"):
            act(which, actor="cy")
    with pytest.raises(Terminal, match="no incident of that id"):
        office.acts.acknowledge("0000", actor="cy")
    with pytest.raises(Terminal, match="31 days"):
        office.acts.snooze(which, 0.5, actor="cy")
    steps = office.desk.table.history(which)
    assert [(step.what, step.actor) for step in steps] == [
        ("opened", None), ("acknowledged", "ada"), ("resolved", "bo"),
    ]  # fmt: skip
    trail = entries(office.database, 10, ("alert.",))
    assert [(one.action, one.actor) for one in trail] == [
        ("alert.acknowledge", "ada"), ("alert.resolve", "bo"),
    ]  # fmt: skip
    office.step(at=10)
    assert office.states() == ["opened", "acknowledged", "resolved"]


# Several at once, and kills


def test_two_processes_that_take_the_same_signals_open_and_tell_once(
    store: Store, office: Office
) -> None:
    others = [Office(store) for _ in range(3)]
    signals = [wrong(series, at=at) for series in ROUTES for at in (0, 5)]
    threads = [threading.Thread(target=one.take, args=signals) for one in (office, *others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in (office, *others):
        one.step(at=12)
    assert [word for one in (office, *others) for word in one.heard()] == ["opened"]
    assert office.only().members == 4
    ids = [row["interaction_id"] for one in (office, *others) for row in one.collector.records]
    assert len(set(ids)) == 2


POINTS = ("before take", "before commit", "taken over", "taken", "told", "before record",
          "recorded")  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
def test_after_a_kill_what_is_fed_again_is_neither_lost_nor_doubled(
    store: Store, point: str
) -> None:
    class Killed(BaseException):
        pass

    dead: list[str] = []

    def pause(at: str) -> None:
        if at == point and not dead:
            dead.append(at)
            raise Killed

    office = Office(store, pause=pause)
    with pytest.raises(Killed):
        office.take(wrong(at=0))
    before = office.heard()
    office.take(wrong(at=0), at=6)
    office.step(at=20)  # the lease of the dead is over
    heard = before + office.heard()
    # between the telling and its note nobody can know: then it is told again, under the same id
    assert heard == (["opened", "opened"] if point == "told" else ["opened"])
    office.step(at=30)
    assert len({row["interaction_id"] for row in office.collector.records}) == 1
    assert office.only().state == "opened"


def test_a_process_that_dies_within_the_transaction_leaves_nothing(store: Store) -> None:
    import os
    import signal

    def die(at: str) -> None:
        if at == "before commit":
            os.kill(os.getpid(), signal.SIGKILL)

    def work() -> None:
        Office(store, pause=die).take(wrong(at=0))

    store.open().close()
    assert exit_code(forked(work)) == -signal.SIGKILL
    office = Office(store)
    assert office.all() == []
    office.take(wrong(at=0))
    assert office.heard() == ["opened"]


def test_what_the_ring_has_no_room_for_is_recorded_later(store: Store) -> None:
    office = Office(store)

    class Full(MemoryCollector):
        full = True

        def put_batch(self, lines: list[bytes]) -> bool:
            return not self.full and super().put_batch(lines)

    collector = Full()
    desk = Desk(office.database, office.telling, {}, collector)
    desk.take([wrong(at=0)], T0 + 6 * MINUTE)
    assert collector.records == []
    collector.full = False
    desk.step(T0 + HOUR)
    desk.step(T0 + 2 * HOUR)
    assert [row["analysis"]["state"] for row in collector.records] == ["opened"]


def test_incidents_that_were_over_a_year_ago_are_gone(store: Store) -> None:
    office = Office(store)
    office.take(wrong(at=0))
    office.take(well(at=5))
    Office(store).step(at=400 * 1440)
    assert office.all() == []
    assert office.desk.table.unrecorded() == []
