"""The pages Data and Explore in Chromium, on a real server and a lake of a few records."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from conftest import Lake
from dashboard import Looked
from server_process import Serving, serving

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
expect = playwright.expect

HOSTILE = "<img src=x onerror=alert(1)>\u202egnp.exe"
FOREVER = "SELECT count(*) FROM range(1000000000000) a, range(1000000) b"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lake, Serving]]:
    """Seven records, of which one is hostile, and four that were set aside."""
    ring_dir = Path("/dev/shm") / f"lw-test-{os.getpid()}-dash-data"
    ring_dir.mkdir(mode=0o700, exist_ok=True)
    lake = Lake(tmp_path_factory.mktemp("dash-data") / "data-lake", ring_dir)
    match = {"interaction_type": "partner_match", "partner_id": "p1"}
    batch: list[dict[str, Any]] = [
        {**match, "user_id": f"u{n}", "outcomes": {"score": 50 + n}} for n in range(5)
    ]
    batch.append({"interaction_type": "my_type", "user_id": HOSTILE})
    batch.append({"interaction_type": "my_type", "user_id": "=1+1"})
    booking = {"interaction_type": "demo_booking", "user_id": "u1", "partner_id": "p1"}
    batch += [{**booking, "outcomes": {"status": "later"}} for _ in range(3)]
    batch.append({"interaction_type": "click", "outcomes": HOSTILE})
    with serving(lake, LAKEWARD_QUERY_SECONDS="60") as server:
        with server.client() as client:
            answer = client.post("/v1/interactions", json=batch).json()
            assert (answer["accepted"], len(answer["rejected"])) == (7, 4)
        yield lake, server
    lake.close()


def violations(page: Any) -> list[str]:
    return [
        f"{one['id']} at {[node['target'] for node in one['nodes']][:3]}"
        for one in axe.Axe().run(page).response["violations"]
    ]


def term(page: Any, name: str) -> str:
    value: str = page.locator(f"[data-term={name}]").get_attribute("data-value")
    return value


def test_the_ledger_is_an_equation_and_every_card_says_what_is_in_the_lake(
    house: tuple[Lake, Serving], browser: Any
) -> None:
    looked = Looked(browser, house[1].url, theme="dark")
    page = looked.open("/data?zone=UTC")
    assert page.locator("[data-ledger=ok]").count() == 1
    found = {name: term(page, name) for name in ("offered", "delivered", "quarantined")}
    assert found == {"offered": "11", "delivered": "7", "quarantined": "4"}
    expect(page.locator("[data-step=Keeper]")).to_have_text("at work")
    with house[1].client() as client:
        storage = client.get("/api/data/storage").json()["zones"]["rows"]
    bars = page.locator("#zones .breakdown li .name").all_inner_texts()
    assert bars == [row[0] for row in storage]
    types = page.locator("#types tbody tr").all_inner_texts()
    assert [re.split(r"\s+", row)[:3] for row in types] == [
        ["partner_match", "known", "5"], ["my_type", "custom", "2"],
    ]  # fmt: skip
    fields = dict(
        re.split(r"\s+", row.replace("required", ""))[:2]
        for row in page.locator("#fields tbody tr").all_inner_texts()
    )
    assert (fields["outcomes.score"], fields["outcomes.rank"]) == ("5", "0")
    page.get_by_role("button", name="my_type").click()
    expect(page.locator("#fields .when")).to_have_text("my_type")
    assert "type=my_type" in page.url
    refused = page.locator("#refused tbody tr").all_inner_texts()
    assert [re.findall(r"(demo_booking|click)\s", row)[0] for row in refused] == [
        "demo_booking", "click",
    ]  # fmt: skip
    expect(page.locator("[aria-busy=true]")).to_have_count(0)  # pale while they ask anew
    assert violations(page) == []
    assert (looked.complaints, looked.foreign) == ([], [])
    looked.close()


def test_a_replay_is_tried_first_and_then_brings_back_what_was_mended(
    house: tuple[Lake, Serving], browser: Any
) -> None:
    looked = Looked(browser, house[1].url)
    page = looked.open("/data?zone=UTC")
    page.get_by_role("button", name="demo_booking refused").press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".entries li")).to_have_count(3)
    assert '"status": "later"' in dialog.locator("pre").first.inner_text()
    assert violations(page) == []
    dialog.get_by_role("button", name="What would come back?").click()
    expect(dialog.locator("[data-replayed]")).to_have_attribute("data-replayed", "0")
    assert "3 stay" in dialog.inner_text()
    assert dialog.get_by_role("button", name=re.compile("Bring .* back")).count() == 0
    dialog.get_by_label("Field to mend").fill("outcomes")
    dialog.get_by_label("Its value").fill('{"status": "booked"}')
    dialog.get_by_role("button", name="What would come back?").click()
    expect(dialog.locator("[data-replayed]")).to_have_attribute("data-replayed", "3")
    assert len(house[0].rows()) == 7
    dialog.get_by_role("button", name="Bring 3 back").click()
    expect(dialog.locator("[data-dry=false]")).to_have_attribute("data-replayed", "3")
    expect(dialog.get_by_text("brought back")).to_have_count(3)
    assert [row["outcomes"] for row in house[0].rows()[7:]] == [{"status": "booked"}] * 3
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="demo_booking refused")).to_be_focused()
    page.get_by_role("button", name="click refused").click()
    assert "\\u202e" in dialog.locator("pre").first.inner_text()
    assert page.locator("img[src=x]").count() == 0
    assert looked.complaints == []
    looked.close()


def test_a_query_of_the_address_is_shown_and_runs_when_it_is_told_to(
    house: tuple[Lake, Serving], browser: Any
) -> None:
    looked = Looked(browser, house[1].url)
    asked = "FROM interactions SELECT user_id WHERE interaction_type = 'my_type' ORDER BY ALL"
    page = looked.open("/explore?" + urlencode({"sql": asked}))
    field = page.get_by_label("SQL", exact=True)
    expect(field).to_have_value(asked)
    expect(page.get_by_text("From a link")).to_be_visible()
    assert not [url for url in looked.requests if url.endswith("/api/sql")]
    field.press("Control+Enter")
    cells = page.locator("#result tbody td")
    expect(cells).to_have_count(2)
    assert cells.nth(0).inner_text().endswith("\\u202egnp.exe")
    assert page.locator("#result img").count() == 0
    with page.expect_download() as saved:
        page.get_by_role("button", name="CSV").click()
    text = saved.value.path().read_text(encoding="utf-8")
    assert list(csv.reader(io.StringIO(text)))[2] == ["'=1+1"]
    with page.expect_download() as saved:
        page.get_by_role("button", name="Parquet").click()
    assert saved.value.path().read_bytes()[:4] == b"PAR1"
    field.fill(
        "SELECT date_trunc('day', timestamp) AS day, interaction_type, count(*) AS n\n"
        "FROM interactions WHERE interaction_type <> 'demo_booking' GROUP BY ALL"
    )
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#result tbody tr")).to_have_count(2)
    page.get_by_role("button", name="Chart").click()
    expect(page.get_by_role("application")).to_have_attribute(
        "aria-label", re.compile("n along day")
    )
    page.get_by_role("combobox", name="Along").select_option("interaction_type")
    bars = page.locator("#result .breakdown li")
    assert sorted(bars.all_inner_texts()) == ["my_type\n2", "partner_match\n5"]
    field.fill(
        "SELECT timestamp AS at, 9007199254740993 AS n, 'x' || id AS line FROM interactions, "
        "range(8) r(id) WHERE interaction_type = 'my_type' UNION ALL SELECT NULL, 1, 'x0'"
    )
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#result .note")).to_contain_text(
        "Not drawn: 4 rows of 2 further values of line, as 6 lines are drawn; "
        "1 row without a time in at"
    )
    page.get_by_role("button", name="History").click()
    expect(page.get_by_role("menuitem")).to_have_count(3)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(field).to_have_value(asked)
    assert violations(page) == []
    assert (looked.complaints, looked.foreign) == ([], [])
    looked.close()


def test_completion_is_chosen_by_keyboard_and_tab_leaves_the_field(
    house: tuple[Lake, Serving], browser: Any
) -> None:
    looked = Looked(browser, house[1].url)
    page = looked.open("/explore?sql=")
    expect(page.get_by_label("Views").locator("summary").first).to_be_visible()
    field = page.get_by_label("SQL", exact=True)
    options = page.get_by_role("option")
    field.press_sequentially("SELECT * FROM partner_")
    assert options.first.inner_text().startswith("partner_match")
    assert field.get_attribute("aria-activedescendant") is None
    field.press("ArrowDown")
    chosen = field.get_attribute("aria-activedescendant")
    assert page.locator(f"[id='{chosen}'][aria-selected=true]").count() == 1
    assert violations(page) == []
    field.press("Enter")
    expect(field).to_have_value("SELECT * FROM partner_match")
    field.press_sequentially(" WHERE outcomes.sco")
    field.press("ArrowDown")
    field.press("Enter")
    expect(field).to_have_value("SELECT * FROM partner_match WHERE (outcomes->>'$.score')::DOUBLE")
    field.press_sequentially(" > 52 AND user_i")
    field.press("Escape")
    expect(options).to_have_count(0)
    field.press("Control+Space")
    field.press("Enter")
    field.press_sequentially(" = 'part")
    expect(options).to_have_count(0)  # in a text nothing is completed
    field.press_sequentially("'\n")
    field.press("Control+Space")
    assert options.count() > 10
    field.press("Tab")
    expect(options).to_have_count(0)
    expect(page.get_by_role("button", name="Run")).to_be_focused()
    assert looked.complaints == []
    looked.close()


def test_escape_ends_a_query_and_what_is_refused_is_one_sentence(
    house: tuple[Lake, Serving], browser: Any
) -> None:
    looked = Looked(browser, house[1].url, "phone")
    page = looked.open("/explore")
    field = page.get_by_label("SQL", exact=True)
    field.fill(FOREVER)
    field.press("Control+Enter")
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    field.press("Escape")
    expect(page.get_by_text("Cancelled.")).to_be_visible()
    field.fill("DROP TABLE interactions")
    field.press("Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("Only SELECT is allowed")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert violations(page) == []
    looked.close()
