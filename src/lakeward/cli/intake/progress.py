"""How far an import is, and the bar that shows it to a person at a terminal.

In: `Progress`, as often as the work likes. Out: one line on a terminal, redrawn at most ten times
a second and cleared at the end; nothing at all when the stream is not a terminal.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import Literal, TextIO

import msgspec

REDRAW_S = 0.1
WIDTH = 24


class Progress(msgspec.Struct, frozen=True):
    """How far one file is: bytes of the source done of `total`, and units handled so far."""

    name: str
    stage: Literal["checking", "importing"]
    done: int
    total: int
    lines: int = 0


class Bar:
    """A progress bar on `stream`; call it with each `Progress`, close it to clear the line."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._live = stream.isatty()
        self._drawn_at: float | None = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, progress: Progress) -> None:
        """Draw `progress`, unless the last drawing is too young."""
        now = self._clock()
        if not self._live or (self._drawn_at is not None and now - self._drawn_at < REDRAW_S):
            return
        self._drawn_at = now
        room = shutil.get_terminal_size().columns - 1
        self._stream.write(f"\r{rendered(progress)[:room]}\x1b[K")
        self._stream.flush()

    def close(self) -> None:
        """Clear the line, if one was drawn."""
        if self._drawn_at is not None:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._drawn_at = None


def rendered(progress: Progress) -> str:
    """One line of text; a file name cannot smuggle control codes into the terminal."""
    share = min(progress.done / progress.total, 1.0) if progress.total else 1.0
    full = int(share * WIDTH)
    name = "".join(letter if letter.isprintable() else "?" for letter in progress.name)
    count = f"  {progress.lines:,} lines" if progress.stage == "importing" else ""
    return f"{'█' * full}{'░' * (WIDTH - full)} {share:4.0%} {progress.stage} {name}{count}"
