"""Routes: under which paths the server's parts are found, with the names that the user gave them.

In: `LAKEWARD_PATHS`, the prefix, the parts with their default paths. Out: for a path, its route.
Fails with `SettingError` for a part that is not known or a path that is none or taken.

    interactions=/collect    the part has this path instead
    segment=/s               a dialect's paths all stand below this root: /s/v1/batch
    posthog=                 the part is switched off
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

from lakeward.errors import SettingError

PATH = re.compile(r"(?:/[A-Za-z0-9._~$@:+-]+)+/?|/")
NAME = re.compile(r"\{([a-z_]+)\}")

H = TypeVar("H")


class Part(msgspec.Struct, frozen=True):
    """A part of the server; its paths stand below its root."""

    name: str
    root: str
    """By default; of a part with one path this is the path."""
    paths: tuple[str, ...] = ("",)
    """Below the root; `{name}` stands for one step that may be anything."""


class Renamed(Mapping[str, str]):
    """The root of each part that is switched on."""

    def __init__(self, parts: Iterable[Part], entries: Sequence[str]) -> None:
        self._roots = {part.name: part.root for part in parts}
        for entry in entries:
            name, equals, path = (word.strip() for word in entry.partition("="))
            if not equals or name not in self._roots:
                raise SettingError(
                    f"LAKEWARD_PATHS: {entry[:80]!r} must be like interactions=/collect; the parts "
                    f"are {', '.join(sorted(self._roots))}"
                )
            if not path:
                del self._roots[name]
            elif PATH.fullmatch(path) and ".." not in path.split("/"):
                self._roots[name] = path
            else:
                raise SettingError(
                    f"LAKEWARD_PATHS: {path[:80]!r} is no path: write letters, digits and ._~$@:+- "
                    "between slashes, such as /collect"
                )

    def __getitem__(self, name: str) -> str:
        return self._roots[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._roots)

    def __len__(self) -> int:
        return len(self._roots)


class Found(msgspec.Struct, Generic[H], frozen=True):
    """Where a path leads."""

    part: str
    below: str
    """The path below the part's root, as the part has it."""
    steps: Mapping[str, str]
    """What stood for its `{names}`."""
    handler: H


class Routes(Generic[H]):
    """Paths and what answers them."""

    def __init__(self) -> None:
        self._exact: dict[str, Found[H]] = {}
        self._open: list[tuple[re.Pattern[str], Found[H]]] = []

    def add(self, part: str, root: str, below: str, handler: H) -> None:
        """Let `root` + `below` lead to `handler`; SettingError when it leads elsewhere already."""
        path = (root.rstrip("/") + below) or "/"
        if not below and root != "/":
            path = root
        found = Found(part, below, {}, handler)
        if "{" in path:
            texts = NAME.split(path)  # text, name, text, name, … text
            texts[::2] = map(re.escape, texts[::2])
            texts[1::2] = [f"(?P<{name}>[^/]+)" for name in texts[1::2]]
            self._open.append((re.compile("".join(texts)), found))
            return
        taken = self._exact.get(path)
        if taken is not None and taken.part != part:
            raise SettingError(
                f"LAKEWARD_PATHS: {path} is a path of {taken.part} and of {part}: give one of them "
                "another"
            )
        self._exact[path] = found

    def find(self, path: str) -> Found[H] | None:
        """Where `path` leads; None for nowhere."""
        found = self._exact.get(path)
        if found is not None:
            return found
        for pattern, open_ in self._open:
            if steps := pattern.fullmatch(path):
                return msgspec.structs.replace(open_, steps=steps.groupdict())
        return None


def prefix_of(text: str) -> str:
    """`LAKEWARD_PATH_PREFIX` as it stands before a path: empty, or `/data`; SettingError."""
    prefix = text.strip().rstrip("/")
    if prefix and not PATH.fullmatch(prefix):
        raise SettingError(f"LAKEWARD_PATH_PREFIX: {text[:80]!r} is no path such as /data")
    return prefix
