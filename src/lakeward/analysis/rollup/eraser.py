"""Roll-ups as a store that can forget a person: what was counted with them is deleted.

In: a person, after the table has forgotten them. Out: no pack of a file that the table does not
name any more; the next run counts anew. A pack names nobody, but a path that it counts may hold
anything. Fails with nothing: where the table cannot tell, all packs go.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Final

from lakeward.analysis.rollup.packs import drop, folder, locked, read, save
from lakeward.errors import LakewardError
from lakeward.lake.delta import Table
from lakeward.lake.rows import listed
from lakeward.lake.storage import table_storage
from lakeward.lakedir import LakeDir
from lakeward.person import Gone, Person
from lakeward.settings import Settings

NAME: Final = "rollups"


class RollupEraser:
    """Forgets people in roll-ups."""

    name = NAME

    def __init__(self, lake: LakeDir, settings: Settings) -> None:
        self._lake = lake
        self._settings = settings

    def find(self, person: Person) -> int:
        """Cells that name the person in packs that are not of the table as it is now; of others the
        table itself was asked."""
        import duckdb

        paths = [str(path) for pack in self._wrong() for path in pack.glob("counts.*.parquet")]
        if not paths:
            return 0
        with closing(duckdb.connect()) as con:
            try:
                [(found,)] = con.execute(
                    f"SELECT count(*) FROM read_parquet({listed(paths)}) WHERE contains(value, ?)",
                    [person.value],
                ).fetchall()
            except duckdb.Error:  # nobody can read it: it may hold anybody
                return len(paths)
        return int(found)

    def _wrong(self) -> list[Path]:
        """Packs that are not of the table as it is now."""
        files, index = self._files(), read(self._lake)
        right = {pack.name for pack in index.of(files)} if index is not None else set()
        return [path for path in folder(self._lake).glob("*/") if path.name not in right]

    def erase(self, person: Person) -> Gone:
        """Delete them; who makes one meanwhile looks at the table again before it is put there."""
        del person
        return Gone(self.prune())

    def prune(self) -> int:
        """Delete packs that are not of the table as it is now; how many."""
        if not folder(self._lake).exists():
            return 0
        with locked(self._lake):
            gone = len(self._wrong())
            index, files = read(self._lake), self._files()
            if index is None or not files:
                drop(self._lake)
            else:
                save(self._lake, type(index)(index.form, index.of(files)))
        return gone

    def _files(self) -> set[str]:
        """What the table names; nothing where it is away."""
        from deltalake.exceptions import DeltaError

        try:
            table = Table(table_storage(self._lake.root, self._settings))
            return set(table.snapshot().files)
        except (LakewardError, DeltaError, OSError):
            return set()
