"""A report as the fields of the catalog's `message_consistency_analysis`.

In: a `Report`. Out: fields that the catalog takes, or None for a report in which nothing was
compared: an analysis without a result is no event. Pure. Who said what is left out: a partner
reads these fields, and never learns whose words a quote is.
"""

from __future__ import annotations

from typing import Any, Final

from lakeward.confidence.consistency.findings import Checked, Report

LONGEST_TEXT: Final = 2_000
"""Characters of one quote."""
MOST_DISCREPANCIES: Final = 100


def fields_of(report: Report) -> dict[str, Any] | None:
    """The fields; the partner's id is for the caller to add."""
    overall = report.overall
    if overall.score is None:
        return None
    verdicts = [_verdict(claim) for claim in report.claims]
    fields: dict[str, Any] = {
        "overall": overall.score,
        "interval_low": overall.low,
        "interval_high": overall.high,
        "coverage": overall.coverage,
        "witnesses": overall.witnesses,
        "claims": len(verdicts),
        "supported": verdicts.count("supported"),
        "contradicted": verdicts.count("contradicted"),
        "not_addressed": verdicts.count("not_addressed"),
        "discrepancies": [
            {
                "claim": entry.claim[:LONGEST_TEXT],
                "quote": entry.quote[:LONGEST_TEXT],
                "source": entry.source,
                "similarity": entry.similarity,
                "reason": entry.reason[:LONGEST_TEXT],
            }
            for entry in report.discrepancies[:MOST_DISCREPANCIES]
        ],
        "recommendations": [sentence[:LONGEST_TEXT] for sentence in report.recommendations],
        "model": report.model,
    }
    for name in ("ceo_employee", "ceo_customer", "ceo_demo", "employee_customer"):
        score = getattr(report, name).score
        if score is not None:
            fields[name] = score
    return fields


def _verdict(claim: Checked) -> str:
    """A claim counts as contradicted where at least as many contradict it as support it."""
    yes = sum(votes.supports for votes in claim.votes.values())
    no = sum(votes.contradicts for votes in claim.votes.values())
    if not yes and not no:
        return "not_addressed"
    return "contradicted" if no >= yes else "supported"
