"""A partner's score as it is read: all of it for the team, and what is released for the partner.

In: the desk and a partner. Out: plain objects for JSON. Fails as the stores do. Nothing here is
computed that is kept: what a partner sees was made beside the whole score, of released answers.

What a partner sees is in whole points and hundredths, without weights, times and counts that would
tell one witness of a group from another: from exact means of three, weighted by when each of them
answered, every single rating can be worked out.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any, Final

from lakeward.confidence.desk import Desk
from lakeward.confidence.released import K, quotes, shown
from lakeward.interaction import iso
from lakeward.store.partners import Partner
from lakeward.store.scores import Scored

FEWEST_PEERS: Final = 3
"""Other partners of a category, with a score, that there must be to compare with."""
NO_SCORE: Final = "Nothing was said of this partner yet."
NO_REPORT: Final = "There is no value proposition to compare with."
NOT_YET: Final = f"Answers are shown in groups of {K} people: there is no group yet."


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
    responses = desk.responses.of(partner_id)
    words = quotes(responses, shown(responses))
    if whole:
        return said | {
            "at": iso(last.at), "why": None, "score": last.score, "waiting": last.waiting,
            "quotes": words, "peers": _peers(desk, partner, last, whole=True),
        }  # fmt: skip
    if last.released is None:
        return said | {"why": NOT_YET}
    return said | {
        "at": iso(last.released["at_ms"])[:10], "why": None, "score": _anonymous(last.released),
        "quotes": words, "peers": _peers(desk, partner, last, whole=False),
    }  # fmt: skip


def standings(desk: Desk, partner_id: str | None) -> list[dict[str, Any]]:
    """Partners and their scores, ranked by the lower bound, provisional ones behind the others;
    of one partner, itself alone and what is released."""
    latest = desk.scores.latest()
    rows: list[tuple[Partner, Scored | None, Mapping[str, Any]]] = []
    for one in desk.partners.all():
        if partner_id not in (None, one.partner_id):
            continue
        last = latest.get(one.partner_id)
        seen = None if last is None else last.score if partner_id is None else last.released
        rows.append((one, last, seen or {}))
    firm = [one for one in rows if one[2] and not one[2]["provisional"]]
    firm.sort(key=lambda one: (-one[2]["low"], -one[2]["value"], one[0].partner_id))
    places = {one[0].partner_id: place for place, one in enumerate(firm, 1)}
    return [
        {
            "partner_id": one.partner_id, "name": one.name, "category": one.category,
            "proposition": one.proposition, "language": one.language, "zone": one.zone,
            "created_at": iso(one.created_at), "updated_at": iso(one.updated_at),
            "score": None if not seen or last is None else _standing(
                seen, places.get(one.partner_id), whole=partner_id is None
            ),
        }
        for one, last, seen in rows
    ]  # fmt: skip


def _standing(made: Mapping[str, Any], place: int | None, *, whole: bool) -> dict[str, Any]:
    at = iso(made["at_ms"])
    ends = {name: made[name] if whole else round(made[name]) for name in ("value", "low", "high")}
    return ends | {
        "provisional": made["provisional"], "at": at if whole else at[:10],
        "place": place if whole else None,
    }  # fmt: skip


def history(desk: Desk, partner_id: str, *, whole: bool) -> dict[str, Any]:
    """The scores that a partner had, the newest first. The partner sees one for each time at which
    something was released, by its day."""
    desk.partners.get(partner_id)
    rows = desk.scores.history(partner_id)
    if whole:
        entries = [
            _standing(one.score, None, whole=True)
            | {
                "seq": one.seq, "trigger": one.trigger, "formula_version": one.formula_version,
                "data_points": one.score["data_points"], "flags": len(one.score["flags"]),
            }
            for one in rows
        ]  # fmt: skip
        return {"partner_id": partner_id, "history": entries}
    seen = {one.released["at_ms"]: one.released for one in rows if one.released is not None}
    entries = [_standing(seen[at], None, whole=False) for at in sorted(seen, reverse=True)]
    return {"partner_id": partner_id, "history": entries}


def consistency(desk: Desk, partner_id: str, *, whole: bool) -> dict[str, Any]:
    """The newest comparison of what is said; of the partner, of what is released."""
    desk.partners.get(partner_id)
    found = desk.analyses.last(partner_id)
    if found is None:
        return {"partner_id": partner_id, "report": None, "why": NO_REPORT}
    if whole:
        return {"partner_id": partner_id, "at": iso(found.at), "model": found.model,
                "report": found.report}  # fmt: skip
    return {"partner_id": partner_id, "model": found.model, "report": found.released["report"]}


def _anonymous(made: Mapping[str, Any]) -> dict[str, Any]:
    """A score without its witnesses one by one, rounded, and without what is suspected of whom."""
    sources = []
    for part in made["sources"]:
        demos = part["source"] == "demos"
        kept: dict[str, Any] = {
            name: round(part[name]) for name in ("low", "high", "points", "prior_points", "pull")
        }
        kept |= {
            "source": part["source"], "weight": part["weight"],
            "respondents_n": part["respondents_n"],
            "mean": None if part["mean"] is None else round(part["mean"], 2),
            "shrunk": round(part["shrunk"], 2),
            "prior": part["prior"] | {"mean": round(part["prior"]["mean"], 2), "spread": None},
            "low": round(part["low"], 2), "high": round(part["high"], 2),
            "categories": [
                one | {"mean": round(one["mean"], 2)}
                for one in part["categories"]
                if demos or one["respondents"] >= K
            ],
        }  # fmt: skip
        sources.append(kept)
    same = (
        "level", "provisional", "why_provisional", "data_points", "formula_version",
    )  # fmt: skip
    return {
        **{name: made[name] for name in same},
        **{name: round(made[name]) for name in ("value", "low", "high", "baseline")},
        "evidence_share": round(made["evidence_share"], 2), "sources": sources,
        "flags": [{"kind": kind} for kind in sorted({one["kind"] for one in made["flags"]})],
    }  # fmt: skip


def _peers(desk: Desk, partner: Partner, own: Scored, *, whole: bool) -> dict[str, Any] | None:
    """Where a partner stands among the others of its category, by the lower bound; nobody is named.
    For the partner, of what is released of all of them."""
    same = {one.partner_id for one in desk.partners.all() if one.category == partner.category}
    others = [
        made
        for which, one in desk.scores.latest().items()
        if which in same - {partner.partner_id} and (made := one.score if whole else one.released)
    ]
    mine = own.score if whole else own.released
    if len(others) < FEWEST_PEERS or mine is None:
        return None
    firm = [one for one in others if not one["provisional"]]
    better = sum((one["low"], one["value"]) > (mine["low"], mine["value"]) for one in firm)
    middle = median(one["value"] for one in others)
    return {
        "category": partner.category, "partners": len(others) + 1,
        "ranked": len(firm) + (not mine["provisional"]),
        "place": None if mine["provisional"] else 1 + better,
        "median": middle if whole else round(middle),
    }  # fmt: skip
