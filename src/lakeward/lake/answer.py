"""The answer to a question in SQL, batch by batch or whole.

In: SQL over the views of docs/query.md. Out: Arrow. It is answered in a jailed child (`jail.py`),
so whatever the SQL is, it reads the lake's files only, within LAKEWARD_QUERY_SECONDS and
LAKEWARD_QUERY_MEMORY. Fails with `Rejected` for SQL that is no question, `Terminal` when it takes
too much or there is no lake, and `MissingExtra` without the extra `lake`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lakeward.errors import LakewardError, MissingExtra, Terminal
from lakeward.lake.jail import Run
from lakeward.settings import Settings, load

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Answer", "sql"]


class Answer:
    """Batches of an answer as they come. Use as a context manager."""

    cut = False
    """Whether there are more rows than were wanted; known once all batches are read."""

    def __init__(self, settings: Settings, query: str, *, rows: int = 0) -> None:
        _need_extra()
        import pyarrow as pa

        self._run = Run(settings, query, rows=rows)
        try:
            self._reader = pa.ipc.open_stream(self._run.stream)
        except (pa.ArrowInvalid, OSError):
            self._run.finish()
            raise self._broken() from None
        except BaseException:
            self._run.close()
            raise
        self.schema: pa.Schema = self._reader.schema

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Each batch; the errors of the class come from here too."""
        import pyarrow as pa

        try:
            for batch in self._reader:
                batch.validate(full=True)
                yield batch
        except (pa.ArrowInvalid, OSError):
            self._run.finish()
            raise self._broken() from None
        self.cut = self._run.finish()

    def _broken(self) -> LakewardError:
        return Terminal("the query's process sent no whole answer: ask again")

    def close(self) -> None:
        """End the child."""
        self._run.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def sql(query: str, *, lake_dir: str | os.PathLike[str] | None = None) -> pa.Table:
    """Ask the lake one SELECT and return a `pyarrow.Table`.

    `lake_dir` is the lake's folder; without it LAKEWARD_LAKE_DIR is taken, as everywhere. The views
    are `interactions` and one for each type, such as `api_call`; a row is there as soon as it is
    durable. `.to_pylist()`, `.to_pandas()` and `polars.from_arrow` go on from the result.

        >>> sql("SELECT route, count(*) AS calls FROM api_call GROUP BY ALL ORDER BY calls DESC")

    Values go into the text of the query, so quote what came from elsewhere. Anything but a SELECT
    over the views raises `Rejected`; too much time, memory or data raises `Terminal`.
    """
    _need_extra()
    import pyarrow as pa

    environ = dict(os.environ)
    if lake_dir is not None:
        environ["LAKEWARD_LAKE_DIR"] = str(Path(lake_dir).absolute())
    with Answer(load(environ), query) as answer:
        batches = list(answer)
    return pa.Table.from_batches(batches, answer.schema)


def _need_extra() -> None:
    if not all(find_spec(name) for name in ("pyarrow", "duckdb", "deltalake")):
        raise MissingExtra("Asking the lake", "lake")
