"""`lakeward replay`: what was set aside comes back under one id, and nobody who was erased."""

from __future__ import annotations

import threading
import time
from typing import Any

import msgspec
import pytest

from conftest import Lake
from lakeward.barrier import erasing
from lakeward.errors import Rejected
from lakeward.interaction import foreign_id, parse_iso
from lakeward.person import Person
from lakeward.quarantine import NOT_PERMITTED, Entry, Selection, brought_back
from lakeward.replay import Replay, line_of
from lakeward.suppression import add
from test_cli import lakeward

LATER = "2099-01-01T00:00:00.000Z"


def set_aside(lake: Lake, *records: dict[str, Any], kind: str = "demo_booking") -> None:
    collector = lake.collector()
    for record in records:
        collector.record(kind, **{"status": "later", **record})
    collector.commit()
    collector.close()


def replay(lake: Lake, *arguments: str, code: int = 0, **environ: str) -> dict[str, Any]:
    done = lakeward(lake, "replay", "--format", "json", *arguments, **environ)
    assert done.returncode == code, done.stderr + done.stdout
    row: dict[str, Any] = msgspec.json.decode(done.stdout)
    settled = row["replayed"] + row["known"] + row["suppressed"] + sum(row["refused"].values())
    assert row["selected"] == settled
    return row


def test_a_mended_field_brings_them_back_with_everything_else(lake: Lake) -> None:
    set_aside(lake, {"user_id": "ann", "partner_id": "p1", "campaign": "x", "score": 3})
    assert replay(lake, "--set", "status=booked")["replayed"] == 1
    (row,) = lake.rows()
    entry = lake.quarantined()[0]
    assert row["interaction_type"] == "demo_booking"
    assert (row["user_id"], row["partner_id"]) == ("ann", "p1")
    assert row["outcomes"]["status"] == "booked"
    assert row["properties"] == {"campaign": "x", "score": 3}
    assert row["timestamp"] == entry["quarantined_at"]
    assert row["interaction_id"] == foreign_id(
        "quarantine", entry["quarantine_id"], parse_iso(entry["quarantined_at"])
    )
    assert lake.settled().ok


def test_what_its_type_still_refuses_stays_and_is_not_set_aside_again(lake: Lake) -> None:
    set_aside(lake, {}, {"status": "booked", "date": 5})
    row = replay(lake, code=1)
    assert row["replayed"] == 0
    assert any("`status` must be one of" in why for why in row["refused"])
    assert len(lake.quarantined()) == 2
    assert lake.rows() == []
    done = lakeward(lake, "replay")
    assert done.returncode == 1
    assert done.stdout.startswith("0 interactions brought back of 2 selected\n  1 stay: ")


def test_a_second_replay_brings_back_nothing(lake: Lake) -> None:
    set_aside(lake, {}, {"user_id": "ann"})
    assert replay(lake, "--set", "status=booked")["replayed"] == 2
    again = replay(lake, "--set", "status=booked")
    assert (again["replayed"], again["known"]) == (0, 2)
    assert len(lake.rows()) == 2


def test_a_replay_that_was_killed_before_it_noted_gives_the_same_ids(lake: Lake) -> None:
    """The table keeps one row of each id, so nothing is doubled there."""
    set_aside(lake, {}, {"timestamp": "2025-03-01T10:00:00Z"}, {"interaction_id": "order-7"},
              {"interaction_id": "0198bd02-9b65-7000-8000-000000000001"})  # fmt: skip
    assert replay(lake, "--set", "status=booked")["replayed"] == 4
    (lake.root / ".lakeward" / "replays.jsonl").unlink()
    first = lake.ids()
    assert replay(lake, "--set", "status=booked")["replayed"] == 4
    assert lake.ids() == first * 2
    assert "0198bd02-9b65-7000-8000-000000000001" in first
    assert lake.rows()[1]["timestamp"] == "2025-03-01T10:00:00.000Z"


def test_an_id_and_time_of_its_own_stay_as_when_it_was_recorded(lake: Lake) -> None:
    given = {"interaction_id": "order-7", "timestamp": "2025-03-01T10:00:00.000Z"}
    set_aside(lake, given)
    replay(lake, "--set", "status=booked")
    collector = lake.collector()
    again = collector.record("demo_booking", status="booked", **given)
    collector.commit()
    assert lake.ids() == [again] * 2


def test_a_dry_run_says_what_would_happen_and_does_nothing(lake: Lake) -> None:
    set_aside(lake, {}, {"user_id": "ann"})
    row = replay(lake, "--set", "status=booked", "--dry-run")
    assert (row["dry_run"], row["replayed"]) == (True, 2)
    assert lake.rows() == []
    assert brought_back(lake.open()) == set()
    done = lakeward(lake, "replay", "--set", "status=booked", "--dry-run")
    assert done.stdout == "2 interactions would be brought back of 2 selected\n"


def test_only_what_is_selected_comes_back(lake: Lake) -> None:
    set_aside(lake, {"n": 0}, {"n": 1}, {"n": 2})
    set_aside(lake, {"value": "much"}, kind="deal_closed")
    wanted = lake.quarantined()[1]["quarantine_id"]
    row = replay(lake, "--id", wanted, "--set", "status=booked")
    assert (row["selected"], row["replayed"]) == (1, 1)
    row = replay(lake, "--type", "demo_booking", "--set", "status=booked")
    assert (row["selected"], row["replayed"], row["known"]) == (3, 2, 1)
    assert [r["properties"]["n"] for r in lake.rows()] == [1, 0, 2]
    assert replay(lake, "--since", LATER)["selected"] == 0


def test_a_field_can_be_taken_out_and_the_type_changed(lake: Lake) -> None:
    set_aside(lake, {"amount": "x", "status": "later"})
    row = replay(lake, "--set", "status=null", "--set", "interaction_type=booking_note")
    assert row["replayed"] == 1
    (found,) = lake.rows()
    assert found["interaction_type"] == "booking_note"
    assert found["properties"] == {"amount": "x"}


def test_it_is_of_the_environment_in_which_it_was_recorded(lake: Lake) -> None:
    set_aside(lake, {})
    replay(lake, "--set", "status=booked", LAKEWARD_ENV="production")
    assert lake.rows()[0]["environment"] == "development"


def test_nobody_who_was_erased_comes_back(lake: Lake) -> None:
    set_aside(lake, {"user_id": "ann"}, {"user_id": "bob"}, {"session_id": "s-1"},
              {"user_id": "ann", "timestamp": "2090-01-01T00:00:00Z"})  # fmt: skip
    for person in (Person("user_id", "ann"), Person("session_id", "s-1")):
        add(lake.open(), person, time.time_ns() // 1_000_000)
    row = replay(lake, "--set", "status=booked")
    assert (row["replayed"], row["suppressed"]) == (2, 2)
    assert [r["user_id"] for r in lake.rows()] == ["bob", "ann"], "later ones are new"


def test_an_erase_waits_for_a_replay_and_a_replay_for_an_erase(lake: Lake) -> None:
    set_aside(lake, {"user_id": "ann"})
    collector = lake.collector()
    brought: list[int] = []

    def run() -> None:
        done = Replay(lake.open(), collector, {"status": "booked"}).run(Selection())
        brought.append(done.replayed)

    with erasing(lake.open()):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join(0.3)
        assert brought == []
        add(lake.open(), Person("user_id", "ann"), time.time_ns() // 1_000_000)
    thread.join()
    assert brought == [0]
    assert lake.rows() == []


def test_what_a_follower_set_aside_comes_back_as_it_stood_in_the_log(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_IP="hash")
    collector.record("api_call", method="GET", path="/a", ip_address="10.0.0.1", user_id="ann")
    collector.commit()
    before = next(lake.root.rglob("daily_summary.jsonl")).read_bytes()
    assert collector.return_line("s3", "the object is refused", before)
    collector.commit()
    collector.close()
    row = replay(lake, "--follower", "s3", LAKEWARD_IP="hash")
    assert row["replayed"] == 1
    assert next(lake.root.rglob("daily_summary.jsonl")).read_bytes() == before * 2
    assert lake.settled().ok


def test_what_was_not_kept_cannot_come_back(lake: Lake) -> None:
    collector = lake.collector()
    collector.quarantine("undecodable", note="a body", raw=b"{")
    collector.commit()
    collector.close()
    assert replay(lake, code=1)["refused"] == {"Only its length and hash were kept.": 1}
    entry = Entry("q", "2025-01-01T00:00:00.000Z", "r", record="[too large: 9 bytes]")
    with pytest.raises(Rejected, match="too large"):
        line_of(collector, entry, {})


def test_what_a_key_did_not_permit_is_brought_back_only_by_name(lake: Lake) -> None:
    """Whoever may write clicks must not get a deal into the lake by way of the quarantine."""
    collector = lake.collector()
    collector.set_aside("hello", NOT_PERMITTED, {"user_id": "eve"})
    collector.commit()
    collector.close()
    row = replay(lake, code=1)
    assert (row["selected"], row["replayed"]) == (1, 0)
    replay(lake, "--type", "hello", code=1)
    assert replay(lake, "--reason", NOT_PERMITTED)["replayed"] == 1


def test_secrets_in_a_mended_field_are_scrubbed_as_ever(lake: Lake) -> None:
    set_aside(lake, {})
    secret = "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"
    replay(lake, "--set", "status=booked", "--set", f"note={secret}", "--set", "password=tulip")
    content = b"".join(p.read_bytes() for p in lake.root.rglob("*.jsonl"))
    assert secret.encode() not in content
    assert b"tulip" not in content


def test_outcomes_that_are_switched_off_stay(lake: Lake) -> None:
    set_aside(lake, {})
    row = replay(lake, "--set", "status=booked", code=1, ENABLE_OUTCOME_TRACKING="false")
    assert "ENABLE_OUTCOME_TRACKING" in next(iter(row["refused"]))
    done = lakeward(lake, "replay", ENABLE_DATA_COLLECTION="false")
    assert done.returncode == 2
    assert "ENABLE_DATA_COLLECTION" in done.stderr


def test_many_come_back_in_batches_and_the_sum_holds(lake: Lake) -> None:
    set_aside(lake, *({"n": n, "filler": "x" * 2000} for n in range(1200)))
    assert replay(lake, "--set", "status=booked")["replayed"] == 1200
    assert [row["properties"]["n"] for row in lake.rows()] == list(range(1200))
    report = lake.settled()
    assert report.ok, report.faults
    assert (report.sum["delivered"], report.sum["quarantined"]) == (1200, 1200)


def test_an_import_leaves_out_who_was_erased_too(lake: Lake) -> None:
    set_aside(lake, {})
    add(lake.open(), Person("user_id", "ann"), parse_iso("2025-02-01T00:00:00Z"))
    rows = [
        {"user_id": user, "timestamp": f"2025-0{month}-01T00:00:00Z"}
        for user, month in (("ann", 1), ("bob", 1), ("ann", 3))
    ]
    path = lake.root.parent / "events.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    done = lakeward(lake, "import", str(path), "--type", "hello")
    assert "2 interactions imported, 1 of erased people left out" in done.stdout
    assert [(row["user_id"], row["timestamp"][:7]) for row in lake.rows()] == [
        ("bob", "2025-01"), ("ann", "2025-03")
    ]  # fmt: skip
