"""The pages that witnesses see: HTML, made here, without a line of JavaScript.

In: what to show. Out: UTF-8. Everything that a person or partner wrote is escaped by the template
engine. Nothing fails for what it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakeward.confidence.form import LIKELY, RATINGS, SHEETS, TENURE, TEXT_LENGTH, UNKNOWN
from lakeward.errors import MissingExtra
from lakeward.store.invitations import Form, Invitation

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER: Final = Path(__file__).parent / "pages"


@cache
def style_sheet() -> bytes:
    """How every page looks."""
    return (FOLDER / "style.css").read_bytes()


@cache
def _templates() -> Environment:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError:
        raise MissingExtra("the pages of PowerConfidence", "confidence") from None
    return Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def form_page(
    seen: Invitation, partner: str, *, began: str, style: str, filled: Mapping[str, str],
    wrong: Mapping[str, str],
) -> bytes:  # fmt: skip
    """The form of an invitation, with what was filled in and what is wrong with it."""
    return _made(
        "form.html", style, sheet=SHEETS[seen.form], partner=partner, began=began,
        filled=filled, wrong=wrong, labels=_labels(seen.form), ratings=RATINGS, likely=LIKELY,
        unknown=UNKNOWN, tenure=tuple(TENURE), most=TEXT_LENGTH, until=day(seen.expires_at),
    )  # fmt: skip


def _labels(form: Form) -> dict[str, str]:
    """What a field is called where it is named alone."""
    sheet = SHEETS[form]
    return {item.name: item.label.rstrip("?") for item in
            (*sheet.ratings, sheet.likely, *sheet.texts)}  # fmt: skip


def word_page(title: str, text: str, style: str, *, lead: str = "") -> bytes:
    """A page that says one thing."""
    return _made("word.html", style, title=title, text=text, lead=lead)


def stop_page(partner: str, style: str) -> bytes:
    """Asks whether somebody wants to be left alone: a link in a message may be followed by a
    program that only looks."""
    return _made("stop.html", style, partner=partner)


def _made(name: str, style: str, **values: object) -> bytes:
    return _templates().get_template(name).render(style=style, **values).encode()


def day(ms: int) -> str:
    """A moment's day in words (UTC)."""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{moment.day} {moment:%B %Y}"
