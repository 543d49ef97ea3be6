"""Business outcomes: matches, demos, deals, flows, feedback and exposures.

An outcome joins its cause through the record's `trace_id`, `session_id` and
`parent_interaction_id`; a deal weeks later finds its match by `user_id` and `partner_id`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta

from lakeward.catalog.spec import (
    Amount,
    Count,
    Currency,
    Day,
    Id,
    Name,
    Names,
    Nps,
    Opt,
    Rating10,
    Ratings,
    Score100,
    Seconds,
    Share,
    Text,
    Texts,
    TimeOfDay,
    TypeSpec,
    doc,
    spec,
)


class PartnerMatch(msgspec.Struct, frozen=True, kw_only=True):
    """A contractor (`user_id`) was shown a partner as a match."""

    partner_id: Annotated[Id, doc("The partner that was matched.")]
    score: Annotated[Opt[Score100], doc("How well the partner fits.", "points of 100")] = UNSET
    reasons: Annotated[Opt[Texts], doc("Why, the best reason first.", personal="content")] = UNSET
    primary: Annotated[Opt[bool], doc("It is the first choice among the matches shown.")] = UNSET
    rank: Annotated[
        Opt[Annotated[int, Meta(ge=1, le=10_000)]], doc("Place among the matches shown, from 1.")
    ] = UNSET
    candidates: Annotated[Opt[Count], doc("Partners that were considered.", "partners")] = UNSET
    podcast_matched: Annotated[
        Opt[bool | Name], doc("A podcast was matched too: which one, or only that.")
    ] = UNSET
    event_matched: Annotated[
        Opt[bool | Name], doc("An event was matched too: which one, or only that.")
    ] = UNSET
    stage: Annotated[Opt[Name], doc("Stage of the contractor at the match.")] = UNSET
    focus_areas: Annotated[Opt[Names], doc("The contractor's focus areas, top first.")] = UNSET
    revenue_tier: Annotated[Opt[Name], doc("The contractor's revenue range.")] = UNSET
    score_parts: Annotated[
        Opt[dict[Name, Score100]],
        doc("What the score is made of, such as focus, revenue, readiness.", "points of 100"),
    ] = UNSET
    algorithm: Annotated[Opt[Name], doc("Name and version of the matching rule.")] = UNSET


class DemoBooking(msgspec.Struct, frozen=True, kw_only=True):
    """A demo with a partner was booked, or a booking changed its state."""

    status: Annotated[
        Literal["booked", "rescheduled", "cancelled", "held", "no_show"],
        doc("State of the booking from this moment on."),
    ]
    booking_id: Annotated[Opt[Id], doc("The booking, equal through all its states.")] = UNSET
    date: Annotated[Opt[Day], doc("Day of the demo.", "ISO 8601 date")] = UNSET
    time: Annotated[Opt[TimeOfDay], doc("Start of the demo.", "HH:MM in `timezone`")] = UNSET
    timezone: Annotated[Opt[Name], doc("IANA time zone of date and time.")] = UNSET
    duration_minutes: Annotated[Opt[Count], doc("Length of the slot.", "minutes")] = UNSET
    demo_type: Annotated[Opt[Name], doc("What is shown, such as product or discovery.")] = UNSET
    source: Annotated[Opt[Name], doc("What led to the booking, such as match or e-mail.")] = UNSET
    reason: Annotated[Opt[Text], doc("Why it was moved or cancelled.", personal="content")] = UNSET


class DealClosed(msgspec.Struct, frozen=True, kw_only=True):
    """A contractor and a partner closed a deal."""

    value: Annotated[Amount, doc("What the whole contract is worth.", "`currency`")]
    currency: Annotated[
        Opt[Currency], doc("Currency of the value; sums are kept apart by it.", "ISO 4217")
    ] = UNSET
    deal_id: Annotated[Opt[Id], doc("The app's id of the deal.")] = UNSET
    deal_type: Annotated[Opt[Name], doc("Kind of deal, such as new, renewal or upsell.")] = UNSET
    contract_months: Annotated[
        Opt[Annotated[float, Meta(ge=0, le=1200)]], doc("Length of the contract.", "months")
    ] = UNSET
    days_to_close: Annotated[
        Opt[Annotated[float, Meta(ge=0, le=36_500)]], doc("From first contact to closing.", "days")
    ] = UNSET
    satisfaction: Annotated[Opt[Rating10], doc("How satisfied the contractor is.", "1 to 10")] = (
        UNSET
    )
    match_interaction_id: Annotated[
        Opt[Id], doc("The `partner_match` it came from, where the app knows it.")
    ] = UNSET


class FlowStep(msgspec.Struct, frozen=True, kw_only=True):
    """A user reached, finished or left one step of a declared flow."""

    flow: Annotated[Name, doc("The flow, such as `contractor`.")]
    step: Annotated[Name, doc("The step, such as `focus_areas`.")]
    status: Annotated[
        Opt[Literal["entered", "completed", "skipped", "failed", "back"]],
        doc("What happened at the step; completed when absent."),
    ] = UNSET
    step_index: Annotated[Opt[Count], doc("Place of the step in the flow, from 0.")] = UNSET
    steps_total: Annotated[Opt[Count], doc("Steps that the flow has.", "steps")] = UNSET
    seconds: Annotated[Opt[Seconds], doc("Time spent on the step.", "s")] = UNSET


class FlowCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """A user finished a flow, or the flow went quiet and counts as abandoned."""

    flow: Annotated[Name, doc("The flow, such as `contractor`.")]
    status: Annotated[
        Opt[Literal["completed", "abandoned"]], doc("How it ended; completed when absent.")
    ] = UNSET
    derived: Annotated[
        Opt[bool], doc("Lakeward concluded it because the flow went quiet; no one reported it.")
    ] = UNSET
    seconds: Annotated[Opt[Seconds], doc("From first to last step.", "s")] = UNSET
    steps: Annotated[Opt[Names], doc("Steps done, in order.")] = UNSET
    abandoned_steps: Annotated[Opt[Names], doc("Steps that were entered and not finished.")] = UNSET
    steps_completed: Annotated[Opt[Count], doc("Steps done.", "steps")] = UNSET
    steps_total: Annotated[Opt[Count], doc("Steps that the flow has.", "steps")] = UNSET
    device: Annotated[Opt[Name], doc("Kind of device, such as mobile.")] = UNSET
    browser: Annotated[Opt[Name], doc("Name of the browser.")] = UNSET


class PartnerOnboarding(msgspec.Struct, frozen=True, kw_only=True):
    """A partner went a step on the way into the platform."""

    status: Annotated[
        Literal["started", "step_completed", "completed", "abandoned"],
        doc("What happened."),
    ]
    step: Annotated[Opt[Name], doc("The step it concerns, such as `value_proposition`.")] = UNSET
    steps_completed: Annotated[Opt[Count], doc("Steps done.", "steps")] = UNSET
    steps_total: Annotated[Opt[Count], doc("Steps there are.", "steps")] = UNSET
    seconds: Annotated[Opt[Seconds], doc("Time since the start.", "s")] = UNSET
    focus_areas: Annotated[Opt[Names], doc("Focus areas that the partner serves.")] = UNSET
    revenue_tiers: Annotated[Opt[Names], doc("Revenue ranges that the partner serves.")] = UNSET
    source: Annotated[Opt[Name], doc("Where the partner came from.")] = UNSET


class FeedbackSubmission(msgspec.Struct, frozen=True, kw_only=True):
    """A user sent feedback about the app, a demo or a partner."""

    scores: Annotated[
        Opt[Ratings], doc("A rating for each category, such as communication.", "1 to 10")
    ] = UNSET
    overall: Annotated[Opt[Rating10], doc("The rating as a whole.", "1 to 10")] = UNSET
    comments: Annotated[Opt[Text], doc("What the user wrote, scrubbed.", personal="content")] = (
        UNSET
    )
    recommend: Annotated[Opt[bool], doc("The user would recommend it.")] = UNSET
    nps: Annotated[Opt[Nps], doc("How likely a recommendation is.", "0 to 10")] = UNSET
    subject: Annotated[Opt[Name], doc("What it is about, such as demo, partner or platform.")] = (
        UNSET
    )
    survey: Annotated[Opt[Name], doc("Which form was answered, with its version.")] = UNSET


class ContentInteraction(msgspec.Struct, frozen=True, kw_only=True):
    """A user saw, played, read, saved or joined a podcast, event, book or other content."""

    content_type: Annotated[
        Literal["podcast", "event", "book", "article", "video", "course", "other"],
        doc("Kind of content."),
    ]
    content_id: Annotated[Opt[Id], doc("The app's id of the content.")] = UNSET
    content_title: Annotated[Opt[Name], doc("Its title.")] = UNSET
    action: Annotated[
        Opt[
            Literal[
                "view",
                "start",
                "progress",
                "complete",
                "download",
                "register",
                "attend",
                "share",
                "save",
            ]
        ],
        doc("What the user did; view when absent."),
    ] = UNSET
    progress: Annotated[Opt[Score100], doc("How far the user got.", "% of the content")] = UNSET
    seconds: Annotated[Opt[Seconds], doc("Time spent with it.", "s")] = UNSET
    source: Annotated[Opt[Name], doc("What led there, such as match or search.")] = UNSET
    recommended: Annotated[Opt[bool], doc("The platform had recommended it.")] = UNSET


class CtaClick(msgspec.Struct, frozen=True, kw_only=True):
    """A visitor followed a call to action."""

    cta: Annotated[Name, doc("Name of the call to action, such as `book_demo`.")]
    cta_text: Annotated[Opt[Name], doc("What it said.")] = UNSET
    placement: Annotated[Opt[Name], doc("Where on the page it stood.")] = UNSET
    destination: Annotated[Opt[Text], doc("Where it leads, scrubbed.", personal="pseudonymous")] = (
        UNSET
    )
    campaign: Annotated[Opt[Name], doc("The campaign it belongs to.")] = UNSET


class ExperimentExposure(msgspec.Struct, frozen=True, kw_only=True):
    """A unit of an experiment met its variant for the first time in an evaluation."""

    experiment: Annotated[Name, doc("Key of the experiment.")]
    variant: Annotated[Name, doc("Key of the variant, such as control.")]
    variant_index: Annotated[Opt[Count], doc("Place of the variant, from 0.")] = UNSET
    feature_key: Annotated[Opt[Name], doc("The flag whose evaluation it was.")] = UNSET
    experiment_version: Annotated[
        Opt[Count], doc("Phase of the experiment; raised when its split changes.")
    ] = UNSET
    hash_attribute: Annotated[
        Opt[Name], doc("Which attribute assigns, such as user_id or session_id.")
    ] = UNSET
    hash_value: Annotated[
        Opt[Id], doc("Its value: the unit of the analysis.", personal="pseudonymous")
    ] = UNSET
    hash_version: Annotated[
        Opt[Literal[1, 2]], doc("Version of the GrowthBook hash that assigned.")
    ] = UNSET
    bucket: Annotated[Opt[Share], doc("The unit's place in [0, 1] by that hash.")] = UNSET
    forced: Annotated[
        Opt[bool], doc("Set by hand or by the address; left out of the analysis.")
    ] = UNSET
    sticky: Annotated[Opt[bool], doc("Kept from an earlier assignment.")] = UNSET
    source: Annotated[Opt[Name], doc("Where the definition came from: file or database.")] = UNSET


SPECS: tuple[TypeSpec, ...] = (
    spec(
        "partner_match",
        PartnerMatch,
        "outcomes",
        "outcomes",
        outcome=True,
        example={
            "user_id": "u1",
            "partner_id": "p9",
            "score": 87,
            "reasons": ["Serves your first focus area", "Works with your revenue range"],
            "primary": True,
            "focus_areas": ["hiring", "sales", "safety"],
            "revenue_tier": "1m-5m",
        },
    ),
    spec(
        "demo_booking",
        DemoBooking,
        "outcomes",
        "outcomes",
        outcome=True,
        example={
            "user_id": "u1",
            "partner_id": "p9",
            "status": "booked",
            "booking_id": "b17",
            "date": "2025-08-20",
            "time": "10:30",
            "timezone": "America/Chicago",
            "demo_type": "product",
            "source": "match",
        },
    ),
    spec(
        "deal_closed",
        DealClosed,
        "outcomes",
        "outcomes",
        outcome=True,
        example={
            "user_id": "u1",
            "partner_id": "p9",
            "value": 24000,
            "currency": "USD",
            "deal_type": "new",
            "contract_months": 12,
            "days_to_close": 31,
            "satisfaction": 9,
        },
    ),
    spec(
        "flow_step",
        FlowStep,
        "outcomes",
        "outcomes",
        outcome=True,
        example={
            "user_id": "u1",
            "flow": "contractor",
            "step": "focus_areas",
            "status": "completed",
            "step_index": 1,
            "seconds": 14.2,
        },
    ),
    spec(
        "flow_completion",
        FlowCompletion,
        "outcomes",
        "outcomes",
        outcome=True,
        example={
            "user_id": "u1",
            "referrer": "https://example.com/podcast",
            "flow": "contractor",
            "status": "completed",
            "seconds": 212.8,
            "steps": ["verification", "focus_areas", "profile", "matching"],
            "device": "mobile",
            "browser": "Safari",
        },
    ),
    spec(
        "partner_onboarding",
        PartnerOnboarding,
        "outcomes",
        "outcomes",
        outcome=True,
        example={
            "partner_id": "p9",
            "status": "step_completed",
            "step": "value_proposition",
            "steps_completed": 2,
            "steps_total": 5,
        },
    ),
    spec(
        "feedback_submission",
        FeedbackSubmission,
        "feedback",
        "outcomes",
        outcome=True,
        example={
            "user_id": "u1",
            "partner_id": "p9",
            "subject": "demo",
            "scores": {"communication": 9, "expertise": 8},
            "comments": "Clear and on time.",
            "recommend": True,
            "nps": 9,
        },
    ),
    spec(
        "content_interaction",
        ContentInteraction,
        "outcomes",
        "outcomes",
        outcome=True,
        example={
            "user_id": "u1",
            "content_type": "podcast",
            "content_id": "ep-42",
            "action": "complete",
            "progress": 100,
            "seconds": 1830,
        },
    ),
    spec(
        "cta_click",
        CtaClick,
        "outcomes",
        "outcomes",
        outcome=True,
        example={"path": "/partners", "cta": "book_demo", "placement": "hero"},
    ),
    spec(
        "experiment_exposure",
        ExperimentExposure,
        "experiments",
        "outcomes",
        outcome=True,
        example={
            "user_id": "u1",
            "experiment": "match-page",
            "variant": "reasons-first",
            "variant_index": 1,
            "hash_attribute": "user_id",
            "hash_value": "u1",
            "bucket": 0.7312,
        },
    ),
)
