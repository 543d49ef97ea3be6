"""Which steps the demo's flows have, and which act finishes each."""

from __future__ import annotations

from typing import Final

CONTRACTOR: Final = ("verification", "focus_areas", "business_profile", "matching", "completion")
ONBOARDING: Final = ("company", "focus_areas", "value_proposition", "review")
FINISHES: Final = {"code": "verification", "focus": "focus_areas", "profile": "business_profile",
                   "choose": "matching", "join": "company", "join_focus": "focus_areas",
                   "proposition": "value_proposition", "review": "review"}  # fmt: skip
"""Which step an act finishes; each page leads to the next, so finishing one enters the next."""
