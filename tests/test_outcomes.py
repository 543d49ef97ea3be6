"""Outcomes: each method is its catalog type, and bad data meets the door that it should."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from datetime import date, time
from decimal import Decimal
from enum import Enum
from typing import Any, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import Lake, wait_until
from lakeward.catalog import TYPES
from lakeward.errors import Rejected
from lakeward.ledger import Reason
from lakeward.outcomes import Joined, JoinedToPartner, Outcomes
from lakeward.testing import MemoryCollector

METHODS: dict[str, tuple[str, dict[str, str]]] = {
    "partner_match": ("partner_match", {}),
    "demo_booked": ("demo_booking", {"status": "booked"}),
    "demo_rescheduled": ("demo_booking", {"status": "rescheduled"}),
    "demo_cancelled": ("demo_booking", {"status": "cancelled"}),
    "demo_held": ("demo_booking", {"status": "held"}),
    "demo_no_show": ("demo_booking", {"status": "no_show"}),
    "deal_closed": ("deal_closed", {}),
    "flow_step": ("flow_step", {}),
    "flow_completed": ("flow_completion", {}),
    "partner_onboarding": ("partner_onboarding", {}),
    "feedback_submitted": ("feedback_submission", {}),
    "powerconfidence_updated": ("powerconfidence_update", {}),
    "partner_validated": ("partner_validation", {}),
    "message_consistency": ("message_consistency_analysis", {}),
    "content_interaction": ("content_interaction", {}),
    "cta_clicked": ("cta_click", {}),
    "experiment_exposed": ("experiment_exposure", {}),
}
"""The type of each method, and what the method itself says."""
COMMON = set(get_type_hints(JoinedToPartner))
LATER = {"employee_feedback", "customer_reference", "demo_upload"}
"""Outcomes that come in over forms and uploads of Lakeward's own."""
CASES = [pytest.param(name, *found, id=name) for name, found in METHODS.items()]


def told(outcomes: Outcomes, name: str, **fields: Any) -> str | None:
    method: Callable[..., str | None] = getattr(outcomes, name)
    return method(**fields)


def example(type_name: str, fixed: dict[str, str]) -> dict[str, Any]:
    return {k: v for k, v in TYPES[type_name].example.items() if k not in fixed}


def keywords(name: str) -> set[str]:
    """All keywords of a method, those of its typed dictionary included."""
    method = getattr(Outcomes, name)
    found = set()
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            packed = method.__annotations__[parameter.name]
            typed = packed.removeprefix("Unpack[").removesuffix("]")
            found |= set(get_type_hints(method.__globals__[typed]))
        else:
            assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
            found.add(parameter.name)
    return found


def test_every_outcome_of_the_catalog_has_a_method() -> None:
    outcomes = {name for name, spec in TYPES.items() if spec.outcome}
    assert {type_name for type_name, _ in METHODS.values()} == outcomes - LATER
    public = {name for name, _ in inspect.getmembers(Outcomes, callable) if name[0] != "_"}
    assert public == set(METHODS)


@pytest.mark.parametrize(("name", "type_name", "fixed"), CASES)
def test_a_methods_keywords_are_the_fields_of_its_type(
    name: str, type_name: str, fixed: dict[str, str]
) -> None:
    spec = TYPES[type_name]
    own = (spec.own | spec.lifted) - set(fixed) - {"derived"}  # derived is Lakeward's own word
    assert keywords(name) - COMMON == own - COMMON
    assert own <= keywords(name)
    assert keywords(name) >= set(get_type_hints(Joined))
    required = {
        p.name
        for p in inspect.signature(getattr(Outcomes, name)).parameters.values()
        if p.kind is inspect.Parameter.KEYWORD_ONLY and p.default is inspect.Parameter.empty
    }
    assert required == spec.required - set(fixed)


@pytest.mark.parametrize(("name", "type_name", "fixed"), CASES)
def test_a_method_says_what_it_records_and_where_each_field_goes(
    name: str, type_name: str, fixed: dict[str, str]
) -> None:
    text = inspect.getdoc(getattr(Outcomes, name)) or ""
    assert f"`{type_name}`" in text.partition("\n\n")[0]
    assert f"`{TYPES[type_name].slot}`" in text
    for field in keywords(name) - COMMON:
        assert f"{field}: " in text or "`Booking`" in text


@pytest.mark.parametrize(("name", "type_name", "fixed"), CASES)
def test_a_method_makes_the_record_that_the_catalog_shows(
    name: str, type_name: str, fixed: dict[str, str]
) -> None:
    collector = MemoryCollector()
    fields = example(type_name, fixed)
    assert told(Outcomes(collector), name, **fields)
    collector.record(type_name, **fields, **fixed)
    one, other = collector.records
    for row in (one, other):
        del row["interaction_id"], row["timestamp"]
    assert one == other


def test_what_is_none_is_left_out() -> None:
    collector = MemoryCollector()
    Outcomes(collector).deal_closed(value=10.0, currency=None, partner_id=None, session_id=None)
    (row,) = collector.records
    assert row["outcomes"] == {"value": 10.0}
    assert not {"partner_id", "session_id"} & set(row)


class Stage(Enum):
    READY = "ready"


def test_what_the_method_says_wins() -> None:
    collector = MemoryCollector()
    told(Outcomes(collector), "demo_booked", partner_id="p1", status="held")
    assert collector.records[0]["outcomes"] == {"status": "booked"}


def test_python_values_become_those_of_the_record() -> None:
    collector = MemoryCollector()
    outcomes = Outcomes(collector)
    outcomes.demo_booked(partner_id="p1", date=date(2026, 12, 1), time=time(10, 30))
    told(outcomes, "deal_closed", value=Decimal("24000.50"))
    told(outcomes, "partner_match", partner_id="p1", stage=Stage.READY, reasons=("a", "b"))
    demo, deal, match = (row["outcomes"] for row in collector.records)
    assert (demo["date"], demo["time"]) == ("2026-12-01", "10:30:00")
    assert deal == {"value": 24000.5}
    assert match == {"stage": "ready", "reasons": ["a", "b"]}


def tallies(collector: MemoryCollector) -> tuple[int, int, dict[str, int]]:
    """Offered, accepted, and each reason that was counted."""
    offered, accepted, reasons = collector._ring.tallies()
    return offered, accepted, {Reason(n).name: count for n, count in enumerate(reasons) if count}


def bad(type_name: str, fixed: dict[str, str]) -> dict[str, Any]:
    """The example with one field of a type that no field has."""
    fields = example(type_name, fixed)
    own = [n for n in fields if n in TYPES[type_name].own] or ["reason"]
    return {**fields, own[0]: [object()]}


@pytest.mark.parametrize(("name", "type_name", "fixed"), CASES)
def test_invalid_data_is_raised_in_development_and_counted(
    name: str, type_name: str, fixed: dict[str, str]
) -> None:
    collector = MemoryCollector()
    with pytest.raises(Rejected) as caught:
        told(Outcomes(collector), name, **bad(type_name, fixed))
    assert type_name in str(caught.value)
    assert collector.records == []
    assert tallies(collector) == (1, 0, {"rejected": 1})


def test_invalid_data_is_quarantined_in_production_and_nothing_is_raised(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_ENV="production")
    outcomes = Outcomes(collector)
    for name, (type_name, fixed) in METHODS.items():
        assert told(outcomes, name, **bad(type_name, fixed)) is None
    collector.commit()
    aside = lake.quarantined()
    assert [entry["interaction_type"] for entry in aside] == [t for t, _ in METHODS.values()]
    assert all(entry["reason"] for entry in aside)
    assert lake.rows() == []
    report = lake.audit()
    assert report.ok
    assert report.sum["quarantined"] == len(METHODS)


class Hostile:
    """Fails whatever is done with it."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __bool__ = __len__ = __iter__ = __hash__ = __str__  # type: ignore[assignment]


ANYTHING = st.one_of(
    st.none(), st.text(), st.integers(), st.floats(), st.binary(), st.booleans(),
    st.dictionaries(st.text(), st.integers()), st.lists(st.text()), st.builds(Hostile),
)  # fmt: skip


@pytest.mark.parametrize(("name", "type_name", "fixed"), CASES)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_is_told_nothing_is_raised_in_production_and_all_is_counted(
    name: str, type_name: str, fixed: dict[str, str], data: st.DataObject
) -> None:
    collector = MemoryCollector({"LAKEWARD_ENV": "production"})
    names = st.sampled_from(sorted(keywords(name) - {"timestamp", "interaction_id"}))
    fields = {n: data.draw(ANYTHING) for n in TYPES[type_name].required - set(fixed)}
    fields |= data.draw(st.dictionaries(names, ANYTHING, max_size=4))
    kept = told(Outcomes(collector), name, **fields)
    offered, accepted, reasons = tallies(collector)
    assert offered == accepted + sum(reasons.values()) == 1
    assert len(collector.records) == (kept is not None)
    assert len(collector.quarantined) == accepted - len(collector.records)


def test_outcomes_switched_off_are_counted_whatever_they_hold(lake: Lake) -> None:
    collector = lake.collector(ENABLE_OUTCOME_TRACKING="false")
    outcomes = Outcomes(collector)
    for name, (type_name, fixed) in METHODS.items():
        assert told(outcomes, name, **example(type_name, fixed)) is None
        assert told(outcomes, name, **bad(type_name, fixed)) is None  # nobody looks at it
    collector.record("page_view", path="/")
    collector.commit()
    assert [row["interaction_type"] for row in lake.rows()] == ["page_view"]
    report = lake.audit()
    assert report.ok
    assert report.reasons["disabled"] == 2 * len(METHODS)


def test_outcomes_of_users_outside_the_rollout_are_counted_sampled(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_ROLLOUT_OUTCOMES="0")
    assert Outcomes(collector).deal_closed(value=1.0, user_id="u1") is None
    collector.commit()
    assert lake.audit().reasons["sampled"] == 1


def test_an_outcome_told_by_a_thread_joins_what_it_is_given(lake: Lake) -> None:
    collector = lake.collector()
    outcomes = Outcomes(collector)
    match = outcomes.partner_match(partner_id="p1", user_id="c1", score=80.0)
    assert match is not None
    thread = threading.Thread(
        target=lambda: outcomes.demo_booked(
            partner_id="p1", user_id="c1", booking_id="b1", parent_interaction_id=match,
            trace_id="0" * 31 + "1", session_id="s1",
        )
    )  # fmt: skip
    thread.start()
    thread.join()
    collector.commit()
    wait_until(lambda: len(lake.rows()) == 2)
    booking = lake.rows()[1]
    assert booking["parent_interaction_id"] == match
    assert (booking["trace_id"], booking["session_id"]) == ("0" * 31 + "1", "s1")
