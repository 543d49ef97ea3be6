"""Numbers on the screen are those of the demo's truth, which was computed before any lake was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from dashboard import Dashboard, Looked, figures, number
from lakeward.demo.figures import Arm

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect


@pytest.fixture
def looked(fed: Dashboard, browser: Any) -> Iterator[Looked]:
    made = Looked(browser, fed.server.url)
    yield made
    assert made.complaints == []
    made.close()


def shown(fed: Dashboard, looked: Looked, path: str) -> Any:
    """A page over the whole days of the past."""
    mark = "&" if "?" in path else "?"
    return looked.open(f"{path}{mark}range={fed.demo.range}&zone=UTC")


def test_the_api_page_counts_every_call_and_every_refusal(fed: Dashboard, looked: Looked) -> None:
    found = figures(shown(fed, looked, "/api"))
    calls = fed.demo.total("api_call")
    failed = sum(n for day in fed.demo.days for n in day.errors.values())
    assert float(found["calls"]) == calls
    rates = float(found["error_rate"]) + float(found["client_error_rate"])
    assert rates * calls == pytest.approx(failed, abs=1e-6)


def ask(page: Any, kind: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a question, asked as the page asks."""
    found: dict[str, Any] = page.evaluate(
        """async ([kind, parameters]) => {
            const answer = await fetch(`/api/questions/${kind}`, {
                method: 'POST', body: JSON.stringify(parameters),
                headers: {'content-type': 'application/json'}});
            return await answer.json();
        }""",
        [kind, parameters],
    )
    names = [column["name"] for column in found["columns"]]
    return [dict(zip(names, row, strict=True)) for row in found["rows"]]


def test_the_ai_page_has_turns_tokens_cost_and_ratings_of_the_truth(
    fed: Dashboard, looked: Looked
) -> None:
    found = figures(shown(fed, looked, "/ai"))
    days = fed.demo.days
    assert float(found["turns"]) == sum(day.turns for day in days)
    tokens = sum(day.input_tokens + day.output_tokens for day in days)
    assert float(found["total_tokens"]) == tokens
    cost = sum(day.cost_usd or 0.0 for day in days)
    assert float(found["cost_usd"]) == pytest.approx(cost, abs=1e-6)
    helpful, rated = sum(day.helpful for day in days), fed.demo.total("ai_rating")
    assert float(found["ratings"]) == rated
    assert float(found["helpful_rate"]) == pytest.approx(helpful / rated, abs=1e-4)


def test_the_partners_page_has_the_matches_and_deals_of_the_truth(
    fed: Dashboard, looked: Looked
) -> None:
    found = figures(shown(fed, looked, "/partners"))
    deals = sum(one.count for day in fed.demo.days for one in day.deals.values())
    assert float(found["matches"]) == fed.demo.total("partner_match")
    assert float(found["deals"]) == deals


def test_the_ready_funnels_have_the_steps_that_the_truth_says_were_finished(
    fed: Dashboard, looked: Looked
) -> None:
    page = shown(fed, looked, "/funnels")
    flows = [day.flows["contractor"] for day in fed.demo.days]
    done = {step: sum(flow.steps[step].completed for flow in flows) for step in flows[0].steps}
    begun = sum(flow.steps["verification"].entered for flow in flows)
    card = page.locator("[data-card=conversion] tbody tr")
    rows = card.evaluate_all("rows => rows.map(row => [...row.cells].map(one => one.textContent))")
    assert [(row[1], int(row[2])) for row in rows] == [
        ("verification begun", begun), *done.items(),
    ]  # fmt: skip
    took = page.evaluate(
        """async (until) => (await (await fetch('/api/sql', {
            method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify({
            sql: "SELECT median((outcomes->>'$.seconds')::DOUBLE) FROM flow_completion WHERE "
            + "outcomes->>'$.flow' = 'contractor' AND outcomes->>'$.status' = 'completed' "
            + `AND event_date <= '${until}'`})})).json()).rows[0][0]""",
        fed.demo.days[-1].date,
    )
    assert took > 10
    assert float(figures(page)["median"]) == pytest.approx(took, rel=0.05)
    page.get_by_role("button", name="Ready funnels").click()
    page.get_by_role("menuitem", name="match to deal (3 steps)").click()
    expect(page.locator("[data-card=conversion] tbody tr")).to_have_count(3)  # no longer the first
    rows = looked.settled().locator("[data-card=conversion] tbody tr").all_inner_texts()
    assert [int(row.split("\t")[2]) for row in rows][:2] == [
        sum(flow.steps["matching"].entered for flow in flows),
        sum(day.bookings["booked"] for day in fed.demo.days),
    ]  # fmt: skip


def test_sql_that_is_copied_from_a_card_runs_in_explore_and_has_its_numbers(
    fed: Dashboard, looked: Looked
) -> None:
    page = shown(fed, looked, "/paths")
    wanted = figures(page)
    # Sessions of views are those of the page Visitors.
    (visits,) = ask(page, "visits", {
        "since": f"{fed.demo.days[0].date}T00:00:00Z",
        "until": f"{fed.demo.history.days[-1].date}T00:00:00Z",
    })  # fmt: skip
    assert [float(wanted[name]) for name in ("sessions", "events", "bounces")] == pytest.approx(
        [visits[name] for name in ("sessions", "views_per_session", "bounce_share")]
    )
    page.get_by_role("button", name="More of Sessions of page_view").click()
    page.get_by_role("menuitem", name="How is this computed?").click()
    snippet = page.get_by_role("dialog").locator(".snippet").filter(has_text="SELECT")
    snippet.get_by_role("button", name="Copy").click()
    snippet.get_by_text("Copied").wait_for()
    page = looked.open("/explore?sql=")
    page.get_by_label("SQL", exact=True).press("Control+v")
    page.get_by_role("button", name="Run").click()
    page.locator("#result tbody tr").wait_for()
    names = page.locator("#result thead th").all_inner_texts()
    found = dict(zip(names, page.locator("#result tbody td").all_inner_texts(), strict=True))
    assert number(found["sessions"]) == float(wanted["sessions"]) > 0
    assert number(found["median_seconds"]) == pytest.approx(float(wanted["median"]))


def test_the_visitors_page_has_the_views_of_the_truth(fed: Dashboard, looked: Looked) -> None:
    found = figures(shown(fed, looked, "/visitors"))
    assert float(found["views"]) == fed.demo.total("page_view") / 2  # told as it opens and closes


def test_the_data_page_lists_every_type_with_the_count_of_the_truth(
    fed: Dashboard, looked: Looked
) -> None:
    page = shown(fed, looked, "/data")
    rows = page.locator("[data-card=types] tbody tr").all()
    found = [(row.locator("td, th").nth(0), row.locator("td, th").nth(2)) for row in rows]
    told = {kind.inner_text().strip(): count.inner_text() for kind, count in found}
    kinds = {kind for day in fed.demo.days for kind in day.types}
    assert told == {kind: f"{fed.demo.total(kind):,}" for kind in kinds}


def test_a_query_of_the_explore_page_has_the_counts_of_the_truth(
    fed: Dashboard, looked: Looked
) -> None:
    until = fed.demo.history.days[-1].date
    asked = f"""SELECT interaction_type, count(*) AS n FROM interactions
        WHERE timestamp >= '{fed.demo.days[0].date}' AND timestamp < '{until}' GROUP BY ALL"""
    page = looked.open("/explore?" + urlencode({"sql": asked}))
    page.get_by_label("SQL", exact=True).press("Control+Enter")
    kinds = {kind for day in fed.demo.days for kind in day.types}
    rows = page.locator("#result tbody tr")
    expect(rows).to_have_count(len(kinds))
    told = dict(row.inner_text().split() for row in rows.all())
    assert {kind: int(n.replace(",", "")) for kind, n in told.items()} == {
        kind: fed.demo.total(kind) for kind in kinds
    }


def test_the_overview_has_what_came_of_the_day(fed: Dashboard, looked: Looked) -> None:
    found = figures(shown(fed, looked, "/overview"))
    today, run = fed.demo.history.days[-1], fed.demo.truth.figures
    assert float(found["Matches"]) == today.types.get("partner_match", 0) + 3 * len(run.matches)
    held = today.bookings.get("held", 0) + run.bookings.get("held", 0)
    assert float(found["Demos held"]) == held


def test_the_experiment_has_the_people_and_conversions_of_the_truth(
    fed: Dashboard, looked: Looked
) -> None:
    until = fed.demo.truth.began.replace("Z", "")[:19] + "Z"
    page = looked.open(f"/experiments?key=match-page&range={fed.demo.range}&zone=UTC&unit=user_id")
    told = page.evaluate(
        "async (rest) => await (await fetch(`/api/experiments/match-page?${rest}`)).json()",
        f"since={fed.demo.days[0].date}T00:00:00Z&until={until}&zone=UTC&unit=user_id",
    )
    people = {arm["arm"]: arm["units"] for arm in told["report"]["arms"]}
    expected: dict[str, Arm] = fed.demo.history.experiments["match-page"]
    assert people == {variant: arm.users for variant, arm in expected.items()}
    before = f"{fed.demo.history.days[-1].date}T00:00:00Z"
    drawn = page.evaluate(
        "async (rest) => await (await fetch(`/api/experiments/match-page?${rest}`)).json()",
        f"since={fed.demo.days[0].date}T00:00:00Z&until={before}&zone=UTC&unit=user_id",
    )
    text = page.locator("main").inner_text()
    assert all(f"{arm['units']:,}" in text for arm in drawn["report"]["arms"])


def test_retention_is_that_of_the_truth(fed: Dashboard, looked: Looked) -> None:
    page = shown(fed, looked, "/retention")
    calls = {"event": "api_call"}
    rows = ask(page, "retention", {
        "since": f"{fed.demo.days[0].date}T00:00:00Z", "start": calls, "back": calls,
        "unit": "user_id", "grain": "week", "periods": 8,
        "until": f"{fed.demo.history.days[-1].date}T00:00:00Z",
    })  # fmt: skip
    found: dict[str, list[int]] = {}
    for row in sorted(rows, key=lambda row: (row["cohort"], row["period"])):
        found.setdefault(row["cohort"], []).append(row["returned"])
    whole = {cohort.week: cohort.returned[:-1] for cohort in fed.demo.history.retention}
    kept = {week: came[: len(whole[week])] for week, came in found.items()}
    assert {week: came for week, came in kept.items() if came} == {
        week: came for week, came in whole.items() if came
    }
