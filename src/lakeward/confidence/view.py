"""A partner's score as it is read: all of it for the team, and what is released for the partner.

In: the desk and a partner. Out: plain objects for JSON. Fails as the stores do. Nothing here makes
a score that is kept: what a partner sees is computed from what is released, as of the last score.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from statistics import median
from typing import Any, Final

from lakeward.confidence.demo_texts import shown as demos_of
from lakeward.confidence.desk import Desk
from lakeward.confidence.evidence import gather
from lakeward.confidence.released import K, names_of, quotes, released, without
from lakeward.interaction import iso
from lakeward.store.partners import Partner
from lakeward.store.scores import Scored

FEWEST_PEERS: Final = 3
"""Other partners of a category, with a score, that there must be to compare with."""
NO_SCORE: Final = "Nothing was said of this partner yet."
NO_REPORT: Final = "There is no value proposition to compare with."


def confidence(desk: Desk, partner_id: str, *, whole: bool) -> dict[str, Any]:
    """The score; `whole` for the team, else what the partner may see."""
    partner = desk.partners.get(partner_id)
    last = desk.scores.last(partner_id)
    said: dict[str, Any] = {
        "partner_id": partner_id, "name": partner.name, "category": partner.category, "k": K,
        "score": None, "waiting": {}, "why": NO_SCORE, "quotes": [], "peers": None,
    }  # fmt: skip
    if last is None:
        return said
    people, responses = desk.witnesses.of(partner_id), desk.responses.of(partner_id)
    shown = last.score if whole else last.released
    answers = gather(desk, partner_id, partner.proposition, demos_of(desk, partner_id)).answers
    open_ = {one.response_id for one in responses} if whole else released(answers).responses
    said |= {"at": iso(last.at), "waiting": last.waiting,
             "quotes": quotes(responses, open_, people)}  # fmt: skip
    if shown is None:
        return said | {"why": f"Answers are shown as soon as there are {K} of one kind."}
    said |= {"why": None, "peers": _peers(desk, partner, last)}
    return said | {"score": shown if whole else _anonymous(shown)}


def standings(desk: Desk, partner_id: str | None) -> list[dict[str, Any]]:
    """Partners and their scores, ranked by the lower bound, provisional ones behind the others;
    of one partner, itself alone and what is released."""
    latest = desk.scores.latest()
    rows: list[tuple[Partner, Scored | None, dict[str, Any]]] = []
    for one in desk.partners.all():
        if partner_id not in (None, one.partner_id):
            continue
        last = latest.get(one.partner_id)
        shown = None if last is None else last.score if partner_id is None else last.released
        rows.append((one, last, shown or {}))
    firm = [one for one in rows if one[2] and not one[2]["provisional"]]
    firm.sort(key=lambda one: (-one[2]["low"], -one[2]["value"], one[0].partner_id))
    places = {one[0].partner_id: place for place, one in enumerate(firm, 1)}
    return [
        {
            "partner_id": one.partner_id, "name": one.name, "category": one.category,
            "proposition": one.proposition, "language": one.language, "zone": one.zone,
            "created_at": iso(one.created_at), "updated_at": iso(one.updated_at),
            "score": None if not shown or last is None else {
                "value": shown["value"], "low": shown["low"], "high": shown["high"],
                "provisional": shown["provisional"], "at": iso(last.at),
                "place": places.get(one.partner_id) if partner_id is None else None,
            },
        }
        for one, last, shown in rows
    ]  # fmt: skip


def history(desk: Desk, partner_id: str, *, whole: bool) -> dict[str, Any]:
    """The scores that a partner had, the newest first. The partner sees those of what was released
    then, and of several in a row with the same evidence the first."""
    desk.partners.get(partner_id)
    rows = desk.scores.history(partner_id)
    if whole:
        return {"partner_id": partner_id, "history": [_entry(one, one.score, True) for one in rows]}
    shown: list[dict[str, Any]] = []
    before = None
    for one in reversed(rows):
        if one.released is not None and one.released["data_points"] != before:
            before = one.released["data_points"]
            shown.append(_entry(one, one.released, False))
    return {"partner_id": partner_id, "history": shown[::-1]}


def consistency(desk: Desk, partner_id: str, *, whole: bool) -> dict[str, Any]:
    """The newest comparison of what is said; of the partner, of what is released."""
    desk.partners.get(partner_id)
    found = desk.analyses.last(partner_id)
    if found is None:
        return {"partner_id": partner_id, "report": None, "why": NO_REPORT}
    report = found.report
    if not whole:
        report = _nameless(found.released, names_of(desk.witnesses.of(partner_id)))
    return {"partner_id": partner_id, "at": iso(found.at), "model": found.model, "report": report}


def _anonymous(shown: Mapping[str, Any]) -> dict[str, Any]:
    """A score without its witnesses one by one, and without what is suspected of whom."""
    sources = []
    for part in shown["sources"]:
        kept = {name: value for name, value in part.items() if name != "respondents"}
        kept["categories"] = [
            one
            for one in part["categories"]
            if part["source"] == "demos" or one["respondents"] >= K
        ]
        sources.append(kept)
    flags = sorted({one["kind"] for one in shown["flags"]})
    return {**shown, "sources": sources, "flags": [{"kind": kind} for kind in flags]}


def _entry(one: Scored, score: Mapping[str, Any], whole: bool) -> dict[str, Any]:
    said = {
        "at": iso(one.at), "value": score["value"], "low": score["low"], "high": score["high"],
        "provisional": score["provisional"], "formula_version": one.formula_version,
    }  # fmt: skip
    if whole:
        said |= {
            "seq": one.seq, "trigger": one.trigger, "data_points": score["data_points"],
            "flags": len(score["flags"]),
        }  # fmt: skip
    return said


def _peers(desk: Desk, partner: Partner, own: Scored) -> dict[str, Any] | None:
    """Where a partner stands among those of its category, by the lower bound; nobody is named."""
    same = {one.partner_id for one in desk.partners.all() if one.category == partner.category}
    others = [one for which, one in desk.scores.latest().items() if which in same]
    firm = [one for one in others if not one.provisional]
    if len(others) - 1 < FEWEST_PEERS:
        return None
    place = None
    if not own.provisional:
        place = 1 + sum(1 for one in firm if (one.low, one.value) > (own.low, own.value))
    return {
        "category": partner.category, "partners": len(others), "ranked": len(firm), "place": place,
        "median": median(one.value for one in others),
    }  # fmt: skip


def _nameless(report: Mapping[str, Any], names: re.Pattern[str] | None) -> dict[str, Any]:
    """A comparison without who said what; quotes are there only beside those of enough others."""
    kept = {name: value for name, value in report.items() if name != "witness_alignment"}
    kept["discrepancies"] = [
        {
            name: without(value, names) if name == "quote" and isinstance(value, str) else value
            for name, value in one.items()
            if name != "witness_id"
        }
        for one in report.get("discrepancies", ())
    ]
    kept["recommendations"] = [without(one, names) for one in report.get("recommendations", ())]
    return kept
