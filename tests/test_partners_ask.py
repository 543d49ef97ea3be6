"""A partner asks every kind that is open, and nothing of another partner can change an answer."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from asked import START_MS, Row, answered, fill, memory
from lakeward.analysis.access import OPEN, narrowed
from lakeward.analysis.events import Events
from lakeward.analysis.question import Question, portable
from lakeward.analysis.registry import QUESTIONS, question_of
from lakeward.errors import Rejected
from tabled import DAY_MS
from tabled import START_MS as EARLY_MS
from test_rollup import Home

STEPS: list[dict[str, Any]] = [
    {"event": "page_view"},
    {"event": "click", "where": {"field": "route", "values": ["/a"]}},
]
METRIC: dict[str, Any] = {"kind": "share", "measures": [{"event": "click"}]}
SLOW = {"event": "api_call", "verb": "sum", "field": "response_time_ms"}
ASKED: dict[str, list[dict[str, Any]]] = {
    "trend": [
        {"by": ["route", "partner_id"], "series": [{"metric": "units"}, {"metric": "p95"}]},
        {"unit": "session_id", "series": [{"metric": "units"}], "internal": True, "bots": True},
    ],
    "funnel": [{"steps": STEPS}, {"steps": STEPS, "order": "any", "by": ["day"]},
               {"steps": STEPS, "exclude": [{"event": "api_call"}], "hold": ["route"]}],
    "funnel_times": [{"steps": STEPS, "bins": 3}],
    "retention": [{"grain": "day"}, {"grain": "day", "cohort": "first_ever", "by": ["route"]}],
    "retention_curve": [{"grain": "day"}, {"grain": "day", "by": ["route"]}],
    "stickiness": [{"grain": "day"}],
    "active": [{}],
    "lifecycle": [{"grain": "day"}],
    "sessions": [{"by": ["route"], "ends": ["interaction_type"], "gap": 60}],
    "paths": [{"node": "route", "gap": 60}, {"node": "route", "start": "/a"}],
    "experiments": [{}, {"unit": "session_id"}],
    "experiment_units": [{"experiment": "e"}],
    "experiment_moments": [
        {"experiment": "e", "metric": METRIC, "before_days": 1},
        {"experiment": "e", "metric": {**METRIC, "measures": [{"event": "demo_booking"}]}},
    ],
    "experiment_quantile": [
        {"experiment": "e", "metric": {"kind": "quantile", "quantile": 0.5, "measures": [SLOW]}}
    ],
    "api_health": [{"by": ["route", "status_class"]}],
    "api_latency": [{}],
    "data_quality": [{}],
    "data_fields": [{"event": "api_call", "daily": True}],
    "partner_figures": [{}, {"by": ["day"]}, {"by": ["week", "currency"], "bots": True}],
}  # fmt: skip


def rows(partner: str | None, seed: int) -> Iterator[Row]:
    """Rows of one partner; visitors, sessions, bookings and routes are everybody's."""
    dice, people = random.Random(seed), 12 if partner == "p1" else 12 + 6 * seed
    for n in range(240):
        kind = dice.choice(("page_view", "click", "api_call", "demo_booking", "deal_closed",
                            "experiment_exposure", "identify", "alias", "partner_match",
                            "partner_onboarding", "feedback_submission"))  # fmt: skip
        user = dice.randrange(people)
        row: Row = {
            "ms": START_MS + dice.randrange(5 * 24 * 60) * 60_000, "interaction_type": kind,
            "anonymous_id": f"a{user}", "session_id": f"s{user}", "interaction_id": f"{seed}-{n}",
            "route": dice.choice(("/a", "/b", "/c")),
        }  # fmt: skip
        if dice.random() < 0.5 or kind in ("identify", "alias"):
            row["user_id"] = f"u{(user + 2 * dice.randrange(3)) % people}"  # of the same arm
        if partner is not None:
            row["partner_id"] = partner
        if kind == "api_call":
            row |= {"response_status": dice.choice((200, 500)), "response_time_ms": dice.random()}
        if kind == "experiment_exposure":
            version = dice.choice((1, 2)) if partner == "p2" else 1
            row["experiments"] = {"experiment": "e", "variant": "ab"[user % 2],
                                  "experiment_version": version}  # fmt: skip
        if kind == "feedback_submission":
            row["feedback"] = {"overall": dice.randrange(1, 11)}
        if kind == "partner_onboarding":
            row["outcomes"] = {"status": "step_completed", "steps_completed": n, "steps_total": 9}
        if kind in ("demo_booking", "deal_closed"):
            row["outcomes"] = {
                "booking_id": f"b{user}",
                "deal_id": f"d{user}",
                "value": n,
                "currency": "EUR",
                "status": dice.choice(("booked", "held")),
            }
        yield row


def answers(question: Question) -> list[Any]:
    """Of both forms."""
    form = portable(question)
    told = memory().execute(form.text, dict(form.parameters)).fetchall()
    quick = [tuple(row.values()) for row in answered(question)]
    assert question.finish(told) == quick
    return quick


def all_answers(lake: Iterable[Row]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of partner p1, and of whoever may see everything."""
    fill(lake)
    own, whole = {}, {}
    for kind, asked in ASKED.items():
        for n, parameters in enumerate(asked):
            question = question_of(kind, parameters)
            narrow = narrowed(question, "p1")
            again = question_of(kind, msgspec.json.decode(msgspec.json.encode(narrow)))
            assert again == narrow  # as it travels to the process that answers
            own[f"{kind} {n}"] = answers(narrow)
            whole[f"{kind} {n}"] = answers(question)
    return own, whole


def test_nothing_of_another_partner_changes_any_answer_of_any_kind() -> None:
    mine = list(rows("p1", 1))
    own, whole = all_answers([*mine, *rows("p2", 2), *rows(None, 3)])
    assert all(own.values()), [name for name, found in own.items() if not found]
    for others in ([], rows("p2", 4), [*rows("p2", 5), *rows("P1", 6), *rows(None, 7)]):
        now, all_now = all_answers([*mine, *others])
        assert now == own
        for name in own:  # of which each would have changed for somebody who sees everything
            assert all_now[name] != whole[name], name


@pytest.mark.parametrize("partner", ["p1", "(other)"])
def test_from_roll_ups_nothing_of_another_partner_changes_an_answer_either(
    tmp_path: Path, partner: str
) -> None:
    def of(n: int, whose: str, seed: int) -> list[Row]:
        own = ["p1", "(other)"]
        names = own if whose == "mine" else [f"o{k}" for k in range(520)]
        dice = random.Random(seed)
        return [
            {"ms": EARLY_MS + dice.randrange(DAY_MS), "interaction_type": "api_call",
             "response_status": 500, "partner_id": names[k % len(names)]}
            for k in range(n)
        ]  # fmt: skip

    parameters = {"grain": "hour", "series": [{}, {"metric": "errors"}], "by": ["partner_id"]}
    question: Any = narrowed(question_of("trend", parameters), partner)
    found = {}
    for name, others in {"alone": 0, "few": 100, "many": 1600}.items():
        home = Home(tmp_path / name)
        home.put([*of(40, "mine", 1), *of(others, "others", others)])
        home.roll()
        answer = home.ask(question)
        rows = home.ask(msgspec.structs.replace(question, exact=True))
        assert answer.rows == rows.rows
        found[name] = answer
    # Beyond 500 partners a day the least frequent are one cell, and the rows are counted.
    assert [answer.source for answer in found.values()] == ["rollups", "rollups", "rows"]
    assert found["alone"].rows == found["few"].rows == found["many"].rows
    assert {row[1] for row in found["many"].rows} == {partner}


def test_every_open_kind_is_among_them_and_no_other_may_be_asked() -> None:
    assert {QUESTIONS[name] for name in ASKED} == set(OPEN)
    more: dict[str, Any] = {"ai_thread": {"conversation": "c"}, "funnel_units": {"steps": STEPS},
                            "trace": {"of": "t"}}  # fmt: skip
    for name, kind in QUESTIONS.items():
        if kind not in OPEN:
            with pytest.raises(Rejected, match=f"'{name}' is not for partners"):
                narrowed(question_of(name, more.get(name, {})), "p1")


HIDDEN = "properties.email"
CONDITION = {"field": HIDDEN, "values": ["a@example.com"]}
HIDING: dict[str, list[dict[str, Any]]] = {
    "trend": [{"by": [HIDDEN]}, {"series": [{"where": CONDITION}]},
              {"series": [{"metric": "unique", "field": HIDDEN}]}],
    "funnel": [{"by": [HIDDEN]}, {"hold": [HIDDEN]},
               {"steps": [STEPS[0], {**STEPS[0], "where": CONDITION}]},
               {"exclude": [{"event": "click", "where": CONDITION}]}],
    "funnel_times": [{"hold": [HIDDEN]}],
    "retention": [{"by": [HIDDEN]}, {"start": {"where": CONDITION}},
                  {"back": {"where": CONDITION}}],
    "retention_curve": [{"by": [HIDDEN]}, {"start": {"where": CONDITION}}],
    "stickiness": [{"active": {"where": CONDITION}}],
    "active": [{"active": {"where": CONDITION}}],
    "lifecycle": [{"active": {"where": CONDITION}}],
    "sessions": [{"by": [HIDDEN]}, {"ends": [HIDDEN]}],
    "paths": [{"node": HIDDEN}, {"node": "user_id"}],
    "experiments": [],
    "experiment_units": [],
    "experiment_moments": [
        {"metric": {**METRIC, "measures": [{"event": "click", "where": CONDITION}]}},
        {"metric": {"kind": "mean", "measures": [{**SLOW, "field": HIDDEN}]}},
    ],
    "experiment_quantile": [
        {"metric": {"kind": "quantile", "quantile": 0.5, "measures": [{**SLOW, "field": HIDDEN}]}}
    ],
    "api_health": [{"by": ["consumer"]}, {"by": [HIDDEN]}],
    "api_latency": [],
    "data_quality": [],
    "data_fields": [],
    "partner_figures": [{"by": [HIDDEN]}, {"by": ["user_id", "currency"]}],
}  # fmt: skip


def test_what_is_the_teams_own_traffic_is_said_by_the_settings_alone() -> None:
    for kind, cases in ASKED.items():
        for rule in ("ip_address:203.0.113.", "user_id:boss@corp.example"):
            asked = question_of(kind, {**cases[0], "internal_is": [rule]})
            with pytest.raises(Rejected, match="leave `internal_is` out"):
                narrowed(asked, "p1")
            with pytest.raises(Rejected, match="leave `internal_is` out"):
                narrowed(question_of(kind, cases[0]), "p1", (rule,))
            narrowed(asked, "p1", (rule,))


def test_no_parameter_of_any_kind_names_a_field_that_tells_of_a_person() -> None:
    for kind, cases in HIDING.items():
        common: list[dict[str, Any]] = [{"where": CONDITION}, {"where": {"none": [CONDITION]}}]
        for parameters in common + cases:
            question = question_of(kind, {**ASKED[kind][0], **parameters})
            with pytest.raises(Rejected, match="Partners may not name the field"):
                narrowed(question, "p1")


KNOWN = {
    *Events.__struct_fields__, "series", "grain", "by", "top", "unit", "steps", "within", "order",
    "hold", "exclude", "bins", "start", "back", "periods", "kind", "cohort", "active", "gap",
    "ends", "node", "end", "depth", "experiment", "within_days", "metric", "before_days",
    "apdex_ms", "limit", "types", "event", "daily", "exact",
}  # fmt: skip


def test_a_new_parameter_of_an_open_kind_has_to_be_thought_of_here() -> None:
    for kind in OPEN:
        assert set(kind.__struct_fields__) <= KNOWN, kind
