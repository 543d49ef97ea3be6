"""Demos: slots, booking, moving and cancelling, with an e-mail that introduces the two."""

from __future__ import annotations

import secrets
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from lakeward.demo.partners import PARTNERS, Partner
from lakeward.demo.platform import Platform, Problem, onward
from lakeward.outcomes import Booking

DAYS: Final = 5
FIRST_HOUR, LAST_HOUR = 9, 16
MINUTES: Final = 30
Field = Annotated[str, Form(max_length=500)]


def routes(platform: Platform) -> APIRouter:
    """The pages of a booking."""
    router = APIRouter()

    @router.get("/partners/{partner_id}/book")
    def offer(request: Request, partner_id: str) -> Response:
        platform.verified(request)
        partner = known(partner_id)
        return platform.page(request, "book", partner=partner, slots=free(platform, partner_id))

    @router.post("/partners/{partner_id}/book")
    def book(request: Request, partner_id: str, slot: Field = "") -> Response:
        visitor, partner = platform.verified(request), known(partner_id)
        booking_id = f"b-{secrets.token_hex(6)}"
        if slot not in slots(platform.now()) or not _taken(
            platform, booking_id, visitor["contractor_id"], partner_id, slot
        ):
            return platform.page(
                request, "book", 409 if slot else 422, "Choose one of the times that are free.",
                partner=partner, slots=free(platform, partner_id),
            )  # fmt: skip
        booked: Booking = {
            **fields(_row(platform, booking_id)), "source": "match", "demo_type": "product",
        }  # fmt: skip
        platform.outcomes.demo_booked(**booked)
        _introduce(platform, visitor, partner, booking_id, slot, 0)
        return onward(request, f"/bookings/{booking_id}")

    @router.get("/bookings/{booking_id}")
    def show(request: Request, booking_id: str) -> Response:
        booking = _own(platform, platform.verified(request), booking_id)
        return platform.page(
            request, "booking", booking=booking, partner=PARTNERS[booking["partner_id"]],
            slots=free(platform, booking["partner_id"]),
        )  # fmt: skip

    @router.post("/bookings/{booking_id}/reschedule")
    def move(request: Request, booking_id: str, slot: Field = "") -> Response:
        visitor = platform.verified(request)
        booking = _own(platform, visitor, booking_id)
        if slot not in slots(platform.now()):
            raise Problem(422, "Choose one of the times that are free.")
        moved = _moved(platform, booking_id, slot)
        platform.outcomes.demo_rescheduled(**fields(_row(platform, booking_id)))
        _introduce(platform, visitor, known(booking["partner_id"]), booking_id, slot, moved)
        return onward(request, f"/bookings/{booking_id}")

    @router.post("/bookings/{booking_id}/cancel")
    def cancel(request: Request, booking_id: str, reason: Field = "") -> Response:
        _own(platform, platform.verified(request), booking_id)
        booking = settle(platform, booking_id, "cancelled")
        told: Booking = {**fields(booking), "reason": reason.strip() or None}
        platform.outcomes.demo_cancelled(**told)
        return onward(request, f"/bookings/{booking_id}")

    return router


def known(partner_id: str) -> Partner:
    """The partner of that id."""
    try:
        return PARTNERS[partner_id]
    except KeyError:
        raise Problem(404, "There is no such partner.") from None


def slots(now: float) -> list[str]:
    """Starts of half hours on the next working days (UTC)."""
    day = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    found: list[str] = []
    days = 0
    while days < DAYS:
        day += timedelta(days=1)
        if day.weekday() >= 5:
            continue
        days += 1
        for half in range((LAST_HOUR - FIRST_HOUR + 1) * 60 // MINUTES):
            moment = day + timedelta(hours=FIRST_HOUR, minutes=half * MINUTES)
            found.append(moment.strftime("%Y-%m-%dT%H:%M"))
    return found


def free(platform: Platform, partner_id: str) -> list[str]:
    """Those that nobody has."""
    with platform.database.read() as connection:
        taken = {
            row["slot"]
            for row in connection.execute(
                "SELECT slot FROM bookings WHERE partner_id = ? AND status <> 'cancelled'",
                (partner_id,),
            )
        }
    return [slot for slot in slots(platform.now()) if slot not in taken]


def fields(booking: sqlite3.Row) -> Booking:
    """What an outcome says of a booking."""
    day, _, time = booking["slot"].partition("T")
    return {
        "booking_id": booking["booking_id"], "user_id": booking["contractor_id"],
        "user_type": "contractor", "partner_id": booking["partner_id"], "date": day,
        "time": time, "timezone": "UTC", "duration_minutes": MINUTES,
    }  # fmt: skip


def settle(platform: Platform, booking_id: str, status: str) -> sqlite3.Row:
    """Move a booking that is still to come into its last state."""
    with platform.database.write() as connection:
        row: sqlite3.Row | None = connection.execute(
            "UPDATE bookings SET status = ? WHERE booking_id = ? AND status = 'booked' RETURNING *",
            (status, booking_id),
        ).fetchone()
    if row is None:
        raise Problem(409, "This demo is not to come any more: nothing was changed.")
    return row


def _row(platform: Platform, booking_id: str) -> sqlite3.Row:
    with platform.database.read() as connection:
        row: sqlite3.Row | None = connection.execute(
            "SELECT * FROM bookings WHERE booking_id = ?", (booking_id,)
        ).fetchone()
    if row is None:
        raise Problem(404, "There is no such booking.")
    return row


def _own(platform: Platform, visitor: sqlite3.Row, booking_id: str) -> sqlite3.Row:
    booking = _row(platform, booking_id)
    if booking["contractor_id"] != visitor["contractor_id"]:
        raise Problem(404, "There is no such booking.")
    return booking


def _taken(
    platform: Platform, booking_id: str, contractor: str, partner_id: str, slot: str
) -> bool:  # fmt: skip
    """Whether the slot is theirs now; the index refuses a second booking of it."""
    try:
        with platform.database.write() as connection:
            connection.execute(
                "INSERT INTO bookings (booking_id, contractor_id, partner_id, slot, status) "
                "VALUES (?, ?, ?, ?, 'booked')",
                (booking_id, contractor, partner_id, slot),
            )
    except sqlite3.IntegrityError:
        return False
    return True


def _moved(platform: Platform, booking_id: str, slot: str) -> int:
    """How often the booking was moved, this time included."""
    try:
        with platform.database.write() as connection:
            row = connection.execute(
                "UPDATE bookings SET slot = ?, moved = moved + 1 WHERE booking_id = ? "
                "AND status = 'booked' RETURNING moved",
                (slot, booking_id),
            ).fetchone()
    except sqlite3.IntegrityError:
        raise Problem(409, "Somebody has that time now: choose another.") from None
    if row is None:
        raise Problem(409, "This demo is not to come any more: nothing was changed.")
    moved: int = row["moved"]
    return moved


def _introduce(
    platform: Platform, visitor: sqlite3.Row, partner: Partner, booking_id: str, slot: str,
    change: int,
) -> None:  # fmt: skip
    values = {
        "contractor": visitor["name"], "partner": partner.name, "offer": partner.offer,
        "slot": slot.replace("T", " "),
    }  # fmt: skip
    for address in (visitor["email"], partner.email):
        platform.post.introduction(
            booking_id, visitor["contractor_id"], address, values, change
        )  # fmt: skip
