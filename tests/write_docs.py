"""Writes the generated pages anew (`make docs`); `test_docs.py` holds the files equal to them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from lakeward.analysis.listing import render_questions_md
from lakeward.aws.questions import rendered
from lakeward.cli.schema import broken, schemas, text_of
from lakeward.dictionary import render_types_md
from lakeward.interaction import SCHEMA_VERSION
from lakeward.lake import sql
from lakeward.lake.derived import DESCRIBED
from lakeward.lakedir import open_lake
from lakeward.settings import load, render_markdown

ROOT = Path(__file__).resolve().parent.parent
QUERY = "src/lakeward/aws/templates/query.yaml"


def render_query_yaml() -> str:
    """Of the template of stack `query` its own head, and tables and questions as code has them."""
    return rendered((ROOT / QUERY).read_text(encoding="utf-8"), load({}, ROOT / "tests"))


PAGES: dict[str, Callable[[], str]] = {
    "docs/questions.md": render_questions_md,
    "docs/settings.md": render_markdown,
    "docs/types.md": render_types_md,
    QUERY: render_query_yaml,
}
SCHEMAS = f"docs/schemas/v{SCHEMA_VERSION}"
"""The baseline that schemas of this version must stay compatible with."""

COLUMNS = "src/lakeward/lake/derived.json"


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


def write_columns(path: Path) -> None:
    """What DuckDB says of the views that are worked out when they are asked."""
    with tempfile.TemporaryDirectory() as folder:
        open_lake(Path(folder) / "data-lake")
        found: dict[str, dict[str, str]] = {}
        rows = sql(DESCRIBED, lake_dir=Path(folder) / "data-lake").to_pylist()
        for view, name, kind in (row.values() for row in rows):
            found.setdefault(view, {})[name] = kind
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    print(f"wrote {path}")


def main() -> None:
    """Write each page below the working directory, which is the repository's root."""
    for name, render in PAGES.items():
        Path(name).write_text(render(), encoding="utf-8")
        print(f"wrote {name}")
    write_schemas(Path(SCHEMAS))
    write_columns(Path(COLUMNS))


if __name__ == "__main__":
    main()
