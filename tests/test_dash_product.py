"""Funnels, retention, paths and experiments in Chromium: what the lake holds is what they show."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from conftest import Lake
from dashboard import Looked, figures
from server_process import Serving, serving
from test_experiment_cli import told
from test_experiments_http import DECLARED, FLAGS

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
expect = playwright.expect

HOSTILE: Final = "/<img src=x onerror=alert(1)>\u202egnp"
SEEN: Final = "/<img src=x onerror=alert(1)>\\u202egnp"
OCTOBER: Final = "range=2026-10-05..2026-10-28&zone=UTC"
SEPTEMBER: Final = "range=2026-08-01..2026-09-30&zone=UTC"
STEPS: Final = [{"event": "opened"}, {"event": "filled", "label": "typed <b>it</b>"},
                {"event": "posted"}]  # fmt: skip


def fill(lake: Lake) -> None:
    """Ten people of whom six and then three go on; five who visit by the week; three who walk."""
    told(lake)
    collector = lake.collector()

    def at(kind: str, who: str, moment: str, **more: Any) -> None:
        collector.record(kind, user_id=who, timestamp=f"2026-10-{moment}Z", **more)

    for n in range(10):
        plan = {"properties": {"plan": "pro" if n % 2 else "free"}}
        at("opened", f"f{n}", f"{10 + n}T09:00:00", **plan)
        if n < 6:
            at("filled", f"f{n}", f"{10 + n}T09:01:00", **plan)
        if n < 3:
            at("posted", f"f{n}", f"{10 + n}T09:{3 + n:02}:00", **plan)
    for who, days in (("r0", (6, 13, 20)), ("r1", (7, 14)), ("r2", (8,)), ("r3", (6,)),
                      ("r4", (12,))):  # fmt: skip
        for day in days:
            at("visit", who, f"{day:02}T12:00:00")
    for who, ways in (("p0", ("/", "/pricing", "/start")), ("p1", ("/", "/pricing")),
                      ("p2", ("/", HOSTILE))):  # fmt: skip
        for n, path in enumerate(ways):
            at("page_view", who, f"20T10:0{n}:00", path=path)
    for step, people in (("verification", 3), ("matching", 1)):
        for n in range(people):
            at("flow_step", f"c{n}", f"21T1{4 - people}:00:00", flow="contractor", step=step)
    collector.commit()
    collector.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("product")
    ring_dir = Path("/dev/shm") / f"lw-test-{os.getpid()}-product"
    ring_dir.mkdir(mode=0o700, exist_ok=True)
    lake = Lake(folder / "data-lake", ring_dir)
    (folder / "flags.json").write_text(json.dumps(FLAGS))
    (folder / "flows.toml").write_text(DECLARED)
    fill(lake)
    own = {"LAKEWARD_FLAGS": "flags.json", "LAKEWARD_FLOWS": "flows.toml"}
    try:
        with serving(lake, **{name: str(folder / file) for name, file in own.items()}) as running:
            yield running
    finally:
        lake.close()
        shutil.rmtree(ring_dir, ignore_errors=True)


@pytest.fixture
def looked(browser: Any, server: Serving) -> Iterator[Looked]:
    """A page that complains of nothing, asks nobody else and is accessible when it is left."""
    made = Looked(browser, server.url)
    yield made
    expect(made.page.locator(".cardbody.busy, .waiting")).to_have_count(0)
    found = [
        f"{one['id']}: {[node['html'][:160] for node in one['nodes']][:3]}"
        for one in axe.Axe().run(made.page).response["violations"]
    ]
    complaints, foreign = made.complaints, made.foreign
    made.close()
    assert (found, complaints, foreign) == ([], [], [])


def rows(page: Any, card: str) -> list[list[str]]:
    """What stands in the table of a card."""
    found: list[list[str]] = page.locator(f"[data-card={card}] table").evaluate(
        "table => [...table.querySelectorAll('tbody tr')].map("
        "row => [...row.cells].map(cell => cell.textContent.trim()))"
    )
    return found


def labels(page: Any, card: str, part: str = ".bar") -> list[str]:
    """What the parts of a drawing say."""
    found: list[str] = page.locator(f"[data-card={card}] {part}").evaluate_all(
        "all => all.map(one => one.getAttribute('aria-label'))"
    )
    return found


def query(page: Any) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def funnel(**more: str) -> str:
    asked = "&".join(f"{name}={quote(value)}" for name, value in more.items())
    return f"/funnels?{OCTOBER}&steps={quote(json.dumps(STEPS))}&{asked}"


def test_a_funnel_shows_who_went_how_far_how_long_it_took_and_who_dropped(looked: Looked) -> None:
    page = looked.open(funnel())
    assert [row[:6] for row in rows(page, "conversion")] == [
        ["1", "opened", "10", "100%", "100%", "0"],
        ["2", "typed <b>it</b>", "6", "60%", "60%", "4"],
        ["3", "posted", "3", "30%", "50%", "3"],
    ]
    assert labels(page, "conversion") == [
        "Step 1, opened: 10 people, 100% of the first step",
        "Step 2, typed <b>it</b>: 6 people, 60% of the first step, 60% of the one before, "
        "4 dropped, half took 60 s or less",
        "Step 3, posted: 3 people, 30% of the first step, 50% of the one before, 3 dropped, "
        "half took 3 min or less",
    ]
    assert figures(page)["median"] == "240"
    assert sorted(row[0] for row in rows(page, "who")) == ["f6", "f7", "f8", "f9"]
    page.get_by_role("button", name="Step 2, typed").focus()
    page.keyboard.press("Enter")  # who dropped after that step
    looked.settled()
    assert query(page)["step"] == ["2"]
    expect(page.locator("[data-card=who] tbody tr")).to_have_count(3)
    assert sorted(row[0] for row in rows(page, "who")) == ["f3", "f4", "f5"]
    link = page.get_by_role("link", name="f3").get_attribute("href")
    assert "/explore?" in link
    assert "person%20%3D%20%27f3%27" in link.replace("+", "%20")
    page.get_by_label("Which of them").select_option("reached")
    expect(page.locator("[data-card=who] tbody tr")).to_have_count(6)


def test_segments_stand_side_by_side_and_what_cannot_be_asked_is_said(looked: Looked) -> None:
    page = looked.open(funnel(by="properties.plan"))
    assert [row[:4] for row in rows(page, "conversion")] == [
        ["free", "1", "opened", "5"], ["free", "2", "typed <b>it</b>", "3"],
        ["free", "3", "posted", "2"], ["pro", "1", "opened", "5"],
        ["pro", "2", "typed <b>it</b>", "3"], ["pro", "3", "posted", "1"],
    ]  # fmt: skip
    assert labels(page, "conversion")[-2:] == [
        "free: Step 3, posted: 2 people, 40% of the first step, 67% of the one before, 1 dropped, "
        "half took 3 min or less",
        "pro: Step 3, posted: 1 people, 20% of the first step, 33% of the one before, 2 dropped, "
        "half took 3 min or less",
    ]
    field = page.get_by_label("Field that segments are compared by")
    field.fill("nonsense")
    field.press("Enter")
    field.blur()
    expect(page.locator("[data-card=conversion]").get_by_role("alert")).to_contain_text(
        "'nonsense' is no field"
    )
    looked.complaints.clear()  # the browser's own word on a 400


def test_steps_are_built_moved_and_shared_by_keyboard_and_ready_funnels_are_offered(
    looked: Looked,
) -> None:
    page = looked.open(f"/funnels?{OCTOBER}")
    # Without steps the first ready funnel is shown: the flow that is declared.
    assert [row[:3] for row in rows(page, "conversion")] == [
        ["1", "verification", "3"], ["2", "matching", "1"],
    ]  # fmt: skip
    page.get_by_label("Step 1: type of interaction").focus()
    page.keyboard.press("Alt+ArrowDown")
    looked.settled()
    assert [step["label"] for step in json.loads(query(page)["steps"][0])] == [
        "matching", "verification",
    ]  # fmt: skip
    expect(
        page.get_by_role("status").get_by_text("verification is now step 2 of 2.")
    ).to_have_count(1)
    focused = "document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(focused) == "Step 2: type of interaction"
    page.get_by_role("button", name="Remove step 1").click()
    page.get_by_role("button", name="Add a step").click()
    field = page.get_by_label("Step 2: type of interaction")
    expect(field).to_be_focused()
    expect(page.locator("datalist option[value=opened]").first).to_be_attached()
    field.fill("opened")
    field.press("Tab")
    page.get_by_role("button", name="Filter of Step 2").click()
    page.get_by_role("button", name="Add a condition").click()
    page.get_by_label("Step 2, condition 1: field").fill("properties.plan")
    page.get_by_label("Step 2, condition 1: field").press("Tab")
    page.get_by_label("Step 2, condition 1: value").fill("pro")
    page.get_by_label("Step 2, condition 1: value").press("Tab")
    name = page.get_by_label("Step 2: name")
    name.fill("opened as pro")
    page.get_by_label("Unit of that time").select_option("hours")  # draws the page anew
    expect(name).to_have_value("opened as pro")
    name.press("Tab")
    within = page.get_by_label("How long from the first step to the last")
    within.fill("8")
    page.evaluate("dispatchEvent(new PopStateEvent('popstate'))")  # so does that
    page.wait_for_timeout(50)
    expect(within).to_have_value("8")
    within.press("Tab")
    page.get_by_role("button", name="Add an exclusion").click()
    shared = json.loads(query(page)["steps"][0])
    assert shared[1] == {
        "event": "opened", "label": "opened as pro",
        "where": {"field": "properties.plan", "values": ["pro"]},
    }  # fmt: skip
    assert json.loads(query(page)["exclude"][0]) == [{"event": "*"}]
    assert query(page)["within"] == [str(8 * 3600)]
    again = looked.open(page.url.removeprefix(looked.url))
    assert [row[1] for row in rows(again, "conversion")] == ["verification", "opened as pro"]
    page.get_by_role("button", name="Ready funnels").click()
    page.get_by_role("menuitem", name="contractor (2 steps)").click()
    looked.settled()
    expect(page.locator("[data-card=conversion] tbody tr").first).to_contain_text("verification")


def test_cohorts_their_sum_and_what_is_not_over_yet(looked: Looked) -> None:
    visit = quote(json.dumps([{"event": "visit"}]))
    page = looked.open(f"/retention?{OCTOBER}&start={visit}&back={visit}")
    assert rows(page, "cohorts") == [
        ["Oct 5, 2026", "4", "100%", "50%", "25%", "0%* so far"],
        ["Oct 12, 2026", "1", "100%", "0%", "0%* so far", ""],
    ]
    assert labels(page, "curve") == [
        "100% came back in the same week, 5 of 5 people",
        "40% came back 1 week later, 2 of 5 people",
        "25% came back 2 weeks later, 1 of 4 people",
    ]
    page.get_by_role("combobox", name="Back in").select_option("on_or_after")
    expect(page.locator("[data-card=cohorts] tbody tr").first).to_contain_text("100%50%25%")
    page.get_by_role("link", name="Lifecycle").click()
    looked.settled()
    plot = page.get_by_role("application", name=re.compile("^Lifecycle"))
    plot.focus()
    page.keyboard.press("Home")
    expect(page.get_by_role("status").get_by_text("new 4, returning 0")).to_have_count(1)
    page.get_by_role("link", name="Stickiness").click()
    looked.settled()
    assert labels(page, "stickiness")[0].startswith("3 people, 60%, were active in 1 days")
    page.get_by_role("link", name="Active").click()
    looked.settled()
    assert figures(page)["monthly"] == "5"


def test_paths_are_a_list_whose_nodes_are_chosen_and_nothing_hostile_runs(looked: Looked) -> None:
    page = looked.open(f"/paths?{OCTOBER}")
    ways = page.locator(".way").all_inner_texts()
    told = [re.sub(r"\s+", " ", way).strip() for way in ways]
    assert told[:2] == ["/ → /pricing 2", f"/ → {SEEN} 1"]
    assert sorted(told[2:]) == sorted(
        ["/pricing → /start 1", "/pricing → (session ends) 1", f"{SEEN} → (session ends) 1",
         "/start → (session ends) 1"]
    )  # fmt: skip
    assert figures(page)["sessions"] != ""
    page.get_by_role("region", name="Step 2").get_by_role("button", name="/pricing").first.focus()
    page.keyboard.press("Enter")
    looked.settled()
    assert query(page)["start"] == ["/pricing"]
    expect(page.locator(".way")).to_have_count(3)
    end = page.get_by_label("Node that paths end at")
    page.get_by_role("button", name="Clear").click()
    end.fill("/start")
    end.press("Tab")
    looked.settled()
    expect(page.get_by_role("region", name="Last step").locator(".way")).to_have_count(1)
    end.fill("/nowhere")
    end.press("Tab")
    expect(page.get_by_text("No session goes this way")).to_be_visible()


def test_experiments_are_listed_and_one_is_judged_in_words_intervals_and_days(
    looked: Looked,
) -> None:
    page = looked.open(f"/experiments?{SEPTEMBER}")
    met = page.locator(".listed").first
    expect(met).to_contain_text("122 units")
    expect(met).to_contain_text("Reasons make people book.")
    expect(page.locator(".listed").nth(1)).to_contain_text("nobody met it in this range")
    page.get_by_role("link", name="match-page").click()
    looked.settled()
    assert query(page)["key"] == ["match-page"]
    verdict = page.locator("[data-card=verdict]")
    expect(verdict.locator("[data-status]")).to_have_attribute("data-status", "keep_running")
    expect(verdict).to_contain_text("Keep running treatment: demo_booking is unclear: +0.25")
    assert rows(page, "arms") == [["control (control)", "60", "50%"], ["treatment", "60", "50%"]]
    arms = page.locator("[data-card=arms]")
    expect(arms).to_contain_text("The arms have their planned shares as far as so many units tell")
    expect(arms).to_contain_text("Set aside: 2 met several arms (control + treatment).")
    (row,) = labels(page, "metrics", ".effect")
    assert row.startswith("treatment: unclear; +25 points (95 % interval \u2212")
    course = page.locator("[data-card=intervals]")
    chart = course.get_by_role("application", name="demo_booking: treatment minus control")
    chart.focus()
    page.keyboard.press("End")
    said = page.get_by_role("status").get_by_text("demo_booking: treatment minus control 25%")
    expect(said).to_have_count(1)
    legend = course.locator(".legend")
    expect(legend).to_contain_text("95 % interval, valid whenever you look")
    page.get_by_role("button", name="Judge it otherwise").click()
    page.get_by_label("Metrics that decide, one a line").fill("demo_booking\ncount:demo_booking")
    page.get_by_label("Look once, at the end").check()
    page.get_by_role("button", name="Judge", exact=True).click()
    expect(verdict.locator("[data-status]")).to_have_attribute("data-status", "ship")
    looked.settled()
    expect(legend).to_contain_text("95 % interval, for one look at the end")
    assert len(labels(page, "metrics", ".effect")) == 2
    with page.expect_download() as found:
        verdict.get_by_role("link", name="CSV").click()
    lines = list(csv.reader(Path(found.value.path()).read_text().splitlines()))
    assert [line[:6] for line in lines[1:3]] == [
        ["demo_booking", "metric", "share", "control", "60", "0.25"],
        ["demo_booking", "metric", "share", "treatment", "60", "0.5"],
    ]
    page.get_by_role("button", name="More of Verdict").click()
    page.get_by_role("menuitem", name="How is this computed?").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="The question experiment_units")).to_be_visible()
    expect(dialog.locator("pre").filter(has_text="FROM exposed").first).to_be_visible()
    page.keyboard.press("Escape")


def test_an_experiment_that_nobody_met_is_refused_in_a_sentence(looked: Looked) -> None:
    name = "<img src=x onerror=alert(2)>/of"
    page = looked.open(f"/experiments?{SEPTEMBER}&key={quote(name)}")
    alert = page.locator("[data-card=verdict]").get_by_role("alert")
    expect(alert).to_contain_text("Nobody met the experiment")
    expect(page.get_by_role("navigation", name="Where")).to_contain_text(name)
    looked.complaints.clear()  # the browser's own word on a 400
