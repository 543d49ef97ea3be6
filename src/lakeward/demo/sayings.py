"""The words of `testimony.py`: who says what of three partners. Nobody here is real."""

from __future__ import annotations

from typing import Final, NamedTuple

from lakeward.demo.partners import PARTNERS
from lakeward.demo.testimony import Case, Demo, Form, Witness

FIRST: Final = ("Ada", "Ben", "Carla", "Dev", "Elena", "Frank", "Grace", "Hugo", "Iris", "Jonas")


class Said(NamedTuple):
    """One person's answers: six marks, and words for three questions."""

    marks: tuple[int, int, int, int, int, int]
    words: tuple[str, str, str]


WORKING: Final[dict[str, tuple[Said, ...]]] = {
    "p1": (
        Said((9, 8, 9, 9, 8, 9), (
            "One calendar for crews, jobs and trucks.",
            "A change is on every phone within a minute.", "More people for the weekends.")),
        Said((8, 9, 8, 9, 9, 9), (
            "We put crews and trucks on the same calendar.",
            "Support answers on weekends; I do two of them a month.", "")),
        Said((8, 7, 9, 8, 8, 8), (
            "A calendar that any foreman can read.",
            "Releases are small and careful.", "The app is slow on old phones.")),
        Said((9, 9, 9, 10, 8, 10), (
            "Jobs, crews and trucks in one place.",
            "Whoever asks a question gets an answer.", "Fewer meetings in the morning.")),
        Said((8, 8, 8, 9, 9, 9), (
            "Scheduling for builders who are tired of whiteboards.",
            "I learnt more here in a year than in five elsewhere.", "")),
    ),
    "p2": (
        Said((7, 6, 7, 9, 7, 7), (
            "Job costing for builders.",
            "Our bookkeepers know construction well.", "We promise more than we keep.")),
        Said((6, 6, 6, 9, 7, 6), (
            "Books that are closed by the fifth of the month.",
            "People help each other out.", "Too few of us in the first week of a month.")),
        Said((7, 7, 6, 8, 8, 7), (
            "Every job shows what it costs.",
            "Real experts sit here.", "The tools are old.")),
        Said((8, 7, 7, 9, 7, 8), (
            "We keep the books of people who build.",
            "You can ask anybody anything.", "")),
        Said((6, 7, 7, 8, 6, 7), (
            "Costs by job, and payroll with it.",
            "Steady work, fair hours.", "Sales should ask us before they name a date.")),
    ),
    "p3": (
        Said((7, 8, 7, 8, 7, 7), (
            "We find skilled trades and check them.",
            "Every worker is checked before the first day.", "Cars for those who visit sites.")),
        Said((8, 7, 8, 8, 6, 8), (
            "Skilled people for builders, two a month.",
            "The checking is thorough.", "")),
        Said((6, 7, 8, 7, 7, 7), (
            "Two skilled people a month for each customer.",
            "We know the trades, most of us worked in them.", "Growth is slow.")),
        Said((7, 7, 7, 8, 8, 7), (
            "Finding carpenters and electricians where there are few.",
            "Good training in the first weeks.", "Papers take long.")),
        Said((8, 8, 7, 9, 7, 8), (
            "Hiring for crews.",
            "Nobody starts on a site without being checked.", "")),
    ),
}  # fmt: skip
BUYING: Final[dict[str, tuple[Said, ...]]] = {
    "p1": (
        Said((9, 9, 9, 9, 8, 10), (
            "Crews, jobs and trucks stand on one calendar.",
            "We stopped losing half a day a week to mix-ups.",
            "Changes reach the phones within a minute.")),
        Said((9, 10, 8, 9, 8, 9), (
            "One calendar for the whole company.",
            "Two crews fewer that wait for a truck.", "Support answered on a Sunday.")),
        Said((8, 8, 9, 8, 7, 8), (
            "A shared plan for trucks and crews.",
            "Fewer calls at six in the morning.", "The price went up in spring.")),
        Said((10, 9, 9, 10, 9, 10), (
            "It took the place of our whiteboard.",
            "We plan two weeks ahead now.", "")),
        Said((9, 8, 9, 9, 9, 9), (
            "All jobs and all crews on one calendar.",
            "Overtime went down by a tenth.", "Support is there on weekends, too.")),
    ),
    "p2": (
        Said((6, 5, 4, 8, 6, 5), (
            "Bookkeeping for builders.",
            "We know what each job costs.",
            "The books were closed on the fifteenth of the month.")),
        Said((7, 6, 5, 9, 7, 7), (
            "Costs for every job.",
            "Two jobs that lost money were found in time.",
            "The books are not closed by the fifth of the month.")),
        Said((5, 4, 4, 7, 5, 4), (
            "They keep our books.",
            "Little so far.", "I ask for figures and wait for a week.")),
        Said((8, 7, 6, 9, 7, 8), (
            "Bookkeepers who know construction.",
            "Every job shows its own costs.", "")),
        Said((6, 6, 5, 8, 7, 6), (
            "Job costing and payroll.",
            "Our tax adviser asks less.", "They never closed the books by the fifth.")),
    ),
    "p3": (
        Said((8, 7, 8, 8, 7, 8), (
            "They find skilled people.",
            "Four carpenters in two months.", "Each was checked before the first day.")),
        Said((7, 8, 7, 8, 7, 7), (
            "Trades for companies of our size.",
            "One electrician who stayed.", "")),
        Said((7, 7, 6, 8, 7, 7), (
            "Checked workers, found quickly.",
            "Our second crew exists because of them.", "The contract is long.")),
        Said((8, 8, 8, 9, 8, 9), (
            "Two skilled people a month, as they say.",
            "They kept to it in every month but one, and sent no bill for that.", "")),
        Said((10, 10, 9, 10, 10, 10), (
            "The very best at finding people.",
            "Everything went perfectly from the first hour to the last.",
            "Take them and nobody else.")),
    ),
}  # fmt: skip
PROPOSITIONS: Final = {
    "p1": "Crews, jobs and trucks stand on one calendar. Changes reach every phone within one "
    "minute. Support answers on weekends.",
    "p2": "The books are closed by the fifth of the month. Every job shows its own costs. Our "
    "bookkeepers know construction.",
    "p3": "Every worker is checked before the first day. We find two skilled people a month.",
}
SHOWN: Final[dict[str, tuple[Demo, ...]]] = {
    "p1": (
        Demo(title="A week on one calendar", ratings=(9, 9, 8),
             text="Crews, jobs and trucks stand on one calendar. We drag a crew to Thursday."),
        Demo(title="A truck breaks down", ratings=(9, 8, 9),
             text="A truck is out. The change reaches every phone within one minute."),
        Demo(title="From estimate to schedule", ratings=(8, 8, 8),
             text="An estimate is signed and becomes a job with dates and a crew."),
        Demo(title="Rain on Tuesday", ratings=(8, 9, 8),
             text="Rain is forecast. Outdoor jobs move, indoor jobs take their place."),
        Demo(title="A Saturday call", ratings=(9, 8, 8),
             text="Support answers on weekends. A foreman calls and is helped in ten minutes."),
    ),
    "p2": (
        Demo(title="Closing a month", ratings=(8, 7, 5),
             text="The books are closed by the fifth of the month. This is a test company."),
        Demo(title="What a job costs", ratings=(8, 8, 8),
             text="Every job shows its own costs: hours, material, machines."),
        Demo(title="Payroll for a crew", ratings=(7, 7, 7),
             text="Hours come from the phone and become payroll."),
        Demo(title="Questions of a tax adviser", ratings=(7, 6, 7),
             text="An adviser asks for a receipt and finds it."),
        Demo(title="A job that loses money", ratings=(8, 8, 7),
             text="The report shows where the money went before the job is over."),
    ),
    "p3": (
        Demo(title="How a worker is checked", ratings=(8, 8, 7),
             text="Every worker is checked before the first day: papers, references, a trial."),
        Demo(title="The first two weeks", ratings=(7, 7, 7),
             text="A carpenter begins. The foreman rates each day."),
        Demo(title="Where we look", ratings=(7, 6, 6),
             text="Schools, unions, and people who moved away and want to come back."),
        Demo(title="The bill", ratings=(8, 8, 7),
             text="We find two skilled people a month. This is what it costs."),
        Demo(title="Safety on the first day", ratings=(7, 8, 8),
             text="A new worker learns the site before touching a tool."),
    ),
}  # fmt: skip


def cases() -> tuple[Case, ...]:
    """All that is said of the three."""
    return tuple(
        Case(
            partner_id=partner, proposition=PROPOSITIONS[partner], demos=SHOWN[partner],
            witnesses=(
                *_people(partner, "employee", WORKING[partner], 100 + 10 * place),
                *_people(partner, "reference", BUYING[partner], 105 + 10 * place),
            ),
        )
        for place, partner in enumerate(PROPOSITIONS)
    )  # fmt: skip


def _people(partner: str, form: Form, said: tuple[Said, ...], number: int) -> tuple[Witness, ...]:
    firm = PARTNERS[partner].email.rpartition("@")[2]
    works = form == "employee"
    found = []
    for n, (marks, words) in enumerate(said):
        name = FIRST[n if works else n + len(said)]
        domain = firm if works else f"{name.lower()}-builds-{partner}.example"
        poses = partner == "p3" and not works and n == len(said) - 1
        found.append(
            Witness(
                name=f"{name} of {partner}", form=form, phone=f"+13035550{number + n}",
                email=f"{name.lower()}@{domain}", ratings=marks, texts=words,
                network=f"198.51.100.{number - 5 if poses else number + n}",
                unreachable=partner == "p2" and n == 1, returns=n == 2,
            )
        )  # fmt: skip
    return tuple(found)
