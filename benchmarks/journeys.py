"""What visitors of the made-up app do, and how each step looks as a line of the log.

In: dice. Out: scripts (the steps of a visit) and templates (a line in which only who, when and a
few numbers are left open). A template is made by the catalog itself from a type's own fields, so
every line is one that the collector could have made.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec

from lakeward.catalog import TYPES, arrange
from lakeward.interaction import ApiCall, Interaction, JsonObject

Script: TypeAlias = list[str]
Dice: TypeAlias = random.Random

AGENTS: Final[tuple[tuple[str, int], ...]] = (
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
     "Chrome/126.0.0.0 Safari/537.36", 30),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
     "Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0", 9),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
     "Version/17.4 Safari/605.1.15", 12),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) "
     "Chrome/125.0.0.0 Safari/537.36", 8),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", 4),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
     "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1", 20),
    ("Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
     "Version/16.6 Mobile/15E148 Safari/604.1", 3),
    ("Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) "
     "Chrome/126.0.0.0 Mobile Safari/537.36", 8),
    ("Mozilla/5.0 (Linux; Android 14; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) "
     "SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36", 5),
    ("Mozilla/5.0 (Linux; Android 13; SM-X710) AppleWebKit/537.36 (KHTML, like Gecko) "
     "Chrome/126.0.0.0 Safari/537.36", 1),
)  # fmt: skip
"""User agents with their shares."""
BOTS: Final = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "GPTBot/1.0", "python-requests/2.32.3", "curl/8.8.0",
)  # fmt: skip
SITE: Final = "https://app.example.com"
LANDINGS: Final = (
    ("", "https://www.google.com/"), ("", "https://www.google.com/"), ("", ""), ("", ""),
    ("?utm_source=podcast&utm_medium=audio&utm_campaign=ep-42", ""),
    ("?utm_source=news&utm_medium=e-mail&utm_campaign=mai%20%26%20juni", ""),
    ("?utm_source=linkedin&utm_medium=social", "https://www.linkedin.com/feed/"),
)  # fmt: skip
PAGES: Final = ("/", "/partners", "/match", "/verify", "/pricing", "/podcast", "/profile", "/help")
ROUTES: Final = (
    ("GET", "/api/partners", "/api/partners", 20),
    ("GET", "/api/partners/@n@", "/api/partners/{id}", 30),
    ("GET", "/api/matches", "/api/matches", 14), ("POST", "/api/matches", "/api/matches", 6),
    ("GET", "/api/users/me", "/api/users/me", 12), ("PUT", "/api/profile", "/api/profile", 4),
    ("GET", "/api/search", "/api/search", 10), ("POST", "/api/bookings", "/api/bookings", 4),
)  # fmt: skip
BROWSER: Final = frozenset(
    name for name, spec in TYPES.items() if spec.feature == "browser_events"
) | {"cta_click", "content_interaction", "flow_step", "flow_completion", "experiment_exposure"}
VARIANTS: Final = 24


class Scripts(msgspec.Struct, frozen=True):
    """The ways of visits."""

    usual: list[Script]
    everything: Script
    bot: Script


def scripts(dice: Dice) -> Scripts:
    """Three hundred different ways, and the one on which each type occurs."""
    return Scripts(
        usual=[_way(dice) for _ in range(300)],
        everything=[name for name in TYPES if name != "api_call"],
        bot=["api_call"] * 12,
    )


def _way(dice: Dice) -> Script:
    """Page, call, click; now and then further, up to a deal."""
    way = ["page_view", "web_vital", "api_call"]
    while dice.random() < 0.82:
        way += ["page_view", *["api_call"] * dice.randrange(1, 5)]
        way += ["click", "api_call"] if dice.random() < 0.6 else ["web_vital"]
    if dice.random() < 0.5:
        way += ["form_interaction"] * dice.randrange(2, 6) + ["api_call", "sign in", "api_call"]
        way += ["experiment_exposure", "flow_step", "api_call", "flow_step", "partner_match"]
    if dice.random() < 0.25:
        way += ["flow_completion", "api_call", "cta_click", "demo_booking", "message_sent"]
        way += ["message_event", "feedback_submission"]
    if dice.random() < 0.1:
        way += ["deal_closed", "powerconfidence_update", "partner_validation"]
    if dice.random() < 0.2:
        way += ["ai_conversation", "ai_conversation", "ai_rating", "content_interaction"]
    if dice.random() < 0.1:
        way += [dice.choice(sorted(TYPES)) for _ in range(3)]
    return way


PLACES: Final = ("id", "at", "user", "kind", "ip", "agent", "session", "anonymous", "n", "ms")
"""What a template leaves open; it stands there as `@id@`."""


class Template:
    """A line that waits for who and when, and for two numbers."""

    __slots__ = ("_format",)

    def __init__(self, made: Interaction) -> None:
        text = msgspec.json.encode(made).decode().replace("{", "{{").replace("}", "}}")
        text = text.replace('"@ms@"', "@ms@")  # a number
        for place, name in enumerate(PLACES):
            text = text.replace(f"@{name}@", f"{{{place}}}")
        self._format = text.format

    def line(
        self, interaction_id: str, stamp: str, shown: tuple[str, ...], number: int, ms: float
    ) -> bytes:
        """The finished line."""
        return self._format(interaction_id, stamp, *shown, number, ms).encode()


def templates(dice: Dice) -> dict[str, list[Template]]:
    """Lines of each known type."""
    found = {name: [_event(dice, name) for _ in range(VARIANTS)] for name in TYPES}
    found["api_call"] = [_call(dice) for _ in range(10 * VARIANTS)]
    return found


def _call(dice: Dice) -> Template:
    method, path, route, _ = dice.choices(ROUTES, [share for *_, share in ROUTES])[0]
    status = dice.choices((200, 201, 304, 400, 401, 404, 500), (880, 40, 30, 15, 10, 20, 5))[0]
    more: JsonObject = {"route": route, "response_time_ms": "@ms@"}
    if path == "/api/search":
        words = dice.choice(("roofing", "payroll", "coach", "safety training", "crew & fleet"))
        more["query_params"] = {"q": words, "page": str(dice.randrange(1, 6))}
    if status == 500:
        more["error_type"] = dice.choice(("TimeoutError", "KeyError", "OperationalError"))
    if dice.random() < 0.3:
        more["response_bytes"] = dice.randrange(40, 40_000)
    return Template(
        ApiCall(
            **_open(), method=method, path=path, response_status=status,
            service="api", **more,
        )
    )  # fmt: skip


def _open() -> JsonObject:
    """What every line leaves open, and what all lines share."""
    return {
        "interaction_id": "@id@", "timestamp": "@at@", "environment": "production",
        "app_version": "1.4.2", "interaction_type": "api_call", "user_id": "@user@",
        "user_type": "@kind@", "ip_address": "@ip@", "user_agent": "@agent@",
        "session_id": "@session@",
    }  # fmt: skip


def _event(dice: Dice, name: str) -> Template:
    """One variant of a type: its example with other values, placed as the catalog places them."""
    own = VARY[name](dice) if name in VARY else {}
    example = {} if name == "page_view" else TYPES[name].example
    fields = arrange(name, example | own)
    given = _open() | {"interaction_type": name}
    if name in BROWSER or "anonymous_id" in fields:  # not the example's visitor
        given |= {"anonymous_id": "@anonymous@", "service": "web"}
    else:
        given |= {"service": "jobs" if name in UNSEEN else "api"}
        if name in UNSEEN:
            for field in ("user_id", "user_type", "ip_address", "user_agent", "session_id"):
                del given[field]
    return Template(Interaction(**(fields | given)))


UNSEEN: Final = frozenset({"job_run", "anomaly", "message_event", "powerconfidence_update"})
"""Types that happen without a visitor."""


def _page(dice: Dice) -> JsonObject:
    path, (query, referrer) = dice.choice(PAGES), dice.choice(LANDINGS)
    inner = dice.random() < 0.7
    shown: JsonObject = {
        "path": path,
        "url": f"{SITE}{path}{'' if inner else query}",
        "title": f"Partners {path}",
        "navigation": "spa" if inner else "load",
        "viewport_width": dice.choice((390, 820, 1280, 1920)),
    }
    origin = f"{SITE}{dice.choice(PAGES)}" if inner else referrer
    return shown | ({"referrer": origin} if origin else {})


def _partner(dice: Dice) -> str:
    return f"p{dice.randrange(1, 400)}"


def _ai(dice: Dice) -> JsonObject:
    words = ("price", "retainer", "crew", "hire", "safety", "bid", "margin", "season", "steel")
    question = " ".join(dice.choices(words, k=dice.randrange(5, 30)))
    answer = " ".join(dice.choices(words, k=dice.randrange(20, 120)))
    return {
        "conversation_id": f"c{dice.randrange(10_000)}",
        "messages": [
            {"role": "user", "content": question}, {"role": "assistant", "content": answer},
        ],
    }  # fmt: skip


VARY: Final[dict[str, Callable[[Dice], JsonObject]]] = {
    "page_view": _page,
    "click": lambda dice: {
        "path": dice.choice(PAGES), "element_text": dice.choice(("Book a demo", "Next", "Menu")),
    },
    "web_vital": lambda dice: {
        "path": dice.choice(PAGES), "name": dice.choice(("LCP", "INP", "CLS", "TTFB", "FCP")),
        "value": round(dice.uniform(1, 4000), 1),
    },
    "form_interaction": lambda dice: {
        "action": dice.choice(("start", "field", "submit", "abandon")),
        "field": dice.choice(("name", "email", "phone")),
    },
    "partner_match": lambda dice: {"partner_id": _partner(dice), "score": dice.randrange(40, 100)},
    "demo_booking": lambda dice: {
        "partner_id": _partner(dice), "status": dice.choice(("booked", "cancelled")),
    },
    "deal_closed": lambda dice: {
        "partner_id": _partner(dice), "value": dice.randrange(1, 90) * 1000,
    },
    "flow_step": lambda dice: {"step_index": dice.randrange(5), "seconds": dice.randrange(1, 90)},
    "feedback_submission": lambda dice: {"nps": dice.randrange(11)},
    "ai_conversation": _ai,
    "experiment_exposure": lambda dice: {
        "variant": dice.choice(("control", "reasons-first")), "bucket": round(dice.random(), 4),
    },
}  # fmt: skip
"""How variants of a type differ from its example."""
