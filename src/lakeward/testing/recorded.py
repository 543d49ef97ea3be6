"""`assert_recorded` and its kin: did the app record what it should have?

In: a `MemoryCollector`, a type and expected fields, in the language that `matching` describes. Out:
the records that match. Fails with AssertionError, whose text shows what was recorded instead, the
most similar first.
"""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches
from typing import Any, Literal, overload

import msgspec

from lakeward.interaction import JsonObject
from lakeward.testing.matching import Finding, Step, findings, likeness
from lakeward.testing.memory import MemoryCollector

SHOWN = 3
"""Records that a failure shows in full."""


def recorded(
    collector: MemoryCollector, interaction_type: str, /, **expected: Any
) -> list[JsonObject]:
    """The records of a type that are as expected, in order."""
    return [
        record
        for record in collector.records
        if record["interaction_type"] == interaction_type
        and all(finding.matches for finding in findings(record, expected))
    ]


@overload
def assert_recorded(
    collector: MemoryCollector,
    interaction_type: str,
    /,
    *,
    times: Literal[1] = 1,
    **expected: Any,
) -> JsonObject: ...
@overload
def assert_recorded(
    collector: MemoryCollector, interaction_type: str, /, *, times: int | None, **expected: Any
) -> list[JsonObject]: ...
def assert_recorded(
    collector: MemoryCollector,
    interaction_type: str,
    /,
    *,
    times: int | None = 1,
    **expected: Any,
) -> JsonObject | list[JsonObject]:
    """Fail unless exactly `times` records of a type are as expected (None: one or more).

    Returns the record, or a list of them when `times` is not 1. See `lakeward.testing.matching` for
    what can be expected of a field.
    """
    __tracebackhide__ = True
    found = recorded(collector, interaction_type, **expected)
    if times is None and found:
        return found
    if times is not None and len(found) == times:
        return found[0] if times == 1 else found
    wanted = "at least once" if times is None else _times(times)
    headline = f"{_described(interaction_type, expected)}\nwanted {wanted}, recorded "
    if found:
        raise AssertionError(f"{headline}{_times(len(found))}:\n\n{_listed(found)}")
    raise AssertionError(f"{headline}never.\n\n{_instead(collector, interaction_type, expected)}")


def assert_not_recorded(
    collector: MemoryCollector, interaction_type: str, /, **expected: Any
) -> None:
    """Fail when a record of a type is as expected (without fields: when there is any)."""
    __tracebackhide__ = True
    found = recorded(collector, interaction_type, **expected)
    if found:
        headline = f"{_described(interaction_type, expected)}\nwanted never, recorded "
        raise AssertionError(f"{headline}{_times(len(found))}:\n\n{_listed(found)}")


def _times(n: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(n, f"{n} times")


def _described(interaction_type: str, expected: JsonObject) -> str:
    fields = ", ".join(f"{name}={value!r}" for name, value in expected.items())
    return f"{interaction_type} with {fields}" if fields else interaction_type


def _instead(collector: MemoryCollector, interaction_type: str, expected: JsonObject) -> str:
    """What there is, when nothing matched."""
    records = collector.records
    parts: list[str] = []
    rows = [record for record in records if record["interaction_type"] == interaction_type]
    if rows:
        parts.append(_similar(rows, interaction_type, expected))
    parts += [
        f"quarantined: {entry['reason']}"
        for entry in collector.quarantined
        if entry.get("interaction_type") == interaction_type
    ]
    if not rows:
        counts = Counter(record["interaction_type"] for record in records)
        listed = ", ".join(f"{name} {n}" for name, n in counts.most_common())
        parts.append(f"recorded were: {listed or 'nothing'}")
        if near := get_close_matches(interaction_type, counts, 1):
            parts.append(f"did you mean {near[0]!r}?")
    if reasons := collector.stats()["reasons"]:
        listed = ", ".join(f"{name} {n}" for name, n in reasons.items())
        parts.append(f"counted and not recorded: {listed}")
    return "\n".join(parts)


def _similar(rows: list[JsonObject], interaction_type: str, expected: JsonObject) -> str:
    compared = [(findings(row, expected), row) for row in rows]
    compared.sort(key=lambda pair: -likeness(pair[0]))
    shown = [_diff(found, row) for found, row in compared[:SHOWN]]
    head = f"{len(rows)} other{' was' if len(rows) == 1 else 's were'}, the most similar first"
    if len(rows) > SHOWN:
        head += f" ({len(rows) - SHOWN} more not shown)"
    return f"{head} (- expected, + recorded):\n\n" + "\n\n".join(shown)


def _diff(found: list[Finding], row: JsonObject) -> str:
    """One record against what was expected, field by field, then whole."""
    lines = [f"  {row['interaction_id']}  {row['timestamp']}"]
    for finding in found:
        name = _dotted(finding.path)
        if finding.matches:
            lines.append(f"      {name}: {finding.actual!r}")
            continue
        note = f"  ({finding.note})" if finding.note else ""
        lines.append(f"    - {name}: {finding.expected!r}")
        lines.append(f"    + {name}: {finding.actual!r}{note}")
    return "\n".join([*lines, f"    = {_json(row)}"])


def _dotted(path: tuple[Step, ...]) -> str:
    return ".".join(str(step) for step in path)


def _listed(rows: list[JsonObject]) -> str:
    shown = [f"  {_json(row)}" for row in rows[:SHOWN]]
    if len(rows) > SHOWN:
        shown.append(f"  … and {len(rows) - SHOWN} more")
    return "\n".join(shown)


def _json(row: JsonObject) -> str:
    return msgspec.json.encode(row).decode()
