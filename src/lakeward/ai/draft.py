"""Drafts: what a streamed turn has received so far, where no death of this process can lose it.

In: the fields of a turn that has begun, and the pieces of its answer as they are handed to the app.
Out: a file beside this process's ring (`draft_file.py`), from which the keeper makes the record
when the process dies before it does (`unfinished.py`). Nothing here waits, nothing raises; what
cannot be kept is counted. Pieces are as they came, not scrubbed yet; what was kept of a turn is
overwritten with zeros when the turn ends. A chunk is written by one turn alone, so turns of many
threads need no lock.
"""

from __future__ import annotations

import atexit
import contextlib
import mmap
import os
import threading
import weakref
from collections import deque
from time import monotonic_ns, time_ns
from typing import Final
from zlib import crc32

import msgspec

from lakeward.ai.draft_file import (
    ASIDE,
    BEGUN,
    CHUNK_BYTES,
    DROPPED,
    FIELDS,
    FRAME,
    LAST_NS,
    PAYLOAD,
    PLACE,
    TEXT,
    TYPE,
    USED,
    WAIT_SECONDS,
    Aside,
    Chunk,
    File,
    Rules,
    rules_of,
)
from lakeward.attachment import Attachment
from lakeward.collector import Collector, join
from lakeward.content import OWN, withheld
from lakeward.interaction import JsonObject
from lakeward.trace import CURRENT

NOBODYS: Final = OWN[TYPE] | {"conversation_id", "trace_id", "parent_interaction_id"}
FRAME_BYTES: Final = FRAME.size
ZEROS: Final = bytes(CHUNK_BYTES)
RETRY_NS: Final = 5_000_000_000


class Draft:
    """One turn. Its methods may be called from any thread, signal handler or finaliser."""

    def __init__(self, drafts: Drafts, file: File | None, turn: bytes, content: bool) -> None:
        self._drafts = drafts
        self._file = file
        self._turn = turn
        self._content = content
        self.chunks: list[Chunk] = []
        self._at = self._end = self._base = 0
        self._pack, self._pack_into = FRAME.pack, FRAME.pack_into
        self._map: mmap.mmap
        self._first: memoryview
        self._last: memoryview
        """Mapping, and words of the first and the last chunk, once there is one."""
        self._late: deque[bytes] = deque()
        self._writing = threading.Lock()
        self._take, self._let_go = self._writing.acquire, self._writing.release
        self._ended = False
        self.dropped = 0
        """Pieces that found no room."""

    def text(self, piece: str) -> None:
        """A piece of the answer that the app is given now."""
        if not self._content or not piece:
            return
        try:
            try:
                content = piece.encode()
            except UnicodeEncodeError:  # half of a pair
                content = piece.encode("utf-8", "surrogatepass")
            size = len(content)
            if self._late or not self._take(False):
                self._put(TEXT, content)
                return
            try:  # as `_write`, without a copy
                at = self._at
                begun = at + FRAME_BYTES
                end = begun + size
                if end <= self._end:
                    self._pack_into(self._map, at, size, crc32(content, TEXT), TEXT)
                    self._map[begun:end] = content
                    self._at = end
                    self._first[LAST_NS] = time_ns()
                    self._last[USED] = end - self._base
                else:
                    self._write(self._pack(size, crc32(content, TEXT), TEXT) + content)
            finally:
                self._let_go()
            if self._late or self._ended:
                self._rest()
        except Exception:
            self._drafts.missed += 1

    def fields(self, fields: JsonObject) -> None:
        """Fields of the record that have become known; later ones win."""
        try:
            allowed = fields if self._content else self._drafts.allowed(fields)
            self._put(FIELDS, self._drafts.encode(allowed))
        except Exception:
            self._drafts.missed += 1

    def aside(self, aside: Aside) -> None:
        """A piece of a call or of a thought."""
        if not self._content:
            return
        try:
            self._put(ASIDE, self._drafts.encode(aside))
        except Exception:
            self._drafts.missed += 1

    def begin(self, fields: bytes) -> None:
        """The fields known at the start."""
        self._put(BEGUN, fields)

    def close(self) -> None:
        """The turn's record is in the ring, or was refused: forget the draft."""
        self._ended = True
        if not self._writing.acquire(blocking=False):
            return  # who writes just now, closes
        try:
            self._drafts.closed(self)
        except Exception:
            self._drafts.missed += 1
        finally:
            self._writing.release()

    def _put(self, kind: int, content: bytes) -> None:
        """Write a frame. Who comes while another writes, from a finaliser or a second thread,
        leaves it to him."""
        frame = self._pack(len(content), crc32(content, kind), kind) + content
        if self._late or not self._writing.acquire(blocking=False):
            self._late.append(frame)
        else:
            try:
                self._write(frame)
            finally:
                self._writing.release()
        if self._late or self._ended:
            self._rest()

    def _rest(self) -> None:
        """What others left."""
        late = self._late
        while late and self._writing.acquire(blocking=False):
            try:
                while late:
                    self._write(late.popleft())
            finally:
                self._writing.release()
        if self._ended:
            self.close()

    def _write(self, frame: bytes) -> None:
        at = self._at
        end = at + len(frame)
        if end > self._end:
            self._write_on(frame)
            return
        self._map[at:end] = frame
        self._at = end
        self._first[LAST_NS] = time_ns()
        self._last[USED] = end - self._base  # not added: what broke off before it is told now

    def _write_on(self, frame: bytes) -> None:
        """A frame that goes on in chunks to come: all of it or, where there is no room, nothing."""
        more: list[Chunk] = []
        missing = len(frame) - (self._end - self._at)
        file = self._file
        while missing > 0 and file is not None:
            chunk = file.take()
            if chunk is None:
                file.free += more
                self._drop()
                return
            more.append(chunk)
            missing -= CHUNK_BYTES - PAYLOAD
        rest = memoryview(frame)  # slices of bytes would copy the rest for each chunk
        for chunk in more:
            rest = rest[self._fill(rest) :]
            self._go_on(chunk)
        if self.chunks:
            self._fill(rest)
            self._first[LAST_NS] = time_ns()

    def _go_on(self, chunk: Chunk) -> None:
        """Write into a new chunk from now on. The place comes last: it makes it the turn's."""
        words = chunk.words
        words[USED] = words[LAST_NS] = words[DROPPED] = 0
        chunk.map[chunk.at : chunk.at + 16] = self._turn
        if not self.chunks:
            self._first = words
        self.chunks.append(chunk)
        words[PLACE] = len(self.chunks)
        self._map, self._last = chunk.map, words
        self._base = self._at = chunk.at + PAYLOAD
        self._end = chunk.at + CHUNK_BYTES

    def _fill(self, frame: bytes | memoryview) -> int:
        """Write what fits into the last chunk; how much it was."""
        room = min(len(frame), self._end - self._at)
        if room:
            self._map[self._at : self._at + room] = frame[:room]
            self._at += room
            self._last[USED] = self._at - self._base
        return room

    def _drop(self) -> None:
        self.dropped += 1
        self._drafts.missed += 1
        if self.chunks:
            self.chunks[0].words[DROPPED] = self.dropped

    def end(self) -> list[Chunk]:
        """Its chunks, free and overwritten: the first goes first, without it there is no turn."""
        chunks = self.forget()
        for chunk in chunks:
            chunk.words[PLACE] = 0
            chunk.map[chunk.at : chunk.at + CHUNK_BYTES] = ZEROS
        return chunks

    def forget(self) -> list[Chunk]:
        """Write no more."""
        self._file = None
        chunks, self.chunks = self.chunks, []
        self._at = self._end = self._base = 0
        return chunks


class Drafts:
    """The drafts of one process and collector."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._encode = msgspec.json.Encoder().encode
        self._file: File | None = None
        self._open: dict[int, Draft] = {}
        self._opening = threading.RLock()
        self._making = threading.RLock()
        self._retry_ns = 0
        self.missed = 0
        """What could not be kept: pieces, and turns whose file could not be made."""
        me = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _in_child(me))
        atexit.register(_at_exit, me)

    def open(self, interaction_id: str, head: JsonObject) -> Draft:
        """The draft of a turn that has begun; `head` are the fields of its record known by now.
        It joins the call or job that is under way."""
        try:
            return self._opened(interaction_id, head)
        except Exception:
            self.missed += 1
            return Draft(self, None, b"", False)

    def _opened(self, interaction_id: str, head: JsonObject) -> Draft:
        collector = self._collector
        turn = bytes.fromhex(interaction_id.replace("-", ""))
        if len(turn) != 16:
            raise ValueError("an id of 32 digits")
        fields = dict(head)
        if (cause := CURRENT.get()) is not None:
            join(fields, cause)
        mode = collector.contents.mode(fields, collector.shares(time_ns()))
        if collector.has_hook:
            mode = "none"
        content = mode != "none"
        settings = collector.settings
        given = {"environment": settings.environment, "app_version": settings.app_version,
                 "streamed": True, "captured_by": "api"}  # fmt: skip
        if settings.service:
            given["service"] = settings.service
        begun = given | (fields if content else self.allowed(fields)) | {"content_mode": mode}
        raw = self.encode(begun)
        file = self._file or self._made()
        draft = Draft(self, file, turn, content)
        if file is None:
            self.missed += 1
            return draft
        with self._opening:
            self._open[id(draft)] = draft
        draft.begin(raw)  # it may wait for the disk, so nobody waits for it
        return draft

    def allowed(self, fields: JsonObject) -> JsonObject:
        """Of fields whose content may not be kept, what may. What the host's own callable would
        cut, nobody knows here: then it is nothing that is anybody's."""
        kept = withheld(TYPE, fields)
        if self._collector.has_hook:
            kept = {name: kept[name] for name in NOBODYS & kept.keys()}
        return kept

    def encode(self, fields: JsonObject | Rules | Aside) -> bytes:
        """Fields as JSON; with what is no JSON in them as the scrubber names it."""
        try:
            return self._encode(fields)
        except Exception:
            return self._encode(self._collector.contents.scrubber.value(fields))

    def _made(self) -> File | None:
        """The file of this process; tried again every 5 seconds where it cannot be had. Whoever
        comes while another makes it waits for a moment, and goes without where it is too short."""
        making = self._making
        if not making.acquire(timeout=WAIT_SECONDS):
            return None
        try:
            now = monotonic_ns()
            if self._file is not None or now < self._retry_ns:
                return self._file
            self._retry_ns = now + RETRY_NS
            holder = self._collector.attach()
            if isinstance(holder, Attachment):  # else there is no file
                lake_id = holder.lake.identity.lake_id
                rules = self.encode(rules_of(lake_id, self._collector.settings))
                self._file = File(holder.ring.path.parent, rules)
            return self._file
        finally:
            making.release()

    def closed(self, draft: Draft) -> None:
        """A turn has ended: its place is free, and the file small when it was the last."""
        chunks = draft.end()
        with self._opening:  # for no longer than it takes to note it: others end and begin
            if self._open.pop(id(draft), None) is None:
                return
            file = self._file
            if file is None:
                return
            file.free += chunks
            idle = not self._open and file.shrink()
        if idle:
            file.trim()

    def _after_fork(self) -> None:
        """In a child: the turns of the parent are the parent's."""
        self._opening, self._making = threading.RLock(), threading.RLock()
        file, self._file = self._file, None
        opened, self._open = self._open, {}
        self._retry_ns = 0
        for draft in opened.values():
            draft.forget()
        if file is not None:
            file.abandon()

    def at_exit(self) -> None:
        """Leave open turns to the keeper; a file without any goes at once."""
        file, self._file = self._file, None
        if file is not None:
            if not self._open:
                file.path.unlink(missing_ok=True)
            file.abandon()


def _in_child(me: weakref.ref[Drafts]) -> None:
    drafts = me()
    if drafts is not None:
        drafts._after_fork()


def _at_exit(me: weakref.ref[Drafts]) -> None:
    drafts = me()
    if drafts is not None:
        with contextlib.suppress(Exception):
            drafts.at_exit()
