"""`lakeward summary [--date DAY]`: one day of the lake at a glance."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from datetime import date

import msgspec

from lakeward.cli.tail import printable
from lakeward.errors import Terminal
from lakeward.lake.figures import (
    Ai,
    Calls,
    LakeCounts,
    Latency,
    Outcomes,
    Quarantined,
    RouteCalls,
    Summary,
)
from lakeward.lake.summary import day_named, summarize_named
from lakeward.lake.turns import Turns
from lakeward.lakedir import open_lake
from lakeward.settings import Settings

WIDTH = 100
NAME = 40
"""Letters that a name may take inside a line."""
GUTTER = 12
ROUTES, ROWS = 20, 10
"""Routes and other rows that the text shows; JSON has them all."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Which day."""
    command.add_argument(
        "--date", default="today", metavar="DAY",
        help="today (default), yesterday or YYYY-MM-DD, UTC",
    )  # fmt: skip


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print the day's summary."""
    try:
        day_named(arguments.date)
    except ValueError as error:
        raise Terminal(f"--date: {error}") from None
    lake = open_lake(settings.lake_dir, create=False)
    turns = Turns(settings.ai_prices)
    summary = summarize_named(lake, arguments.date, ring_dir=settings.ring_dir, turns=turns)
    if arguments.format == "json":
        print(msgspec.json.format(msgspec.json.encode(summary), indent=2).decode())
    else:
        print(render(summary, so_far=summary.date == day_named("today")))
    return 0


def render(summary: Summary, *, so_far: bool = False) -> str:
    """The summary for people, the most important first, at most 100 letters wide."""
    weekday = date.fromisoformat(summary.date).strftime("%A")
    head = f"{summary.date}, {weekday}, by day of receipt (UTC)"
    lines = [head + (", so far" if so_far else ""), ""]
    if not summary.interactions:
        lines += [f"Nothing was recorded on {summary.date}.", ""]
    lines += _totals(summary)
    if summary.api_calls.calls:
        lines += ["", "API calls", *_calls(summary.api_calls)]
    if summary.outcomes.by_type:
        lines += ["", "Outcomes", *_outcomes(summary.outcomes)]
    if summary.ai.turns or summary.ai.ratings:
        lines += ["", "AI", *_ai(summary.ai)]
    if summary.quarantine.count:
        lines += ["", "Quarantine", *_quarantine(summary.quarantine)]
    lines += ["", "The whole lake since it began, not this day alone", *_lake(summary.lake)]
    return "\n".join(lines)


def _totals(summary: Summary) -> Iterator[str]:
    yield from _row(
        summary.interactions,
        "interactions",
        f"{_count(summary.users, 'user')}, {_count(summary.sessions, 'session')}",
        f"{summary.anonymous:,} of nobody known" if summary.anonymous else "",
        f"{summary.other_days:,} with another day's time" if summary.other_days else "",
        f"{summary.erased:,} erased" if summary.erased else "",
        f"{summary.unreadable:,} unreadable lines" if summary.unreadable else "",
    )
    folded = summary.folded
    if summary.by_type:
        yield from _row("", "types", *_named(summary.by_type, folded.get("by_type", 0)))
    if summary.services:
        yield from _row("", "apps", *_named(summary.services, folded.get("services", 0)))
    if summary.app_versions:
        yield from _row(
            "", "versions", *_named(summary.app_versions, folded.get("app_versions", 0))
        )


def _calls(calls: Calls) -> Iterator[str]:
    errors = calls.client_errors + calls.server_errors
    yield from _row(
        calls.calls,
        "calls",
        f"{_count(errors, 'error')} ({100 * errors / calls.calls:.1f} %)",
        f"{calls.client_errors:,} of the client (4xx)",
        f"{calls.server_errors:,} of the server (5xx)",
    )
    yield from _row("", "time", *_latency(calls.latency))
    yield from _row("", "status", *_named(calls.by_status, 0))
    yield ""
    titles = "".join(f"{title:>9}" for title in ("p50", "p95", "p99", "max"))
    yield f"{'calls':>{GUTTER}}{'4xx':>8}{'5xx':>8}{titles}  route, times in ms"
    for route in calls.routes[:ROUTES]:
        yield _route(route, f"{route.method} {route.route}".strip() or "(no path)")
    if hidden := calls.routes[ROUTES:]:
        n = sum(route.calls for route in hidden)
        yield f"{n:>{GUTTER},}  in {len(hidden):,} more, which --format json lists"
    if calls.other:
        yield _route(calls.other, "(all further routes and paths)")


def _route(route: RouteCalls, name: str) -> str:
    times = route.latency
    cells = "".join(f"{_short(ms):>9}" for ms in (times.p50, times.p95, times.p99, times.longest))
    errors = "".join(f"{n or '':>8}" for n in (route.client_errors, route.server_errors))
    head = f"{route.calls:>{GUTTER},}{errors}{cells}  "
    return head + cut(name, WIDTH - len(head))


def _short(ms: float | None) -> str:
    if ms is None:
        return ""
    return f"{ms:,.1f}" if ms < 1_000 else f"{ms:,.0f}" if ms < 1_000_000 else f"{ms:.2g}"


def _latency(times: Latency) -> Iterator[str]:
    shown = (("p50", times.p50), ("p95", times.p95), ("p99", times.p99), ("max", times.longest))
    for name, ms in shown:
        if ms is not None:
            yield f"{name} {_short(ms)} ms"


def _outcomes(outcomes: Outcomes) -> Iterator[str]:
    feedback = outcomes.feedback
    told: dict[str, list[str]] = {
        "partner_match": [_mean("score", outcomes.matches.mean_score, outcomes.matches.scored)],
        "demo_booking": _named(outcomes.bookings, 0),
        "deal_closed": [
            f"{money.total:,.2f} {_name(currency) or 'in no currency'}"
            for currency, money in outcomes.deals.value.items()
        ],
        "flow_completion": [
            f"completed {outcomes.completed:,}", f"abandoned {outcomes.abandoned:,}",
            *(
                f"{_name(name)} {flow.completed:,} of {flow.completed + flow.abandoned:,}"
                for name, flow in list(outcomes.flows.items())[:ROWS]
            ),
        ],
        "partner_onboarding": _named(outcomes.onboarding, 0),
        "feedback_submission": [
            _mean("rating", feedback.mean_overall, feedback.rated),
            f"NPS {feedback.nps:+.0f} of {feedback.nps_answers:,}" if feedback.nps_answers else "",
        ],
    }  # fmt: skip
    for name, n in outcomes.by_type.items():
        yield from _row(n, name, *told.get(name, []))


def _mean(what: str, value: float | None, n: int) -> str:
    return "" if value is None else f"mean {what} {value:.1f} of {n:,}"


def _ai(ai: Ai) -> Iterator[str]:
    yield from _row(
        ai.turns,
        "turns",
        *_named(ai.by_status, 0),
        f"{ai.tokens:,} tokens",
        f"{ai.cost_usd:,.4f} USD for {_count(ai.priced, 'turn')}" if ai.priced else "no cost known",
    )
    buckets = [f"{name.removesuffix('_tokens')} {n:,}" for name, n in ai.by_bucket.items()]
    if buckets:
        yield from _row("", "tokens", *buckets)
    for model in ai.models[:ROWS]:
        name = " ".join(part for part in (model.provider, model.model) if part)
        cost = f"{model.cost_usd:,.4f} USD" if model.priced else ""
        yield from _row(model.turns, name or "(no model)", f"{model.tokens:,} tokens", cost)
    if hidden := ai.turns - sum(model.turns for model in ai.models[:ROWS]):
        yield from _row(hidden, "of further models")
    if ai.ratings:
        yield from _row(
            ai.ratings, "ratings", f"helpful {ai.helpful:,}", f"not helpful {ai.unhelpful:,}"
        )


def _quarantine(quarantine: Quarantined) -> Iterator[str]:
    shown = list(quarantine.by_reason.items())[:ROWS]
    for reason, n in shown:
        yield f"{n:>{GUTTER},}  {cut(printable(reason), WIDTH - GUTTER - 2)}"
    if hidden := quarantine.count - sum(n for _, n in shown):
        yield f"{hidden:>{GUTTER},}  for further reasons"


def _lake(lake: LakeCounts | None) -> Iterator[str]:
    if lake is None:
        yield "             the ledger cannot be read: run `lakeward doctor`"
        return
    yield from _row(
        lake.offered,
        "offered",
        f"delivered {lake.delivered:,}",
        f"quarantined {lake.quarantined:,}" if lake.quarantined else "",
        f"waiting {lake.waiting:,}" if lake.waiting else "",
        *_named(lake.reasons, 0),
    )


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _named(counts: Mapping[str, int], folded: int) -> list[str]:
    """`name count`, the first ones, and how many records the rest has."""
    shown = list(counts.items())[:ROWS]
    rest = sum(counts.values()) + folded - sum(n for _, n in shown)
    parts = [f"{_name(name) or '(none)'} {n:,}" for name, n in shown]
    return [*parts, f"others {rest:,}"] if rest else parts


def _name(text: str) -> str:
    return cut(printable(text), NAME)


def cut(text: str, width: int) -> str:
    """`text` without its middle where it is too long, and without what could steer a terminal."""
    text = printable(text)
    if len(text) <= width:
        return text
    left = (width - 1) // 2
    return f"{text[:left]}…{text[len(text) - (width - 1 - left) :]}"


def _row(n: int | str, name: str, *parts: str) -> Iterable[str]:
    """A count, a name, and the facts about it, wrapped under each other."""
    number = n if isinstance(n, str) else f"{n:,}"
    head = f"{number:>{GUTTER}}  {_name(name)}"
    facts = "\0· ".join(part.replace(" ", "\0") for part in parts if part)
    if not facts:
        return [head]
    head = f"{head:<{GUTTER + 22}}  "
    wrapped = textwrap.wrap(
        facts, WIDTH, initial_indent=head, subsequent_indent=" " * (GUTTER + 24),
        break_on_hyphens=False, drop_whitespace=True,
    )  # fmt: skip
    return [line.replace("\0", " ").rstrip() for line in wrapped]
