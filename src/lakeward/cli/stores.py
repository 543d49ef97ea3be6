"""Every store of this lake that holds personal data: the one place where they are put together.

In: a lake and its settings. Out: its erasers, those of the log first. A store that is switched on
and whose extra is missing fails with `MissingExtra`: an erasure that leaves it out would be no
erasure.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec

from lakeward.lake.erase import Stores
from lakeward.lakedir import LakeDir
from lakeward.person import Eraser
from lakeward.removal import LogEraser
from lakeward.settings import Settings


@contextmanager
def opened(lake: LakeDir, settings: Settings) -> Iterator[Stores]:
    """The stores, with their connections open."""
    with ExitStack() as held:
        source = [LogEraser(lake, "raw"), LogEraser(lake, "quarantine")]
        yield Stores(source, list(_others(lake, settings, held)))


def _others(lake: LakeDir, settings: Settings, held: ExitStack) -> Iterator[Eraser]:
    if has_table(lake, settings):
        from lakeward.lake.forget import TableEraser

        yield TableEraser(lake, settings)
    if settings.database_url or (lake.private / "app.db").exists():
        from lakeward.store.database import open_database
        from lakeward.store.eraser import DatabaseEraser

        yield DatabaseEraser(held.enter_context(open_database(settings)))


def has_table(lake: LakeDir, settings: Settings) -> bool:
    """Whether there is a table, or may be one that this installation could make."""
    return bool(settings.table) or (lake.root / "table").exists() or find_spec("duckdb") is not None
