"""Whoever was erased and is here again: after an older backup was restored, their records are.

In: a lake with its suppression list. Out: the people whom the list covers and who are named in log,
quarantine or table. Fails as reading the lake does.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

from lakeward.lake.delta import Table
from lakeward.lake.files import select_of
from lakeward.lake.rows import connect
from lakeward.lake.storage import table_storage
from lakeward.lake.sweep import records
from lakeward.lakedir import LakeDir
from lakeward.ledger import STREAMS
from lakeward.log import Position
from lakeward.person import Person
from lakeward.settings import Settings
from lakeward.suppression import KINDS, Suppressed, load

PIECE: Final = 10_000


def reappeared(lake: LakeDir, settings: Settings) -> list[Person]:
    """Each of them once."""
    suppressed = load(lake)
    if not suppressed:
        return []
    found: dict[Person, None] = {}
    for person, interaction_id in chain(_in_log(lake), _in_table(lake, settings)):
        if person not in found and _covers(suppressed, person, interaction_id):
            found[person] = None
    return list(found)


def _covers(suppressed: Suppressed, person: Person, interaction_id: str) -> bool:
    return suppressed.covers({person.kind: person.value, "interaction_id": interaction_id})


def _in_log(lake: LakeDir) -> Iterator[tuple[Person, str]]:
    for stream in STREAMS:
        for record, _, _ in records(lake, stream, Position()):
            for kind in KINDS:
                if isinstance(value := record.get(kind), str):
                    yield Person(kind, value), str(record.get("interaction_id"))


def _in_table(lake: LakeDir, settings: Settings) -> Iterator[tuple[Person, str]]:
    """Each value once, with the first of its ids, read from the files: views hide these people."""
    table = Table(table_storage(lake.root, settings))
    stored = select_of(table, table.snapshot().files.values())
    with connect(settings.compact_memory // 2, storage=table.storage) as con:
        for kind in KINDS:
            rows = con.execute(
                f"SELECT {kind}, min(interaction_id) FROM ({stored}) "
                f"WHERE {kind} IS NOT NULL GROUP BY 1"
            )
            while piece := rows.fetchmany(PIECE):
                for value, interaction_id in piece:
                    yield Person(kind, value), interaction_id
