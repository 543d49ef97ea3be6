"""What the browser SDK would have told of a visitor's way through the pages.

In: that a page was opened, used and left, each with its moment. Out: the records that the SDK
sends: two `page_view` a page, its `web_vital`, and for a form `form_interaction` and `click`. A
form that is left tells how far somebody came.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

from lakeward.demo.partners import LIBRARY, PARTNERS
from lakeward.interaction import foreign_id, iso

Told = tuple[str, dict[str, Any]]

TITLES: Final = {
    "/": "Find the partner that your company needs next", "/start": "Who are you?",
    "/verify": "Your code", "/inbox": "Your inbox", "/focus": "What do you want to work on?",
    "/profile": "Your business", "/matches": "Your matches", "/feedback": "How did we do?",
    "/coach": "Your coach", "/library": "Library", "/join": "Become a partner",
    "/join/focus": "What do you help with?", "/join/proposition": "Why you?",
    "/join/review": "Is all of it right?",
}  # fmt: skip
FORMS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "/start": (("name", "text"), ("email", "email"), ("phone", "tel")),
    "/verify": (("code", "text"),),
    "/focus": (("first", "select-one"), ("second", "select-one"), ("third", "select-one")),
    "/profile": (("revenue", "select-one"), ("team", "select-one"), ("readiness", "select-one")),
    "/feedback": (("communication", "number"), ("expertise", "number"), ("value", "number"),
                  ("overall", "number"), ("nps", "number")),
    "/coach": (("text", "textarea"),),
    "/join": (("company", "text"), ("name", "text"), ("email", "email")),
    "/join/focus": (("focus", "checkbox"),),
    "/join/proposition": (("proposition", "textarea"),),
    "/join/review": (("agree", "checkbox"),),
}  # fmt: skip
"""Fields of the pages' forms, in their order; the other forms have a choice at most."""
BUTTONS: Final = {
    "/start": "Send me a code", "/profile": "Show my matches", "/feedback": "Send",
    "/coach": "Ask", "/join/review": "Send",
}  # fmt: skip
VITALS: Final = {"TTFB": (800, 1800), "FCP": (1800, 3000), "LCP": (2500, 4000),
                 "CLS": (0.1, 0.25), "INP": (200, 500)}  # fmt: skip
"""Up to where a value is good, and up to where it needs improvement."""
LANGUAGES: Final = {"en-US": 80, "es-US": 12, "fr-CA": 8}
SENDS_MS: Final = 400


def fields_of(path: str) -> tuple[tuple[str, str], ...]:
    """The form's fields of a page; none where it has no form, or one of buttons only."""
    return FORMS.get(path, (("slot", "select-one"),) if path.endswith("/book") else ())


def filled(number: int, path: str) -> int:
    """How many fields a visitor fills in who leaves the form of a page."""
    return number % (len(fields_of(path)) + 1)


class Sight:
    """One visitor's browser; a page at a time."""

    def __init__(self, origin: str, seed: str, agent: str, address: str, came: int) -> None:
        self._origin, self._seed = origin, seed
        self._dice = random.Random(f"{seed}/sight")  # noqa: S311 - sizes and times
        self._same = {"ip_address": address, "user_agent": agent}
        self._mobile = "Mobile" in agent
        self._language = self._dice.choices(list(LANGUAGES), list(LANGUAGES.values()))[0]
        self._n = 0
        self._anonymous = self._id(came)
        self.session = ""
        self._view = self._referrer = ""
        self._path = ""
        self._opened_at = 0
        self._used = False
        self.user: dict[str, str] = {"user_id": "anonymous", "user_type": "unknown"}

    def begins(self, at: int) -> None:
        """Another visit, with a session of its own."""
        self.session = self._id(at)

    def opened(self, path: str, at: int, referrer: str) -> Iterator[Told]:
        """A page is there; the one before is left."""
        yield from self.left(at - 40)
        self._path, self._opened_at, self._used = path, at, False
        self._referrer, self._view = referrer, self._id(at)
        width, height = (390, 844) if self._mobile else (1280, 720)
        yield self._told("page_view", at, {
            "view_id": self._view, "navigation": "load", "title": self._title(),
            "language": self._language, "viewport_width": width, "viewport_height": height,
        }, interaction_id=self._view)  # fmt: skip
        slow = 2.2 if self._mobile else 1.0
        ttfb = self._dice.lognormvariate(4.2, 0.6) * slow
        fcp = ttfb + self._dice.lognormvariate(5.6, 0.5) * slow
        yield self._vital("TTFB", at + 20, round(ttfb))
        yield self._vital("FCP", at + round(fcp) + 1, round(fcp))

    def left(self, at: int) -> Iterator[Told]:
        """The page is left."""
        if not self._path:
            return
        stayed = max(at - self._opened_at, 1)
        lcp = round(self._dice.lognormvariate(6.3 if self._mobile else 5.9, 0.55))
        yield self._told("page_view", at, {
            "view_id": self._view, "title": self._title(),
            "scroll_depth": self._dice.randint(40, 100), "engagement_ms": min(stayed, 90_000),
        }, parent=True)  # fmt: skip
        yield self._vital("LCP", at, lcp, target="html>body>main>h1")
        yield self._vital("CLS", at, round(max(0.0, self._dice.gauss(0.03, 0.05)), 4))
        if self._used:
            inp = round(self._dice.lognormvariate(4.6, 0.6))
            yield self._vital("INP", at, inp, target="html>body>main>form>button")
        self._path = ""

    def identified(self, at: int) -> Told:
        """The page says who it is."""
        return self._told("identify", at, {"traits": {}}, parent=True)

    def followed(self, cta: str, text: str, to: str, at: int) -> Told:
        """A link that calls to action is clicked."""
        self._used = True
        return self._click(at, "a", text, "html>body>main>p>a.button", {
            "href": f"{self._origin}{to}", "outbound": False, "data": {"cta": cta},
        })  # fmt: skip

    def sent(self, at: int) -> Iterator[Told]:
        """The page's form is filled in and sent; the last record is the click that sent it."""
        fields = fields_of(self._path)
        begun = at - 300 - 700 * len(fields)
        yield from self.begun(begun, len(fields))
        yield self._told("form_interaction", at - 1, {
            "form": "form", "action": "submit", "field_order": [name for name, _ in fields],
            "fields_completed": len(fields), "fields_total": len(fields),
            "duration_ms": at - 1 - begun,
        }, parent=True)  # fmt: skip
        text = BUTTONS.get(self._path, "Book it" if fields and fields[0][0] == "slot" else "Go on")
        yield self._click(at - 4, "button", text, "html>body>main>form>button", {})

    def begun(self, at: int, fields: int) -> Iterator[Told]:
        """The first fields of the page's form are filled in."""
        self._used = True
        yield self._told("form_interaction", at, {"form": "form", "action": "start"}, parent=True)
        for n, (name, kind) in enumerate(fields_of(self._path)[:fields]):
            took = self._dice.randint(200, 600)
            yield self._told("form_interaction", at + 700 * n + took, {
                "form": "form", "action": "field", "field": name, "field_type": kind,
                "field_index": n, "field_ms": took, "changes": 0,
            }, parent=True)  # fmt: skip

    def _click(self, at: int, element: str, text: str, selector: str, more: dict[str, Any]) -> Told:
        x, y = self._dice.randint(20, 380), self._dice.randint(100, 640)
        told = {"element": element, "element_text": text, "selector": selector} | more
        clicked = self._id(at)
        kind, fields = self._told("click", at, told | {"x": x, "y": y}, interaction_id=clicked)
        return kind, fields | {"trace_id": clicked.replace("-", "")}

    def _vital(self, name: str, at: int, value: float, target: str = "") -> Told:
        good, fair = VITALS[name]
        rating = "good" if value <= good else "needs-improvement" if value <= fair else "poor"
        told: dict[str, Any] = {
            "name": name, "value": value, "rating": rating, "metric_id": f"{name}-{self._view}",
            "navigation": "navigate",
        }  # fmt: skip
        return self._told(
            "web_vital", at, told | ({"target": target} if target else {}), parent=True
        )

    def _told(
        self, kind: str, at: int, properties: dict[str, Any], *, parent: bool = False,
        interaction_id: str = "",
    ) -> Told:  # fmt: skip
        fields = {
            "interaction_id": interaction_id or self._id(at), "timestamp": iso(at),
            "path": self._path, "session_id": self.session, "trace_id": self._view.replace("-", ""),
            "properties": properties, "client_timestamp": iso(at - 3),
            "sent_at": iso(at + SENDS_MS), "received_at": iso(at + SENDS_MS + 4),
            "anonymous_id": self._anonymous,
            "url": f"{self._origin}{self._path}", **self._same, **self.user,
        }  # fmt: skip
        if self._referrer:
            fields["referrer"] = self._referrer
        if parent:
            fields["parent_interaction_id"] = self._view
        return kind, fields

    def _id(self, at: int) -> str:
        """An id as the SDK makes it."""
        self._n += 1
        made = foreign_id("lakeward.demo", f"{self._seed}/page/{self._n}", at)
        return f"{made[:14]}8fff{made[18:]}"

    def _title(self) -> str:
        place = self._path.rpartition("/")[2]
        if self._path.startswith("/library/"):
            title = LIBRARY[place].title
        elif self._path.startswith("/partners/"):
            title = f"A demo with {PARTNERS[self._path.split('/')[2]].name}"
        else:
            title = TITLES.get(self._path, "Your demo" if "/bookings/" in self._path else "Welcome")
        return f"{title} · Trade Partners"
