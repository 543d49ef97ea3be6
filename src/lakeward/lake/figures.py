"""The figures of one day: what `lakeward summary --format json` prints, field by field.

Lists have the largest entry first, equal ones by name. A list of names holds at most 1,000 of them;
what comes after is in none of its entries, and `folded` says how many records that were. Totals are
never affected.
"""

from __future__ import annotations

import msgspec


class Latency(msgspec.Struct, frozen=True):
    """Response times in ms; percentiles by nearest rank, null when nothing was measured."""

    measured: int
    """Calls that have a `response_time_ms`."""
    p50: float | None
    """The median: a measured value, as are the others."""
    p95: float | None
    """Of a hundred calls, five took longer."""
    p99: float | None
    """Of a hundred calls, one took longer."""
    longest: float | None
    """The slowest call."""


class RouteCalls(msgspec.Struct, frozen=True):
    """The calls of one method and route."""

    method: str
    """HTTP method, empty where there is none, and in `other`."""
    route: str
    """Template of the path; the path itself where no route matched; empty in `other`."""
    matched: bool
    """Whether `route` is a template."""
    calls: int
    """How many."""
    client_errors: int
    """Those answered 400 to 499."""
    server_errors: int
    """Those answered 500 to 599."""
    latency: Latency
    """How long they took."""


class Calls(msgspec.Struct, frozen=True):
    """Records of the type `api_call`."""

    calls: int
    """How many."""
    client_errors: int
    """Those answered 400 to 499."""
    server_errors: int
    """Those answered 500 to 599."""
    latency: Latency
    """Of all calls."""
    by_class: dict[str, int]
    """Status class, `2xx`, → calls; `none` where the client left before there was a status."""
    by_status: dict[str, int]
    """Status → calls; `none` as above."""
    routes: list[RouteCalls]
    """The first 1,000 routes and the first 1,000 paths that no route matched, by calls."""
    other: RouteCalls | None
    """The calls of all further routes and paths together; null when there are none."""


class Matches(msgspec.Struct, frozen=True):
    """Records of the type `partner_match`."""

    count: int
    """How many."""
    scored: int
    """Those that have a score."""
    mean_score: float | None
    """Mean of these scores, points of 100."""


class Money(msgspec.Struct, frozen=True):
    """Amounts of one currency."""

    count: int
    """How many amounts."""
    total: float
    """Their sum, rounded once."""


class Deals(msgspec.Struct, frozen=True):
    """Records of the type `deal_closed`."""

    count: int
    """How many."""
    value: dict[str, Money]
    """Currency → deals and their worth; the currency is empty where the app did not say."""


class Flow(msgspec.Struct, frozen=True):
    """Records of the type `flow_completion` of one flow."""

    completed: int
    """Finished."""
    abandoned: int
    """Left, or gone quiet."""


class Feedback(msgspec.Struct, frozen=True):
    """Records of the type `feedback_submission`."""

    count: int
    """How many."""
    rated: int
    """Those that have an `overall` rating."""
    mean_overall: float | None
    """Mean of these ratings, 1 to 10."""
    nps_answers: int
    """Those that have an `nps` answer."""
    nps: float | None
    """Share of promoters (9, 10) minus share of detractors (0 to 6), in points of 100."""


class Outcomes(msgspec.Struct, frozen=True):
    """Business outcomes."""

    by_type: dict[str, int]
    """Each outcome type that occurred → records."""
    matches: Matches
    """Partner matches."""
    bookings: dict[str, int]
    """Status of `demo_booking` → records; a booking has one record for each change."""
    deals: Deals
    """Closed deals."""
    completed: int
    """Flows finished."""
    abandoned: int
    """Flows abandoned."""
    flows: dict[str, Flow]
    """Flow → how it ended."""
    onboarding: dict[str, int]
    """Status of `partner_onboarding` → records."""
    feedback: Feedback
    """Feedback."""


class Model(msgspec.Struct, frozen=True):
    """The turns of one AI model."""

    provider: str
    """Who runs it; empty where it is not known."""
    model: str
    """The model that answered, else the one asked for; empty where neither is known."""
    turns: int
    """How many."""
    tokens: int
    """Tokens of all buckets."""
    priced: int
    """Turns that have a cost."""
    cost_usd: float
    """Sum of these costs, USD."""


class Ai(msgspec.Struct, frozen=True):
    """Records of the types `ai_conversation` and `ai_rating`."""

    turns: int
    """AI turns."""
    by_status: dict[str, int]
    """How turns ended → turns; those that do not say are left out."""
    tokens: int
    """`total_tokens` of each turn, or the sum of its buckets where it has no total."""
    by_bucket: dict[str, int]
    """Bucket, such as `input_tokens`, → tokens."""
    priced: int
    """Turns that have a cost."""
    cost_usd: float
    """Sum of these costs, USD: the catalog knows no other currency."""
    models: list[Model]
    """By turns."""
    ratings: int
    """Ratings given, every one counted, also when a rater changed their mind."""
    helpful: int
    """Ratings that say `helpful`."""
    unhelpful: int
    """Ratings that say not `helpful`."""


class Quarantined(msgspec.Struct, frozen=True):
    """What its type refused on the day."""

    count: int
    """How many."""
    by_reason: dict[str, int]
    """Reason → entries."""


class LakeCounts(msgspec.Struct, frozen=True):
    """Counts of the whole lake since it began: drops are not counted by day."""

    offered: int
    """Records ever offered."""
    delivered: int
    """Lines ever written to the log."""
    quarantined: int
    """Lines ever written to the quarantine."""
    waiting: int
    """Records in rings, not durable yet."""
    reasons: dict[str, int]
    """Reason → records ever offered and not kept."""


class Summary(msgspec.Struct, frozen=True):
    """One day of a lake."""

    date: str
    """The day, UTC."""
    basis: str
    """Always `receipt`: the files of the day's folder, whatever the records' own times say."""
    lake_id: str
    """The lake's id."""
    files: int
    """Files of the log that hold the day."""
    interactions: int
    """Records, of all types."""
    other_days: int
    """Records whose own time is on another day: imported, late, or across midnight."""
    erased: int
    """Lines that were erased."""
    unreadable: int
    """Lines that are no records; Lakeward writes none."""
    users: int
    """Distinct users, `anonymous` left out."""
    sessions: int
    """Distinct sessions."""
    anonymous: int
    """Records of nobody known."""
    by_type: dict[str, int]
    """Interaction type → records."""
    services: dict[str, int]
    """App, where it has a name → records."""
    app_versions: dict[str, int]
    """Version of the app → records."""
    api_calls: Calls
    """API calls."""
    outcomes: Outcomes
    """Business outcomes."""
    ai: Ai
    """AI conversations."""
    quarantine: Quarantined
    """What was refused on the day."""
    folded: dict[str, int]
    """List → records in none of its entries, because it was full; empty when none was."""
    lake: LakeCounts | None
    """The whole lake since it began, not the day; null when the ledger cannot be read."""
