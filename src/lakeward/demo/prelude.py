"""What a lake is given before the visitors come: weeks of history, and what is said of partners.

In: settings, the stage, how many days. Out: the history's truth; the PowerConfidence that partners
have, what it must be, and how the lake differs from that. Fails as backfilling and hearing do.

The two are made at once: who fills in a form thinks, and meanwhile the past is written. Where
there is nothing to give, the scores that the server has count.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec

from lakeward.confidence import consistency
from lakeward.demo.annals import history
from lakeward.demo.backfill import backfill
from lakeward.demo.carrier import Carrier
from lakeward.demo.evidence import confided, rows_since
from lakeward.demo.figures import History
from lakeward.demo.hearing import Hearing
from lakeward.demo.lives import past
from lakeward.demo.sayings import cases
from lakeward.demo.stage import PRICES, Stage
from lakeward.demo.standing import whole
from lakeward.demo.testimony import Known, differing, known
from lakeward.demo.truth import position
from lakeward.flows import read as read_flows
from lakeward.lakedir import LakeDir
from lakeward.log import Position
from lakeward.settings import Settings

NEEDS: Final = ("twilio", "sendgrid", "jinja2", "puremagic", "pypdf", "pptx", "docx", "webvtt")
"""What people are asked by, and what looks into demos."""
TOLD_SECONDS: Final = 60.0
Say = Callable[[str], None]


class Prelude(msgspec.Struct, frozen=True, kw_only=True):
    """How things stand when the visitors come."""

    history: History | None = None
    confidence: dict[str, Known] = {}
    """What must have come of what was said; empty where nothing was."""
    scores: dict[str, float] = {}
    """PowerConfidence as the platform knows it, in whole points."""
    differences: list[str] = []


def carrier_for(settings: Settings, days: int) -> Carrier | None:
    """What takes the invitations, where people are to be heard: in a new lake with an app database
    of its own."""
    if not days or not settings.collect or settings.database_url or missing():
        return None
    out_of_reach = [one.phone for told in cases() for one in told.witnesses if one.unreachable]
    return Carrier(out_of_reach)


def missing() -> bool:
    """Whether a package is absent that PowerConfidence needs."""
    return not all(map(importlib.util.find_spec, NEEDS))


def prelude(
    lake: LakeDir, settings: Settings, seed: int, days: int, stage: Stage, carrier: Carrier | None,
    say: Say,
) -> Prelude:  # fmt: skip
    """Give the lake what it is to have."""
    if days and missing():
        say("nobody speaks of partners: pip install 'lakeward[confidence]' for PowerConfidence")
    hearing = Hearing(stage.server_port, carrier) if carrier else None
    if hearing is not None and not hearing.is_open():
        say("nobody speaks of partners: the server knows some already, or asks for a key")
        hearing = None
    with ThreadPoolExecutor(1) as pool:
        after = position(lake)
        heard = pool.submit(_heard, hearing, say) if hearing else None
        told = told_before(settings, seed, days, say) if days and settings.collect else None
        found = heard.result() if heard else {}
    if hearing is None:
        return Prelude(history=told, scores=stage.scores())
    wanted = expected(settings)
    differences = [
        *differing(wanted, found, "the server"), *_in_lake(lake, after, wanted)
    ]  # fmt: skip
    scores = {which: whole(one.score) for which, one in wanted.items()}
    stage.await_scores(len(scores))
    return Prelude(history=told, confidence=wanted, scores=scores, differences=differences)


def expected(settings: Settings) -> dict[str, Known]:
    """What must come of what is said."""
    model = consistency.default(settings.embedding_model)
    now_ms = time.time_ns() // 1_000_000
    return {told.partner_id: known(told, now_ms, model) for told in cases()}


def told_before(settings: Settings, seed: int, days: int, say: Say) -> History:
    """Give the lake a past; what is in it."""
    began = time.monotonic()
    quiet = {flow.name: flow.quiet_seconds for flow in read_flows(settings).flows}
    before = past(seed, days, time.time_ns() // 1_000_000, quiet)
    kept = backfill(before, msgspec.structs.replace(settings, keeper="external"))
    took = time.monotonic() - began
    say(f"{days} days before today: {kept:,} interactions in {took:.0f} s")
    return history(before, priced=settings.ai_prices == PRICES)


def _heard(hearing: Hearing, say: Say) -> dict[str, Known]:
    began = time.monotonic()
    plan = cases()
    found = hearing.all(plan)
    points = sum(one.points for one in found.values())
    took = time.monotonic() - began
    say(f"{len(plan)} partners: {points} employees, customers and demos heard in {took:.0f} s")
    return found


def _in_lake(lake: LakeDir, after: Position, wanted: Mapping[str, Known]) -> list[str]:
    """How the lake differs, once it has had the time to hear of it."""
    deadline = time.monotonic() + TOLD_SECONDS
    while True:
        told = differing(wanted, confided(rows_since(lake, after)), "the lake")
        if not told or time.monotonic() > deadline:
            return told
        time.sleep(0.5)
