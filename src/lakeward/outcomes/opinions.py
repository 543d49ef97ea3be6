"""What people say of partners, and what is concluded from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal, Unpack

from lakeward.outcomes.telling import Joined, JoinedToPartner, Telling


class Opinions(Telling):
    """What people say of partners, and what is concluded from it."""

    def feedback_submitted(
        self,
        *,
        scores: Mapping[str, float] | None = None,
        overall: float | None = None,
        comments: str | None = None,
        recommend: bool | None = None,
        nps: int | None = None,
        subject: str | None = None,
        survey: str | None = None,
        **joined: Unpack[JoinedToPartner],
    ) -> str | None:
        """A user sent feedback about the app, a demo or a partner: `feedback_submission`.

        Kept in `feedback`:
        scores: A rating for each category, such as communication (1 to 10).
        overall: The rating as a whole (1 to 10).
        comments: What the user wrote, scrubbed.
        recommend: The user would recommend it.
        nps: How likely a recommendation is (0 to 10).
        subject: What it is about, such as demo, partner or platform.
        survey: Which form was answered, with its version.
        """
        return self._tell(
            "feedback_submission", joined, scores=scores, overall=overall, comments=comments,
            recommend=recommend, nps=nps, subject=subject, survey=survey,
        )  # fmt: skip

    def powerconfidence_updated(
        self,
        *,
        partner_id: str,
        new_score: float,
        previous_score: float | None = None,
        change: float | None = None,
        reason: str | None = None,
        data_points: int | None = None,
        confidence: float | None = None,
        interval_low: float | None = None,
        interval_high: float | None = None,
        provisional: bool | None = None,
        effective_n: float | None = None,
        contributions: Mapping[str, float] | None = None,
        trigger: Literal["correction", "erasure", "evidence", "schedule"] | None = None,
        formula_version: str | None = None,
        **joined: Unpack[Joined],
    ) -> str | None:
        """A partner's PowerConfidence score was computed anew: `powerconfidence_update`.

        Kept in `outcomes`, `partner_id` in the record itself:
        partner_id: The partner whose score it is.
        new_score: The score from now on (points of 100, 0 to 100).
        previous_score: The score until now; absent the first time (points of 100, 0 to 100).
        change: New less previous score (points, -100 to 100).
        reason: What led to it, such as new employee feedback.
        data_points: Pieces of evidence behind it (pieces).
        confidence: How sure the score is: 0 not at all, 1 fully (0 to 1).
        interval_low: Lower end of the 90 % interval (points of 100, 0 to 100).
        interval_high: Upper end of the 90 % interval (points of 100, 0 to 100).
        provisional: The evidence is still too thin to rank by.
        effective_n: Evidence after weighting (respondents).
        contributions: What each source adds; together with the prior they make the score (points).
        trigger: What started the computation.
        formula_version: Version of the formula and its weights.
        """
        return self._tell(
            "powerconfidence_update", joined, partner_id=partner_id, new_score=new_score,
            previous_score=previous_score, change=change, reason=reason,
            data_points=data_points, confidence=confidence, interval_low=interval_low,
            interval_high=interval_high, provisional=provisional, effective_n=effective_n,
            contributions=contributions, trigger=trigger, formula_version=formula_version,
        )  # fmt: skip

    def partner_validated(
        self,
        *,
        status: Literal["expired", "failed", "passed", "pending"],
        validation_type: str | None = None,
        score: float | None = None,
        evidence_count: int | None = None,
        valid_until: date | str | None = None,
        checked_by: str | None = None,
        notes: str | None = None,
        **joined: Unpack[JoinedToPartner],
    ) -> str | None:
        """One fact about a partner was checked, such as a licence or a reference:
        `partner_validation`.

        Kept in `outcomes`:
        status: Result of the check.
        validation_type: What was checked, such as insurance.
        score: How fully it is proven (points of 100, 0 to 100).
        evidence_count: Documents or answers seen (pieces).
        valid_until: Last day it holds (ISO 8601 date).
        checked_by: Who or what checked: a person's id or a rule.
        notes: Remarks of the checker, scrubbed.
        """
        return self._tell(
            "partner_validation", joined, status=status, validation_type=validation_type,
            score=score, evidence_count=evidence_count, valid_until=valid_until,
            checked_by=checked_by, notes=notes,
        )  # fmt: skip

    def message_consistency(
        self,
        *,
        overall: float,
        interval_low: float | None = None,
        interval_high: float | None = None,
        ceo_employee: float | None = None,
        ceo_customer: float | None = None,
        ceo_demo: float | None = None,
        employee_customer: float | None = None,
        coverage: float | None = None,
        witnesses: int | None = None,
        claims: int | None = None,
        supported: int | None = None,
        contradicted: int | None = None,
        not_addressed: int | None = None,
        discrepancies: Sequence[Mapping[str, Any]] | None = None,
        recommendations: Sequence[str] | None = None,
        model: str | None = None,
        **joined: Unpack[JoinedToPartner],
    ) -> str | None:
        """What CEO, employees, customers and demos say about a partner was compared:
        `message_consistency_analysis`.

        Kept in `analysis`:
        overall: How well they agree in all (points of 100, 0 to 100).
        interval_low: Lower end of the 90 % interval (points of 100, 0 to 100).
        interval_high: Upper end of the 90 % interval (points of 100, 0 to 100).
        ceo_employee: Agreement of CEO and employees (points of 100, 0 to 100).
        ceo_customer: Agreement of CEO and customers (points of 100, 0 to 100).
        ceo_demo: Agreement of CEO and demos (points of 100, 0 to 100).
        employee_customer: Agreement of employees and customers (points of 100, 0 to 100).
        coverage: Part of the claims that any witness speaks of; silence is no agreement (0 to 1).
        witnesses: Witnesses that were heard (witnesses).
        claims: Claims of the CEO that were checked (claims).
        supported: Of these, supported (claims).
        contradicted: Of these, contradicted (claims).
        not_addressed: Of these, mentioned by no witness (claims).
        discrepancies: The contradictions, with both quotes.
        recommendations: What to say or change.
        model: Embedding model, or the fallback by its name.
        """
        return self._tell(
            "message_consistency_analysis", joined, overall=overall, interval_low=interval_low,
            interval_high=interval_high, ceo_employee=ceo_employee, ceo_customer=ceo_customer,
            ceo_demo=ceo_demo, employee_customer=employee_customer, coverage=coverage,
            witnesses=witnesses, claims=claims, supported=supported,
            contradicted=contradicted, not_addressed=not_addressed, discrepancies=discrepancies,
            recommendations=recommendations, model=model,
        )  # fmt: skip
