"""Scoring: what is said of a partner is compared, and the score made anew where something changed.

In: the desk, the moment. Out: analyses and scores in the app database, each with the interaction
that tells of it. Fails as the database does. A partner whose evidence is as it was is left alone
until its score is a week old: evidence ages.

    trigger      erasure     somebody whom the last score names was forgotten
                 correction  the formula is another one
                 evidence    something was said, or taken back
                 schedule    a week has passed
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Literal

import msgspec

from lakeward.confidence import consistency
from lakeward.confidence.consistency import Report, Statement
from lakeward.confidence.demo_texts import shown as shown_demos
from lakeward.confidence.desk import Desk
from lakeward.confidence.evidence import Evidence, Speech, agreeing, digest, gather
from lakeward.confidence.released import (
    K,
    groups,
    nameless,
    names_of,
    quotable,
    shown,
    waiting,
)
from lakeward.confidence.score import (
    Answer,
    Prior,
    Score,
    Source,
    fields_of,
    formula_version,
    score,
)
from lakeward.confidence.score.prior import priors_of_each
from lakeward.errors import Rejected, Terminal
from lakeward.store.analyses import Analysis, Said
from lakeward.store.partners import Partner
from lakeward.store.scores import Scored, Trigger
from lakeward.store.stamps import stamps
from lakeward.store.withdrawal import ERASED

logger = logging.getLogger("lakeward.confidence")

WEEK_MS: Final = 7 * 86_400_000
SPEAKER_LENGTH: Final = 36


class Scoring:
    """One look at every partner."""

    def __init__(self, desk: Desk, model: consistency.Model | None = None) -> None:
        self._desk = desk
        self._model = model
        self._heard: dict[str, Heard] = {}
        self._learnt: dict[tuple[str, str], Mapping[str, Mapping[Source, Prior]]] = {}
        self._stamps: dict[str, str] = {}

    def look(self) -> list[Scored]:
        """Compare and score where something changed; the scores that are new."""
        partners = self._desk.partners.all()
        last = self._desk.scores.latest()
        self._heard, self._learnt = {}, {}
        with self._desk.database.read() as connection:
            self._stamps = stamps(connection)
        found = []
        for one in partners:
            before = last.get(one.partner_id)
            if not self._may_differ(one, before):
                continue
            try:
                found.append(self._scored(one, partners, before))
            except (Terminal, Rejected) as error:  # of this one partner: the others go on
                logger.error("a partner cannot be scored: %s", error)
        return [one for one in found if one is not None]

    def _may_differ(self, partner: Partner, last: Scored | None) -> bool:
        """Whether its evidence has to be read. A category's other partners change its priors, which
        are heeded when it is scored the next time."""
        return (
            last is None
            or last.stamp != self._stamp(partner)
            or last.formula_version != formula_version()
            or self._desk.now_ms() - last.at >= WEEK_MS
        )

    def _stamp(self, partner: Partner) -> str:
        return digest([self._stamps[partner.partner_id], self._chosen.name])

    @cached_property
    def _chosen(self) -> consistency.Model:
        return self._model or consistency.default(self._desk.settings.embedding_model)

    def _said(self, partner: Partner) -> Heard:
        """What is said of a partner, gathered once in a look."""
        if partner.partner_id not in self._heard:
            self._heard[partner.partner_id] = self._gathered(partner)
        return self._heard[partner.partner_id]

    def _gathered(self, partner: Partner) -> Heard:
        demos = shown_demos(self._desk, partner.partner_id)
        evidence = self._grouped(gather(self._desk, partner.partner_id, partner.proposition, demos))
        open_ = shown(evidence.responses)
        analysis = self._compared(partner, evidence, open_)
        seen = [
            one for one in evidence.answers if one.source == "demos" or one.evidence_id in open_
        ]
        agreed = agreeing(seen, _agreement(analysis.released if analysis else None))
        return Heard(
            evidence=evidence, open_=open_,
            answers=(
                *evidence.answers,
                *agreeing(evidence.answers, _agreement(analysis.report if analysis else None)),
            ),
            seen=(*seen, *(agreed if len(agreed) >= K else ())),
        )  # fmt: skip

    def _grouped(self, evidence: Evidence) -> Evidence:
        """The evidence, its responses in groups; those that are whole now get a number for good."""
        contacts = {one.witness_id: one.contact for one in evidence.people}
        given = groups(evidence.responses, contacts)
        if not given:
            return evidence
        names = names_of(evidence.people)
        rows = tuple(
            one
            if one.response_id not in given
            else msgspec.structs.replace(
                one, released=given[one.response_id], quotable=quotable(one, names)
            )
            for one in evidence.responses
        )
        self._desk.responses.release([one for one in rows if one.response_id in given])
        return msgspec.structs.replace(evidence, responses=rows)

    def _compared(
        self, partner: Partner, evidence: Evidence, open_: frozenset[str]
    ) -> Analysis | None:
        """The newest comparison; a new one where something else is said or released now."""
        known = self._desk.analyses.last(partner.partner_id)
        speeches = evidence.speeches()
        model = self._chosen
        said = digest([speeches, model.name, sorted(open_)])
        if known is not None and known.statements == said:
            return known
        if known is None and not any(one.source == "ceo" for one in speeches):
            return None  # nothing to compare with
        report = self._reported(speeches, model)
        part = evidence.speeches(open_)
        released = report if part == speeches else self._reported(part, model)
        fields = consistency.fields_of(report)
        return self._desk.analyses.add(
            partner.partner_id, msgspec.to_builtins(report),
            {
                "report": nameless(msgspec.to_builtins(released), names_of(evidence.people)),
                "witness_alignment": released.witness_alignment,
            },
            _claims(speeches), statements=said, model=report.model, overall=report.overall.score,
            told=fields and {"partner_id": partner.partner_id, **_unquoted(fields)},
            of=[one.speaker for one in speeches if one.source in ("employee", "customer")],
        )  # fmt: skip

    def _reported(self, speeches: Sequence[Speech], model: consistency.Model) -> Report:
        return consistency.report([_statement(one) for one in speeches], model=model)

    def _scored(
        self, partner: Partner, partners: list[Partner], last: Scored | None
    ) -> Scored | None:
        heard = self._said(partner)
        answers = heard.answers
        now = self._desk.now_ms()
        evidence = digest(sorted(answers, key=lambda one: (one.source, one.evidence_id)))
        trigger = _trigger(last, evidence, now)
        if trigger is None or (last is None and not answers):
            return None
        made = score(answers, now_ms=now, priors=self._priors(partner, partners, now, "answers"))
        before = None if last is None else msgspec.convert(last.score, Score)
        return self._desk.scores.add(
            partner.partner_id, msgspec.to_builtins(made), trigger=trigger, evidence=evidence,
            stamp=self._stamp(partner),
            told={"partner_id": partner.partner_id, **fields_of(made, before, trigger)},
            released=self._released(partner, partners, last, trigger, now),
            waiting=waiting(heard.evidence.responses), after=last.seq if last else 0,
            of=[one.respondent_id for one in answers if one.source != "demos"],
        )  # fmt: skip

    def _released(
        self, partner: Partner, partners: list[Partner], last: Scored | None, trigger: Trigger,
        now: int,
    ) -> dict[str, Any] | None:  # fmt: skip
        """What the partner may see: as it was until another group is whole, or a week is over, so
        that nothing of it tells when somebody answered."""
        heard = self._said(partner)
        if not heard.seen:
            return None
        of = digest(sorted(one.evidence_id for one in heard.seen))
        if last and last.released and last.released["of"] == of and trigger != "schedule":
            return last.released
        made = score(heard.seen, now_ms=now, priors=self._priors(partner, partners, now, "seen"))
        built: dict[str, Any] = msgspec.to_builtins(made)
        return built | {"of": of}

    def _priors(
        self, partner: Partner, partners: list[Partner], now: int,
        which: Literal["answers", "seen"],
    ) -> Mapping[Source, Prior]:  # fmt: skip
        """What the others of the category make, learnt once in a look; for what a partner may see,
        of what those may see."""
        key = (partner.category, which)
        if key not in self._learnt:
            same = [one for one in partners if one.category == partner.category]
            heard = {one.partner_id: getattr(self._said(one), which) for one in same}
            self._learnt[key] = priors_of_each(heard, now_ms=now)
        return self._learnt[key][partner.partner_id]


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of one partner, and what of it the partner may see."""

    evidence: Evidence
    open_: frozenset[str]
    """Ids of the responses that are released."""
    answers: tuple[Answer, ...]
    seen: tuple[Answer, ...]


def _agreement(report: Mapping[str, Any] | None) -> Mapping[str, float | None]:
    """How far each witness agrees with the CEO."""
    return {} if report is None else report["witness_alignment"]


def _trigger(last: Scored | None, evidence: str, now: int) -> Trigger | None:
    if last is None:
        return "evidence"
    if last.evidence != evidence:
        return "erasure" if _names_erased(last.score) else "evidence"
    if last.formula_version != formula_version():
        return "correction"
    return "schedule" if now - last.at >= WEEK_MS else None


def _names_erased(score: Mapping[str, Any]) -> bool:
    return any(
        part["respondent_id"] == ERASED
        for source in score["sources"]
        for part in source["respondents"]
    )


def _statement(one: Speech) -> Statement:
    return Statement(source=one.source, witness_id=one.speaker, text=one.text)


def _unquoted(fields: Mapping[str, Any]) -> dict[str, Any]:
    """An analysis as the lake has it: words of a witness stand there in what that witness said
    alone, and go when the person is erased. Quotes are kept in the app database."""
    told = {name: value for name, value in fields.items() if name != "recommendations"}
    kept = ("claim", "source", "similarity")
    told["discrepancies"] = [
        {name: one[name] for name in kept if name in one} for one in fields["discrepancies"]
    ]
    return told


def _claims(speeches: Sequence[Speech]) -> list[Said]:
    return [
        Said(
            source=one.source, speaker=one.speaker[:SPEAKER_LENGTH], place=place,
            kind=claim.kind, text=claim.quote,
        )
        for one in speeches
        for place, claim in enumerate(consistency.claims(one.text))
    ]  # fmt: skip
