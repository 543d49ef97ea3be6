"""Sessions and paths: both forms against a walk through each unit's interactions."""

from __future__ import annotations

import itertools
import random
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asked import START_MS, Row, answered_twice, fill, kept, moment_of, value_of
from lakeward.analysis.paths import Paths
from lakeward.analysis.sessions import Sessions
from lakeward.analysis.sittings import Sat
from lakeward.errors import Rejected

many = settings(deadline=None, max_examples=100)
GAP_MS = 10
HOUR_MS = 1_755_190_800_000  # a full hour in UTC, half of one in Kolkata

rows = st.lists(
    st.fixed_dictionaries(
        {
            "ms": st.one_of(
                st.integers(0, 60),
                st.sampled_from([0, 10, 20, 21, 30, 41, 3_600_000, 3_600_010, 86_400_000]),
            ).map(lambda ms: HOUR_MS - 25 + ms),
            "session_id": st.sampled_from(["s1", "s2"]),
        },
        optional={
            "path": st.sampled_from(["/a", "/b", "/c"]),
            "device": st.sampled_from(["phone", "laptop"]),
            "interaction_type": st.sampled_from(["click", "page_view"]),
        },
    ),
    max_size=16,
)


def sittings(made: list[Row], question: Sat, node: str | None = None) -> Iterator[list[Row]]:
    """The sessions, of interactions that have a node."""
    units: dict[str, list[Row]] = defaultdict(list)
    for row in kept(made, question):
        if node is None or value_of(row, node) is not None:
            units[row["session_id"]].append(row)
    for found in units.values():
        session: list[Row] = []
        # of one millisecond by node, or else as they were made
        for row in sorted(found, key=lambda row: (row["ms"], value_of(row, node) if node else "")):
            if session and row["ms"] - session[-1]["ms"] > question.gap_ms:
                yield session
                session = []
            session.append(row)
        yield session


def quantile(values: list[float], share: float) -> float | None:
    if len(values) < 2:
        return values[0] if values else None
    return statistics.quantiles(values, n=10, method="inclusive")[round(share * 10) - 1]


def known(rows: list[Row], name: str) -> Any:
    return next((v for row in rows if (v := value_of(row, name)) is not None), None)


@many
@given(
    rows,
    st.sampled_from([None, "hour", "day"]),
    st.sampled_from([(), ("path",), ("device", "path")]),
    st.sampled_from([(), ("path",)]),
    st.sampled_from(["UTC", "Asia/Kolkata"]),
    st.booleans(),
)
def test_sessions_are_those_of_a_walk_through_the_interactions(
    made: list[Row], grain: Any, by: Any, ends: Any, zone: str, cut: bool
) -> None:
    fill(made)
    since = datetime.fromtimestamp((HOUR_MS - 15) / 1000, UTC) if cut else None
    question = Sessions(
        grain=grain, by=by, ends=ends, zone=zone, gap=GAP_MS / 1000, since=since,
        unit="session_id",
    )  # fmt: skip
    groups: dict[Any, list[list[Row]]] = defaultdict(list)
    for session in sittings(made, question):
        start = [known(session, name) for name in by]
        if grain is not None:
            start.insert(0, moment_of(session[0]["ms"], grain, zone))
        groups[*start, *(known(session[::-1], name) for name in ends)].append(session)
    if grain is None and not by and not ends:
        groups.setdefault((), [])
    wanted = {}
    for key, found in groups.items():
        times = [(session[-1]["ms"] - session[0]["ms"]) / 1000 for session in found]
        events = sum(map(len, found))
        bounces = sum(len(session) == 1 for session in found)
        wanted[key] = {
            "sessions": len(found), "units": len({s[0]["session_id"] for s in found}),
            "events": events, "events_per_session": events / len(found) if found else None,
            "median_seconds": quantile(times, 0.5), "p90_seconds": quantile(times, 0.9),
            "bounce_share": bounces / len(found) if found else None,
        }  # fmt: skip
    width = len(question.columns()) - 7
    told = {}
    for row in answered_twice(question):
        shown = tuple(list(row.values())[:width])
        assert shown not in told
        told[shown] = dict(list(row.items())[width:])
    assert told == {key: pytest.approx(row) for key, row in wanted.items()}


def path_of(session: list[Row], question: Paths) -> list[tuple[int, str]]:
    """Its nodes and their times, from start to end."""
    nodes: list[tuple[int, str]] = []
    for row in session:
        if not nodes or nodes[-1][1] != row[question.node]:
            nodes.append((row["ms"], row[question.node]))
    names = [node for _, node in nodes]
    first, last = 0, len(nodes)
    if question.start is not None:
        if question.start not in names:
            return []
        first = names.index(question.start)
    if question.end is not None:
        after = first if question.start is None else first + 1
        if question.end not in names[after:]:
            return []
        last = names.index(question.end, after) + 1
    return nodes[first:last]


def edges_of(nodes: list[tuple[int, str]], question: Paths) -> Iterator[tuple[int, Any, Any, Any]]:
    """Position, from, to, seconds."""
    depth = question.depth
    if not nodes:
        return
    edges: list[Any] = [
        (a, b, (later - now) / 1000) for (now, a), (later, b) in itertools.pairwise(nodes)
    ]
    if question.end is not None and question.start is None:
        edges.insert(0, (None, nodes[0][1], None))
        yield from ((-n, *edge) for n, edge in enumerate(reversed(edges), 1) if n <= depth)
        return
    if question.end is None:
        edges.append((nodes[-1][1], None, None))
    yield from ((n, *edge) for n, edge in enumerate(edges, 1) if n <= depth)


def plainly(made: list[Row], question: Paths) -> list[Row]:
    found: list[Any] = []
    for session in sittings(made, question, question.node):
        for edge in edges_of(path_of(session, question), question):
            found.append((*edge, session[0]["session_id"]))
    counts = Counter(edge[:3] for edge in found)
    shown: set[Any] = set()
    for position in {key[0] for key in counts}:
        ranked = sorted(
            (key for key in counts if key[0] == position),
            key=lambda key: (-counts[key], key[1] is None, key[1] or "", key[2] is None, key[2]),
        )
        shown |= set(ranked[: question.top])
    groups: dict[Any, list[Any]] = defaultdict(list)
    for edge in found:
        groups[(*edge[:3], False) if edge[:3] in shown else (edge[0], None, None, True)].append(
            edge
        )
    return [
        {
            "position": position, "from": a, "to": b, "units": len({e[4] for e in edges}),
            "sessions": len(edges),
            "median_seconds": quantile([e[3] for e in edges if e[3] is not None], 0.5),
        }
        for (position, a, b, other), edges in sorted(
            groups.items(),
            key=lambda item: (
                item[0][0], item[0][3], -len(item[1]), item[0][1] is None, item[0][1] or "",
                item[0][2] is None, item[0][2],
            ),
        )
    ]  # fmt: skip


@many
@given(
    rows,
    st.sampled_from([None, "/a", "/b"]),
    st.sampled_from([None, "/a", "/c"]),
    st.sampled_from([1, 2, 10]),
    st.sampled_from([1, 2, 50]),
    st.sampled_from([None, 1, 400]),
)
def test_paths_are_those_of_a_walk_through_the_sessions(
    made: list[Row], start: str | None, end: str | None, depth: int, top: int, days: int | None
) -> None:
    fill(made)
    since = datetime.fromtimestamp((HOUR_MS - 25) / 1000, UTC)
    span: dict[str, Any] = (
        {} if days is None else {"since": since, "until": since + timedelta(days=days)}
    )
    question = Paths(
        start=start, end=end, depth=depth, top=top, gap=GAP_MS / 1000, unit="session_id", **span
    )
    assert answered_twice(question) == [pytest.approx(row) for row in plainly(made, question)]


def test_a_pause_as_long_as_the_gap_is_within_a_session() -> None:
    fill([{"ms": START_MS + ms, "session_id": "s"} for ms in (0, 10, 20, 31)])
    [row] = answered_twice(Sessions(grain=None, gap=0.01, unit="session_id"))
    assert (row["sessions"], row["events"], row["bounce_share"]) == (2, 4, 0.5)


def test_what_happened_at_one_moment_is_of_one_session_in_both_forms() -> None:
    """Enough of it, in no order, that an order of ties which is nobody's would show."""
    dice = random.Random(0)
    made = [(dice.randrange(40), dice.randrange(50)) for _ in range(2000)]
    fill({"ms": START_MS + hour * 3_600_000, "anonymous_id": f"a{who}"} for hour, who in made)
    [row] = answered_twice(Sessions(grain=None))
    alone = sum(1 for count in Counter(made).values() if count == 1)
    assert (row["sessions"], row["events"]) == (len(set(made)), 2000)
    assert row["bounce_share"] == alone / len(set(made))


def test_where_a_session_began_is_its_first_page_and_not_its_first_call() -> None:
    fill(
        [
            {"ms": START_MS, "session_id": "s", "interaction_type": "api_call"},
            {"ms": START_MS + 1, "session_id": "s", "path": "/in"},
            {"ms": START_MS + 1, "session_id": "s", "path": "/out"},
            {"ms": START_MS + 2, "session_id": "s"},
        ]
    )
    [row] = answered_twice(Sessions(by=("path",), ends=("path",), unit="session_id"))
    assert (row["path"], row["last_path"], row["events"]) == ("/in", "/out", 4)


def test_types_are_nodes_too_and_those_in_a_row_are_one() -> None:
    fill(
        [
            {"ms": START_MS + n, "session_id": "s", "interaction_type": kind}
            for n, kind in enumerate("aabba")
        ]
    )
    told = answered_twice(Paths(node="interaction_type", unit="session_id"))
    assert [(row["position"], row["from"], row["to"]) for row in told] == [
        (1, "a", "b"), (2, "b", "a"), (3, "a", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "parameters", "said"),
    [
        (Sessions, {"gap": 0}, "`gap` must be from 0.001"),
        (Sessions, {"gap": float("nan")}, "`gap` must be from 0.001"),
        (Sessions, {"by": ("x",)}, "is no field"),
        (Sessions, {"by": ("day",)}, "take it as `grain`"),
        (Sessions, {"unit": "x"}, "is no field"),
        (Paths, {"node": "x"}, "is no field"),
        (Paths, {"depth": 11}, "`depth` must be from 1 to 10"),
        (Paths, {"top": 0}, "`top` must be from 1"),
        (Paths, {"start": ""}, "`start` must be a value of path"),
    ],
)
def test_what_is_no_session_or_path_is_refused_in_a_sentence(
    kind: type[Sat], parameters: Row, said: str
) -> None:
    with pytest.raises(Rejected, match=said):
        kind(**parameters)
