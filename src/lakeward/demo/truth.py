"""The truth of a demo: what must be in the lake after it, computed from plan and rules alone.

In: a plan. Out: figures, and the file `demo-truth.json` beside the lake's other private files:

    {"format": "lakeward-demo-truth", "version": 1, "seed": 7, "visitors": 600, "seconds": 60.0,
     "began": "…Z", "ended": "…Z",               the run, by this machine's clock
     "after": {"epoch": …, "segment": …, "offset": …},   where the log stood before it
     "outage": {"started": "…Z", "ended": "…Z", "minutes": 0.08, "failed_requests": 40},
     "effect": {"experiment": …, "baseline": …, "metric": …, "conversion": {…}},
     "confidence": {"p1": {"score": …, "points": 15, …}}, "scores": {"p1": …},
     "figures": {…}}                             as in `figures.Figures`

Readers skip names that they do not know; what a name means changes with the version only. Nothing
is read back from the lake, save the moment at which the run began; which variant of the experiment
a visitor was shown, he saw on the page. Fails with `Terminal` for a
file that is no truth.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

import msgspec

from lakeward.demo.acts import GO_ON, Act
from lakeward.demo.answers import answer, tokens
from lakeward.demo.answers import asked as asking
from lakeward.demo.evidence import asked, counted, rows_since
from lakeward.demo.experiment import CONTROL, EXPERIMENT, Effect, effect
from lakeward.demo.figures import (
    Arm,
    Coach,
    Deals,
    Feedback,
    Figures,
    Flow,
    Match,
    Step,
    differences,
)
from lakeward.demo.partners import LIBRARY, PARTNERS, Partner
from lakeward.demo.plan import Plan, Visitor, settled, shown
from lakeward.demo.steps import CONTRACTOR, FINISHES, ONBOARDING
from lakeward.demo.testimony import Known
from lakeward.errors import Terminal
from lakeward.lakedir import LakeDir
from lakeward.log import Position, read_published
from lakeward.settings import Settings

NAME: Final = "demo-truth.json"
MESSAGES: Final = {
    "start": ("verification",),
    "book": ("introduction", "introduction"),
    "reschedule": ("moved", "moved"),
}
"""One to the contractor, of bookings one to the partner, too."""
STATUS: Final = {"book": "booked", "reschedule": "rescheduled", "cancel": "cancelled",
                 "held": "held", "no_show": "no_show"}  # fmt: skip
INPUT_PRICE, OUTPUT_PRICE = Decimal("2.5"), Decimal(10)
"""USD for a million tokens, as `prices.toml` has them."""
RATED: Final = ("communication", "expertise", "value")


class OutageTold(msgspec.Struct, frozen=True):
    """The planted outage as it was."""

    started: str
    ended: str
    failed_requests: int

    @property
    def minutes(self) -> float:
        """How long it was."""
        from_, until = map(datetime.datetime.fromisoformat, (self.started, self.ended))
        return (until - from_).total_seconds() / 60


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """The file."""

    format: Literal["lakeward-demo-truth"] = "lakeward-demo-truth"
    version: Literal[1] = 1
    seed: int
    visitors: int
    seconds: float
    began: str
    ended: str = ""
    after: Position = Position()
    outage: OutageTold | None = None
    effect: Effect = effect(GO_ON["choose"])
    confidence: dict[str, Known] = {}
    """What must have come of what was said of partners before the run; empty where nothing was."""
    scores: dict[str, float] = {}
    """PowerConfidence by which the run's visitors were matched, in whole points of 100."""
    figures: Figures


NO_ARMS: Final[Mapping[int, str]] = {}


def expected(
    plan: Plan, arms: Mapping[int, str] = NO_ARMS, *, watched: bool = True, bundled: bool = True,
    priced: bool = True,
) -> Figures:  # fmt: skip
    """What comes of a plan; `arms`: the variant that each visitor was shown, by number; `watched`:
    flows that go quiet are told as abandoned in time; `bundled`: the demo's own assistant answers;
    `priced`: by the demo's own prices."""
    plan = settled(plan, arms)
    acts = [act for visitor in plan.visitors for act in visitor.acts]
    done = Counter(act.kind for act in acts)
    messages: Counter[str] = Counter()
    for kind, templates in MESSAGES.items():
        messages.update(Counter(templates * done[kind]))  # type: ignore[index]  # a Kind
    return Figures(
        flows={
            "contractor": _flow(plan.visitors, CONTRACTOR, "start", "/start", "choose", watched),
            "partner_onboarding": _flow(
                plan.visitors, ONBOARDING, "join", "/join", "review", watched
            ),
        },
        matches={
            f"v{who.number}": found
            for who in plan.visitors
            if (found := shown_to(who, plan.partners))
        },
        bookings={status: n for kind, status in STATUS.items() if (n := done[kind])},  # type: ignore[index]  # a Kind
        deals=_deals(acts),
        feedback=_feedback(acts),
        coach=_coach(plan.visitors, bundled, priced),
        onboardings={
            status: n
            for status, n in {
                "started": sum(act.path == "/join" for act in acts),
                "step_completed": sum(
                    done[kind] for kind in ("join", "join_focus", "proposition", "review")
                ),
                "completed": done["review"],
            }.items()
            if n
        },
        content=_content(acts),
        messages={name: n for name, n in messages.items() if n},
        ctas=sum(_follows_call(who.acts) for who in plan.visitors),
        failed_requests=plan.outage.reads,
        experiments=_experiments(plan.visitors, arms),
    )


def shown_to(
    visitor: Visitor, partners: Collection[Partner] = PARTNERS.values()
) -> list[Match]:  # fmt: skip
    """The matches that a visitor is shown, the best first."""
    found = shown(visitor, partners)
    return [Match(one.partner.partner_id, one.score, rank) for rank, one in enumerate(found, 1)]


def _experiments(visitors: Sequence[Visitor], arms: Mapping[int, str]) -> dict[str, dict[str, Arm]]:
    """Who sees the partners that suit is in the experiment; who books has converted."""
    found: dict[str, Arm] = {}
    for visitor in visitors:
        kinds = {act.kind for act in visitor.acts}
        if "profile" in kinds:
            arm = arms.get(visitor.number, CONTROL)
            had = found.get(arm, Arm())
            found[arm] = Arm(had.users + 1, had.conversions + ("book" in kinds))
    return {EXPERIMENT: found} if found else {}


def _flow(
    visitors: Sequence[Visitor],
    steps: Sequence[str],
    opens: str,
    path: str,
    last: str,
    watched: bool,
) -> Flow:
    """Steps of one flow. A person enters a step by seeing its page; completion has none."""
    entered: Counter[str] = Counter()
    completed: Counter[str] = Counter()
    for visitor in visitors:
        kinds = {act.kind for act in visitor.acts}
        seen = any(act.kind == opens or act.path == path for act in visitor.acts)
        done = [step for kind, step in FINISHES.items() if kind in kinds and step in steps]
        if (visitor.role == "partner") != (steps is ONBOARDING):
            continue
        if last in kinds and "completion" in steps:
            done.append("completion")
        completed.update(done)
        entered.update(steps[: min(len(done) + 1, 4)] if seen else ())
    finished = completed[steps[-1]]
    return Flow(
        {step: Step(entered[step], completed[step]) for step in steps},
        completed=finished, abandoned=entered[steps[0]] - finished if watched else None,
    )  # fmt: skip


def _follows_call(acts: Sequence[Act]) -> bool:
    """Whether somebody goes from the landing page straight to the form."""
    return any(
        before.path == "/"
        and before.kind == "page"
        and (act.kind == "start" or act.path == "/start")
        for before, act in pairwise(acts)
    )


def _deals(acts: Sequence[Act]) -> dict[str, Deals]:
    found: dict[str, Deals] = {}
    for fields in (dict(act.fields) for act in acts if act.kind == "deal"):
        had = found.get(fields["currency"], Deals())
        found[fields["currency"]] = Deals(had.count + 1, had.value + float(fields["value"]))
    return found


def _feedback(acts: Sequence[Act]) -> Feedback:
    given = [dict(act.fields) for act in acts if act.kind == "feedback"]
    if not given:
        return Feedback()

    def mean(name: str) -> float:
        return round(sum(float(one[name]) for one in given) / len(given), 3)

    return Feedback(
        count=len(given), scores={name: mean(name) for name in RATED}, overall=mean("overall"),
        nps=mean("nps"), recommend=sum(one["recommend"] == "yes" for one in given),
    )  # fmt: skip


def _coach(visitors: Sequence[Visitor], bundled: bool, priced: bool) -> Coach:
    """Each question is a turn, asked with what its contractor cares for."""
    turns: list[tuple[int, int]] = []
    ratings: Counter[str] = Counter()
    for visitor in visitors:
        focus = [dict(act.fields) for act in visitor.acts if act.kind == "focus"]
        areas = list(focus[-1].values()) if focus else []
        for act in visitor.acts:
            if act.kind == "coach":
                text = dict(act.fields)["text"]
                prompt = sum(tokens(message["content"]) for message in asking(areas, text))
                turns.append((prompt, tokens(answer(text))))
            elif act.kind == "rate":
                ratings[dict(act.fields)["helpful"]] += 1
    told, said = (sum(counts) for counts in zip(*turns, strict=True)) if turns else (0, 0)
    cost = (told * INPUT_PRICE + said * OUTPUT_PRICE) / 1_000_000
    return Coach(
        conversations=sum(any(act.kind == "coach" for act in who.acts) for who in visitors),
        turns=len(turns), helpful=ratings["yes"], unhelpful=ratings["no"],
        input_tokens=told if bundled else None, output_tokens=said if bundled else None,
        cost_usd=float(cost) if bundled and priced else None,
    )  # fmt: skip


def _content(acts: Sequence[Act]) -> dict[str, int]:
    """A title is seen, and seen once more after something was done with it."""
    found: Counter[str] = Counter()
    for act in acts:
        content = LIBRARY.get(act.path.rpartition("/")[2])
        if content is not None:
            found[content.kind] += 3 if act.kind == "content" else 1
    return dict(found)


def position(lake: LakeDir) -> Position:
    """How far the log is durable now."""
    published = read_published(lake.private / "published")
    segment, offset = published.ends["raw"] if published else (0, 0)
    return Position(published.epoch if published else 0, segment, offset)


def write(truth: Truth, lake: LakeDir) -> Path:
    """Put the truth where it belongs; the path."""
    path = lake.private / NAME
    built = msgspec.to_builtins(truth)
    if truth.outage is not None:
        built["outage"]["minutes"] = round(truth.outage.minutes, 3)
    aside = path.with_suffix(".new")
    aside.write_bytes(msgspec.json.format(msgspec.json.encode(built), indent=2) + b"\n")
    aside.replace(path)
    return path


def read(path: Path) -> Truth:
    """The truth of a file."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Truth)
    except msgspec.DecodeError as error:
        raise Terminal(f"{path} is no truth of a demo that this version reads: {error}") from None


def compare(lake: LakeDir, truth: Truth, settings: Settings | None = None) -> list[str]:
    """How the lake differs from the truth: by its log, and by SQL where settings are given."""
    rows = rows_since(lake, truth.after)
    told = differences(truth.figures, counted(rows))
    if truth.outage is not None:
        told += _outside(rows, truth.outage)
    if settings is not None:
        told += differences(truth.figures, asked(settings, truth.began), "the table")
    return told


def _outside(rows: Sequence[dict[str, object]], outage: OutageTold) -> list[str]:
    late = [
        str(row["timestamp"])
        for row in rows
        if row.get("response_status") == 503
        and not outage.started <= str(row["timestamp"]) <= outage.ended
    ]
    if not late:
        return []
    return [f"outage: {len(late)} failed requests outside it, the first at {late[0]}"]
