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
from typing import Any, Final

import msgspec

from lakeward.confidence import consistency
from lakeward.confidence.consistency import Report, Statement
from lakeward.confidence.demo_texts import shown
from lakeward.confidence.desk import Desk
from lakeward.confidence.evidence import Evidence, Speech, digest, gather
from lakeward.confidence.released import Released, released
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
        self._answers: dict[str, tuple[Answer, ...]] = {}
        self._learnt: dict[str, Mapping[str, Mapping[Source, Prior]]] = {}
        self._stamps: dict[str, str] = {}

    def look(self) -> list[Scored]:
        """Compare and score where something changed; the scores that are new."""
        partners = self._desk.partners.all()
        last = self._desk.scores.latest()
        self._answers, self._learnt = {}, {}
        with self._desk.database.read() as connection:
            self._stamps = stamps(connection)
        found = []
        for one in partners:
            before = last.get(one.partner_id)
            if self._may_differ(one, before):
                found.append(self._scored(one, partners, before))
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

    def _answered(self, partner: Partner) -> tuple[Answer, ...]:
        """All answers of a partner, gathered once in a look."""
        if partner.partner_id not in self._answers:
            self._answers[partner.partner_id] = self._heard(partner)
        return self._answers[partner.partner_id]

    def _heard(self, partner: Partner) -> tuple[Answer, ...]:
        """All answers of a partner, agreement among them."""
        demos = shown(self._desk, partner.partner_id)
        evidence = gather(self._desk, partner.partner_id, partner.proposition, demos)
        analysis = self._compared(partner, evidence)
        return evidence.with_agreement(agreement_of(analysis))

    def _compared(self, partner: Partner, evidence: Evidence) -> Analysis | None:
        """The newest comparison; a new one where something else is said now."""
        known = self._desk.analyses.last(partner.partner_id)
        speeches = evidence.speeches()
        model = self._chosen
        said = digest([speeches, model.name])
        if known is not None and known.statements == said:
            return known
        if known is None and not any(one.source == "ceo" for one in speeches):
            return None  # nothing to compare with
        report = self._reported(speeches, model)
        part = evidence.speeches(released(evidence.answers).responses)
        fields = consistency.fields_of(report)
        return self._desk.analyses.add(
            partner.partner_id, msgspec.to_builtins(report),
            msgspec.to_builtins(report if part == speeches else self._reported(part, model)),
            _claims(speeches), statements=said, model=report.model, overall=report.overall.score,
            told=fields and {"partner_id": partner.partner_id, **_unquoted(fields)},
        )  # fmt: skip

    def _reported(self, speeches: Sequence[Speech], model: consistency.Model) -> Report:
        return consistency.report([_statement(one) for one in speeches], model=model)

    def _scored(
        self, partner: Partner, partners: list[Partner], last: Scored | None
    ) -> Scored | None:
        answers = self._answered(partner)
        now = self._desk.now_ms()
        evidence = digest(sorted(answers, key=lambda one: (one.source, one.evidence_id)))
        trigger = _trigger(last, evidence, now)
        if trigger is None or (last is None and not answers):
            return None
        priors = self._priors(partner, partners, now)
        made = score(answers, now_ms=now, priors=priors)
        before = None if last is None else msgspec.convert(last.score, Score)
        part = released([one for one in answers if one.source != "consistency"])
        seen = [*part.answers, *_agreeing(answers, part)]
        return self._desk.scores.add(
            partner.partner_id, msgspec.to_builtins(made), trigger=trigger, evidence=evidence,
            stamp=self._stamp(partner),
            told={"partner_id": partner.partner_id, **fields_of(made, before, trigger)},
            released=msgspec.to_builtins(score(seen, now_ms=now, priors=priors)) if seen else None,
            waiting={str(name): n for name, n in part.waiting.items()},
            after=last.seq if last else 0,
        )  # fmt: skip

    def _priors(
        self, partner: Partner, partners: list[Partner], now: int
    ) -> Mapping[Source, Prior]:
        """What the others of the category make; of a category learnt once in a look."""
        if partner.category not in self._learnt:
            same = [one for one in partners if one.category == partner.category]
            heard = {one.partner_id: self._answered(one) for one in same}
            self._learnt[partner.category] = priors_of_each(heard, now_ms=now)
        return self._learnt[partner.category][partner.partner_id]


def _agreeing(answers: Sequence[Answer], part: Released) -> list[Answer]:
    """Agreement of the witnesses of whose answers every one is released: it is measured over all
    that a witness says."""
    hidden = {
        one.respondent_id
        for one in answers
        if one.source not in ("consistency", "demos") and one.evidence_id not in part.responses
    }
    return [
        one
        for one in answers
        if one.source == "consistency"
        and one.respondent_id in part.witnesses
        and one.respondent_id not in hidden
    ]


def agreement_of(analysis: Analysis | None) -> Mapping[str, float | None]:
    """How far each witness agrees with the CEO, as an analysis has it."""
    if analysis is None:
        return {}
    return msgspec.convert(analysis.report, Report).witness_alignment


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
