"""Export: everything the lake knows of one person, in a form that other programs read.

In: people and a place to write. Out: JSON Lines that are the records as they were, then what
stands in the quarantine; or a Parquet file with the table's columns. Table and log tail are read
as one, each record once, in the order of time. Fails as a reading of the lake does.

A record comes back from the table's columns: absent fields are absent, nested ones are JSON
again, and an `api_call` has its fourteen fields. What was worked out from it (device, country) is
in Parquet only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO, Any, Final

import msgspec

from lakeward.lake.columns import RECORD
from lakeward.lake.lookup import record_of
from lakeward.lake.reading import Reading
from lakeward.lake.rows import quoted
from lakeward.lakedir import LakeDir
from lakeward.log import read_lines
from lakeward.person import Person

PIECE: Final = 1000
ISO: Final = "strftime(timestamp AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%gZ')"


def condition(people: Sequence[Person]) -> tuple[str, list[str]]:
    """The SQL that is true for records of these people, and its parameters."""
    return " OR ".join(f"{person.kind} = ?" for person in people), [p.value for p in people]


def records(reading: Reading, people: Sequence[Person]) -> Iterator[dict[str, Any]]:
    """Their records as they were, the oldest first."""
    where, values = condition(people)
    columns = [ISO if name == "timestamp" else name for name in RECORD]
    rows = reading.con.execute(
        f"SELECT {', '.join(columns)} FROM interactions WHERE {where} ORDER BY interaction_id",
        values,
    )
    while piece := rows.fetchmany(PIECE):
        yield from (record_of(dict(zip(RECORD, row, strict=True))) for row in piece)


def quarantined(lake: LakeDir, people: Sequence[Person]) -> Iterator[bytes]:
    """Lines of the quarantine whose record names them, as they stand."""
    for line, _ in read_lines(lake, stream="quarantine"):
        try:
            entry = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue  # it holds no fields then: what cannot be decoded is kept as a hash
        held = entry.get("record")
        if isinstance(held, dict) and any(person.matches(held) for person in people):
            yield line


def write_lines(
    lake: LakeDir, reading: Reading, people: Sequence[Person], file: IO[bytes]
) -> tuple[int, int]:
    """JSON Lines; how many records, and how many lines of the quarantine behind them."""
    found = refused = 0
    for row in records(reading, people):
        file.write(msgspec.json.encode(row) + b"\n")
        found += 1
    for line in quarantined(lake, people):
        file.write(line)
        refused += 1
    return found, refused


def write_parquet(reading: Reading, people: Sequence[Person], path: str) -> int:
    """A Parquet file with every column of the table; the number of rows."""
    where, values = condition(people)
    written = reading.con.execute(
        f"COPY (SELECT * FROM interactions WHERE {where} ORDER BY interaction_id) "
        f"TO {quoted(path)} (FORMAT parquet, COMPRESSION zstd)",
        values,
    ).fetchall()
    rows: int = written[0][0]
    return rows


LINKED: Final = """
SELECT DISTINCT {kind} FROM interactions
WHERE {kind} IN (SELECT {kind} FROM interactions WHERE user_id = ?)
GROUP BY {kind}
HAVING bool_and(user_id IN (?, 'anonymous'))
"""


def linked(reading: Reading, user: Person) -> list[Person]:
    """Sessions and anonymous ids in which this user and no other one was ever named."""
    found: list[Person] = []
    for kind in ("session_id", "anonymous_id"):
        rows = reading.con.execute(LINKED.format(kind=kind), [user.value, user.value]).fetchall()
        found += [Person(kind, value) for (value,) in rows]
    return found
