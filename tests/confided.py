"""Partners of whom witnesses spoke, scored day by day, with hostile text in what people write.

In: a lake that nobody serves yet, and the present moment. Out: rows of its app database, as the
rounds of the last days would have left them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from alert_lake import DAY, settings_of
from business_lake import HOSTILE
from conftest import Lake
from lakeward.confidence import form
from lakeward.confidence.desk import Desk, Told
from lakeward.confidence.scoring import Scoring
from lakeward.store.changes import Actor
from lakeward.store.database import open_database
from lakeward.store.invitations import Form
from lakeward.store.responses import Answers
from witnessed import Clock

ADMIN: Final = Actor("ann@example.com", "admin")
PARTNER: Final = "p1"
PEERS: Final = ("p2", "q1", "q2", "q3")
QUIET: Final = "p0"
"""Known, but nobody spoke of it."""
MARKUP: Final = HOSTILE.replace("\u202e", "")
INVITED: Final = "Olga<svg/onload=alert(2)>"
NAMES: Final = {PARTNER: f"Acme {MARKUP}", QUIET: "Quiet", "p2": "Brim", "q1": "Crest"}
OFFER: Final = (
    "We answer every call within one hour. All our work is guaranteed for ten years. "
    f"We call ourselves {HOSTILE} the best roofer of Texas."
)
WORDS: Final = (
    "They answer every call within one hour.",
    "It took them three days to answer the call.",
    f"The crew was kind and careful. {HOSTILE}",
    "All their work is guaranteed for ten years.",
    "They cleaned the garden before they left.",
    "It took them four days to answer the call.",
)
COPIED: Final = "Tell us of the plan sooner, and not on the morning of the same day."
"""Two write it: that is a flag."""
REMARKS: Final = (
    "We would ask them again.",
    "Nobody else called us back.",
    f"Fair prices, {HOSTILE} and a clean roof.",
)
NO_WORDS: Final[Mapping[str, str]] = {}
MARKS: Final = (2, 0, -1, 1, -2)
"""How the categories of a form are rated, around a person's own level."""


def confided(lake: Lake, now_ms: int, *, days: int = 3) -> None:
    """Answers of the last days: enough to be scored, and some that wait to be released."""
    clock = Clock(now_ms - (days + 1) * DAY)
    with open_database(settings_of(lake)) as database:
        desk = Desk(database, settings_of(lake), now_ns=clock)
        for which in (QUIET, PARTNER, *PEERS):
            desk.partners.upsert(
                which, actor=ADMIN, name=NAMES.get(which, which.upper()), category="roofing",
                proposition=OFFER if which == PARTNER else None,
            )  # fmt: skip
        for place, which in enumerate(PEERS):
            for n in range(3):
                told(desk, which, "employee", n, 6 + place % 3)
                told(desk, which, "reference", n, 7 + place % 2)
        for day in range(days):
            clock.on(1)
            for n in range(day * 2, day * 2 + 2):
                praise = {"strengths": WORDS[n]} if n < 4 else {"improvements": COPIED}
                told(desk, PARTNER, "employee", n, 7 + day % 2, praise)
                words = {"results": WORDS[n % 6]} if n % 2 else {"comments": REMARKS[n // 2]}
                told(desk, PARTNER, "reference", n, 6 + day, words)
            if day == days - 1:
                told(desk, PARTNER, "employee", 90, 8)
                told(desk, PARTNER, "employee", 91, 5)
            Scoring(desk).look()
        asked = Told(name=INVITED, email="olga@example.net")
        desk.invite(PARTNER, "employee", [asked], ADMIN)


def told(
    desk: Desk, partner: str, role: Form, n: int, level: int, texts: Mapping[str, str] = NO_WORDS
) -> None:
    """An answer that came elsewhere, of person `n`, whose categories are around a level."""
    names = [item.name for item in form.SHEETS[role].ratings]
    scores = {
        name: min(max(level + MARKS[(at + n) % len(MARKS)], 1), 10) for at, name in enumerate(names)
    }
    who = Told(name=f"Person{n}", email=f"p{n}@{role}{n}-{partner}.example")
    answers = Answers(scores=scores, nps=level, texts=dict(texts))
    desk.import_answer(partner, role, who, answers, key=f"k{n}", actor=ADMIN)
