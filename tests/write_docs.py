"""Writes the generated pages anew (`make docs`); `test_docs.py` holds the files equal to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lakeward.analysis.listing import render_questions_md
from lakeward.cli.schema import broken, schemas, text_of
from lakeward.dictionary import render_types_md
from lakeward.interaction import SCHEMA_VERSION
from lakeward.settings import render_markdown

PAGES: dict[str, Callable[[], str]] = {
    "docs/questions.md": render_questions_md,
    "docs/settings.md": render_markdown,
    "docs/types.md": render_types_md,
}
SCHEMAS = f"docs/schemas/v{SCHEMA_VERSION}"
"""The baseline that schemas of this version must stay compatible with."""


def write_schemas(folder: Path) -> None:
    """Renew the baseline, unless what was promised there would be broken."""
    found = schemas()
    if changes := broken(found, folder):
        raise SystemExit(
            "\n".join(changes) + f"\n{folder} stays as it is: take the change back, or raise "
            "SCHEMA_VERSION, which makes a new folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in found.items():
        (folder / f"{name}.json").write_text(text_of(schema), encoding="utf-8")
    print(f"wrote {folder}")


def main() -> None:
    """Write each page below the working directory, which is the repository's root."""
    for name, render in PAGES.items():
        Path(name).write_text(render(), encoding="utf-8")
        print(f"wrote {name}")
    write_schemas(Path(SCHEMAS))


if __name__ == "__main__":
    main()
