"""What a browser transfers of the built dashboard: which files a page needs, and their sizes.

In: the folder of built assets. Out: for the start page the scripts that are transferred until it is
drawn, and for each chunk that is loaded later its size; both compressed as the server sends them.
"""

from __future__ import annotations

import gzip
import re
from pathlib import Path

IMPORTS = re.compile(r"""(?:import|from)\s*["']\./([\w.-]+\.js)["']""")
LAZY = re.compile(r"""import\(\s*[`"']\./([\w.-]+\.js)[`"']\s*\)""")
SCRIPTS = re.compile(r"""<(?:script|link)[^>]*?(?:src|href)="/static/assets/([\w.-]+\.js)\"""")


def packed(path: Path) -> int:
    """Bytes of a file as they are transferred."""
    return len(gzip.compress(path.read_bytes(), 9, mtime=0))


def reached(assets: Path, names: set[str]) -> set[str]:
    """These scripts and all that they import before they run."""
    found: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= set(IMPORTS.findall((assets / name).read_text())) - found
    return found


def entry(static: Path) -> set[str]:
    """The scripts that the page itself names, with what they import."""
    return reached(static / "assets", set(SCRIPTS.findall((static / "index.html").read_text())))


def page(static: Path, name: str) -> set[str]:
    """The scripts that are transferred until a page is drawn."""
    assets = static / "assets"
    return entry(static) | reached(assets, {one.name for one in assets.glob(f"{name}-*.js")})


def later(static: Path) -> dict[str, int]:
    """Every script that is not of the start page, with its size."""
    start = page(static, "overview")
    return {
        path.name: packed(path)
        for path in sorted((static / "assets").glob("*.js"))
        if path.name not in start
    }
