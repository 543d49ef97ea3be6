"""The docs site: `make site`. In: README, docs and the pages beside them, as they read in the repo.
Out: HTML that needs no other address and whose search works without a server.

A page that no group below names, a link or an anchor that leads nowhere: each is a warning, and
warnings are errors. Sphinx because it checks both, and is kept well: Material for MkDocs ends in
2027, and what follows it is young.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]

project = "Lakeward"
author = "The Lakeward developers"
copyright = author  # noqa: A001 - Sphinx's name
version = re.findall(r'VERSION = "(.+)"', (ROOT / "src/lakeward/version.py").read_text())[0]

extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "docs/**/*.md", "benchmarks/README.md"]
include_patterns += ["web/dashboard/README.md"]
exclude_patterns = [".*", "build", "dist", "src", "tests", "examples", "requirements"]
exclude_patterns += ["web/node_modules", "web/sdk", "**/node_modules"]
myst_heading_anchors = 5
suppress_warnings = ["misc.highlighting_failure"]  # `…` stands for what is left out of JSON

html_theme = "furo"
html_title = f"Lakeward {version}"
html_favicon = str(ROOT / "web/dashboard/src/icon.svg")
html_copy_source = False
html_show_search_summary = False  # it would fetch pages, which those of a folder may not
html_show_sphinx = False
html_last_updated_fmt = None

GROUPS: Final = {
    "Start here": "quickstart concepts demo dashboard original-system",
    "Collect": "capture sdk server compatible outcomes flows flags messages import uploads testing",
    "Ask": "query questions experiments anomalies alerts summary live rollups engines table "
    "open-lake",
    "AI and partners": "ai confidence witnesses consistency",
    "Run": "deploy operations backup followers enrichment keys people privacy",
    "AWS and scale": "aws scale",
    "Reference": "cli settings types formats/log formats/ring formats/draft",
    "Project": "/CONTRIBUTING /SECURITY /CHANGELOG /benchmarks/README /web/dashboard/README "
    "release adr/README",
}
"""Where a reader looks for a page, in the order of need."""


def navigation() -> str:
    """The groups as lists of contents that only the side bar shows."""
    parts = []
    for caption, names in GROUPS.items():
        pages = [name if name[0] == "/" else f"/docs/{name}" for name in names.split()]
        there = [page for page in pages if (ROOT / f"{page[1:]}.md").exists()]
        parts.append(hidden(f":caption: {caption}\n" + "\n".join(there)))
    return "".join(parts)


def hidden(content: str) -> str:
    """A list of contents that is not shown in the page."""
    return f"\n\n```{{toctree}}\n:hidden:\n{content}\n```\n"


def add_navigation(app: Any, name: str, source: list[str]) -> None:
    """The pages in the repo carry none of it, so that they read well there."""
    if name == root_doc:
        source[0] += navigation()
    elif name == "docs/adr/README":
        source[0] += hidden(":glob:\n0*")


def add_index(app: Any, failure: Exception | None) -> None:
    """The README is the front page."""
    if failure is None:
        shutil.copy(Path(app.outdir, f"{root_doc}.html"), Path(app.outdir, "index.html"))


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", add_navigation)
    app.connect("build-finished", add_index)
