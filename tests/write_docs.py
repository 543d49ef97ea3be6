"""Writes the generated pages anew (`make docs`); `test_docs.py` holds the files equal to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lakeward.dictionary import render_types_md
from lakeward.settings import render_markdown

PAGES: dict[str, Callable[[], str]] = {
    "docs/settings.md": render_markdown,
    "docs/types.md": render_types_md,
}


def main() -> None:
    """Write each page below the working directory, which is the repository's root."""
    for name, render in PAGES.items():
        Path(name).write_text(render(), encoding="utf-8")
        print(f"wrote {name}")


if __name__ == "__main__":
    main()
