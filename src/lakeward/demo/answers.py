"""What the coach is asked, and what the bundled assistant answers and counts. Pure.

In: a contractor's focus areas and question. Out: messages for a service, and the assistant's text,
which is put together from the demo's partners, the same for the same question.
"""

from __future__ import annotations

import re
from typing import Final

from lakeward.demo.partners import FOCUS_AREAS, PARTNERS, content_for

SYSTEM: Final = (
    "You coach contractors on this platform. Answer in a few sentences, from its partners only."
)
NOTE: Final = "(This is the demo's own assistant: it knows the bundled partners and nothing else.)"
WORDS: Final = re.compile(r"[a-z0-9]+")
HINTS: Final = {
    "customer": "crm", "lead": "crm", "leads": "crm", "calendar": "scheduling",
    "crew": "scheduling", "hire": "hiring", "recruit": "hiring", "books": "accounting",
    "tax": "accounting", "ads": "marketing", "accident": "safety", "wage": "payroll",
    "wages": "payroll", "quote": "estimating", "estimate": "estimating", "bid": "estimating",
    "cover": "insurance", "lead a team": "leadership", "owner": "leadership",
}  # fmt: skip


def asked(focus: list[str], text: str) -> list[dict[str, str]]:
    """What the service is asked: who the contractor is, and the question."""
    cares = ", ".join(FOCUS_AREAS[area] for area in focus)
    system = f"{SYSTEM} The contractor cares for: {cares}." if cares else SYSTEM
    return [{"role": "system", "content": system}, {"role": "user", "content": text}]


def answer(question: str) -> str:
    """What the assistant says to a question."""
    areas = topics(question)
    if not areas:
        known = ", ".join(name.lower() for name in FOCUS_AREAS.values())
        return f"Ask me about one of these: {known}. {NOTE}"
    area = areas[0]
    firms = [p for p in PARTNERS.values() if area in p.focus]
    firms.sort(key=lambda firm: (firm.focus[0] != area, int(firm.partner_id[1:])))
    named = " ".join(f"{firm.name}: {firm.offer}" for firm in firms[:2])
    content = next(
        (c for k in ("podcast", "event", "book") if (c := content_for(k, (area,)))), None
    )
    more = f" In the library, “{content.title}” goes further." if content else ""
    return f"For {FOCUS_AREAS[area].lower()} look at these. {named}{more} {NOTE}"


def topics(question: str) -> list[str]:
    """Focus areas that a question names, in the order of its words."""
    names = {name.split()[0].lower(): area for area, name in FOCUS_AREAS.items()}
    words = WORDS.findall(question.lower())
    found = [names.get(w) or HINTS.get(w) or (w if w in FOCUS_AREAS else None) for w in words]
    return list(dict.fromkeys(area for area in found if area))


def tokens(text: str) -> int:
    """The assistant's own way to count: its words and marks."""
    return len(re.findall(r"\w+|[^\w\s]", text))
