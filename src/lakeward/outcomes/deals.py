"""Demos, from the booking on, and the deals that come of them."""

from __future__ import annotations

import datetime
from typing import Unpack

from lakeward.outcomes.telling import JoinedToPartner, Telling


class Booking(JoinedToPartner, total=False):
    """What every state of a booking may carry, kept in `outcomes`."""

    booking_id: str | None
    """The booking, equal through all its states."""
    date: datetime.date | str | None
    """Day of the demo (ISO 8601 date)."""
    time: datetime.time | str | None
    """Start of the demo (HH:MM in `timezone`)."""
    timezone: str | None
    """IANA time zone of date and time."""
    duration_minutes: int | None
    """Length of the slot (minutes)."""
    demo_type: str | None
    """What is shown, such as product or discovery."""
    source: str | None
    """What led to the booking, such as match or e-mail."""
    reason: str | None
    """Why it was moved or cancelled."""


class Deals(Telling):
    """Demos, from the booking on, and the deals that come of them."""

    def demo_booked(self, **booking: Unpack[Booking]) -> str | None:
        """A demo with a partner was booked: `demo_booking` with status `booked`.

        Takes the fields of `Booking`, kept in `outcomes`.
        """
        return self._tell("demo_booking", booking, status="booked")

    def demo_rescheduled(self, **booking: Unpack[Booking]) -> str | None:
        """A booked demo was moved: `demo_booking` with status `rescheduled`.

        Takes the fields of `Booking`, kept in `outcomes`; date and time are the new ones.
        """
        return self._tell("demo_booking", booking, status="rescheduled")

    def demo_cancelled(self, **booking: Unpack[Booking]) -> str | None:
        """A booked demo was called off: `demo_booking` with status `cancelled`.

        Takes the fields of `Booking`, kept in `outcomes`.
        """
        return self._tell("demo_booking", booking, status="cancelled")

    def demo_held(self, **booking: Unpack[Booking]) -> str | None:
        """A booked demo took place: `demo_booking` with status `held`.

        Takes the fields of `Booking`, kept in `outcomes`.
        """
        return self._tell("demo_booking", booking, status="held")

    def demo_no_show(self, **booking: Unpack[Booking]) -> str | None:
        """Somebody did not come to a booked demo: `demo_booking` with status `no_show`.

        Takes the fields of `Booking`, kept in `outcomes`.
        """
        return self._tell("demo_booking", booking, status="no_show")

    def deal_closed(
        self,
        *,
        value: float,
        currency: str | None = None,
        deal_id: str | None = None,
        deal_type: str | None = None,
        contract_months: float | None = None,
        days_to_close: float | None = None,
        satisfaction: float | None = None,
        match_interaction_id: str | None = None,
        **joined: Unpack[JoinedToPartner],
    ) -> str | None:
        """A contractor and a partner closed a deal: `deal_closed`.

        Kept in `outcomes`:
        value: What the whole contract is worth (`currency`).
        currency: Currency of the value; sums are kept apart by it (ISO 4217).
        deal_id: The app's id of the deal.
        deal_type: Kind of deal, such as new, renewal or upsell.
        contract_months: Length of the contract (months, 0 to 1200).
        days_to_close: From first contact to closing (days, 0 to 36500).
        satisfaction: How satisfied the contractor is (1 to 10).
        match_interaction_id: The `partner_match` it came from, where the app knows it.
        """
        return self._tell(
            "deal_closed", joined, value=value, currency=currency, deal_id=deal_id,
            deal_type=deal_type, contract_months=contract_months, days_to_close=days_to_close,
            satisfaction=satisfaction, match_interaction_id=match_interaction_id,
        )  # fmt: skip
