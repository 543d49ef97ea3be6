"""Who may ask what: a partner asks about its own records, and never who somebody is.

In: a question and a partner. Out: the question as the partner may ask it, about its own records
alone. Fails with `Rejected` where it may not ask at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from lakeward.analysis.events import CALENDAR, Events
from lakeward.analysis.filters import Filter, both, fields_of
from lakeward.analysis.funnel import Funnel, FunnelTimes
from lakeward.analysis.question import Question
from lakeward.analysis.trend import Trend, named_by
from lakeward.errors import Rejected

SHOWN: Final = frozenset(
    {
        *CALENDAR, "interaction_type", "route", "method", "response_status", "response_time_ms",
        "device", "browser", "os", "bot", "country", "referrer_host", "utm_source", "utm_medium",
        "utm_campaign", "app_version", "environment", "service", "partner_id",
    }
)  # fmt: skip
"""Fields that tell of no single person."""


def narrowed(question: Question, partner: str) -> Question:
    """The question about a partner's own records."""
    if type(question) not in (Trend, Funnel, FunnelTimes) or not isinstance(question, Events):
        raise Rejected(f"The question {question.name!r} is not for partners.")
    for name in _named(question):
        if name not in SHOWN:
            raise Rejected(f"Partners may not name the field {name[:80]!r}.")
    own = Filter(field="partner_id", values=(partner,))
    found: Question = msgspec.structs.replace(question, where=both(question.where, own))
    return found


def _named(question: Events) -> Iterator[str]:
    """The fields that it names, save who is counted."""
    yield from fields_of(question.where)
    if isinstance(question, Trend):
        yield from question.by
        for series in question.series:
            yield from named_by(series)
    if isinstance(question, Funnel):
        yield from (*question.by, *question.hold)
        for step in (*question.steps, *question.exclude):
            yield from fields_of(step.where)
