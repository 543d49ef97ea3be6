"""A stream's pieces put together, as they come: chunks and events of OpenAI and Anthropic, texts.

In: one chunk after the other, recognised by shape. Out: the text that each adds, and what is known
of the answer by now, however the stream ends. Usage is taken whole from the last chunk that has
it, never summed. Nothing fails: a chunk that cannot be read adds nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from lakeward.ai.draft_file import Aside
from lakeward.ai.pieces_chat import Chat, ChatHelper
from lakeward.ai.pieces_claude import Claude
from lakeward.ai.pieces_responses import Responses
from lakeward.ai.reach import read, text
from lakeward.ai.shapes import Heard, heard
from lakeward.interaction import JsonObject

PIECES_MOST: Final = 1 << 26
"""Characters of one answer that are kept, about; a stream may be without end."""


class Dialect(Protocol):
    """How one kind of stream is read."""

    over: bool
    """The stream said that the answer is complete."""
    asides: list[Aside]
    """What came beside the text and nobody has taken yet."""

    def hear(self, chunk: object) -> str | None:
        """Take a chunk; the text that it adds (None: none; empty: something without text)."""

    def begun(self) -> JsonObject:
        """Fields that are known with the first piece."""

    def told(self) -> Heard:
        """The answer so far."""


class Pieces:
    """An answer that comes in pieces, of a kind that the first chunk decides."""

    def __init__(self) -> None:
        self._dialect: Dialect | None = None
        self._hear: Callable[[object], str | None] = self._recognise
        self._kept = 0

    @property
    def over(self) -> bool:
        """Whether the answer is complete."""
        return self._dialect is not None and self._dialect.over

    @property
    def says_its_end(self) -> bool:
        """Whether a complete stream of this kind says so."""
        return self._dialect is not None and not isinstance(self._dialect, _Texts)

    def hear(self, chunk: object) -> str | None:
        """As `Dialect.hear`; None for what nobody knows, too."""
        try:
            added = self._hear(chunk)
        except Exception:
            return None
        if added is not None:
            self._kept += len(added) or 64  # a thought, or a part of a call
            if self._kept > PIECES_MOST:
                self._hear = _deaf
        return added

    def _recognise(self, chunk: object) -> str | None:
        """As `hear`, until somebody knows what comes."""
        dialect = self._dialect = _recognised(chunk)
        if dialect is None:
            return None
        self._hear = dialect.hear
        return dialect.hear(chunk)

    def asides(self) -> list[Aside]:
        """What came beside the text since this was asked last."""
        dialect = self._dialect
        if dialect is None or not dialect.asides:
            return []
        found, dialect.asides = dialect.asides, []
        return found

    def begun(self) -> Heard:
        """What is known with the first piece."""
        try:
            return Heard(dict(self._dialect.begun()) if self._dialect is not None else {}, [])
        except Exception:
            return Heard({}, [])

    def told(self) -> Heard:
        """The answer so far."""
        try:
            return self._dialect.told() if self._dialect is not None else Heard({}, [])
        except Exception:
            return Heard({}, [])


def _deaf(chunk: object) -> None:
    """Nothing more is kept."""


def _recognised(chunk: Any) -> Dialect | None:
    if isinstance(chunk, str):
        return _Texts()
    try:
        if chunk.__dict__["object"] == "chat.completion.chunk":
            return Chat()
    except Exception:  # noqa: S110 - no chunk of the SDK's own
        pass
    kind = text(chunk, "type")
    if kind is not None:
        if kind.startswith("response.") or kind == "error":
            return Responses()
        if kind == "message_start":
            return Claude()
        if kind == "chunk":
            return ChatHelper()
    if read(chunk, "choices") is not None:
        return Chat()
    return None


class _Texts:
    """Texts of the app's own."""

    over = False

    def __init__(self) -> None:
        self.asides: list[Aside] = []
        self._pieces: list[str] = []

    def hear(self, chunk: object) -> str | None:
        if not isinstance(chunk, str):
            return None
        self._pieces.append(chunk)
        return chunk

    def begun(self) -> JsonObject:
        return {}

    def told(self) -> Heard:
        return heard("".join(self._pieces)) if self._pieces else Heard({}, [])
