"""docs/scale.md: its tables are those that the measured figures give."""

from __future__ import annotations

from math import isclose

import pytest

from scale_page import COSTS, PAGE, STEPS, VOLUMES, figures, rendered, short, size, usd


def test_the_page_has_the_tables_that_its_figures_give() -> None:
    page = PAGE.read_text()
    assert rendered(page) == page, "run `python benchmarks/scale_page.py`"


def test_every_figure_was_measured() -> None:
    found = figures()
    assert 300 < found.line < 1200
    assert found.archived < found.line / 4
    assert found.row < found.archived
    assert found.write_units >= 1 + found.indexes
    assert set(found.ingest_us) == {1, 10, 100, 1000}
    assert {"funnel", "retention", "sessions", "paths"} <= found.questions.keys()


def test_costs_grow_with_what_is_there_and_hosts_never_below_one() -> None:
    found = figures()
    for name, cost in COSTS:
        amounts = [cost(found, n) for n, _ in VOLUMES]
        assert amounts == sorted(amounts), name
        assert amounts[0] >= 0
    of = dict(COSTS)
    month = of["hosts that take, ship and compact"]
    assert month(found, 1) == month(found, 1e6) > 0
    items = of["DynamoDB, items of a month"]
    assert isclose(items(found, 2e6), 2 * items(found, 1e6))
    assert len(STEPS) == 7


@pytest.mark.parametrize(
    ("number", "said"),
    [(12, "12 B"), (999, "999 B"), (52_500, "52.5 kB"), (4.2e9, "4.2 GB"), (5.2e15, "5,200 TB")],
)
def test_bytes_read_well(number: float, said: str) -> None:
    assert size(number) == said


@pytest.mark.parametrize(
    ("amount", "said"), [(1234.5, "1,234"), (12.345, "12.35"), (0.012, "0.01"), (1e-7, "< 0.01")]
)
def test_amounts_read_well(amount: float, said: str) -> None:
    assert usd(amount) == said


@pytest.mark.parametrize(
    ("number", "said"), [(318.7, "320"), (4.94, "4.9"), (0.0152, "0.015"), (7e-5, "< 0.001")]
)
def test_numbers_have_two_digits(number: float, said: str) -> None:
    assert short(number) == said
