"""Steps of flows: when somebody entered and finished each, told once for each person."""

from __future__ import annotations

from typing import Final, Literal

from lakeward.demo.platform import Platform

FLOWS: Final[dict[str, tuple[str, ...]]] = {
    "contractor": (
        "verification", "focus_areas", "business_profile", "matching", "completion",
    ),
    "partner_onboarding": ("company", "focus_areas", "value_proposition", "review"),
}  # fmt: skip
Flow = Literal["contractor", "partner_onboarding"]


def entered(platform: Platform, flow: Flow, step: str, owner: str) -> None:
    """Somebody sees a step; the first time counts."""
    now = platform.now()
    with platform.database.write() as connection:
        first = connection.execute(
            "INSERT OR IGNORE INTO steps (owner, flow, step, entered_at) VALUES (?, ?, ?, ?)",
            (owner, flow, step, now),
        ).rowcount
    if first:
        _tell(platform, flow, step, owner, "entered", None)


def completed(platform: Platform, flow: Flow, step: str, owner: str) -> bool:
    """Somebody finished a step; False when that was before."""
    now = platform.now()
    with platform.database.write() as connection:
        connection.execute(
            "INSERT OR IGNORE INTO steps (owner, flow, step, entered_at) VALUES (?, ?, ?, ?)",
            (owner, flow, step, now),
        )
        first = connection.execute(
            "UPDATE steps SET completed_at = ? WHERE owner = ? AND flow = ? AND step = ? "
            "AND completed_at IS NULL RETURNING entered_at",
            (now, owner, flow, step),
        ).fetchone()
    if first is None:
        return False
    _tell(platform, flow, step, owner, "completed", round(now - first["entered_at"], 3))
    return True


def finished(
    platform: Platform, flow: Flow, owner: str, device: str, browser: str, referrer: str | None
) -> None:
    """Somebody went through a whole flow."""
    with platform.database.read() as connection:
        began = connection.execute(
            "SELECT min(entered_at) FROM steps WHERE owner = ? AND flow = ?", (owner, flow)
        ).fetchone()[0]
    steps = list(FLOWS[flow])
    platform.outcomes.flow_completed(
        flow=flow, status="completed", seconds=round(platform.now() - began, 3), steps=steps,
        steps_completed=len(steps), steps_total=len(steps), device=device, browser=browser,
        referrer=referrer, user_id=owner, user_type=_kind(flow),
    )  # fmt: skip


def _tell(
    platform: Platform, flow: Flow, step: str, owner: str,
    status: Literal["entered", "completed"], seconds: float | None,
) -> None:  # fmt: skip
    steps = FLOWS[flow]
    platform.outcomes.flow_step(
        flow=flow, step=step, status=status, step_index=steps.index(step), steps_total=len(steps),
        seconds=seconds, user_id=owner, user_type=_kind(flow),
    )  # fmt: skip


def _kind(flow: Flow) -> str:
    return "contractor" if flow == "contractor" else "partner"
