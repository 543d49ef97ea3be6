"""Steps of flows and of a partner's onboarding, and how flows end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Unpack

from lakeward.outcomes.telling import JoinedToPartner, Telling


class Steps(Telling):
    """Steps of flows and of a partner's onboarding, and how flows end."""

    def flow_step(
        self,
        *,
        flow: str,
        step: str,
        status: Literal["back", "completed", "entered", "failed", "skipped"] | None = None,
        step_index: int | None = None,
        steps_total: int | None = None,
        seconds: float | None = None,
        **joined: Unpack[JoinedToPartner],
    ) -> str | None:
        """A user reached, finished or left one step of a declared flow: `flow_step`.

        Kept in `outcomes`:
        flow: The flow, such as `contractor`.
        step: The step, such as `focus_areas`.
        status: What happened at the step; completed when absent.
        step_index: Place of the step in the flow, from 0.
        steps_total: Steps that the flow has (steps).
        seconds: Time spent on the step (s).
        """
        return self._tell(
            "flow_step", joined, flow=flow, step=step, status=status, step_index=step_index,
            steps_total=steps_total, seconds=seconds,
        )  # fmt: skip

    def flow_completed(
        self,
        *,
        flow: str,
        status: Literal["abandoned", "completed"] | None = None,
        seconds: float | None = None,
        steps: Sequence[str] | None = None,
        abandoned_steps: Sequence[str] | None = None,
        steps_completed: int | None = None,
        steps_total: int | None = None,
        device: str | None = None,
        browser: str | None = None,
        **joined: Unpack[JoinedToPartner],
    ) -> str | None:
        """A user finished a flow, or the flow went quiet and counts as abandoned:
        `flow_completion`.

        Kept in `outcomes`:
        flow: The flow, such as `contractor`.
        status: How it ended; completed when absent.
        seconds: From first to last step (s).
        steps: Steps done, in order.
        abandoned_steps: Steps that were entered and not finished.
        steps_completed: Steps done (steps).
        steps_total: Steps that the flow has (steps).
        device: Kind of device, such as mobile.
        browser: Name of the browser.
        """
        return self._tell(
            "flow_completion", joined, flow=flow, status=status, seconds=seconds, steps=steps,
            abandoned_steps=abandoned_steps, steps_completed=steps_completed,
            steps_total=steps_total, device=device, browser=browser,
        )  # fmt: skip

    def partner_onboarding(
        self,
        *,
        status: Literal["abandoned", "completed", "started", "step_completed"],
        step: str | None = None,
        steps_completed: int | None = None,
        steps_total: int | None = None,
        seconds: float | None = None,
        focus_areas: Sequence[str] | None = None,
        revenue_tiers: Sequence[str] | None = None,
        source: str | None = None,
        **joined: Unpack[JoinedToPartner],
    ) -> str | None:
        """A partner went a step on the way into the platform: `partner_onboarding`.

        Kept in `outcomes`:
        status: What happened.
        step: The step it concerns, such as `value_proposition`.
        steps_completed: Steps done (steps).
        steps_total: Steps there are (steps).
        seconds: Time since the start (s).
        focus_areas: Focus areas that the partner serves.
        revenue_tiers: Revenue ranges that the partner serves.
        source: Where the partner came from.
        """
        return self._tell(
            "partner_onboarding", joined, status=status, step=step,
            steps_completed=steps_completed, steps_total=steps_total, seconds=seconds,
            focus_areas=focus_areas, revenue_tiers=revenue_tiers, source=source,
        )  # fmt: skip
