"""How far a demo is, for whoever watches: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from typing import Final, TextIO

WIDTH: Final = 32
STEPS: Final = 5
"""Lines where there is no terminal; a file gets no control codes."""


class Progress:
    """Tells how many visitors have gone again."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._is_terminal = out.isatty()
        self._began = time.monotonic()
        self._told = -1

    def __call__(self, done: int, of: int) -> None:
        """Tell, where something is new."""
        share = done / of if of else 1.0
        if self._is_terminal:
            filled = int(share * WIDTH)
            bar = "█" * filled + "·" * (WIDTH - filled)
            end = "\n" if done == of and self._told != done else ""
            if end or self._told != done:
                self._write(f"\r  {bar} {done:,} of {of:,} visitors, {self._seconds():.0f} s {end}")
            self._told = done
        elif int(share * STEPS) > self._told:
            self._told = int(share * STEPS)
            self._write(f"  {done:,} of {of:,} visitors, {self._seconds():.0f} s\n")

    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
