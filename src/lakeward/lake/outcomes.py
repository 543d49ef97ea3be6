"""What became of what: matches, bookings and deals joined, worked out when it is asked.

Out: the views `bookings`, `deals` and `matches`, over those of the types and `stitched`. A booking
is all that one app told under one `booking_id`, a deal all under one `deal_id`; what was told
without one stands for itself. The newest word on a field counts, the first on who and when.

    partner_match ──► demo_booking ──► deal_closed      joined by app, person and partner, in order

A booking or deal comes from the newest match of the same app (`service`), person and partner that
is not later; a deal that names its match comes from that one, where it is in the lake. A person is
who `stitched` says, so a match before an `identify` and a deal weeks after it meet. Of what
happened in one millisecond, the greater id is the newer.
"""

from __future__ import annotations

from typing import Final

PLACE: Final = "(timestamp, interaction_id)"


def _text(name: str) -> str:
    return f"outcomes->>'$.{name}'"


def _newest(name: str, kind: str = "") -> str:
    value = f"TRY_CAST({_text(name)} AS {kind})" if kind else _text(name)
    return f"arg_max({value}, {PLACE}) AS {name}"


def _same(one: str, other: str) -> str:
    """The app, person and partner of both; what names no app is of one app, too."""
    return (
        f"{one}.service IS NOT DISTINCT FROM {other}.service AND {one}.person = {other}.person "
        f"AND {one}.partner_id = {other}.partner_id"
    )


MATCHED: Final = f"""
SELECT service, person, partner_id, timestamp AS matched_at, max(interaction_id) AS interaction_id,
    arg_max(TRY_CAST({_text("score")} AS DOUBLE), interaction_id) AS match_score,
    arg_max(TRY_CAST({_text("rank")} AS BIGINT), interaction_id) AS match_rank
FROM stitched WHERE interaction_type = 'partner_match' AND person IS NOT NULL
GROUP BY service, person, partner_id, timestamp
"""
"""Matches to look back at: one for each app, person, partner and millisecond."""

BOOKED: Final = f"""
SELECT service, coalesce({_text("booking_id")}, interaction_id) AS booking_id,
    arg_min(person, {PLACE}) AS person, arg_min(partner_id, {PLACE}) AS partner_id,
    {_newest("status")}, min(timestamp) AS first_at, max(timestamp) AS changed_at,
    min(timestamp) FILTER ({_text("status")} = 'held') AS held_at,
    count(*) FILTER ({_text("status")} = 'rescheduled') AS times_rescheduled,
    {_newest("date")}, {_newest("time")}, {_newest("timezone")}, {_newest("demo_type")},
    arg_min({_text("source")}, {PLACE}) AS source
FROM stitched WHERE interaction_type = 'demo_booking'
GROUP BY service, coalesce({_text("booking_id")}, interaction_id)
"""
"""Bookings without their matches: an ASOF join that nobody reads is paid all the same."""

BOOKINGS: Final = f"""
SELECT b.*, m.interaction_id AS match_interaction_id, m.matched_at
FROM ({BOOKED}) b ASOF LEFT JOIN ({MATCHED}) m
    ON {_same("m", "b")} AND b.first_at >= m.matched_at
"""

CLOSED: Final = f"""
WITH closed AS (
    SELECT service, coalesce({_text("deal_id")}, interaction_id) AS deal_id,
        arg_max(interaction_id, {PLACE}) AS interaction_id,
        arg_min(person, {PLACE}) AS person, arg_min(partner_id, {PLACE}) AS partner_id,
        min(timestamp) AS closed_at, {_newest("value", "DOUBLE")}, {_newest("currency")},
        {_newest("deal_type")}, {_newest("contract_months", "DOUBLE")},
        {_newest("days_to_close", "DOUBLE")}, {_newest("satisfaction", "DOUBLE")},
        {_newest("match_interaction_id")}
    FROM stitched WHERE interaction_type = 'deal_closed'
    GROUP BY service, coalesce({_text("deal_id")}, interaction_id)
), named AS (
    SELECT interaction_id, timestamp AS matched_at,
        TRY_CAST({_text("score")} AS DOUBLE) AS match_score,
        TRY_CAST({_text("rank")} AS BIGINT) AS match_rank
    FROM partner_match
)
SELECT c.* EXCLUDE (match_interaction_id),
    coalesce(n.interaction_id, m.interaction_id) AS match_interaction_id,
    if(n.interaction_id IS NULL, m.matched_at, n.matched_at) AS matched_at,
    if(n.interaction_id IS NULL, m.match_score, n.match_score) AS match_score,
    if(n.interaction_id IS NULL, m.match_rank, n.match_rank) AS match_rank
FROM closed c
LEFT JOIN named n ON n.interaction_id = c.match_interaction_id
ASOF LEFT JOIN ({MATCHED}) m
    ON {_same("m", "c")} AND c.closed_at >= m.matched_at
"""
"""Deals without their bookings."""

DEALS: Final = f"""
WITH booked AS (
    SELECT service, person, partner_id, first_at, max(booking_id) AS booking_id
    FROM ({BOOKED}) WHERE person IS NOT NULL GROUP BY ALL
)
SELECT d.*, (epoch_ms(d.closed_at) - epoch_ms(d.matched_at)) / 86400000.0 AS days_from_match,
    b.booking_id
FROM ({CLOSED}) d ASOF LEFT JOIN booked b
    ON {_same("b", "d")} AND d.closed_at >= b.first_at
"""

MATCHES: Final = f"""
SELECT m.interaction_id, m.service, m.timestamp AS matched_at, m.person, m.partner_id,
    TRY_CAST(m.{_text("score")} AS DOUBLE) AS score,
    TRY_CAST(m.{_text("rank")} AS BIGINT) AS rank,
    TRY_CAST(m.{_text("primary")} AS BOOLEAN) AS "primary",
    b.booked_at, b.held_at, d.deal_at, coalesce(d.deals, 0) AS deals
FROM stitched m
LEFT JOIN (
    SELECT match_interaction_id, min(first_at) AS booked_at, min(held_at) AS held_at
    FROM bookings WHERE match_interaction_id IS NOT NULL GROUP BY ALL
) b ON b.match_interaction_id = m.interaction_id
LEFT JOIN (
    SELECT match_interaction_id, min(closed_at) AS deal_at, count(*) AS deals
    FROM ({CLOSED}) WHERE match_interaction_id IS NOT NULL GROUP BY ALL
) d ON d.match_interaction_id = m.interaction_id
WHERE m.interaction_type = 'partner_match'
"""

VIEWS: Final[dict[str, str]] = {"bookings": BOOKINGS, "deals": DEALS, "matches": MATCHES}
"""The select of each view by its name; each stands on `stitched`, or on those before it."""
