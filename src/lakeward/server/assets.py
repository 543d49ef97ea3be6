"""The built page: its files, by name, and where it is told to find everything.

In: the folder `static/`, made from `web/dashboard`. Out: contents, compressed once. The page's
names are those of `VIEWS`; all of them are one file.
"""

from __future__ import annotations

import gzip
import html
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

VIEWS: Final = (
    "overview", "live", "api", "visitors", "funnels", "retention", "paths", "experiments", "ai",
    "partners", "anomalies", "data", "explore", "settings",
)  # fmt: skip
"""The pages of the dashboard; `web/dashboard/src/shell/pages.ts` has the same."""
PAGES: Final = frozenset({"/", *(f"/{view}" for view in VIEWS)})
STATIC = Path(__file__).with_name("static")
KINDS = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".svg": b"image/svg+xml",
}


class File(msgspec.Struct, frozen=True):
    """A file of the built page."""

    content: bytes
    packed: bytes
    """Compressed; empty where that saves nothing."""


def read_static() -> dict[str, File]:
    """The built page, by name below `static/`."""
    return {
        path.relative_to(STATIC).as_posix(): _packed(path.read_bytes())
        for path in STATIC.rglob("*")
        if path.is_file()
    }


def _packed(content: bytes) -> File:
    packed = gzip.compress(content, 9, mtime=0)
    return File(content, packed if len(packed) < len(content) else b"")


def placed(page: bytes, prefix: str, paths: Mapping[str, str]) -> bytes:
    """The page, told where its files and the server's parts are when they are elsewhere."""
    root = prefix + paths.get("page", "/").rstrip("/")
    if root:
        page = page.replace(b'"/static/', f'"{root}/static/'.encode())
    moved = {name: prefix + path for name, path in paths.items()} | {"page": root}
    said = html.escape(msgspec.json.encode(moved).decode())
    return page.replace(b'content="{}"', f'content="{said}"'.encode())
