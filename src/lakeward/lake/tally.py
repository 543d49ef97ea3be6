"""What adds up while the rows of a day pass by, once, in log order.

In: rows. Out: the figures of `figures`. Memory grows with distinct users and sessions, with AI
turns that have a provider's id, by eight bytes for each response time, and for nothing else without
bound: a list of names stops at `LISTED` and counts the rest together. Sums of amounts are rounded
once, so they do not depend on the order. A value that does not have the type's form counts as
absent; nothing here fails.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from lakeward.catalog import TYPES
from lakeward.catalog.ai import TELLING_ID
from lakeward.lake.day import BROKEN, Row
from lakeward.lake.figures import (
    Ai,
    Calls,
    Deals,
    Feedback,
    Flow,
    Latency,
    Matches,
    Model,
    Money,
    Outcomes,
    RouteCalls,
)
from lakeward.lake.times import Run, Times, percentile, size
from lakeward.lake.turns import Turns

LISTED = 1_000
"""Names that a list keeps apart."""
OUTCOME_TYPES = frozenset(name for name, spec in TYPES.items() if spec.outcome)
TOKEN_BUCKETS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_tokens",
)

S = TypeVar("S", bound=msgspec.Struct)


class _Match(msgspec.Struct):
    score: float | None = None


class _Status(msgspec.Struct):
    status: str = ""


class _Deal(msgspec.Struct):
    value: float | None = None
    currency: str = ""


class _Flow(msgspec.Struct):
    flow: str = ""
    status: str = "completed"


class _Feedback(msgspec.Struct):
    overall: float | None = None
    nps: int | None = None


class _Rating(msgspec.Struct):
    helpful: bool | None = None


class _Turn(msgspec.Struct):
    provider: str = ""
    model_requested: str = ""
    model_answered: str = ""
    status: str = ""
    captured_by: str = ""
    response_id: str = ""
    response_ids: list[str] = []
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    image_tokens: int = 0
    total_tokens: int | None = None
    cost_usd: float | None = None


_DECODERS: dict[type[msgspec.Struct], msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind)
    for kind in (_Match, _Status, _Deal, _Flow, _Feedback, _Rating, _Turn)
}


def _slot(kind: type[S], raw: Raw) -> S:
    """The fields of a slot, each absent where it has another form."""
    try:
        found: S = _DECODERS[kind].decode(raw)
    except BROKEN:
        return _loose(kind, raw)
    return found


def _loose(kind: type[S], raw: Raw) -> S:
    try:
        values = msgspec.json.decode(raw, type=dict[str, Raw])
    except BROKEN:
        return kind()
    fields = {}
    for field in msgspec.structs.fields(kind):
        if field.name in values:
            try:
                fields[field.name] = msgspec.json.decode(values[field.name], type=field.type)
            except BROKEN:
                continue
    return kind(**fields)


class Names:
    """How often each name occurred, for the first `LISTED` names."""

    __slots__ = ("counts", "folded")

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.folded = 0

    def add(self, name: str) -> None:
        """One more."""
        n = self.counts.get(name)
        if n is not None:
            self.counts[name] = n + 1
        elif len(self.counts) < LISTED:
            self.counts[name] = 1
        else:
            self.folded += 1

    def ordered(self) -> dict[str, int]:
        """The largest first, equal ones by name."""
        return ordered(self.counts, lambda n: n)


V = TypeVar("V")


def ordered(values: Mapping[str, V], count: Callable[[V], int]) -> dict[str, V]:
    """By count, the largest first, equal ones by name."""
    return dict(sorted(values.items(), key=lambda pair: (-count(pair[1]), pair[0])))


def mean(values: array[float]) -> float | None:
    """Rounded once; None of nothing."""
    return math.fsum(values) / len(values) if values else None


class RouteTally:
    """Calls of one route."""

    __slots__ = ("calls", "client_errors", "server_errors", "times")

    def __init__(self) -> None:
        self.calls = self.client_errors = self.server_errors = 0
        self.times = Times()

    def figures(self, method: str, route: str, matched: bool) -> RouteCalls:
        """Its figures."""
        return RouteCalls(
            method, route, matched, self.calls, self.client_errors, self.server_errors,
            latency(self.times.runs()),
        )  # fmt: skip


def latency(runs: list[Run]) -> Latency:
    """The percentiles that are shown."""
    fifty, ninety_five, ninety_nine, hundred = (percentile(runs, p) for p in (50, 95, 99, 100))
    return Latency(size(runs), fifty, ninety_five, ninety_nine, hundred)


class CallTally:
    """API calls by route and status."""

    def __init__(self) -> None:
        self._routes: dict[tuple[str, str], RouteTally] = {}
        self._paths: dict[tuple[str, str], RouteTally] = {}
        self._other = RouteTally()
        self._statuses: dict[int | None, int] = {}

    def add(self, row: Row) -> None:
        """One call. Paths that match no route have a list of their own: strangers make them up,
        and must not crowd out the app's routes."""
        if row.route is not None:
            listed, key = self._routes, (row.method or "", row.route)
        else:
            listed, key = self._paths, (row.method or "", row.path or "")
        tally = listed.get(key)
        if tally is None:
            tally = self._other
            if len(listed) < LISTED:
                tally = listed[key] = RouteTally()
        tally.calls += 1
        status = row.response_status
        self._statuses[status] = self._statuses.get(status, 0) + 1
        if status is not None and status >= 400:
            if status < 500:
                tally.client_errors += 1
            elif status < 600:
                tally.server_errors += 1
        took = row.response_time_ms
        if took is not None and took >= 0:
            tally.times.add(took)

    def figures(self) -> Calls:
        """All of it."""
        listed = [
            *((key, True, tally) for key, tally in self._routes.items()),
            *((key, False, tally) for key, tally in self._paths.items()),
        ]
        routes = [tally.figures(*key, matched) for key, matched, tally in listed]
        routes.sort(key=lambda r: (-r.calls, r.route, r.method, not r.matched))
        tallies = [self._other, *(tally for _, _, tally in listed)]
        classes: dict[str, int] = {}
        for status, n in self._statuses.items():
            name = "none" if status is None else f"{status // 100}xx"
            classes[name] = classes.get(name, 0) + n
        statuses = {"none" if s is None else str(s): n for s, n in self._statuses.items()}
        return Calls(
            calls=sum(tally.calls for tally in tallies),
            client_errors=sum(tally.client_errors for tally in tallies),
            server_errors=sum(tally.server_errors for tally in tallies),
            latency=latency([run for tally in tallies for run in tally.times.runs()]),
            by_class=dict(sorted(classes.items())),
            by_status=ordered(statuses, lambda n: n),
            routes=routes,
            other=self._other.figures("", "", False) if self._other.calls else None,
        )


class OutcomeTally:
    """Business outcomes by type, with what each type is about."""

    def __init__(self) -> None:
        self._by_type: dict[str, int] = {}
        self._scores = array("d")
        self._bookings, self._onboarding = Names(), Names()
        self._deals: dict[str, array[float]] = {}
        self._flows: dict[str, list[int]] = {}
        self._ended = [0, 0]
        self._ratings = array("d")
        self._nps = [0, 0, 0]
        self.folded = 0
        """Flows' completions beyond the list."""
        self._add: dict[str, Callable[[Row], None]] = {
            "partner_match": self._match,
            "demo_booking": lambda row: self._bookings.add(_slot(_Status, row.outcomes).status),
            "partner_onboarding": lambda row: self._onboarding.add(
                _slot(_Status, row.outcomes).status
            ),
            "deal_closed": self._deal,
            "flow_completion": self._flow,
            "feedback_submission": self._feedback,
        }

    def add(self, row: Row) -> None:
        """One outcome."""
        kind = row.interaction_type
        self._by_type[kind] = self._by_type.get(kind, 0) + 1
        add = self._add.get(kind)
        if add is not None:
            add(row)

    def _match(self, row: Row) -> None:
        score = _slot(_Match, row.outcomes).score
        if score is not None:
            self._scores.append(score)

    def _deal(self, row: Row) -> None:
        deal = _slot(_Deal, row.outcomes)
        if deal.value is not None:
            self._deals.setdefault(deal.currency, array("d")).append(deal.value)

    def _flow(self, row: Row) -> None:
        flow = _slot(_Flow, row.outcomes)
        how = flow.status == "abandoned"
        self._ended[how] += 1
        ended = self._flows.get(flow.flow)
        if ended is None:
            if len(self._flows) >= LISTED:
                self.folded += 1
                return
            ended = self._flows[flow.flow] = [0, 0]
        ended[how] += 1

    def _feedback(self, row: Row) -> None:
        feedback = _slot(_Feedback, row.feedback)
        if feedback.overall is not None:
            self._ratings.append(feedback.overall)
        if feedback.nps is not None:
            self._nps[0 if feedback.nps <= 6 else 1 if feedback.nps <= 8 else 2] += 1

    def figures(self) -> Outcomes:
        """All of it."""
        counted = self._by_type.get
        deals = {name: Money(len(v), math.fsum(v)) for name, v in self._deals.items()}
        flows = {name: Flow(*ended) for name, ended in self._flows.items()}
        answers = sum(self._nps)
        nps = 100 * (self._nps[2] - self._nps[0]) / answers if answers else None
        return Outcomes(
            by_type=ordered(self._by_type, lambda n: n),
            matches=Matches(counted("partner_match", 0), len(self._scores), mean(self._scores)),
            bookings=self._bookings.ordered(),
            deals=Deals(counted("deal_closed", 0), ordered(deals, lambda money: money.count)),
            completed=self._ended[0],
            abandoned=self._ended[1],
            flows=ordered(flows, lambda flow: flow.completed + flow.abandoned),
            onboarding=self._onboarding.ordered(),
            feedback=Feedback(
                counted("feedback_submission", 0), len(self._ratings), mean(self._ratings),
                answers, nps,
            ),
        )  # fmt: skip


class ModelTally:
    """Turns of one model."""

    __slots__ = ("costs", "tokens", "turns")

    def __init__(self) -> None:
        self.turns = self.tokens = 0
        self.costs = array("d")


class AiTally:
    """AI turns and their ratings."""

    def __init__(self, turns: Turns | None = None) -> None:
        self._completed = turns.line if turns is not None else None
        self._models: dict[tuple[str, str], ModelTally] = {}
        self._other = ModelTally()
        self._statuses = Names()
        self._buckets = dict.fromkeys(TOKEN_BUCKETS, 0)
        self._ratings = self._helpful = self._unhelpful = 0
        self._own: set[int] = set()
        """Hashes of the ids of answers that the app recorded itself."""
        self._spans: list[_Turn] = []
        """What spans told of answers with such an id, which may be the same."""

    @property
    def folded(self) -> int:
        """Turns of models beyond the list."""
        self._settle()
        return self._other.turns

    def _settle(self) -> None:
        spans, self._spans = self._spans, []
        for turn in spans:
            if hash(turn.response_id) not in self._own:
                self._add(turn)

    def turn(self, row: Row) -> None:
        """One record of the type `ai_conversation`."""
        told = row.ai_metadata
        if self._completed is not None:
            told = Raw(self._completed(told, row.messages, row.timestamp or ""))
        turn = _slot(_Turn, told)
        if turn.captured_by == "otel" and len(turn.response_id) >= TELLING_ID:
            self._spans.append(turn)
            return
        if turn.captured_by == "api" and turn.response_id:
            self._own.update(map(hash, turn.response_ids or (turn.response_id,)))
        self._add(turn)

    def _add(self, turn: _Turn) -> None:
        key = turn.provider, turn.model_answered or turn.model_requested
        model = self._models.get(key)
        if model is None:
            model = self._other
            if len(self._models) < LISTED:
                model = self._models[key] = ModelTally()
        model.turns += 1
        if turn.status:
            self._statuses.add(turn.status)
        in_buckets = 0
        for bucket in TOKEN_BUCKETS:
            n = getattr(turn, bucket)
            self._buckets[bucket] += n
            in_buckets += n
        model.tokens += in_buckets if turn.total_tokens is None else turn.total_tokens
        if turn.cost_usd is not None:
            model.costs.append(turn.cost_usd)

    def rating(self, row: Row) -> None:
        """One record of the type `ai_rating`."""
        self._ratings += 1
        helpful = _slot(_Rating, row.ai_metadata).helpful
        if helpful is not None:
            self._helpful += helpful
            self._unhelpful += not helpful

    def figures(self) -> Ai:
        """All of it."""
        self._settle()
        tallies = [self._other, *self._models.values()]
        models = [
            Model(*key, tally.turns, tally.tokens, len(tally.costs), math.fsum(tally.costs))
            for key, tally in self._models.items()
        ]
        models.sort(key=lambda m: (-m.turns, m.provider, m.model))
        return Ai(
            turns=sum(tally.turns for tally in tallies),
            by_status=self._statuses.ordered(),
            tokens=sum(tally.tokens for tally in tallies),
            by_bucket={name: n for name, n in self._buckets.items() if n},
            priced=sum(len(tally.costs) for tally in tallies),
            cost_usd=math.fsum(cost for tally in tallies for cost in tally.costs),
            models=models,
            ratings=self._ratings,
            helpful=self._helpful,
            unhelpful=self._unhelpful,
        )
