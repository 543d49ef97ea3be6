"""Runs of flows: the view and the derivation of abandonment against a plain reading of the rule."""

from __future__ import annotations

import functools
import itertools
import json
from typing import Any

import duckdb
import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeward.flows import Flow, Flows
from lakeward.interaction import iso
from lakeward.lake.columns import COLUMNS
from lakeward.lake.runs import FLOW_RUNS
from lakeward.quiet import GRACE_MS, OpenRun, fields_of, open_runs
from lakeward.settings import load
from tries import tries

START_MS = 1_755_187_888_000
QUIET = 5
Row = dict[str, Any]


@functools.cache
def memory() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(config={"threads": 1})
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    con.execute(f"CREATE TABLE interactions ({columns})")
    con.execute(f"CREATE VIEW flow_runs AS {FLOW_RUNS}")
    return con


def filled(rows: list[Row]) -> duckdb.DuckDBPyConnection:
    con = memory()
    con.execute("DELETE FROM interactions")
    names = ("interaction_id", "timestamp", "interaction_type", "service", "user_id",
             "anonymous_id", "session_id", "outcomes", "environment")  # fmt: skip
    con.executemany(
        f"INSERT INTO interactions ({', '.join(names)}) VALUES (?, ?::TIMESTAMPTZ, ?, ?, ?, ?, ?, "
        "?, ?)",
        [[row.get(name) for name in names] for row in rows] or [[None] * len(names)],
    )
    return con


def event(n: int, at: float, kind: str, who: tuple[str, str | None, str | None], **own: Any) -> Row:
    ms = START_MS + round(at * 1000)
    return {
        "interaction_id": f"{n:04d}", "timestamp": iso(ms), "ms": ms,
        "interaction_type": kind, "service": own.pop("service", None), "user_id": who[0],
        "anonymous_id": who[1], "session_id": who[2], "outcomes": json.dumps(own),
        "environment": "test", "own": own,
    }  # fmt: skip


def whose(row: Row) -> tuple[str, str] | None:
    for kind in ("user_id", "anonymous_id", "session_id"):
        if row[kind] not in (None, "", "anonymous"):
            return kind, row[kind]
    return None


def plain(rows: list[Row], quiet: float | None) -> list[list[Row]]:
    """The runs, by one loop."""
    runs: dict[Any, list[list[Row]]] = {}
    for row in sorted(
        rows, key=lambda r: (r["ms"], r["interaction_type"] != "flow_step", r["interaction_id"])
    ):
        if whose(row) is None:
            continue
        of = runs.setdefault((row["service"], row["own"]["flow"], whose(row)), [])
        before = of[-1][-1] if of else None
        step = row["interaction_type"] == "flow_step"
        if before is None:
            begins = True
        elif before["interaction_type"] != "flow_step":
            begins = step or not before["own"].get("derived") or bool(row["own"].get("derived"))
        else:
            begins = step and quiet is not None and row["ms"] - before["ms"] > quiet * 1000
        if begins:
            of.append([])
        of[-1].append(row)
    return [run for of in runs.values() for run in of]


def told(run: list[Row]) -> tuple[Any, ...]:
    """A run as the view shows it."""
    steps = [row for row in run if row["interaction_type"] == "flow_step"]
    ends = [row for row in run if row["interaction_type"] != "flow_step"]
    done = {r["own"]["step"] for r in steps if r["own"].get("status", "completed") == "completed"}
    furthest = max(
        steps, key=lambda r: (r["own"].get("step_index", -1), r["ms"], r["interaction_id"]),
        default=None,
    )  # fmt: skip
    who = whose(run[0])
    assert who is not None
    return (
        run[0]["own"]["flow"], run[0]["service"], who[1], who[0], run[0]["ms"],
        steps[-1]["ms"] if steps else None, ends[-1]["ms"] if ends else None, len(done),
        furthest and furthest["own"]["step"],
        ends[-1]["own"].get("status", "completed") if ends else "running",
        (steps[-1]["ms"] - steps[0]["ms"]) / 1000 if steps else 0,
        bool(ends and ends[-1]["own"].get("derived")),
    )  # fmt: skip


def ordered(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(rows, key=repr)


def shown(con: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    moments = ("started_at", "last_step_at", "ended_at")
    replaced = ", ".join(f"epoch_ms({name}) AS {name}" for name in moments)
    rows = con.execute(f"SELECT * REPLACE ({replaced}) FROM flow_runs").fetchall()
    return [tuple(float(v) if i == 10 else v for i, v in enumerate(row)) for row in rows]


WHO = st.sampled_from(
    [("u1", None, None), ("u1", "a1", "s1"), ("anonymous", "a1", "s1"), ("anonymous", None, "s1"),
     ("anonymous", "a2", None), ("anonymous", None, None), ("a1", None, None)]
)  # fmt: skip
OWN = st.fixed_dictionaries(
    {"flow": st.sampled_from(["x", "y'"]), "step": st.sampled_from(["1", "2", "3"])},
    optional={
        "status": st.sampled_from(["entered", "completed", "skipped", "failed", "back"]),
        "step_index": st.integers(0, 3),
        "service": st.sampled_from(["shop", "app"]),
    },
)
ENDS = st.fixed_dictionaries(
    {"flow": st.sampled_from(["x", "y'"])},
    optional={"status": st.sampled_from(["completed", "abandoned"]), "derived": st.just(True)},
)
TIMES = st.sampled_from([0.0, 1, 2, 5, 5.001, 6, 7, 11, 12, 13, 30])
EVENTS = st.lists(
    st.tuples(TIMES, WHO, st.one_of(OWN, ENDS)),
    max_size=14,
)  # fmt: skip


def rows_of(events: list[Any]) -> list[Row]:
    return [
        event(n, at, "flow_step" if "step" in own else "flow_completion", who, **own)
        for n, (at, who, own) in enumerate(events)
    ]


@settings(deadline=None, max_examples=tries(60))
@given(EVENTS)
def test_the_view_is_what_a_loop_over_all_events_finds(events: list[Any]) -> None:
    rows = rows_of(events)
    assert ordered(shown(filled(rows))) == ordered([told(run) for run in plain(rows, None)])


FLOWS = Flows((Flow("y'", ("1", "2", "3"), 2.0),))


def looked(rows: list[Row], at: float) -> tuple[list[OpenRun], int | None]:
    environ = {"LAKEWARD_FLOW_QUIET_SECONDS": str(QUIET)}
    now_ms = START_MS + round(at * 1000) + GRACE_MS
    return open_runs(filled(rows), load(environ), FLOWS, now_ms)[1:]


@settings(deadline=None, max_examples=tries(60))
@given(EVENTS, st.sampled_from([0.0, 3.0, 5, 8, 12, 40]))
def test_the_runs_that_are_quiet_are_those_that_the_loop_finds(
    events: list[Any], at: float
) -> None:
    rows = rows_of(events)
    expected, later = [], []
    for flow, quiet in (("x", QUIET), ("y'", 2)):
        for run in plain([row for row in rows if row["own"]["flow"] == flow], quiet):
            if any(row["interaction_type"] != "flow_step" for row in run):
                continue
            moment = run[-1]["ms"] + quiet * 1000
            if moment < START_MS + at * 1000:
                expected.append((flow, run[-1]["interaction_id"], run[0]["ms"], moment))
            else:
                later.append(moment + GRACE_MS)
    found, next_ms = looked(rows, at)
    assert ordered([(r.flow, r.last_id, r.first_ms, r.quiet_ms) for r in found]) == ordered(
        expected
    )
    assert next_ms == min(later, default=None)


@settings(deadline=None, max_examples=tries(30))
@given(EVENTS)
def test_what_was_told_ends_its_run_so_nothing_is_told_twice(events: list[Any]) -> None:
    rows = rows_of(events)
    found, _ = looked(rows, 100)
    for n, run in enumerate(found):
        fields = fields_of(run, FLOWS)
        own = {name: fields[name] for name in ("flow", "status", "derived")}
        who = (run.user_id or "", run.anonymous_id, run.session_id)
        at = (run.quiet_ms - START_MS) / 1000
        rows.append(event(9000 + n, at, "flow_completion", who, service=run.service, **own))
    assert looked(rows, 100) == ([], None)
    assert not [run for run in shown(memory()) if run[9] == "running"]


def test_a_derived_record_tells_what_was_done_and_what_was_left() -> None:
    who = ("u1", "a1", "s1")
    rows = [
        event(1, 0, "flow_step", who, flow="y'", step="1"),
        event(2, 1, "flow_step", who, flow="y'", step="2", status="entered"),
        event(3, 1.5, "flow_step", who, flow="y'", step="1"),
    ]
    (run,), later = looked(rows, 60)
    assert later is None
    fields = fields_of(run, FLOWS)
    assert fields == {
        "interaction_id": fields["interaction_id"], "timestamp": iso(START_MS + 3500),
        "parent_interaction_id": "0003", "flow": "y'", "status": "abandoned", "derived": True,
        "seconds": 1.5, "steps": ["1"], "abandoned_steps": ["2"], "steps_completed": 1,
        "steps_total": 3, "user_id": "u1", "anonymous_id": "a1", "session_id": "s1",
        "environment": "test",
    }  # fmt: skip
    assert fields_of(run, FLOWS) == fields, "the same run makes the same record"
    nothing_begun = fields_of(msgspec.structs.replace(run, begun=[]), FLOWS)
    assert nothing_begun["abandoned_steps"] == ["2"], "the next that is declared"
    everything = fields_of(msgspec.structs.replace(run, begun=[], done=["1", "2", "3"]), FLOWS)
    assert everything["abandoned_steps"] == []
    assert fields_of(msgspec.structs.replace(run, begun=[]), Flows())["abandoned_steps"] == []


def test_more_steps_than_a_record_holds_are_cut() -> None:
    who = ("u1", None, None)
    rows = [event(n, n / 1000, "flow_step", who, flow="x", step=f"s{n}") for n in range(150)]
    (run,), _ = looked(rows, 60)
    fields = fields_of(run, Flows())
    assert fields["steps"] == [f"s{n}" for n in itertools.islice(itertools.count(), 100)]
    assert fields["steps_completed"] == 150
