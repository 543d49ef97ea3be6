"""SQL over HTTP: `POST /api/sql` asks the lake one guarded SELECT, as `lakeward query` does.

    POST /api/sql   {"sql": "SELECT …", "format": "json"|"csv"|"parquet", "limit": 1000}

In: a query of who may read everything. Out: columns and rows as JSON, or a file in pieces as they
come. It is answered by a process of its own (`lake/jail.py`), which the kernel bounds and which
writes the answer itself: this one hands its bytes on. Who leaves ends it. Says no with 400
`bad_sql` in one sentence, 429 while as many are asked as there may be, and 503 for what takes more
time, memory or room than the settings allow. A file that cannot be finished breaks off.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from lakeward.capture.asgi import Receive
from lakeward.errors import LakewardError, MissingExtra, Rejected, Transient
from lakeward.interaction import iso
from lakeward.lake.guard import LONGEST
from lakeward.lake.jail import Form, Run
from lakeward.server.acting import refuse_partners, said, sentence
from lakeward.server.answer import Headers, Refusal, reply
from lakeward.server.handler import POST, Handler
from lakeward.server.intake import Intake, Request
from lakeward.server.routes import Found, Part
from lakeward.settings import Settings

PARTS: Final = (Part("sql", "/api/sql"),)
PROCESSES: Final = 2
"""How many queries of one worker are answered at a time; each may take what a query may."""
ROWS, MOST_ROWS = 1000, 10_000
"""Rows of an answer in JSON, which is for looking at."""
MOST_JSON: Final = 16 << 20
MOST_FILE: Final = 256 << 20
"""Bytes of Arrow; who wants more reads the table's own files."""
DOWNLOAD_SECONDS: Final = 600.0
"""A reader who takes longer holds the place of another."""
PIECE: Final = 256 << 10
WANTED: Final = 'The body must be {"sql": "SELECT …", "format": "json", "csv" or "parquet"}.'
WHY: Final = "SQL reads everybody's records: it is not for partners."
KINDS: Final = {
    "csv": b"text/csv; charset=utf-8; header=present",
    "parquet": b"application/vnd.apache.parquet",
}

T = TypeVar("T")


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body."""

    sql: str
    format: Literal["json", "csv", "parquet"] = "json"
    limit: Annotated[int, Meta(ge=1, le=2**31)] | None = None


class Sql:
    """Answers for one worker."""

    parts = PARTS

    def __init__(self, intake: Intake, settings: Settings) -> None:
        self._intake = intake
        self._settings = settings
        self._threads = ThreadPoolExecutor(PROCESSES, "lakeward-sql")
        self._under_way = 0

    def moved(self, paths: Mapping[str, str]) -> None:
        """Nothing here depends on where the others are."""

    def handlers(self) -> dict[str, Handler]:
        """The one."""
        return {"sql": Handler(POST, "read", self._ask)}

    async def _ask(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        refuse_partners(request, WHY)
        asked = await said(request, self._intake, Asked, WANTED, 2 * LONGEST)
        if self._under_way >= PROCESSES:
            raise Refusal(429, "too_many_queries", f"{PROCESSES} queries are under way: wait for "
                          "one of them, or cancel it.", retry_after=2)  # fmt: skip
        self._under_way += 1
        try:
            await self._answered(request, asked)
        except LakewardError as error:
            raise self._refused(error) from None
        finally:
            self._under_way -= 1

    async def _answered(self, request: Request, asked: Asked) -> None:
        began = time.monotonic()
        query = Query(self._threads, self._settings, asked)
        await query.start()
        leaving = asyncio.create_task(_left(request.receive, query))
        try:
            if asked.format == "json":
                await reply(request.send, 200, await query.document(began))
            else:
                async with asyncio.timeout(DOWNLOAD_SECONDS):
                    await _download(request, query, asked.format)
        finally:
            leaving.cancel()
            await asyncio.shield(query.end())

    def _refused(self, error: LakewardError) -> Refusal:
        said = sentence(error).replace(str(self._settings.lake_dir.absolute()), "the lake")
        if isinstance(error, Rejected):
            return Refusal(400, "bad_sql", said)
        if isinstance(error, MissingExtra):
            return Refusal(503, "missing_extra", said)
        code = "busy" if isinstance(error, Transient) else "too_much"
        return Refusal(503, code, said)


class Query:
    """One query's process, with a thread that waits for what it writes."""

    def __init__(self, threads: ThreadPoolExecutor, settings: Settings, asked: Asked) -> None:
        self._threads = threads
        self._settings = settings
        self._asked = asked
        self._run: Run | None = None
        self._at_work: asyncio.Future[Any] | None = None

    async def start(self) -> None:
        """Start the process."""
        await self._beside(self._start)

    def _start(self) -> None:
        asked = self._asked
        if not all(find_spec(name) for name in ("pyarrow", "duckdb", "deltalake")):
            raise MissingExtra("Asking the lake", "lake")
        form: Form = "rows" if asked.format == "json" else asked.format
        rows = asked.limit or 0
        if form == "rows":
            rows = min(rows or ROWS, MOST_ROWS)
        most = MOST_JSON if form == "rows" else MOST_FILE
        self._run = Run(self._settings, asked.sql, rows=rows, form=form, answer_bytes=most)

    async def piece(self) -> bytes:
        """What comes next; nothing at the end."""
        assert self._run is not None
        return await self._beside(self._run.stream.read1, PIECE)

    async def finish(self) -> bool:
        """Whether rows were cut off; raises what went wrong."""
        assert self._run is not None
        return await self._beside(self._run.finish)

    async def document(self, began: float) -> bytes:
        """The whole answer as JSON; `began` is when it was asked."""
        parts = []
        size = 0
        while piece := await self.piece():
            size += len(piece)
            if size > 4 * MOST_JSON:  # escapes are longer than what they stand for
                raise Rejected(f"the answer has more than {4 * MOST_JSON >> 20} MiB: LIMIT it")
            parts.append(piece)
        cut = await self.finish()
        end = {"truncated": cut, "took_ms": round((time.monotonic() - began) * 1000, 1)}
        return b"".join(parts) + b"," + msgspec.json.encode(end)[1:]

    def kill(self) -> None:
        """Let its process end at once; whoever waits for it finds it dead."""
        if self._run is not None:
            self._run.kill()

    async def end(self) -> None:
        """End it, whatever it does."""
        self.kill()
        if self._at_work is not None:
            await asyncio.wait([self._at_work])  # it may be reading still, when this was cancelled
        if self._run is not None:
            await self._beside(self._run.close)

    async def _beside(self, work: Callable[..., T], *args: object) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.run_in_executor(self._threads, work, *args)
        self._at_work = asyncio.gather(future, return_exceptions=True)
        return await asyncio.shield(future)


async def _left(receive: Receive, query: Query) -> None:
    """End the query when nobody waits for it any more."""
    while (await receive())["type"] != "http.disconnect":
        pass
    query.kill()


async def _download(request: Request, query: Query, kind: str) -> None:
    """A file in pieces: what goes wrong before the first of them is a refusal."""
    piece = await query.piece()
    if not piece:
        await query.finish()
    name = f"lakeward-{iso(time.time_ns() // 1_000_000)[:19].replace(':', '')}.{kind}"
    head = [
        (b"content-type", KINDS[kind]),
        (b"content-disposition", f'attachment; filename="{name}"'.encode()),
    ]
    begun = False
    while piece:
        following = await query.piece()
        if not following:
            await query.finish()  # it raises before the last piece, so that no file looks whole
        if not begun:
            begun = True
            start = {"type": "http.response.start", "status": 200, "headers": head}
            await request.send(start)
        more = bool(following)
        await request.send({"type": "http.response.body", "body": piece, "more_body": more})
        piece = following
