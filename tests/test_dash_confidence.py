"""PowerConfidence on the pages of partners in Chromium: what is drawn is what the API says, a
partner sees nobody, what people write stays text, and the report fits on paper."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import pytest

import snapshot
from business_lake import business, filled, partners, violations
from confided import COPIED, INVITED, MARKUP, NAMES, PARTNER, PEERS, QUIET, confided
from conftest import Lake, wait_until
from dashboard import SIZES, Looked, figures
from lakeward.confidence.score import Answer, Rating, score
from server_process import Serving
from test_login import added, logged_in

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("axe_playwright_python.sync_playwright")
expect = playwright.expect

PAGE: Final = f"/partners?partner={PARTNER}&zone=UTC"
SHARES: Final = "(all) => all.map((one) => [one.dataset.%s, Number(one.dataset.value)])"
NUMBERS: Final = "(all) => all.map((one) => Number(one.dataset.%s))"
A4: Final = (595, 842)
"""Width and height in points."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lake, Serving]]:
    def make(lake: Lake, now_ms: int) -> None:
        filled(lake, partners(now_ms))
        confided(lake, now_ms)

    with business(tmp_path_factory, make) as (lake, running, _):
        yield lake, running


@pytest.fixture
def looked(browser: Any, served: tuple[Lake, Serving]) -> Iterator[Looked]:
    made = Looked(browser, served[1].url)
    yield made
    made.close()
    assert made.complaints == []
    assert made.foreign == []


def said(server: Serving, path: str) -> Any:
    """What the API answers to the team."""
    with server.client() as client:
        answer = client.get(f"/api/partners{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()


def card(page: Any, name: str) -> Any:
    return page.locator(f"[data-card={name}]")


def numbers(where: Any, name: str) -> list[float]:
    """The unrounded numbers behind what is shown."""
    found: list[float] = where.locator(f"[data-{name}]").evaluate_all(NUMBERS % name)
    return found


def test_the_score_stands_with_its_interval_why_it_is_provisional_and_what_waits(
    looked: Looked, served: tuple[Lake, Serving]
) -> None:
    told = said(served[1], f"/{PARTNER}/confidence")
    page = looked.open(PAGE)
    shown = figures(page)
    assert float(shown["score"]) == told["score"]["value"]
    ends = [float(end) for end in shown["score_interval"].split()]
    assert ends == [told["score"]["low"], told["score"]["high"]]
    box = card(page, "score")
    expect(box).to_contain_text(f"{told['score']['value']:.1f} of 100")
    expect(box).to_contain_text(f"{told['score']['low']:.1f} to {told['score']['high']:.1f}")
    expect(box).to_contain_text("provisional")
    whys = box.get_by_label("Why it is provisional").locator("li").all_inner_texts()
    assert whys == told["score"]["why_provisional"]
    assert told["waiting"]["employees"] == 2
    expect(box.locator("[data-waiting=employees]")).to_have_text(
        "2 more answers of employees are shown to the partner once there are 3."
    )
    expect(box).to_contain_text(f"Not ranked yet: 0 of {len(PEERS) + 1} partners of roofing are.")
    assert not [name for name in NAMES.values() if name in box.inner_text()]
    bar, reach = box.locator(".interval"), box.locator(".interval .reach")
    width, inner = bar.bounding_box()["width"], reach.bounding_box()
    share = (told["score"]["high"] - told["score"]["low"]) / 100
    assert inner["width"] / width == pytest.approx(share, abs=0.01)


def test_points_of_all_sources_are_the_score_and_open_to_every_witness(
    looked: Looked, served: tuple[Lake, Serving]
) -> None:
    told = said(served[1], f"/{PARTNER}/confidence")["score"]
    page = looked.open(PAGE)
    made = card(page, "made")
    parts = numbers(made, "points")
    assert parts == [
        value for part in told["sources"] for value in (part["points"], part["prior_points"])
    ]
    [total] = numbers(made, "total")
    assert total == told["value"]
    assert sum(parts) == pytest.approx(total, abs=1e-9)
    [baseline] = numbers(made, "baseline")
    assert baseline + sum(numbers(made, "pull")) == pytest.approx(total, abs=1e-9)
    assert numbers(made, "witnesses") == [part["respondents_n"] for part in told["sources"]]
    opener = made.get_by_role("button", name="Employees: each witness")
    opener.focus()
    page.keyboard.press("Enter")
    expect(opener).to_have_attribute("aria-expanded", "true")
    rows = made.get_by_role("group", name="Employees, each witness, table").locator("tbody tr")
    own = {one["respondent_id"][-8:]: one for one in told["sources"][0]["respondents"]}
    expect(rows).to_have_count(len(own))
    for text in rows.all_inner_texts():
        cells = text.split("\t")
        one = own.pop(cells[0].strip("…"))
        assert cells[8] == f"{one['points']:.2f}"
        assert cells[4] == f"{one['factors']['verification']:.0%}"
    assert own == {}
    assert violations(page) == []
    page.keyboard.press("Enter")
    expect(opener).to_have_attribute("aria-expanded", "false")
    assert made.get_by_role("button", name="Demos").count() == 0  # nobody rated one


def test_the_course_has_every_score_there_was(looked: Looked, served: tuple[Lake, Serving]) -> None:
    told = said(served[1], f"/{PARTNER}/history")["history"]
    assert len(told) == 3
    page = looked.open(PAGE)
    course = card(page, "course")
    chart = course.get_by_role("application")
    chart.focus()
    heard = []
    for _ in told:
        page.keyboard.press("ArrowRight")
        heard.append(course.locator(".series > [role=status]").inner_text())
    values = [float(text.rpartition(" ")[2]) for text in heard]
    assert values == pytest.approx([one["value"] for one in reversed(told)], abs=1e-9)
    menu = course.get_by_role("button", name="More of Score over time")
    menu.click()
    page.get_by_role("menuitemcheckbox", name="Show as table").click()
    rows = course.locator("tbody tr").all_inner_texts()
    assert [float(row.split("\t")[2]) for row in rows] == pytest.approx(
        [one["low"] for one in told]
    )


def test_strengths_opportunities_quotes_and_flags_are_those_of_the_api(
    looked: Looked, served: tuple[Lake, Serving]
) -> None:
    told = said(served[1], f"/{PARTNER}/confidence")
    page = looked.open(PAGE)
    means = sorted(
        (one["mean"], f"{part['source']} {one['category']}")
        for part in told["score"]["sources"] if part["source"] != "consistency"
        for one in part["categories"]
    )  # fmt: skip
    shown = {
        side: card(page, side).locator("[data-rated]").evaluate_all(SHARES % "rated")
        for side in ("strengths", "opportunities")
    }
    assert [value for _, value in shown["strengths"]] == [one for one, _ in means[::-1][:4]]
    assert [value for _, value in shown["opportunities"]] == [one for one, _ in means[:4]]
    assert {tuple(one) for side in shown.values() for one in side} <= {
        (name, mean) for mean, name in means
    }
    expect(card(page, "strengths")).to_contain_text("8 employees")
    quoted = page.locator("[data-quote] q").all_inner_texts()
    assert len(quoted) == len(told["quotes"]) > 0
    assert COPIED in card(page, "opportunities").inner_text()
    assert "Nobody else called us back." in card(page, "comments").inner_text()
    flags = card(page, "flags")
    assert len(told["score"]["flags"]) == flags.locator("[data-flag]").count() > 0
    for flag in told["score"]["flags"]:
        expect(flags).to_contain_text(flag["sentence"])


def test_what_the_ceo_says_stands_beside_what_the_others_say(
    looked: Looked, served: tuple[Lake, Serving]
) -> None:
    report = said(served[1], f"/{PARTNER}/consistency")["report"]
    page = looked.open(PAGE)
    for side in ("overall", "ceo_employee", "ceo_customer", "ceo_demo", "employee_customer"):
        one = card(page, "agreement").locator(f"[data-side={side}]")
        for name, attribute in (
            ("score", "data-value"),
            ("low", "data-low"),
            ("high", "data-high"),
        ):
            wanted = report[side][name]
            assert one.get_attribute(attribute) == ("" if wanted is None else f"{wanted:g}")
    expect(card(page, "agreement").locator("[data-side=ceo_demo]")).to_contain_text(
        "nothing can be"
    )
    votes = card(page, "claims").locator("[data-votes]")
    assert votes.evaluate_all("(all) => all.map((one) => one.dataset.votes)") == [
        f"{who} {' '.join(str(own[how]) for how in ('supports', 'contradicts', 'silent'))}"
        for claim in report["claims"] for who, own in claim["votes"].items() if any(own.values())
    ]  # fmt: skip
    shown = card(page, "discrepancies").locator("[data-discrepancy]")
    assert shown.count() == len(report["discrepancies"]) > 0
    for text, one in zip(shown.all_inner_texts(), report["discrepancies"], strict=True):
        assert one["claim"] in text
        assert one["quote"] in text
        assert one["reason"] in text
    assert card(page, "advice").locator("li").count() == len(report["recommendations"]) > 0


def test_what_people_write_stays_text(looked: Looked) -> None:
    page = looked.open(PAGE)
    expect(page.locator(".called")).to_have_text(NAMES[PARTNER])
    for name in ("strengths", "comments", "claims", "advice"):
        expect(card(page, name)).to_contain_text("<img src=x onerror=alert(1)>")
    expect(card(page, "claims")).to_contain_text("\\u202egnp.exe {{1}}")
    expect(card(page, "invited")).to_contain_text(INVITED)
    assert page.locator("img, [onload], [onerror]").count() == 0
    assert "\u202e" not in page.content()


def test_the_list_has_the_scores_and_can_be_sorted_by_them(
    looked: Looked, served: tuple[Lake, Serving]
) -> None:
    known = said(served[1], "")["partners"]
    told = {one["partner_id"]: one["score"] for one in known}
    page = looked.open("/partners?zone=UTC")
    rows = card(page, "partners").locator("tbody tr")
    links = rows.locator("td:first-child a")
    cells = [row.split("\t") for row in rows.all_inner_texts()]
    shown = {which: row[1] for which, row in zip(links.all_inner_texts(), cells, strict=True)}
    first = dict(zip(shown, (row[0] for row in cells), strict=True))
    for one in known:  # letters that cannot be seen stand there in words
        assert first[one["partner_id"]].startswith(f"{one['partner_id']} {one['name'][:4]}")
    assert {*told} <= {*shown}  # those without a record in the range, too
    for which, wanted in told.items():
        assert shown[which] == (
            "no score yet" if wanted is None
            else f"{wanted['value']:.1f} {wanted['low']:.1f} to {wanted['high']:.1f}, provisional"
        )  # fmt: skip
    assert told[QUIET] is None
    assert [text for which, text in shown.items() if which not in told] == ["no score yet"]
    page.get_by_role("button", name="PowerConfidence").click()
    ranked = links.all_inner_texts()
    scores = [told[which]["value"] for which in ranked if told.get(which)]
    assert scores == sorted(scores, reverse=True)
    assert {ranked[-1], ranked[-2]} == {*shown} - {which for which in told if told[which]}
    assert violations(page) == []
    rows.get_by_role("link", name=PEERS[-1]).click()
    looked.settled()
    assert float(figures(page)["score"]) == told[PEERS[-1]]["value"]


def test_a_partner_of_whom_nobody_spoke_says_so(looked: Looked) -> None:
    page = looked.open(f"/partners?partner={QUIET}")
    expect(card(page, "score")).to_contain_text("no score yet")
    expect(card(page, "score")).to_contain_text("Nothing was said of this partner yet.")
    expect(card(page, "agreement")).to_contain_text("There is no value proposition to compare with")
    expect(card(page, "course")).to_contain_text("No score yet.")
    expect(card(page, "flags")).to_contain_text("Nothing looks like manipulation.")
    assert page.locator("main [role=alert]").count() == 0
    assert violations(page) == []


def test_what_the_card_of_an_unknown_partner_says_makes_it_known(
    looked: Looked, served: tuple[Lake, Serving]
) -> None:
    which = "o'neil & $(sons)"
    page = looked.open("/partners?partner=o%27neil+%26+%24%28sons%29")
    box = card(page, "score")
    expect(box).to_contain_text("PowerConfidence does not know this partner.")
    assert page.locator(".confidence").count() == 0
    assert violations(page) == []
    words = shlex.split(box.locator("pre").inner_text())
    assert words[0] == "curl"
    with served[1].client() as client:
        kind = dict([words[words.index("-H") + 1].split(": ")])
        answer = client.post(words[1], content=words[words.index("-d") + 1], headers=kind)
        assert answer.status_code == 200, answer.text
        known = client.get("/api/partners").json()["partners"]
        assert which in [one["partner_id"] for one in known]
        page.reload()
        looked.settled()
        expect(box).to_contain_text("Nothing was said of this partner yet.")
        gone = f"/api/partners/{answer.json()['partners'][0]['partner_id']}/remove"
        assert client.post(gone, json={}).status_code == 200


def spoken(now_ms: int) -> list[Answer]:
    """Five of each source, all of them sure."""
    ratings = {
        name: Rating(7 + n, 1, 10) for n, name in enumerate(("clarity", "proof", "delivery"))
    }
    return [
        Answer(
            evidence_id=f"{source}{n}", respondent_id=f"{source}-{n}", source=source,
            at_ms=now_ms, ratings=ratings | {"proof": Rating(5 + n, 1, 10)}, verified=True,
            completeness=1.0,
        )
        for source in ("employees", "customers", "demos")
        for n in range(5)
    ]  # fmt: skip


def test_a_score_that_is_firm_has_its_place_and_demos_stand_as_any_source(
    looked: Looked, served: tuple[Lake, Serving]
) -> None:
    now_ms = 1_795_737_600_000
    made = score(spoken(now_ms), now_ms=now_ms)
    assert not made.provisional
    told = said(served[1], f"/{PARTNER}/confidence") | {
        "score": msgspec.to_builtins(made),
        "peers": {"category": "roofing", "partners": 9, "ranked": 6, "place": 2, "median": 55.5},
    }
    looked.page.route("**/api/partners/*/confidence", lambda route: route.fulfill(json=told))
    page = looked.open(PAGE)
    box = card(page, "score")
    assert figures(page)["place"] == "2"
    expect(box).to_contain_text("Place 2 of 6 ranked partners of roofing.")
    expect(box).to_contain_text("is 55.5")
    assert "provisional" not in box.inner_text()
    demos = card(page, "made").locator("[data-source=demos]")
    assert numbers(demos, "points") == [
        made.by_source["demos"].points,
        made.by_source["demos"].prior_points,
    ]
    card(page, "made").get_by_role("button", name="Demos: each witness").click()
    expect(card(page, "made").get_by_role("group", name="Demos, each witness")).to_contain_text(
        "demos-4"
    )


def test_a_card_whose_server_refuses_says_so_and_comes_back(
    browser: Any, served: tuple[Lake, Serving]
) -> None:
    looked = Looked(browser, served[1].url)
    page = looked.page
    refusal = {"code": "broken", "message": "It <b>broke</b>."}
    page.route(
        "**/api/partners/*/confidence", lambda route: route.fulfill(status=500, json=refusal)
    )
    looked.open(PAGE)
    for name in ("score", "made", "strengths", "flags"):
        expect(card(page, name).get_by_role("alert")).to_contain_text("It <b>broke</b>.")
    expect(card(page, "agreement").locator("[data-side=overall]")).to_be_visible()
    page.unroute("**/api/partners/*/confidence")
    card(page, "score").get_by_role("button", name="Try again").click()
    expect(card(page, "score").locator("[data-figure=score]")).to_be_visible()
    expect(page.locator("main [role=alert]")).to_have_count(0)
    looked.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", ["phone", "desk"])
def test_it_fits_reads_and_is_reached_by_keyboard(
    browser: Any, served: tuple[Lake, Serving], size: str, theme: str
) -> None:
    looked = Looked(browser, served[1].url, size, theme)
    page = looked.open(PAGE)
    for opener in card(page, "made").locator("button.opener").all():
        opener.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]
    assert violations(page) == []
    page.locator("a[href='#confidence']").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Print report"
    stops = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        stops.add(
            page.evaluate("document.activeElement.closest('[data-card]')?.dataset.card ?? ''")
        )
    assert {"made", "course", "flags", "strengths", "agreement", "claims", "advice"} <= stops
    looked.close()
    assert looked.complaints == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_report_fits_on_paper_in_black_and_white(
    browser: Any, served: tuple[Lake, Serving], theme: str
) -> None:
    pypdf = pytest.importorskip("pypdf")
    told = said(served[1], f"/{PARTNER}/confidence")["score"]
    looked = Looked(browser, served[1].url, theme=theme)
    page = looked.open(PAGE)
    page.evaluate("() => { window.print = () => { window.printed = (window.printed ?? 0) + 1; }; }")
    page.get_by_role("button", name="Print report").click()
    assert page.evaluate("window.printed") == 1
    read = pypdf.PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True, print_background=True)))
    assert {(round(one.mediabox.width), round(one.mediabox.height)) for one in read.pages} == {A4}
    text = "\n".join(one.extract_text() for one in read.pages)
    text = text.replace("\ufb01", "fi").replace("\ufb02", "fl").replace("\ufb00", "ff")
    for wanted in (
        NAMES[PARTNER], f"{told['value']:.1f} of 100", "What it is made of", "Score over time",
        "Strengths", "Opportunities", "Message consistency", "Contradictions", "Recommendations",
        "Tell us of the plan sooner", f"{told['value']:.2f}", MARKUP,
    ):  # fmt: skip
        assert wanted in text, wanted
    for screen in ("Overview", "Settings", "Print report", "All partners", "Became a deal", "Olga"):
        assert screen not in text, screen
    assert "For the team" in text
    people = [one["respondent_id"][-8:] for part in told["sources"] for one in part["respondents"]]
    assert not [one for one in people if one in text]  # folded as they were
    page.emulate_media(media="print", color_scheme=theme)
    page.set_viewport_size({"width": 695, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 695
    canvas = card(page, "course").locator("canvas")
    assert canvas.bounding_box()["width"] <= 695
    drawn = snapshot.lightness(canvas.screenshot())
    assert 0.003 < (drawn < 128).mean() < 0.15  # lines and words, and no band as dark as they are
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.whole')).color") == "rgb(0, 0, 0)"
    )
    looked.close()
    assert looked.complaints == []


def test_a_partner_who_is_logged_in_sees_what_is_released_and_nobody(
    looked: Looked, served: tuple[Lake, Serving]
) -> None:
    """Comes last: from here on the server asks who is there."""
    lake, server = served
    whole = said(server, f"/{PARTNER}/confidence")["score"]
    people = {one["respondent_id"] for part in whole["sources"] for one in part["respondents"]}
    added(lake, "ada@example.com", "--role", "admin")
    added(lake, "pat@example.com", "--role", "partner", "--partner", PARTNER)
    with logged_in(server, "pat@example.com") as pat:
        own = pat.get(f"/api/partners/{PARTNER}/confidence").json()
        for name, value in pat.cookies.items():
            looked.context.add_cookies([{"name": name, "value": value, "url": server.url}])
    answers: list[str] = []

    def heard(answer: Any) -> None:
        if "/api/" in answer.url:
            answers.append(answer.text())

    looked.page.on("response", heard)
    page = looked.open(f"/partners?partner={PEERS[0]}")
    assert float(figures(page)["score"]) == own["score"]["value"] != whole["value"]
    expect(card(page, "score").locator("[data-figure=score]")).to_contain_text(
        f"{own['score']['value']} of 100"
    )
    assert page.locator("[data-waiting]").count() == 0
    expect(card(page, "made")).to_contain_text("Each figure is rounded to whole points")
    assert numbers(card(page, "made"), "points") == [
        value
        for part in own["score"]["sources"]
        for value in (part["points"], part["prior_points"])
    ]
    assert page.locator("button.opener").count() == 0
    assert card(page, "invited").count() == 0
    kinds = {flag["kind"] for flag in own["score"]["flags"]}
    assert kinds == {*card(page, "flags").locator("[data-flag]").evaluate_all(
        "(all) => all.map((one) => one.dataset.flag)"
    )}  # fmt: skip
    seen = page.content() + json.dumps(answers)
    assert not [one for one in people if one in seen or one[-8:] in seen]
    assert not [which for which in PEERS if f'"{which}"' in seen or f">{which}<" in seen]
    assert "Olga" not in seen
    assert violations(page) == []
    wait_until(lambda: looked.foreign == [], what="no request to others")
