"""The demo's partners and its library: fictional companies, and what they publish.

Nothing here is measured or real; the matching and the coach draw on it, so that the same contractor
gets the same answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

FOCUS_AREAS: Final = {
    "crm": "Customer relations",
    "scheduling": "Scheduling",
    "hiring": "Hiring",
    "accounting": "Accounting",
    "marketing": "Marketing",
    "safety": "Safety",
    "payroll": "Payroll",
    "estimating": "Estimating",
    "insurance": "Insurance",
    "leadership": "Leadership",
}
REVENUE_TIERS: Final = {
    "under_500k": "under $500,000",
    "500k_1m": "$500,000 to $1 million",
    "1m_5m": "$1 to $5 million",
    "5m_10m": "$5 to $10 million",
    "over_10m": "over $10 million",
}
"""From the smallest on; neighbours stand side by side."""
TEAMS: Final = {"solo": "just me", "2_10": "2 to 10", "11_50": "11 to 50", "over_50": "over 50"}
READINESS: Final = {
    "now": "this month",
    "quarter": "this quarter",
    "year": "this year",
    "exploring": "just looking",
}


class Partner(msgspec.Struct, frozen=True):
    """One company that offers something to contractors."""

    partner_id: str
    name: str
    email: str
    offer: str
    """What it does, in one sentence."""
    focus: tuple[str, ...]
    """Focus areas that it serves; the first is its primary one."""
    revenue: tuple[str, ...]
    """Revenue tiers of the contractors that it serves."""
    confidence: float | None = None
    """PowerConfidence, points of 100; None until there is a score."""


class Content(msgspec.Struct, frozen=True):
    """A podcast, event or book."""

    content_id: str
    kind: Literal["podcast", "event", "book"]
    title: str
    focus: str
    about: str


PARTNERS: Final[dict[str, Partner]] = {
    partner.partner_id: partner
    for partner in (
        Partner("p1", "Northbuild Systems", "demo@northbuild.example",
                "Keeps crews, jobs and trucks on one calendar.",
                ("scheduling", "crm", "estimating"), ("1m_5m", "5m_10m")),
        Partner("p2", "Ledgerline", "demo@ledgerline.example",
                "Job costing and books that close by the fifth of the month.",
                ("accounting", "payroll"), ("500k_1m", "1m_5m", "5m_10m")),
        Partner("p3", "Crewboard", "demo@crewboard.example",
                "Finds, checks and schedules skilled trades.",
                ("hiring", "scheduling", "safety"), ("1m_5m", "5m_10m", "over_10m")),
        Partner("p4", "Hammer & Line Marketing", "demo@hammerline.example",
                "Local advertising that is paid by the booked estimate.",
                ("marketing", "crm"), ("under_500k", "500k_1m", "1m_5m")),
        Partner("p5", "Safestep", "demo@safestep.example",
                "Safety programmes, toolbox talks and the paperwork behind them.",
                ("safety", "insurance", "hiring"), ("1m_5m", "5m_10m", "over_10m")),
        Partner("p6", "Paydirt Payroll", "demo@paydirt.example",
                "Payroll for crews that work in three counties a week.",
                ("payroll", "accounting", "insurance"), ("under_500k", "500k_1m", "1m_5m")),
        Partner("p7", "Takeoff Studio", "demo@takeoffstudio.example",
                "Estimates from drawings in an afternoon.",
                ("estimating", "scheduling"), ("500k_1m", "1m_5m", "5m_10m", "over_10m")),
        Partner("p8", "Coverwell", "demo@coverwell.example",
                "Insurance that understands subcontractors.",
                ("insurance", "safety"), ("under_500k", "500k_1m", "1m_5m", "5m_10m")),
        Partner("p9", "Foreman to Founder", "demo@foremantofounder.example",
                "Coaching for owners who still run every job themselves.",
                ("leadership", "hiring", "marketing"), ("500k_1m", "1m_5m")),
        Partner("p10", "Callback CRM", "demo@callback.example",
                "No lead is left without an answer overnight.",
                ("crm", "marketing", "scheduling"), ("under_500k", "500k_1m")),
        Partner("p11", "Ridgeline Advisors", "demo@ridgeline.example",
                "Finance and leadership for companies that want to be sold one day.",
                ("leadership", "accounting"), ("5m_10m", "over_10m")),
        Partner("p12", "Quotewright", "demo@quotewright.example",
                "Estimates, follow-up and signatures on one page.",
                ("estimating", "crm", "marketing"), ("under_500k", "500k_1m", "1m_5m")),
    )
}  # fmt: skip

LIBRARY: Final[dict[str, Content]] = {
    content.content_id: content
    for content in (
        Content("ep-1", "podcast", "The schedule is the business", "scheduling",
                "A framing company on why it stopped texting its crews at six in the morning."),
        Content("ep-2", "podcast", "Hiring in a valley of two thousand people", "hiring",
                "What worked, what it cost, and who stayed."),
        Content("ep-3", "podcast", "Nobody reads your estimate", "estimating",
                "Three pages shorter, a third more signatures."),
        Content("ev-1", "event", "Spring workshop: books for builders", "accounting",
                "A day with a bookkeeper, with your own figures."),
        Content("ev-2", "event", "Safety day", "safety",
                "Ladders, trenches, and the insurance adviser who pays for lunch."),
        Content("ev-3", "event", "Owners' round table", "leadership",
                "Eight owners, one problem each, two hours."),
        Content("bk-1", "book", "The second crew", "leadership",
                "On the year in which a company of one becomes two."),
        Content("bk-2", "book", "Paid by Friday", "payroll",
                "Payroll across county lines, in plain words."),
        Content("bk-3", "book", "Leads that call back", "crm",
                "Answering within five minutes, and what follows from it."),
    )
}  # fmt: skip


def scored(scores: Mapping[str, float]) -> tuple[Partner, ...]:
    """The partners in the order of their numbers, with what PowerConfidence says of some."""
    return tuple(
        msgspec.structs.replace(one, confidence=scores.get(one.partner_id))
        for one in PARTNERS.values()
    )


def content_for(kind: str, focus: tuple[str, ...]) -> Content | None:
    """The first of a kind about the first of the focus areas that there is one for."""
    for area in focus:
        for content in LIBRARY.values():
            if content.kind == kind and content.focus == area:
                return content
    return None
