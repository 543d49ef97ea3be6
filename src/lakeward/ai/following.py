"""One stream of an answer under way: what came of it by now, and how it ends.

In: each chunk, and the end or the error, from whatever reads the source. Out: to the turn, each
piece as it comes and, once, what was heard. Nothing fails.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from lakeward.ai.draft_file import Aside
from lakeward.ai.pieces import Pieces
from lakeward.ai.returned import is_answer, is_stream, known, returned
from lakeward.ai.shapes import Heard, heard


class Writer(Protocol):
    """Keeps the pieces of a stream."""

    def text(self, piece: str) -> None:
        """A piece of the answer's text."""

    def aside(self, aside: Aside) -> None:
        """A piece of a call or of a thought."""


class Follower(Protocol):
    """The turn, which hears how its stream goes on."""

    def piece(self, added: str, first: Heard) -> None:
        """The first text of the answer, before the app has it, and what else is known."""

    @property
    def writer(self) -> Writer | None:
        """What takes the pieces after the first, each before the app has it; None: nobody does."""

    def over(self, following: Following, found: Heard, error: BaseException | None) -> None:
        """The stream ended; called once."""

    @property
    def handed(self) -> bool:
        """Whether the app handed an answer or a stream over itself."""


class Following:
    """One stream under way: what came of it, and whether it ended."""

    def __init__(self, turn: Follower) -> None:
        self._turn = turn
        self._pieces = Pieces()
        self._hear = self._pieces.hear
        self._first = True
        self._write: Callable[[str], object] | None = None
        self._writer: Writer | None = None
        self._open = [True]
        self.ended_ns = 0
        self.streamed = True
        """Whether it came in pieces."""

    def heard(self, chunk: object) -> None:
        """A chunk, on its way to the app."""
        added = self._hear(chunk)
        if added is None:
            return
        if self._write is not None and added:
            self._write(added)
        elif self._first:
            self._first = False
            self._turn.piece(added, self._pieces.begun())
            writer = self._writer = self._turn.writer
            self._write = writer.text if writer is not None else None
            self._keep()
        elif not added:
            self._keep()

    def _keep(self) -> None:
        """What came beside the text."""
        for aside in self._pieces.asides():
            if self._writer is not None:
                self._writer.aside(aside)

    def end(self, error: BaseException | None = None, *, read_out: bool = False) -> None:
        """The stream is over: read to its end, broken, or else left. What comes first counts."""
        try:
            self._open.pop()
        except IndexError:
            return
        self.ended_ns = time.perf_counter_ns()
        if isinstance(error, GeneratorExit):
            error = None
        found = self._pieces.told()
        fields = found.fields
        if error is None and fields.get("status") != "failed":
            if not read_out and not self._pieces.over:
                fields["status"] = "abandoned"
            elif read_out and self._pieces.says_its_end and not self._pieces.over:
                fields["status"], fields["error_type"] = "failed", "IncompleteStream"
        self._turn.over(self, found, error)

    def reads_on(self, found: object) -> bool:
        """Whether what was awaited is a stream: all that is no whole answer."""
        return not is_answer(found)

    def answered(self, answer: object) -> None:
        """What was awaited is a whole answer."""
        self._whole(heard(answer))

    def _whole(self, found: Heard) -> None:
        try:
            self._open.pop()
        except IndexError:
            return
        self.streamed = False
        self.ended_ns = time.perf_counter_ns()
        self._turn.over(self, found, None)


class Yields(Following):
    """What a decorated function yields or gives back to be read or awaited, which is the answer if
    it hands none over itself."""

    def heard(self, chunk: object) -> None:
        """A piece, on its way to whoever reads the generator."""
        if not self._turn.handed and (told := known(chunk)) is not None:
            super().heard(told)

    def reads_on(self, found: object) -> bool:
        """Whether it is certainly one; the app's own objects are not touched."""
        return is_stream(found)

    def answered(self, answer: object) -> None:
        """As of a function that returned it."""
        self._whole(Heard({}, []) if self._turn.handed else returned(answer))
