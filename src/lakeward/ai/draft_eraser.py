"""The drafts of a lake as a store that can forget a person.

In: a lake, where its rings are, and a person. Out: nothing of the person in what the dead have
left; other people's turns stay there for the keeper. A file whose owner lives is the owner's alone:
it overwrites each turn that ends, and should it die first, the keeper records nothing of who was
erased meanwhile. May be repeated at any point.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lakeward.ai.unfinished import Left, blank, drafts_in, lock, peek, read
from lakeward.errors import Unreadable
from lakeward.lakedir import LakeDir
from lakeward.person import Gone, Person
from lakeward.ringdir import known_folders
from lakeward.settings import Settings

UNDER_WAY: Final = "an answer that is being given; it goes when its turn or process ends"


class DraftEraser:
    """Forgets people in files of drafts."""

    name = "drafts"

    def __init__(self, lake: LakeDir, settings: Settings) -> None:
        self._lake = lake
        self._settings = settings

    def find(self, person: Person) -> int:
        """Turns of the person, also those that are under way."""
        return sum(_of(left, person) for _, left in self._seen())

    def erase(self, person: Person) -> Gone:
        """Overwrite the person's turns where their process is dead."""
        records = 0
        for path in self._paths():
            try:
                fd = lock(path)
            except Unreadable:
                path.unlink(missing_ok=True)  # it may hold anybody, and nobody will ever read it
                continue
            if fd is not None:
                try:
                    records += self._forget(path, fd, person)
                finally:
                    os.close(fd)
        remains = UNDER_WAY if self.find(person) else ""
        return Gone(records, remains)

    def _forget(self, path: Path, fd: int, person: Person) -> int:
        try:
            left = read(fd)
        except Unreadable:
            path.unlink(missing_ok=True)
            return 0
        if left.rules.lake != self._lake.identity.lake_id:
            return 0
        others = [turn for turn in left.turns if not person.matches(turn)]
        if others:
            blank(fd, {turn["interaction_id"] for turn in others})
        else:
            path.unlink(missing_ok=True)
        return len(left.turns) - len(others)

    def _paths(self) -> list[Path]:
        return drafts_in(known_folders(self._lake, self._settings.ring_dir))

    def _seen(self) -> Iterator[tuple[Path, Left]]:
        for path in self._paths():
            left = peek(path)
            if left is not None and left.rules.lake == self._lake.identity.lake_id:
                yield path, left


def _of(left: Left, person: Person) -> int:
    return sum(map(person.matches, left.turns))
