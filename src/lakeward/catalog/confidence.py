"""PowerConfidence: the evidence of several witnesses about a partner, and the score it earns."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta

from lakeward.catalog.spec import (
    Count,
    Day,
    Id,
    Millis,
    Name,
    Names,
    Nps,
    Number,
    Opt,
    Rating10,
    Ratings,
    Score100,
    Seconds,
    Sha256,
    Share,
    Text,
    Texts,
    TypeSpec,
    doc,
    spec,
)


class PowerconfidenceUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """A partner's PowerConfidence score was computed anew."""

    partner_id: Annotated[Id, doc("The partner whose score it is.")]
    new_score: Annotated[Score100, doc("The score from now on.", "points of 100")]
    previous_score: Annotated[
        Opt[Score100], doc("The score until now; absent the first time.", "points of 100")
    ] = UNSET
    change: Annotated[
        Opt[Annotated[float, Meta(ge=-100, le=100)]],
        doc("New less previous score.", "points"),
    ] = UNSET
    reason: Annotated[Opt[Text], doc("What led to it, such as new employee feedback.")] = UNSET
    data_points: Annotated[Opt[Count], doc("Pieces of evidence behind it.", "pieces")] = UNSET
    confidence: Annotated[Opt[Share], doc("How sure the score is: 0 not at all, 1 fully.")] = UNSET
    interval_low: Annotated[
        Opt[Score100], doc("Lower end of the 90 % interval.", "points of 100")
    ] = UNSET
    interval_high: Annotated[
        Opt[Score100], doc("Upper end of the 90 % interval.", "points of 100")
    ] = UNSET
    provisional: Annotated[Opt[bool], doc("The evidence is still too thin to rank by.")] = UNSET
    effective_n: Annotated[
        Opt[Annotated[float, Meta(ge=0, le=1e9)]],
        doc("Evidence after weighting.", "respondents"),
    ] = UNSET
    contributions: Annotated[
        Opt[dict[Name, Number]],
        doc("What each source adds; together with the prior they make the score.", "points"),
    ] = UNSET
    trigger: Annotated[
        Opt[Literal["evidence", "schedule", "correction", "erasure"]],
        doc("What started the computation."),
    ] = UNSET
    formula_version: Annotated[Opt[Name], doc("Version of the formula and its weights.")] = UNSET


class PartnerValidation(msgspec.Struct, frozen=True, kw_only=True):
    """One fact about a partner was checked, such as a licence or a reference."""

    status: Annotated[
        Literal["passed", "failed", "pending", "expired"], doc("Result of the check.")
    ]
    validation_type: Annotated[Opt[Name], doc("What was checked, such as insurance.")] = UNSET
    score: Annotated[Opt[Score100], doc("How fully it is proven.", "points of 100")] = UNSET
    evidence_count: Annotated[Opt[Count], doc("Documents or answers seen.", "pieces")] = UNSET
    valid_until: Annotated[Opt[Day], doc("Last day it holds.", "ISO 8601 date")] = UNSET
    checked_by: Annotated[
        Opt[Name], doc("Who or what checked: a person's id or a rule.", personal="pseudonymous")
    ] = UNSET
    notes: Annotated[Opt[Text], doc("Remarks of the checker, scrubbed.", personal="content")] = (
        UNSET
    )


class EmployeeFeedback(msgspec.Struct, frozen=True, kw_only=True):
    """An employee of a partner answered the evaluation of their company.

    Shown to the partner only in groups of three or more.
    """

    partner_id: Annotated[Id, doc("The partner whose employee answered.")]
    scores: Annotated[Opt[Ratings], doc("A rating for each category of the form.", "1 to 10")] = (
        UNSET
    )
    nps: Annotated[Opt[Nps], doc("How likely a recommendation is.", "0 to 10")] = UNSET
    recommend: Annotated[Opt[bool], doc("Would recommend the company.")] = UNSET
    comments: Annotated[Opt[Text], doc("Free text, scrubbed.", personal="content")] = UNSET
    strengths: Annotated[Opt[Text], doc("What works well, scrubbed.", personal="content")] = UNSET
    improvements: Annotated[
        Opt[Text], doc("What should be better, scrubbed.", personal="content")
    ] = UNSET
    value_proposition: Annotated[
        Opt[Text], doc("What the company offers, in the employee's words.", personal="content")
    ] = UNSET
    department: Annotated[Opt[Name], doc("Department, coarse.", personal="personal")] = UNSET
    tenure_months: Annotated[
        Opt[Count], doc("Time with the company.", "months", personal="personal")
    ] = UNSET
    respondent_id: Annotated[Opt[Id], doc("The person who answered.", personal="pseudonymous")] = (
        UNSET
    )
    invitation_id: Annotated[
        Opt[Id], doc("The invitation that led here.", personal="pseudonymous")
    ] = UNSET
    channel: Annotated[
        Opt[Literal["sms", "email", "link", "import"]], doc("How the person was reached.")
    ] = UNSET
    verified: Annotated[Opt[bool], doc("The signed link of this one person was used.")] = UNSET
    completeness: Annotated[Opt[Share], doc("Part of the form that was answered.")] = UNSET
    seconds: Annotated[Opt[Seconds], doc("Time taken to answer.", "s")] = UNSET


class CustomerReference(msgspec.Struct, frozen=True, kw_only=True):
    """A customer of a partner gave a reference, once or in the quarterly survey."""

    partner_id: Annotated[Id, doc("The partner it is about.")]
    scores: Annotated[
        Opt[Ratings],
        doc("A rating for each category, such as satisfaction, delivery, value.", "1 to 10"),
    ] = UNSET
    nps: Annotated[Opt[Nps], doc("How likely a recommendation is.", "0 to 10")] = UNSET
    recommend: Annotated[Opt[bool], doc("Would recommend the partner.")] = UNSET
    overall: Annotated[Opt[Rating10], doc("The rating as a whole.", "1 to 10")] = UNSET
    kind: Annotated[Opt[Literal["reference", "quarterly"]], doc("Which form was answered.")] = UNSET
    comments: Annotated[Opt[Text], doc("Free text, scrubbed.", personal="content")] = UNSET
    results: Annotated[
        Opt[Text], doc("What the partner achieved, scrubbed.", personal="content")
    ] = UNSET
    value_proposition: Annotated[
        Opt[Text], doc("What the partner offers, in the customer's words.", personal="content")
    ] = UNSET
    company: Annotated[Opt[Name], doc("The customer's company.", personal="personal")] = UNSET
    role: Annotated[Opt[Name], doc("The customer's role there.", personal="personal")] = UNSET
    relationship_months: Annotated[
        Opt[Count], doc("How long they have worked together.", "months")
    ] = UNSET
    may_quote: Annotated[Opt[bool], doc("Agreed to be quoted by name.")] = UNSET
    respondent_id: Annotated[Opt[Id], doc("The person who answered.", personal="pseudonymous")] = (
        UNSET
    )
    invitation_id: Annotated[
        Opt[Id], doc("The invitation that led here.", personal="pseudonymous")
    ] = UNSET
    channel: Annotated[
        Opt[Literal["sms", "email", "link", "import"]], doc("How the person was reached.")
    ] = UNSET
    verified: Annotated[Opt[bool], doc("The signed link of this one person was used.")] = UNSET
    completeness: Annotated[Opt[Share], doc("Part of the form that was answered.")] = UNSET
    seconds: Annotated[Opt[Seconds], doc("Time taken to answer.", "s")] = UNSET


class DemoUpload(msgspec.Struct, frozen=True, kw_only=True):
    """A partner's product demo was uploaded, or its processing reached a new state."""

    partner_id: Annotated[Id, doc("The partner whose demo it is.")]
    status: Annotated[
        Literal[
            "received",
            "processing",
            "awaiting_transcript",
            "completed",
            "refused",
            "failed",
            "expired",
        ],
        doc("State of the upload from this moment on."),
    ]
    upload_id: Annotated[Opt[Id], doc("The upload, equal through all its states.")] = UNSET
    file_name: Annotated[
        Opt[Name], doc("Name that the file had at its owner.", personal="personal")
    ] = UNSET
    media_type: Annotated[Opt[Name], doc("Media type by content, not by name.")] = UNSET
    size_bytes: Annotated[Opt[Count], doc("Size of the file.", "bytes")] = UNSET
    sha256: Annotated[Opt[Sha256], doc("SHA-256 of the file.", "hex")] = UNSET
    duration_seconds: Annotated[Opt[Seconds], doc("Length of video or audio.", "s")] = UNSET
    pages: Annotated[Opt[Count], doc("Pages or slides of a document.", "pages")] = UNSET
    transcript_source: Annotated[
        Opt[Literal["webvtt", "srt", "whisper", "transcribe", "document", "none"]],
        doc("Where the text comes from; none: there is no text."),
    ] = UNSET
    language: Annotated[Opt[Name], doc("Language of the demo.")] = UNSET
    words: Annotated[Opt[Count], doc("Words of the text.", "words")] = UNSET
    words_per_minute: Annotated[
        Opt[Annotated[float, Meta(ge=0, le=10_000)]], doc("Speaking rate.", "words/min")
    ] = UNSET
    silence_share: Annotated[Opt[Share], doc("Part of the length that is silent.")] = UNSET
    topics: Annotated[Opt[Names], doc("Topics found in the text.")] = UNSET
    processing_ms: Annotated[Opt[Millis], doc("Time the processing took.", "ms")] = UNSET
    reason: Annotated[Opt[Text], doc("Why it was refused or failed.")] = UNSET


class Discrepancy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One claim of the CEO that a witness contradicts."""

    claim: Annotated[Text, doc("What the CEO says.", personal="content")]
    quote: Annotated[Opt[Text], doc("What the witness says.", personal="content")] = UNSET
    source: Annotated[Opt[Literal["employee", "customer", "demo"]], doc("Kind of witness.")] = UNSET
    similarity: Annotated[Opt[Share], doc("How near the two are in meaning.")] = UNSET
    reason: Annotated[Opt[Text], doc("Why they contradict, such as a number.")] = UNSET


class MessageConsistencyAnalysis(msgspec.Struct, frozen=True, kw_only=True):
    """What CEO, employees, customers and demos say about a partner was compared."""

    overall: Annotated[Score100, doc("How well they agree in all.", "points of 100")]
    interval_low: Annotated[
        Opt[Score100], doc("Lower end of the 90 % interval.", "points of 100")
    ] = UNSET
    interval_high: Annotated[
        Opt[Score100], doc("Upper end of the 90 % interval.", "points of 100")
    ] = UNSET
    ceo_employee: Annotated[
        Opt[Score100], doc("Agreement of CEO and employees.", "points of 100")
    ] = UNSET
    ceo_customer: Annotated[
        Opt[Score100], doc("Agreement of CEO and customers.", "points of 100")
    ] = UNSET
    ceo_demo: Annotated[Opt[Score100], doc("Agreement of CEO and demos.", "points of 100")] = UNSET
    employee_customer: Annotated[
        Opt[Score100], doc("Agreement of employees and customers.", "points of 100")
    ] = UNSET
    coverage: Annotated[
        Opt[Share], doc("Part of the claims that any witness speaks of; silence is no agreement.")
    ] = UNSET
    witnesses: Annotated[Opt[Count], doc("Witnesses that were heard.", "witnesses")] = UNSET
    claims: Annotated[Opt[Count], doc("Claims of the CEO that were checked.", "claims")] = UNSET
    supported: Annotated[Opt[Count], doc("Of these, supported.", "claims")] = UNSET
    contradicted: Annotated[Opt[Count], doc("Of these, contradicted.", "claims")] = UNSET
    not_addressed: Annotated[Opt[Count], doc("Of these, mentioned by no witness.", "claims")] = (
        UNSET
    )
    discrepancies: Annotated[
        Opt[Annotated[list[Discrepancy], Meta(max_length=100)]],
        doc("The contradictions, with both quotes.", personal="content"),
    ] = UNSET
    recommendations: Annotated[Opt[Texts], doc("What to say or change.", personal="content")] = (
        UNSET
    )
    model: Annotated[Opt[Name], doc("Embedding model, or the fallback by its name.")] = UNSET


class ConfidenceChange(msgspec.Struct, frozen=True, kw_only=True):
    """Something that PowerConfidence keeps was made, changed or ended.

    What witnesses say, demos and scores have types of their own, too.
    """

    partner_id: Annotated[Id, doc("The partner it is about.")]
    record: Annotated[
        Literal[
            "partner", "person", "invitation", "response", "review", "demo", "transcript",
            "claims", "analysis", "score",
        ],
        doc("What kind of thing changed."),
    ]  # fmt: skip
    change: Annotated[
        Literal[
            "created", "updated", "removed", "sent", "delivered", "bounced", "opened", "saved",
            "answered", "expired", "withdrawn", "failed", "opted_out",
        ],
        doc("What became of it."),
    ]  # fmt: skip
    record_id: Annotated[Opt[Id], doc("Its id in the app database.", personal="pseudonymous")] = (
        UNSET
    )
    form: Annotated[
        Opt[Literal["employee", "reference", "quarterly"]], doc("The form of an invitation.")
    ] = UNSET
    channel: Annotated[
        Opt[Literal["sms", "email", "link", "import"]], doc("How the person is reached.")
    ] = UNSET
    number: Annotated[Opt[Count], doc("How many times it was sent, or how many claims.")] = UNSET
    reason: Annotated[Opt[Name], doc("Why, such as quiet or bounced.")] = UNSET
    actor_role: Annotated[
        Opt[Literal["admin", "partner", "key", "witness", "lakeward"]], doc("Who did it.")
    ] = UNSET


WITNESSED = (
    "confidence_change", "customer_reference", "employee_feedback",
    "message_consistency_analysis", "message_event", "message_sent", "powerconfidence_update",
)  # fmt: skip
"""What tells of what witnesses said, or that they spoke: nothing for the partner whom it is about,
who is shown what is released, in groups."""

SPECS: tuple[TypeSpec, ...] = (
    spec(
        "confidence_change",
        ConfidenceChange,
        "properties",
        "outcomes",
        example={
            "partner_id": "p9",
            "record": "invitation",
            "change": "sent",
            "form": "employee",
            "channel": "sms",
            "number": 1,
            "actor_role": "lakeward",
        },
    ),
    spec(
        "powerconfidence_update",
        PowerconfidenceUpdate,
        "outcomes",
        "outcomes",
        outcome=True,
        example={
            "partner_id": "p9",
            "previous_score": 71.5,
            "new_score": 74,
            "change": 2.5,
            "reason": "Two customer references arrived",
            "data_points": 14,
            "confidence": 0.8,
        },
    ),
    spec(
        "partner_validation",
        PartnerValidation,
        "outcomes",
        "outcomes",
        outcome=True,
        example={
            "partner_id": "p9",
            "status": "passed",
            "validation_type": "insurance",
            "valid_until": "2026-08-31",
        },
    ),
    spec(
        "employee_feedback",
        EmployeeFeedback,
        "feedback",
        "outcomes",
        outcome=True,
        example={
            "partner_id": "p9",
            "respondent_id": "r3",
            "scores": {"leadership": 8, "delivery": 9},
            "nps": 9,
            "channel": "sms",
            "verified": True,
        },
    ),
    spec(
        "customer_reference",
        CustomerReference,
        "feedback",
        "outcomes",
        outcome=True,
        example={
            "partner_id": "p9",
            "respondent_id": "r8",
            "scores": {"satisfaction": 9, "communication": 8, "value": 9},
            "nps": 10,
            "relationship_months": 18,
            "verified": True,
        },
    ),
    spec(
        "demo_upload",
        DemoUpload,
        "properties",
        "outcomes",
        outcome=True,
        example={
            "partner_id": "p9",
            "status": "completed",
            "upload_id": "up4",
            "media_type": "video/mp4",
            "size_bytes": 48211034,
            "duration_seconds": 612.4,
            "transcript_source": "webvtt",
            "words_per_minute": 141,
        },
    ),
    spec(
        "message_consistency_analysis",
        MessageConsistencyAnalysis,
        "analysis",
        "outcomes",
        outcome=True,
        example={
            "partner_id": "p9",
            "overall": 78,
            "ceo_employee": 82,
            "ceo_customer": 74,
            "employee_customer": 80,
            "claims": 6,
            "supported": 4,
            "contradicted": 1,
            "not_addressed": 1,
            "discrepancies": [
                {
                    "claim": "We answer within one hour.",
                    "quote": "It usually takes them a day.",
                    "source": "customer",
                }
            ],
        },
    ),
)
