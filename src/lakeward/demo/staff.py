"""What staff does: how demos went, deals, and the outage that is planted on purpose."""

from __future__ import annotations

import secrets
import sqlite3
from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from lakeward.demo import booking as bookings
from lakeward.demo.platform import Platform, Problem, onward

CURRENCIES: Final = ("USD", "EUR", "CAD", "GBP")
OUTAGE: Final = "outage"
Field = Annotated[str, Form(max_length=100)]


def routes(platform: Platform) -> APIRouter:
    """The pages of staff."""
    router = APIRouter(prefix="/staff")

    @router.get("")
    def desk(request: Request) -> Response:
        platform.staff(request)
        with platform.database.read() as connection:
            found = connection.execute(
                "SELECT b.*, d.deal_id FROM bookings b LEFT JOIN deals d USING (booking_id) "
                "ORDER BY slot LIMIT 500"
            ).fetchall()
        outage = platform.switched_on(OUTAGE)
        return platform.page(request, "staff", bookings=found, outage=outage)

    @router.post("/bookings/{booking_id}/held")
    def held(request: Request, booking_id: str, staff: Field = "") -> Response:
        platform.staff(request, staff)
        booking = bookings.settle(platform, booking_id, "held")
        platform.outcomes.demo_held(**bookings.fields(booking))
        return onward(request, "/staff")

    @router.post("/bookings/{booking_id}/no-show")
    def no_show(request: Request, booking_id: str, staff: Field = "") -> Response:
        platform.staff(request, staff)
        booking = bookings.settle(platform, booking_id, "no_show")
        platform.outcomes.demo_no_show(**bookings.fields(booking))
        return onward(request, "/staff")

    @router.post("/outage")
    def outage(request: Request, on: Field = "", staff: Field = "") -> Response:
        platform.staff(request, staff)
        if on not in ("yes", "no"):
            raise Problem(422, "`on` must be yes or no.")
        with platform.database.write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO switches VALUES (?, ?)", (OUTAGE, on == "yes")
            )
        return onward(request, "/staff")

    _deals(router, platform)
    return router


def _deals(router: APIRouter, platform: Platform) -> None:
    @router.post("/deals")
    def close(
        request: Request, booking: Field = "", value: Field = "", currency: Field = "USD",
        deal_type: Field = "new", contract_months: Field = "12", satisfaction: Field = "",
        staff: Field = "",
    ) -> Response:  # fmt: skip
        platform.staff(request, staff)
        worth, months = _number(value, "value", 1e9), _number(contract_months, "months", 1200)
        pleased = _number(satisfaction, "satisfaction", 10, 1) if satisfaction else None
        if currency not in CURRENCIES:
            raise Problem(422, f"`currency` must be one of {', '.join(CURRENCIES)}.")
        row = _held(platform, booking)
        deal_id = f"d-{secrets.token_hex(6)}"
        try:
            with platform.database.write() as connection:
                connection.execute("INSERT INTO deals VALUES (?, ?)", (deal_id, booking))
        except sqlite3.IntegrityError:
            raise Problem(409, "This demo led to a deal already.") from None
        match = _match(platform, row["contractor_id"], row["partner_id"])
        platform.outcomes.deal_closed(
            deal_id=deal_id, value=worth, currency=currency, deal_type=deal_type or None,
            contract_months=months, satisfaction=pleased, user_id=row["contractor_id"],
            user_type="contractor", partner_id=row["partner_id"],
            days_to_close=round((platform.now() - match["at"]) / 86_400, 3) if match else None,
            match_interaction_id=match["interaction_id"] if match else None,
        )  # fmt: skip
        return onward(request, "/staff")


def _held(platform: Platform, booking_id: str) -> sqlite3.Row:
    with platform.database.read() as connection:
        row: sqlite3.Row | None = connection.execute(
            "SELECT * FROM bookings WHERE booking_id = ? AND status = 'held'", (booking_id,)
        ).fetchone()
    if row is None:
        raise Problem(409, "A deal follows a demo that was held: this one was not.")
    return row


def _match(platform: Platform, contractor: str, partner_id: str) -> sqlite3.Row | None:
    with platform.database.read() as connection:
        row: sqlite3.Row | None = connection.execute(
            "SELECT interaction_id, at FROM matches WHERE contractor_id = ? AND partner_id = ?",
            (contractor, partner_id),
        ).fetchone()
    return row


def _number(text: str, name: str, most: float, least: float = 0) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not least <= number <= most:
        raise Problem(422, f"`{name}` must be a number from {least:g} to {most:g}.")
    return number
