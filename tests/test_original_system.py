"""The page that follows the original system line by line: complete, and true."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent
ORIGINAL = TESTS / "data" / "original-system.md"
PAGE = TESTS.parent / "docs" / "original-system.md"
REFERENCE = re.compile(r"`(test_\w+\.py)::(test_\w+)`")
COLUMNS = re.compile(r"(?<!\\)\|")


def words(text: str) -> str:
    """Letters and digits alone: the page may set a line in another type."""
    return " ".join(re.findall(r"[a-z0-9_$]+", text.lower()))


def lines_asked_for() -> list[str]:
    """Every line of the original that says something, code by its names."""
    asked, code = [], False
    for line in ORIGINAL.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            code = not code
        elif code:
            name = re.match(r'[\s│├└─]*"?([\w={}.\-/]+)', line)
            asked += [name[1]] if name else []
        elif line.lstrip().startswith(("-", "#")) and line.strip("-# "):
            asked.append(re.sub(r"^[\s\-#✅🚧⏳📊🔧🎯📝]*(\[ \])?", "", line))
    return asked


def rows() -> list[tuple[str, str, str]]:
    found = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("|") and not line.startswith(("| the original", "|---")):
            _, original, here, shown, _ = map(str.strip, COLUMNS.split(line))
            found.append((original, here, shown))
    return found


def test_every_line_of_the_original_is_on_the_page() -> None:
    page = words(PAGE.read_text(encoding="utf-8"))
    asked = lines_asked_for()
    assert len(asked) > 90
    title = asked.pop(0)
    assert title.startswith("Data Collection Infrastructure")
    assert [line for line in asked if words(line) not in page] == []


def test_every_line_has_a_test_or_says_what_brings_it() -> None:
    found = rows()
    assert len(found) > 60
    for original, here, shown in found:
        if "not yet" not in here:
            assert REFERENCE.search(shown), original
        elif not REFERENCE.search(shown):
            assert shown == "\u2013", original
            assert re.search(r"not yet\* \(\w", here), original


def test_every_test_that_the_page_names_exists() -> None:
    references = REFERENCE.findall(PAGE.read_text(encoding="utf-8"))
    assert len(references) > 60
    for file, name in references:
        assert re.search(rf"def {name}\b", (TESTS / file).read_text(encoding="utf-8")), name
