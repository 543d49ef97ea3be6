"""The process that answers questions for a server's worker, one after the other.

In: frames on stdin, each an `Order` of a question or of a study, which is several. Out: for each a
frame on stdout (see `wire`). Ends with its parent, or when stdin ends. Whatever a question does
wrong is an answer; what takes too long is ended by the parent, with this process.

The look at the lake is kept between two questions while nothing came in, and for a few seconds at
most: it holds on to files of the table.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

from lakeward.analysis.comparison import beside, changes
from lakeward.analysis.question import Answer, Prepared, Question, ask
from lakeward.analysis.registry import QUESTIONS
from lakeward.errors import LakewardError, MissingExtra, Rejected, Transient
from lakeward.interaction import OURS, iso
from lakeward.lake.delta import Table
from lakeward.lake.jailed import die_with
from lakeward.lake.lookup import Lookup
from lakeward.lake.reading import Reading
from lakeward.lake.scratch import scratch
from lakeward.lake.storage import table_storage
from lakeward.lakedir import LakeDir, open_lake
from lakeward.server.wire import LENGTH, RECORD, Order, Word, framed
from lakeward.settings import Settings, load

if TYPE_CHECKING:
    from lakeward.analysis.studies import Study

KEPT_SECONDS: Final = 5.0
STUDYING: Final = 0.6
"""Of the time that a question may take, after which a study begins no more questions."""
MOST_BYTES: Final = 64 << 20
"""The largest answer."""
MOST: Final = 2**53 - 1
"""The largest integer that every reader of JSON takes."""


class Asking:
    """Answers for one lake."""

    def __init__(self, lake: LakeDir, settings: Settings) -> None:
        self._lake = lake
        self._settings = settings
        self._table = Table(table_storage(lake.root, settings))
        self._open = ExitStack()
        self._reading: Reading | None = None
        self._stamp = ""
        self._since = 0.0
        self._lookup: Lookup | None = None

    def stamp(self) -> str:
        """What changes when an answer may."""
        private = self._lake.private
        told = [str(self._table.snapshot().version)]
        for name in ("published", "suppressed.jsonl", "erasures"):
            try:
                found = (private / name).stat()
                told.append(f"{found.st_mtime_ns}.{found.st_size}")
            except FileNotFoundError:
                told.append("")
        with suppress(FileNotFoundError):
            told.append((private / "published").read_bytes().hex())
        return "-".join(told)

    def close(self) -> None:
        """Let go of the lake's files."""
        self._open.close()
        self._reading = None
        if self._lookup is not None:
            self._lookup.close()
            self._lookup = None

    def look(self, stamp: str | None = None) -> Reading:
        """The lake as it is now."""
        stamp = self.stamp() if stamp is None else stamp
        if self._reading is None or stamp != self._stamp or self.is_old:
            self.close()
            spill = self._open.enter_context(scratch(self._lake))
            memory = self._settings.query_memory
            reading = Reading(self._lake, self._settings, memory=memory, spill=spill)
            self._reading = self._open.enter_context(reading)
            self._stamp, self._since = stamp, time.monotonic()
        return self._reading

    @property
    def is_old(self) -> bool:
        """Whether the look at the lake has been kept for long enough."""
        return self._reading is not None and time.monotonic() - self._since > KEPT_SECONDS

    def answer(self, order: Order) -> tuple[Word, bytes]:
        """One order."""
        import duckdb

        try:
            if order.kind == RECORD:
                return self._record(msgspec.json.decode(order.question, type=str))
            stamp = self.stamp()
            etag = f'"{_hashed(stamp, order)}"'
            # what a question prepares is outside the table, and moves without the stamp
            kind = _kind(order.kind)
            if etag == order.etag and not isinstance(kind, Prepared):
                return Word(304, etag), b""
            if hasattr(kind, "document"):  # a study: no question has it
                study: Any = msgspec.json.decode(order.question, type=kind)
                body = self._studied(stamp, study)
            else:
                body = self._put(stamp, order, kind)
        except Rejected as error:
            return Word(400, code="bad_question", message=str(error)), b""
        except MissingExtra as error:
            return Word(503, code="missing_extra", message=_sentence(error)), b""
        except Transient as error:
            return Word(503, code="busy", message=_sentence(error)), b""
        except (LakewardError, duckdb.Error) as error:
            self.close()
            message = _sentence(error) if isinstance(error, LakewardError) else "DuckDB failed."
            return Word(500, code="failed", message=message), b""
        if len(body) > MOST_BYTES:
            message = f"The answer has more than {MOST_BYTES >> 20} MiB: ask for less."
            return Word(400, code="too_large", message=message), b""
        return Word(200, etag), body

    def _record(self, interaction_id: str) -> tuple[Word, bytes]:
        """A record whole, laid out to be read; integers of any size are as they were recorded."""
        if OURS.fullmatch(interaction_id.strip().lower()) is None:
            return Word(400, code="bad_id", message="This is no interaction id: it is a UUID."), b""
        if self._lookup is None:
            self._lookup = Lookup(self._lake, self._settings)
        record = self._lookup.get(interaction_id)
        if record is None:
            return Word(404, code="no_record", message="No record has this id."), b""
        return Word(200), msgspec.json.format(msgspec.json.encode(record), indent=2)

    def _put(self, stamp: str, order: Order, kind: Any) -> bytes:
        question: Any = msgspec.json.decode(order.question, type=kind)
        before: Any = msgspec.json.decode(order.compared, type=kind | None)
        began = time.perf_counter()
        reading = self.look(stamp)
        answer = ask(reading, question)
        compared = None if before is None else Compared(before, ask(reading, before))
        return document(question, answer, (time.perf_counter() - began) * 1000, compared)

    def _studied(self, stamp: str, study: Study) -> bytes:
        began = time.monotonic()
        last = began + STUDYING * self._settings.query_seconds
        found = study.document(partial(ask, self.look(stamp)), lambda: time.monotonic() > last)
        took = round((time.monotonic() - began) * 1000, 1)
        return msgspec.json.encode({"kind": study.name, **found, "took_ms": took})


def _kind(name: str) -> type[msgspec.Struct]:
    """A question, or what is loaded when it is asked for: what the alerts draw, and studies."""
    if (kind := QUESTIONS.get(name)) is not None:
        return kind
    from lakeward.analysis.studies import STUDIES

    if (study := STUDIES.get(name)) is not None:
        return study
    from lakeward.alerts.picture import DRAWN

    return DRAWN[name]


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _hashed(stamp: str, order: Order) -> str:
    from hashlib import blake2b

    told = f"{stamp} {order.kind} ".encode() + bytes(order.question)
    told += bytes(order.compared)
    return blake2b(told, digest_size=16).hexdigest()


class Compared(msgspec.Struct, frozen=True):
    """The question over an earlier time, and its answer."""

    question: Question
    answer: Answer


def document(
    question: Question, answer: Answer, took_ms: float, compared: Compared | None = None
) -> bytes:
    """The answer as JSON: columns, and rows as lists."""
    columns = [
        {"name": c.name, "kind": c.kind, "unit": c.unit, "doc": c.doc} for c in answer.columns
    ]
    found: dict[str, Any] = {
        "kind": question.name,
        "question": question,
        "columns": columns,
        "rows": _rows(answer),
        "source": answer.source,
        "took_ms": round(took_ms, 1),
    }
    if compared is not None:
        found["compared"] = _compared(question, answer, compared)
    return msgspec.json.encode(found)


def _compared(question: Question, answer: Answer, compared: Compared) -> dict[str, Any]:
    """The earlier answer: its rows, the moments they stand beside, and what has changed."""
    before: Any = compared.question
    found = {
        "since": _plain("time", before.since),
        "until": _plain("time", before.until),
        "rows": _rows(compared.answer),
        "changes": changes(question, answer, compared.answer),
        "source": compared.answer.source,
    }
    places = beside(question, compared.question, compared.answer.rows)
    if places is not None:
        kind = answer.columns[0].kind
        found["beside"] = [_plain(kind, place) for place in places]
    return found


def _rows(answer: Answer) -> list[list[Any]]:
    kinds = [column.kind for column in answer.columns]
    return [
        [_plain(kind, value) for kind, value in zip(kinds, row, strict=True)] for row in answer.rows
    ]


def _plain(kind: str, value: Any) -> Any:
    if value is None:
        return None
    if kind == "json":
        return msgspec.Raw(value.encode())
    if kind == "integer":
        return max(-MOST, min(int(value), MOST))
    return iso(round(value.timestamp() * 1000)) if kind == "time" else value


def frames(stream: IO[bytes], asking: Asking) -> Iterator[bytes]:
    """Orders as they come; while none does, the lake is let go of."""
    while True:
        if not select.select([stream], [], [], KEPT_SECONDS)[0]:
            asking.close()
            continue
        head = _read(stream, LENGTH)
        if len(head) < LENGTH:
            return
        yield _read(stream, int.from_bytes(head, "big"))


def _read(stream: IO[bytes], size: int) -> bytes:
    parts = b""
    while len(parts) < size:
        part = os.read(stream.fileno(), size - len(parts))
        if not part:
            break
        parts += part
    return parts


def main() -> None:
    """Answer until stdin ends."""
    parent = int(sys.argv[1])
    die_with(parent)
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no part of an answer
    stdin = os.fdopen(os.dup(0), "rb", buffering=0)
    settings = load()
    asking = Asking(open_lake(settings.lake_dir, create=False), settings)
    with suppress(LakewardError):  # the first question will say it
        asking.look()
    out.write(framed(b""))
    out.flush()
    for frame in frames(stdin, asking):
        word, body = asking.answer(msgspec.json.decode(frame, type=Order))
        out.write(framed(msgspec.json.encode(word) + b"\n" + body))
        out.flush()
    asking.close()


if __name__ == "__main__":
    main()
