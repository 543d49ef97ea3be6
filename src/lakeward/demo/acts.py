"""What each visitor of the demo does, one act after the other. Pure: a dice, and who it is.

In: a dice and a visitor's number. Out: acts in their order. `visit.py` does them, `chronicle.py`
tells what came of those of the past, `truth.py` and `annals.py` what must be in the lake.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeVar

import msgspec

from lakeward.demo import crowd
from lakeward.demo.experiment import BOOKS, CONTROL, TREATMENT
from lakeward.demo.partners import FOCUS_AREAS, LIBRARY, READINESS, REVENUE_TIERS, TEAMS

Kind = Literal[
    "page", "mistake", "start", "wrong_code", "code", "focus", "profile", "choose",
    "book", "reschedule", "cancel", "held", "no_show", "deal", "feedback", "coach", "rate",
    "content", "join", "join_focus", "proposition", "review", "api", "away",
]  # fmt: skip
Role = Literal["contractor", "partner", "reader"]
Fields = tuple[tuple[str, str], ...]

T = TypeVar("T")

GO_ON: Final = {"start": 0.86, "code": 0.92, "focus": 0.93, "profile": 0.94, "choose": 0.87}
"""How many of those who came this far do the next thing, too."""
STAYS: Final = 0.87
"""The same for partners who join, at every step."""
ENDINGS: Final = {"held": 55, "cancel": 15, "no_show": 12, "": 18}
"""What becomes of a hundred bookings; the last are still ahead."""
VALUES: Final = (1_200, 4_800, 9_600, 24_000, 48_000)
CURRENCIES: Final = {"USD": 80, "CAD": 12, "EUR": 8}
RATES, HELPED = 0.5, 0.8
"""How many of the coach's answers are rated, and how many of those helped."""


class Act(msgspec.Struct, frozen=True):
    """One thing that a visitor does."""

    kind: Kind
    path: str = ""
    """Where it does not follow from the kind."""
    fields: Fields = ()
    """What is typed and chosen, in the names of the platform's forms."""
    place: int = 0
    """Which of the matches shown, from 0."""
    only: str = ""
    """Done by those alone who were shown this variant of the page of matches."""


def one_of(dice: random.Random, shares: Mapping[T, int]) -> T:
    """One of them, as often as its share says."""
    return dice.choices(list(shares), list(shares.values()))[0]


def everything(dice: random.Random, number: int) -> Iterator[Act]:
    """Everything that a contractor can do, without going away."""
    yield Act("page", "/")
    yield _start(dice, number)
    yield Act("code")
    yield _focus(dice)
    yield _profile(dice)
    yield Act("choose", place=0)
    yield Act("book", place=0)
    yield Act("held")
    yield _deal(dice)
    yield _feedback(dice)
    yield Act("coach", fields=(("text", crowd.QUESTIONS[0]),))
    yield rating(True)
    yield Act("coach", fields=(("text", crowd.QUESTIONS[4]),))
    yield rating(False)
    yield content(dice)


def contractor(dice: random.Random, number: int) -> Iterator[Act]:
    """What a contractor does who gives up where it pleases him."""
    yield Act("page", "/")
    if dice.random() < 0.04:
        yield Act("api", "/api/partners")  # not verified yet: 401
    for act in _way(dice, number):
        if dice.random() >= GO_ON.get(act.kind, 1.0):
            if dice.random() < 0.3:
                yield Act("page", "/library")
            return
        yield act
    yield from _afterwards(dice)


def _way(dice: random.Random, number: int) -> Iterator[Act]:
    """The contractor flow to its end, with mistakes on the way."""
    if dice.random() < 0.06:
        yield Act("mistake", "/start", (("name", ""), ("email", "nowhere"), ("phone", "")))
    yield _start(dice, number)
    if dice.random() < 0.12:
        yield Act("wrong_code")
    yield Act("code")
    if dice.random() < 0.04:
        yield Act("mistake", "/focus", (("first", "crm"), ("second", "crm"), ("third", "crm")))
    yield _focus(dice)
    yield _profile(dice)
    yield Act("choose", place=dice.choices((0, 1, 2), (70, 20, 10))[0])


def _afterwards(dice: random.Random) -> Iterator[Act]:
    """What somebody does who knows his partner."""
    if dice.random() < 0.25:
        yield Act("away")
    yield from (content(dice) for _ in range(dice.choice((0, 0, 1, 2))))
    if dice.random() < 0.3:
        yield Act("api", "/api/partners")
        yield Act("api", f"/api/partners/p{dice.randint(1, 12)}")
    eager = dice.random()
    if eager < BOOKS[TREATMENT]:
        yield from _booking(dice, only="" if eager < BOOKS[CONTROL] else TREATMENT)
    if dice.random() < 0.6:
        yield _feedback(dice)
        if dice.random() < 0.7:
            for text in dice.sample(crowd.QUESTIONS, dice.randint(1, 3)):
                yield Act("coach", fields=(("text", text),))
                if dice.random() < RATES:
                    yield rating(dice.random() < HELPED)
    elif dice.random() < 0.2:
        yield Act("page", "/coach")  # closed until there is feedback


def rating(helpful: bool) -> Act:
    """Whether an answer of the coach helped."""
    return Act("rate", fields=(("helpful", "yes" if helpful else "no"),))


def _booking(dice: random.Random, only: str) -> Iterator[Act]:
    yield Act("book", place=dice.choices((0, 1, 2), (80, 15, 5))[0], only=only)
    if dice.random() < 0.2:
        yield Act("reschedule")
    ending = one_of(dice, ENDINGS)
    if ending == "held":
        yield Act("held")
        if dice.random() < 0.45:
            yield _deal(dice)
    elif ending == "cancel":
        yield Act("cancel", fields=(("reason", "Too busy this month"),))
    elif ending == "no_show":
        yield Act("no_show")


def company(dice: random.Random, number: int, stays: float) -> Iterator[Act]:
    """What a company does that joins; `stays`: how many do the next step, too."""
    firm = f"{dice.choice(crowd.LAST)} {dice.choice(crowd.TRADES)} Software"
    focus = dice.sample(list(FOCUS_AREAS), dice.randint(1, 3))
    revenue = dice.sample(list(REVENUE_TIERS), dice.randint(1, 3))
    yield Act("page", "/join")
    for kind, fields in (
        ("join", (("company", firm), ("name", _name(dice)),
                  ("email", f"partner-{number}@company.example"))),
        ("join_focus", tuple(("focus", area) for area in focus)),
        ("proposition", (("proposition", dice.choice(crowd.PROPOSITIONS)),
                         *(("revenue", tier) for tier in revenue))),
        ("review", (("agree", "yes"),)),
    ):  # fmt: skip
        if dice.random() >= stays:
            return
        yield Act(kind, fields=fields)  # type: ignore[arg-type]  # a Kind


def reader(dice: random.Random, number: int) -> Iterator[Act]:
    """A program that has no business here."""
    yield from (Act("api", "/api/partners") for _ in range(dice.randint(1, 4)))
    if number % 2:
        yield Act("page", f"/library/{dice.choice(list(LIBRARY))}")


def _start(dice: random.Random, number: int) -> Act:
    phone = f"+1{201 + number // 100}55501{number % 100:02d}"  # kept free for fiction
    fields = (("name", _name(dice)), ("email", f"visitor-{number}@crew.example"), ("phone", phone))
    return Act("start", fields=fields)


def _name(dice: random.Random) -> str:
    return f"{dice.choice(crowd.FIRST)} {dice.choice(crowd.LAST)}"


def _focus(dice: random.Random) -> Act:
    wishes = dice.sample(list(FOCUS_AREAS), 3)
    return Act("focus", fields=tuple(zip(("first", "second", "third"), wishes, strict=True)))


def _profile(dice: random.Random) -> Act:
    return Act("profile", fields=(
        ("revenue", dice.choice(list(REVENUE_TIERS))), ("team", dice.choice(list(TEAMS))),
        ("readiness", dice.choice(list(READINESS))),
    ))  # fmt: skip


def _deal(dice: random.Random) -> Act:
    return Act("deal", fields=(
        ("value", str(dice.choice(VALUES))), ("currency", one_of(dice, CURRENCIES)),
        ("deal_type", dice.choice(("new", "upsell"))),
        ("contract_months", str(dice.choice((12, 24, 36)))),
        ("satisfaction", str(dice.randint(6, 10))),
    ))  # fmt: skip


def _feedback(dice: random.Random) -> Act:
    liking = dice.randint(4, 10)
    near = [str(min(10, max(1, liking + dice.randint(-2, 1)))) for _ in range(4)]
    nps = min(10, max(0, liking + dice.randint(-1, 1)))
    return Act("feedback", fields=(
        ("communication", near[0]), ("expertise", near[1]), ("value", near[2]),
        ("overall", near[3]), ("nps", str(nps)), ("recommend", "yes" if nps > 6 else "no"),
        ("comments", dice.choice(crowd.REMARKS)),
    ))  # fmt: skip


def content(dice: random.Random) -> Act:
    """Something is done with a title of the library."""
    action = dice.choices(("start", "complete", "register", "download", "save"), k=1)[0]
    progress = {"start": dice.randint(1, 90), "complete": 100}.get(action)
    told = () if progress is None else (("progress", str(progress)),)
    path = f"/library/{dice.choice(list(LIBRARY))}"
    return Act("content", path, (("action", action), *told))
