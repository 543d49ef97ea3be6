"""What outcomes cost: a method beside `record()`, and the views over a million of them.

    telling   `Outcomes.partner_match` beside `collector.record("partner_match")` of the same
              fields: CPU time of the calling thread, in production and in development
    views     `bookings`, `deals` and `matches` over a million outcomes in the real table: counted,
              and with every column of every row read

Of the million half are matches, three tenths words about demos, a tenth deals, the rest `identify`;
of the people half are matched before they are known.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from lakeward.collector import Collector
from lakeward.interaction import iso
from lakeward.lake import derived
from lakeward.lake.compact import Compactor
from lakeward.lake.delta import Table
from lakeward.lake.outcomes import VIEWS
from lakeward.lake.reading import open_reading
from lakeward.lake.storage import table_storage
from lakeward.lakedir import LakeDir, open_lake
from lakeward.ledger import State
from lakeward.log import Log
from lakeward.outcomes import Outcomes
from lakeward.settings import load
from measure import Report, disk, interleaved, scratch, spread, table

ROWS = 1_000_000
CALLS = 5_000
START_MS = 1_755_129_600_000
DAY_MS = 86_400_000
STATUSES = ("booked", "booked", "rescheduled", "held", "cancelled")
MATCH: dict[str, Any] = {
    "partner_id": "p1", "user_id": "c-17", "score": 87.5, "rank": 1, "primary": True,
    "reasons": ["same focus", "fits the revenue"], "focus_areas": ["crm", "hiring"],
    "revenue_tier": "1m_5m", "algorithm": "weights-3",
}  # fmt: skip


def telling(report: Report, rounds: int) -> None:
    """The method beside the call that it makes."""
    rows = []
    for environment in ("production", "development"):
        taken: dict[str, list[float]] = {"record": [], "Outcomes": []}
        with scratch() as environ:
            environ |= {"LAKEWARD_ENV": environment, "LAKEWARD_RING_BYTES": "64MiB"}
            settings = load(environ, Path(environ["LAKEWARD_LAKE_DIR"]).parent)
            with Collector(settings) as collector:
                outcomes = Outcomes(collector)
                for number, name in interleaved(list(taken), rounds + 1):
                    spent = _calls(outcomes if name == "Outcomes" else collector)
                    if number:  # the first is the warm-up
                        taken[name].append(spent)
                    collector.commit()
                assert collector.stats()["ring"]["path"]
        pairs = zip(taken["Outcomes"], taken["record"], strict=True)
        ratio = spread([ours / plain for ours, plain in pairs])
        rows.append([environment, *(spread(found).text() for found in taken.values()),
                     ratio.text()])  # fmt: skip
        report.figures[environment] = taken
    report.say(f"{CALLS:,} calls a block, {rounds} rounds; CPU µs a call of the calling thread.")
    report.say(table(["environment", "`record`", "`Outcomes`", "ratio of the round"], rows))


def _calls(teller: Outcomes | Collector) -> float:
    """CPU µs of one call; none may be dropped, as that would be a cheap one."""
    begun, kept = time.thread_time(), 0
    if isinstance(teller, Outcomes):
        for _ in range(CALLS):
            kept += teller.partner_match(**MATCH) is not None
    else:
        for _ in range(CALLS):
            kept += teller.record("partner_match", **MATCH) is not None
    spent = time.thread_time() - begun
    assert kept == CALLS, f"{CALLS - kept} were dropped"
    return spent / CALLS * 1e6


def outcome_lines(rows: int, seed: int = 7) -> Iterator[bytes]:
    """Outcomes of 120 days as the log holds them."""
    dice = random.Random(seed)
    encode = msgspec.json.Encoder().encode
    people = rows // 8
    for number in range(rows):
        ms = START_MS + number * 120 * DAY_MS // rows
        digits = f"{ms:012x}7{dice.getrandbits(12):03x}8{dice.getrandbits(60):015x}"
        identifier = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        person, partner = dice.randrange(people), f"p{dice.randrange(40)}"
        kind, own = _outcome(dice, people)
        known = kind != "partner_match" or person % 2
        row = {
            "interaction_id": identifier, "timestamp": iso(ms), "environment": "production",
            "app_version": "1.0.0", "interaction_type": kind,
            "user_id": f"c-{person}" if known else "anonymous",
            "user_type": "contractor" if known else "unknown",
            "anonymous_id": f"a-{person}" if kind in ("partner_match", "identify") else None,
            "partner_id": None if kind == "identify" else partner, "outcomes": own,
        }  # fmt: skip
        yield encode({name: value for name, value in row.items() if value is not None})


def _outcome(dice: random.Random, people: int) -> tuple[str, dict[str, Any] | None]:
    share = dice.random()
    if share < 0.5:
        return "partner_match", {"score": dice.randrange(1001) / 10, "rank": dice.randrange(1, 4)}
    if share < 0.8:
        booking = f"b-{dice.randrange(people * 2)}"
        return "demo_booking", {"booking_id": booking, "status": dice.choice(STATUSES),
                                "date": "2026-12-01", "source": "match"}  # fmt: skip
    if share < 0.9:
        deal, value = f"d-{dice.randrange(people)}", float(dice.randrange(50_000))
        return "deal_closed", {"deal_id": deal, "value": value, "currency": "USD"}
    return "identify", None


def filled(root: Path) -> LakeDir:
    """A lake whose table holds all of them."""
    lake = open_lake(root)
    log = Log(lake, 128 << 20)
    state = State(lake_id=lake.identity.lake_id, epoch=lake.identity.epoch)
    source = outcome_lines(ROWS)
    while piece := list(islice(source, 20_000)):
        data = b"\n".join(piece) + b"\n"
        segment, start = log.place("raw", len(data), START_MS)
        log.write("raw", data, len(piece))
        state.batch += 1
        state.ends["raw"] = (segment, start + len(data), len(piece))
        log.publish(state)
    log.close()
    settings = load({"LAKEWARD_LAKE_DIR": str(root)}, root.parent)
    made = Table(table_storage(lake.root, settings))
    compactor = Compactor(lake, made, memory=1 << 30, threads=2)
    added = compactor.run().added
    compactor.close()
    assert added == ROWS, f"{added} rows"
    return lake


def views(report: Report, rounds: int) -> None:
    """Each view over the whole table."""
    questions = {
        "count": "SELECT count(*) FROM {0}",
        "all": "SELECT count(*), max(hash({0})) FROM {0}",
    }
    taken: dict[str, dict[str, list[float]]] = {
        name: {"count": [], "all": [], "wall": []} for name in VIEWS
    }
    counted: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="lakeward-bench-", dir=disk()) as folder:
        root = Path(folder) / "lake"
        lake = filled(root)
        settings = load({"LAKEWARD_LAKE_DIR": str(root)}, root.parent)
        with open_reading(lake, settings) as reading:
            derived.create(reading.con)
            for _, name in interleaved(list(VIEWS), rounds):
                for how, question in questions.items():
                    cpu, wall = time.process_time(), time.perf_counter()
                    answer = reading.con.execute(question.format(name)).fetchone()
                    taken[name][how].append(time.process_time() - cpu)
                taken[name]["wall"].append(time.perf_counter() - wall)
                assert answer
                counted[name] = answer[0]
    rows = [
        [f"`{name}`", f"{counted[name]:,}", *(spread(found).text() for found in how.values())]
        for name, how in taken.items()
    ]
    report.say(f"{ROWS:,} outcomes in the table, two threads, {rounds} rounds.")
    head = ["view", "rows", "CPU s, `count(*)`", "CPU s, every column", "wall s, every column"]
    report.say(table(head, rows))
    for name, found in taken.items():
        report.goal(f"`count(*)` of `{name}`", spread(found["count"]).median, 5, "s of CPU")
    report.figures["views"] = taken


def main() -> None:
    """Measure both."""
    report = Report("outcomes")
    telling(report, report.rounds(9))
    views(report, report.rounds(5))
    report.finish()


if __name__ == "__main__":
    main()
