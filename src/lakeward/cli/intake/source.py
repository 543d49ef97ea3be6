"""A path to import → a source that was looked at and can be read more than once.

In: a path, or `-` for standard input. Out: a `Source` with its layout, its decoded bytes as often
as wanted, and its `Content`. A pipe can be read only once, so its bytes are kept in an unnamed
temporary file (in `TMPDIR`, gone with the process).

`Terminal`: there is no such file, it cannot be read, or not in the way asked.
"""

from __future__ import annotations

import io
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import msgspec

from lakeward.cli.intake import original
from lakeward.cli.intake.framing import Unit, decoded, filled, lines, text_of
from lakeward.cli.intake.rows import Layout
from lakeward.errors import Terminal

SAMPLE_UNITS = 20


class Source(msgspec.Struct, frozen=True):
    """A file that can be read again; `layout` is None when there is nothing in it."""

    path: str
    name: str
    size: int
    layout: Layout | None = None
    spool: io.BufferedReader | None = None
    day: Path | None = None
    """A day of the original system's lake, whose files are read as one."""


class Content(msgspec.Struct, frozen=True):
    """The hash and length of what decodes, and whether the file is damaged behind it."""

    digest: str
    length: int
    damaged: bool


def looked_at_days(path: str, layout_of: Callable[[list[Unit]], Layout]) -> list[Source]:
    """The days of the original system's lake as sources, each with the layout of its first
    lines."""
    found = []
    for day in original.days(path):
        source = Source(str(day), original.name_of(day), original.size_of(day), day=day)
        sample = _sample(source)
        layout = layout_of(sample) if sample else None
        found.append(msgspec.structs.replace(source, layout=layout))
    return found


def looked_at(path: str, layout_of: Callable[[list[Unit]], Layout], spools: ExitStack) -> Source:
    """The source at `path`, with the layout of its first lines; `spools` closes what it keeps."""
    source = _found(path, spools)
    try:
        sample = _sample(source)
        layout = layout_of(sample) if sample else None
    except Terminal as error:
        raise Terminal(f"{source.path} {error}") from error
    return msgspec.structs.replace(source, layout=layout)


def _found(path: str, spools: ExitStack) -> Source:
    name = text_of(os.fsencode(os.path.basename(path)))
    try:
        if path == "-":
            spool = spools.enter_context(_spooled(sys.stdin.buffer))
            return Source("standard input", "-", _size(spool), spool=spool)
        with open(path, "rb") as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return Source(path, name, _size(file))
            spool = spools.enter_context(_spooled(file))
            return Source(path, name, _size(spool), spool=spool)
    except FileNotFoundError:
        raise Terminal(f"there is no file {path}") from None
    except IsADirectoryError:
        raise Terminal(f"{path} is a directory; name the files in it") from None
    except OSError as error:
        raise Terminal(f"{path} cannot be read: {error.strerror}") from error


def _spooled(stream: BinaryIO) -> io.BufferedReader:
    with tempfile.TemporaryFile() as spool:
        shutil.copyfileobj(stream, spool)
        spool.flush()
        again = open(os.dup(spool.fileno()), "rb")  # noqa: SIM115 - `spools` closes it
    again.seek(0)
    return again


def _size(file: io.BufferedReader) -> int:
    return os.fstat(file.fileno()).st_size


@contextmanager
def reading(source: Source) -> Iterator[io.BufferedReader]:
    """The source's bytes from the start, as they are stored."""
    if source.day is not None:
        with original.opened(source.day) as file:
            yield file
        return
    if source.spool is not None:
        source.spool.seek(0)
        yield source.spool
        return
    try:
        file = open(source.path, "rb")  # noqa: SIM115 - an error while it is used is not this one
    except OSError as error:
        raise Terminal(f"{source.path} cannot be read: {error.strerror}") from error
    with file:
        yield file


def _sample(source: Source) -> list[Unit]:
    sample: list[Unit] = []
    with reading(source) as file:
        try:
            for unit in filled(lines(decoded(file))):
                sample.append(unit)
                if len(sample) == SAMPLE_UNITS:
                    break
        except Terminal:
            if not sample:
                raise
    return sample


def content_of(source: Source, advance: Callable[[int], None]) -> Content:
    """Read all of the source once; `advance` hears how many stored bytes are behind."""
    digest, length, damaged = blake2b(digest_size=32), 0, False
    with reading(source) as file:
        try:
            for piece in decoded(file):
                digest.update(piece)
                length += len(piece)
                advance(file.tell())
        except Terminal:
            damaged = True
    return Content(digest.hexdigest(), length, damaged)


class Rereading:
    """The same bytes a second time, and whether they were the same."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._digest = blake2b(digest_size=32)

    def pieces(self, file: io.BufferedReader) -> Iterator[bytes]:
        """The decoded bytes that were there the first time; what was appended since is left."""
        left = self._content.length
        with suppress(Terminal):  # a file that was whole and is damaged now is not the same
            for piece in decoded(file):
                piece = piece[:left]
                left -= len(piece)
                self._digest.update(piece)
                yield piece
                if not left:
                    return

    @property
    def same(self) -> bool:
        """Whether all of the content came again, once `pieces` has ended."""
        return self._digest.hexdigest() == self._content.digest
