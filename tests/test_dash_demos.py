"""Product demos on the page of a partner in Chromium: files go up by tus and go on after an
interruption, what is shown is what the API says, and what is not known is said to be unknown."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import demo_files
from business_lake import HOSTILE, violations
from conftest import Lake, wait_until
from dashboard import SIZES, Looked
from demo_store import Stand
from lakeward.lakedir import open_lake
from lakeward.settings import load
from lakeward.store.database import open_database
from lakeward.store.demo_jobs import Jobs
from server_process import serving
from test_login import added, logged_in
from test_server_keys import bearer, created
from test_uploads_tus import Sending, with_partners

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("axe_playwright_python.sync_playwright")
expect = playwright.expect

PARTNER: Final = "p9"
PAGE: Final = f"/partners?partner={PARTNER}&zone=UTC"
MOST: Final = 16 << 20
PIECE: Final = 4 << 20
QUOTA: Final = 12
REFRESH_MS: Final = 2_000
PATIENCE_MS: Final = 60_000
CUES: Final = ("Our roofing crews answer", "within one hour.")
TITLES: Final = {
    "film": "A film", "sound": "Only sound", "picture": "A picture", "hostile": f"Roofs {HOSTILE}",
}  # fmt: skip
NOTED: Final = """() => {
    window.noted = [];
    const note = () => {
        for (const bar of document.querySelectorAll('[data-card=productdemos] progress')) {
            const told = bar.getAttribute('aria-label') + ' ' + bar.value;
            if (window.noted.at(-1) !== told) window.noted.push(told);
        }
    };
    new MutationObserver(note).observe(document.body,
        { subtree: true, childList: true, attributes: true, characterData: true });
}"""
"""Keeps every value that a bar has shown."""


class Lakeside:
    """A server with four demos after the work on them: a film with captions, a sound that nobody
    has transcribed, a picture that is refused, and a text with a hostile name."""

    def __init__(self, sending: Sending, folder: Path) -> None:
        self.sending, self.folder = sending, folder
        film = demo_files.video(folder / "roofs.mp4", cues=CUES)
        sound = demo_files.sound(folder / "tone.wav", demo_files.tone(2))
        (folder / "picture.png").write_bytes(demo_files.png(10, 10))
        (folder / "hostile.txt").write_text(f"Solar roofs {HOSTILE} for everybody.\n")
        files = {"film": film, "sound": sound, "picture": folder / "picture.png",
                 "hostile": folder / "hostile.txt"}  # fmt: skip
        self.ids = {
            name: sending.whole(
                path.read_bytes(),
                filename=path.name if name != "hostile" else f"{HOSTILE}.txt",
                title=TITLES[name],
            )
            for name, path in files.items()
        }
        sending.worked()

    def demos(self) -> dict[str, Any]:
        """Those of the partner, by their titles, as the API has them."""
        answer = self.sending.client.get(f"/api/partners/{PARTNER}/demos")
        assert answer.status_code == 200, answer.text
        return {one["title"]: one for one in answer.json()["demos"]}

    def remove(self, title: str) -> None:
        """Leave nothing behind for the tests that follow."""
        found = self.demos()[title]
        answer = self.sending.client.post(f"/api/demos/{found['demo_id']}/remove", json={})
        assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def lakeside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lakeside]:
    folder = tmp_path_factory.mktemp("demos")
    ring_dir = Path("/dev/shm") / f"lw-test-{os.getpid()}-dashdemos"
    ring_dir.mkdir(mode=0o700, exist_ok=True)
    lake = with_partners(Lake(folder / "data-lake", ring_dir))
    told = {"LAKEWARD_DEMO_BYTES": str(MOST), "LAKEWARD_DEMO_QUOTA_FILES": str(QUOTA)}
    lake.env.update(told)
    try:
        with serving(lake) as server, server.client() as client:
            yield Lakeside(Sending(lake, server, client), folder)
    finally:
        lake.close()


@pytest.fixture
def looked(browser: Any, lakeside: Lakeside) -> Iterator[Looked]:
    made = Looked(browser, lakeside.sending.server.url)
    yield made
    made.close()
    assert made.complaints == []
    assert made.foreign == []


def card(page: Any) -> Any:
    return page.locator("[data-card=productdemos]")


def row(page: Any, demo_id: str) -> Any:
    return card(page).locator(f"[data-demo='{demo_id}']")


def titled(page: Any, title: str) -> Any:
    return card(page).locator("li").filter(has_text=title)


def upload(page: Any, path: Path, title: str = "") -> None:
    """Choose a file and send it."""
    card(page).get_by_role("button", name="Upload a demo").click()
    asked = page.get_by_role("dialog")
    asked.get_by_label("File").set_input_files(path)
    asked.get_by_label("Title").fill(title)
    asked.get_by_role("button", name="Upload").click()
    expect(asked).to_have_count(0)


def opened(page: Any, demo_id: str) -> Any:
    """The demo, in a drawer that has all of it."""
    row(page, demo_id).get_by_role("button").first.click()
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_role("heading", name="Transcript")).to_be_visible()
    return drawer


def close(page: Any) -> None:
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def noise(folder: Path, size: int, name: str = "noise.txt") -> Path:
    """A text that is no line twice, so that no piece of it looks like another."""
    path = folder / name
    with path.open("w") as file:
        n = 0
        while file.tell() < size:
            file.write(f"{n} {hashlib.sha256(b'%d' % n).hexdigest()}\n")
            n += 1
    with path.open("r+") as file:
        file.truncate(size)
    return path


def slowed(looked: Looked, bytes_a_second: int) -> Any:
    """A network on which an upload takes its time."""
    cdp = looked.context.new_cdp_session(looked.page)
    cdp.send("Network.enable")
    cdp.send("Network.emulateNetworkConditions", {
        "offline": False, "latency": 0, "downloadThroughput": -1,
        "uploadThroughput": bytes_a_second,
    })  # fmt: skip
    return cdp


def test_each_demo_stands_with_what_the_api_says_of_it(looked: Looked, lakeside: Lakeside) -> None:
    told = lakeside.demos()
    page = looked.open(PAGE)
    assert len(told) == card(page).locator("li").count() == len(TITLES)
    film = row(page, lakeside.ids["film"])
    expect(film).to_contain_text("Video, 0:02")
    expect(film.locator(".tag")).to_have_text("completed")
    expect(film.get_by_role("img", name="The demo at 0:01")).to_be_visible()
    assert told["A film"]["thumbnails"][1] == 1
    assert film.locator("img").evaluate("(one) => one.naturalWidth") == 160
    expect(row(page, lakeside.ids["sound"])).to_contain_text("Sound, 0:02")
    expect(row(page, lakeside.ids["sound"]).locator(".tag")).to_have_text("awaiting transcript")
    refused = row(page, lakeside.ids["picture"])
    expect(refused.locator(".tag")).to_have_text("refused")
    reason = told["A picture"]["reason"]
    expect(refused).to_contain_text(reason[:1].upper() + reason[1:])
    expect(refused).to_contain_text("Kind unknown, length unknown")
    assert card(page).get_by_role("progressbar").count() == 0
    assert violations(page) == []


def test_a_demo_opens_to_what_is_said_in_it_and_what_was_measured(
    looked: Looked, lakeside: Lakeside
) -> None:
    told = lakeside.sending.demo(lakeside.ids["film"], segments="1")
    assert [one["text"] for one in told["transcript"]["segments"]] == list(CUES)
    page = looked.open(PAGE)
    opener = row(page, lakeside.ids["film"]).get_by_role("button", name="A film")
    opener.focus()
    page.keyboard.press("Enter")
    drawer = page.get_by_role("dialog", name="A film")
    lines = drawer.get_by_role("list", name="Transcript").locator("li")
    expect(lines).to_have_count(len(CUES))
    assert [text.split("\n") for text in lines.all_inner_texts()] == [
        [f"0:0{n}\u20130:0{n + 1}", cue] for n, cue in enumerate(CUES)
    ]
    expect(drawer.locator("[data-made]")).to_contain_text("the captions in the file")
    measures = told["measures"]
    expect(drawer.locator("[data-measure=words]")).to_have_text(str(measures["words"]))
    expect(drawer.locator("[data-measure=words_per_minute]")).to_have_text(
        str(round(measures["words_per_minute"]))
    )
    expect(drawer.locator("[data-measure=silence_share]")).to_contain_text("%")
    expect(drawer.locator("[data-measure=topics]")).to_have_text(", ".join(measures["topics"]))
    expect(drawer.get_by_role("img")).to_have_count(len(told["thumbnails"]))
    assert violations(page) == []
    close(page)
    expect(opener).to_be_focused()


def test_what_nobody_transcribed_has_no_words_until_a_transcript_is_given(
    looked: Looked, lakeside: Lakeside
) -> None:
    demo_id = lakeside.ids["sound"]
    assert "transcript" not in lakeside.sending.demo(demo_id)
    page = looked.open(PAGE)
    drawer = opened(page, demo_id)
    for name in ("words", "words_per_minute", "topics"):
        expect(drawer.locator(f"[data-measure={name}]")).to_have_text("awaiting transcript")
    expect(drawer.locator("[data-measure=silence_share]")).to_contain_text("%")
    expect(drawer).to_contain_text("Awaiting transcript: nobody has transcribed it yet.")
    given = lakeside.folder / "given.srt"
    given.write_text(demo_files.SRT)
    drawer.get_by_role("button", name="Give a transcript").click()
    asked = page.get_by_role("dialog", name="A transcript of Only sound")
    assert violations(page) == []
    asked.get_by_label("WebVTT or SRT").set_input_files(given)
    asked.get_by_role("button", name="Give").click()
    expect(asked).to_have_count(0)
    lines = drawer.get_by_role("list", name="Transcript").locator("li")
    expect(lines).to_have_count(2, timeout=PATIENCE_MS)
    expect(lines.last).to_contain_text("Leaking roofs!")
    expect(drawer.locator("[data-made]")).to_contain_text("as it was given")
    told = lakeside.sending.demo(demo_id)
    assert told["transcript"]["source"] == "srt"
    expect(drawer.locator("[data-measure=words]")).to_have_text(str(told["measures"]["words"]))
    close(page)
    expect(row(page, demo_id).locator(".tag")).to_have_text("completed")


def test_a_transcript_that_is_none_is_refused_in_the_words_of_the_api(
    browser: Any, lakeside: Lakeside
) -> None:
    looked = Looked(browser, lakeside.sending.server.url)
    page = looked.open(PAGE)
    (lakeside.folder / "none.vtt").write_text("Nothing of the kind")
    opened(page, lakeside.ids["film"]).get_by_role("button", name="Give a transcript").click()
    asked = page.get_by_role("dialog", name="A transcript of A film")
    asked.get_by_label("WebVTT or SRT").set_input_files(lakeside.folder / "none.vtt")
    asked.get_by_role("button", name="Give").click()
    expect(asked.get_by_role("alert")).to_have_text("A transcript is WebVTT or SRT.")
    looked.close()


def test_a_film_goes_up_in_the_browser_and_its_way_is_seen_to_the_end(
    looked: Looked, lakeside: Lakeside
) -> None:
    path = demo_files.video(lakeside.folder / "new.mp4", seconds=3, cues=CUES)
    page = looked.open(PAGE)
    page.evaluate(NOTED)
    slowed(looked, max(path.stat().st_size // 3, 1000))
    upload(page, path, "A new film")
    expect(titled(page, "A new film")).to_have_attribute(
        "data-state", "completed", timeout=PATIENCE_MS
    )
    expect(titled(page, "A new film").get_by_role("img")).to_be_visible()
    told = lakeside.demos()["A new film"]
    assert told["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert told["file_name"] == "new.mp4"
    noted = [one for one in page.evaluate("window.noted") if "A new film" in one]
    assert len({float(one.rpartition(" ")[2]) for one in noted}) > 2, noted
    lakeside.remove("A new film")


def test_an_upload_that_is_interrupted_asks_how_far_it_is_and_goes_on_from_there(
    browser: Any, lakeside: Lakeside
) -> None:
    path = noise(lakeside.folder, PIECE + 1234)
    looked = Looked(browser, lakeside.sending.server.url)
    page = looked.open(PAGE)
    sent: list[tuple[str, str]] = []

    def heard(route: Any) -> None:
        offset = route.request.headers.get("upload-offset", "")
        sent.append((route.request.method, offset))
        if sent.count(("PATCH", str(PIECE))) == 1 and offset == str(PIECE):
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/api/uploads/*", heard)
    upload(page, path, "Broken off")
    expect(titled(page, "Broken off").first).to_contain_text("interrupted, goes on by itself")
    whole = re.compile("received|processing|refused")  # a text so long is kept and not read
    expect(titled(page, "Broken off")).to_have_attribute("data-state", whole, timeout=PATIENCE_MS)
    told = lakeside.demos()["Broken off"]
    assert told["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert sent == [
        ("PATCH", "0"), ("PATCH", str(PIECE)), ("HEAD", ""), ("PATCH", str(PIECE)),
    ]  # fmt: skip
    looked.close()
    lakeside.remove("Broken off")


def test_an_upload_survives_the_death_of_its_server(browser: Any, lake: Lake) -> None:
    path = noise(lake.root.parent, 3 * PIECE)
    with_partners(lake)
    with serving(lake) as server:
        port = str(server.port)
        looked = Looked(browser, server.url)
        page = looked.open(PAGE)
        slowed(looked, 3 << 20)
        upload(page, path, "Long lived")
        expect(titled(page, "Long lived").locator("progress")).to_have_js_property("value", 0)
        page.wait_for_function(
            "() => document.querySelector('[data-sending] progress')?.value > 0.4"
        )
        server.process.kill()
        server.process.wait()
        expect(titled(page, "Long lived").first).to_contain_text("interrupted, goes on by itself")
    with serving(lake, "--port", port) as server, server.client() as client:
        again = Sending(lake, server, client)

        def whole() -> bool:
            [told] = client.get(f"/api/partners/{PARTNER}/demos").json()["demos"]
            return "sha256" in told

        wait_until(whole, what="the whole file")
        [told] = client.get(f"/api/partners/{PARTNER}/demos").json()["demos"]
        assert told["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        again.worked()
        looked.close()


def test_an_upload_pauses_resumes_and_is_taken_back(browser: Any, lakeside: Lakeside) -> None:
    looked = Looked(browser, lakeside.sending.server.url)
    path = noise(lakeside.folder, PIECE + 10, "paused.txt")
    page = looked.open(PAGE)
    slowed(looked, 1 << 20)
    upload(page, path, "Off and on")
    item = titled(page, "Off and on").first
    page.wait_for_function("() => document.querySelector('[data-sending] progress')?.value > 0.1")
    item.get_by_role("button", name="Pause Off and on").click()
    expect(item.get_by_role("status")).to_have_text("paused")
    assert violations(page) == []
    asked = len(looked.requests)
    page.wait_for_timeout(1500)
    assert not [url for url in looked.requests[asked:] if "/api/uploads/" in url]
    item.get_by_role("button", name="Resume Off and on").click()
    expect(item.get_by_role("status")).to_have_text("sending")
    item.get_by_role("button", name="Cancel Off and on").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the upload").click()
    expect(titled(page, "Off and on")).to_have_count(0)
    assert "Off and on" not in lakeside.demos()
    assert all("423" in one for one in looked.complaints)  # until the server hears of the break
    looked.close()


def test_an_upload_of_another_window_goes_on_with_the_same_file_and_with_no_other(
    looked: Looked, lakeside: Lakeside
) -> None:
    content = noise(lakeside.folder, 200_000, "left.txt").read_bytes()
    noise(lakeside.folder, 200_001, "other.txt")
    where = lakeside.sending.begin(len(content), filename="left.txt", title="Left behind")
    assert lakeside.sending.patch(where, 0, content[:50_000]).status_code == 204
    page = looked.open(PAGE)
    item = titled(page, "Left behind")
    expect(item.get_by_role("progressbar")).to_have_js_property("value", 0.25)
    expect(item).to_contain_text("50 KB of 200 KB, 25%")
    item.get_by_role("button", name="Go on with Left behind").click()
    asked = page.get_by_role("dialog")
    asked.get_by_label("File").set_input_files(lakeside.folder / "other.txt")
    asked.get_by_role("button", name="Go on").click()
    expect(asked.get_by_role("alert")).to_contain_text("That is another file: choose left.txt")
    asked.get_by_label("File").set_input_files(lakeside.folder / "left.txt")
    asked.get_by_role("button", name="Go on").click()
    expect(item).to_have_attribute("data-state", "completed", timeout=PATIENCE_MS)
    told = lakeside.demos()["Left behind"]
    assert told["sha256"] == hashlib.sha256(content).hexdigest()
    lakeside.remove("Left behind")


def test_what_the_server_refuses_is_told_in_its_words(browser: Any, lakeside: Lakeside) -> None:
    looked = Looked(browser, lakeside.sending.server.url)
    page = looked.open(PAGE)
    upload(page, noise(lakeside.folder, MOST + 1, "large.txt"), "Too large")
    item = titled(page, "Too large")
    expect(item.get_by_role("alert")).to_have_text(f"A demo has at most {MOST} bytes.")
    assert violations(page) == []
    item.get_by_role("button", name="Dismiss Too large").click()
    expect(item).to_have_count(0)
    wheres = [
        lakeside.sending.begin(10, title=f"Room {n}") for n in range(QUOTA - len(lakeside.demos()))
    ]
    upload(page, noise(lakeside.folder, 1000, "one.txt"), "One too many")
    said = lakeside.sending.client.post(
        f"/api/partners/{PARTNER}/demos", json={"title": "x", "size_bytes": 1000}
    )
    assert (said.status_code, said.json()["code"]) == (413, "over_quota")
    expect(titled(page, "One too many").get_by_role("alert")).to_have_text(said.json()["message"])
    for where in wheres:
        gone = lakeside.sending.client.delete(where, headers={"tus-resumable": "1.0.0"})
        assert gone.status_code == 204
    assert all("413" in one for one in looked.complaints)
    looked.close()


def test_a_demo_is_reviewed_and_its_rating_is_shown(looked: Looked, lakeside: Lakeside) -> None:
    demo_id = lakeside.ids["film"]
    page = looked.open(PAGE)
    expect(row(page, demo_id).locator("[data-rated]")).to_have_count(0)
    drawer = opened(page, demo_id)
    drawer.get_by_role("button", name="Review").click()
    asked = page.get_by_role("dialog", name="Review A film")
    assert violations(page) == []
    asked.get_by_label("clarity").fill("8")
    asked.get_by_label("proof").fill("11")
    asked.get_by_role("button", name="Rate").click()
    expect(asked).to_be_visible()  # the browser says that 11 is too much
    asked.get_by_label("proof").fill("6")
    asked.get_by_role("button", name="Rate").click()
    expect(drawer.locator("[data-rated]")).to_have_text(
        "Rated clarity 8, proof 6 of 10 by 1 reviewer"
    )
    close(page)
    expect(row(page, demo_id)).to_contain_text("Rated clarity 8, proof 6 of 10")
    told = lakeside.demos()["A film"]["reviews"]
    assert told == {"count": 1, "scores": {"clarity": 8.0, "proof": 6.0}}


def test_a_demo_is_removed_after_a_question(looked: Looked, lakeside: Lakeside) -> None:
    demo_id = lakeside.sending.whole(b"Short lived roofs.", filename="s.txt", title="Short lived")
    lakeside.sending.worked()
    page = looked.open(PAGE)
    drawer = opened(page, demo_id)
    drawer.get_by_role("button", name="Remove").click()
    asked = page.get_by_role("dialog", name="Remove Short lived?")
    expect(asked).to_be_visible()
    page.keyboard.press("Escape")
    expect(asked).to_have_count(0)
    assert "Short lived" in lakeside.demos()
    drawer.get_by_role("button", name="Remove").click()
    asked.get_by_role("button", name="Remove").click()
    expect(row(page, demo_id)).to_have_count(0)
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert "Short lived" not in lakeside.demos()


def test_what_others_write_stays_text(looked: Looked, lakeside: Lakeside) -> None:
    page = looked.open(PAGE)
    item = row(page, lakeside.ids["hostile"])
    expect(item).to_contain_text("<img src=x onerror=alert(1)>")
    drawer = opened(page, lakeside.ids["hostile"])
    expect(drawer.get_by_role("list", name="Transcript")).to_contain_text(
        "<img src=x onerror=alert(1)>"
    )
    expect(drawer.locator("[data-made]")).to_contain_text("the text of the file")
    assert page.locator("img[src=x], [onerror], [onload]").count() == 0
    assert "\u202e" not in page.content()


def test_the_work_is_followed_while_it_goes_on_and_nobody_asks_any_more_once_it_is_over(
    browser: Any, lake: Lake, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("Solar roofs for everybody.")
    settings = load(lake.env, lake.root.parent)
    with open_database(settings) as database:
        stand = Stand(database, open_lake(settings.lake_dir), settings)
        demo = stand.sent(tmp_path / "a.txt", PARTNER)
        jobs = Jobs(database, lease_seconds=600)  # the test does the work, and the keeper does not
        job = jobs.take([demo.place])
        assert job is not None
        jobs.renew(job, 10, "looking at it")
        with serving(lake) as server:
            looked = Looked(browser, server.url)
            page = looked.open(PAGE)
            item = row(page, demo.demo_id)
            expect(item.locator(".tag")).to_have_text("being looked into")
            bar = item.get_by_role("progressbar", name="Progress of A demo")
            expect(bar).to_have_js_property("value", 0.1)
            expect(item).to_contain_text("10%, looking at it")
            jobs.renew(job, 60, "counting words")
            expect(bar).to_have_js_property("value", 0.6)
            expect(item).to_contain_text("60%, counting words")
            jobs.end(job, "failed", "it took <b>too long</b>")
            expect(item.locator(".tag")).to_have_text("failed")
            expect(item).to_contain_text("It took <b>too long</b>.")
            expect(item.get_by_role("progressbar")).to_have_count(0)
            page.wait_for_timeout(500)
            asked = len([url for url in looked.requests if url.endswith("/demos")])
            page.wait_for_timeout(3 * REFRESH_MS)
            assert len([url for url in looked.requests if url.endswith("/demos")]) == asked
            looked.close()
            assert looked.complaints == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, SIZES["desk"][0]])
def test_it_fits_reads_and_is_reached_by_keyboard(
    browser: Any, lakeside: Lakeside, width: int, theme: str
) -> None:
    looked = Looked(browser, lakeside.sending.server.url, "phone", theme)
    looked.page.set_viewport_size({"width": width, "height": 740})
    where = lakeside.sending.begin(10, title="Waits", filename="w.txt")
    page = looked.open(PAGE)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []
    card(page).get_by_role("button", name="Upload a demo").focus()
    heard = []
    for _ in range(12):
        page.keyboard.press("Tab")
        heard.append(page.evaluate("document.activeElement.textContent"))
    assert {"Go on…", "Cancel…", "A film", "Only sound"} <= {*heard}
    for name in ("film", "hostile"):
        drawer = opened(page, lakeside.ids[name])
        assert drawer.evaluate("(one) => one.scrollWidth <= one.clientWidth")
        assert drawer.locator(".sheet").evaluate("(one) => one.scrollWidth <= one.clientWidth")
        assert violations(page) == []
        close(page)
    card(page).get_by_role("button", name="Upload a demo").click()
    asked = page.get_by_role("dialog")
    assert asked.locator(".sheet").evaluate("(one) => one.scrollWidth <= one.clientWidth")
    assert violations(page) == []
    gone = lakeside.sending.client.delete(where, headers={"tus-resumable": "1.0.0"})
    assert gone.status_code == 204
    looked.close()
    assert looked.complaints == []


def test_a_partner_sees_and_sends_its_own_and_rates_nothing(
    browser: Any, lakeside: Lakeside
) -> None:
    """Comes last: from here on the server asks who is there."""
    lake, server = lakeside.sending.lake, lakeside.sending.server
    added(lake, "ada@example.com", "--role", "admin")
    added(lake, "pat@example.com", "--role", "partner", "--partner", PARTNER)
    looked = Looked(browser, server.url)
    with logged_in(server, "pat@example.com") as pat:
        told = pat.get(f"/api/partners/{PARTNER}/demos").json()
        assert not [one for one in told["demos"] if "reviews" in one]
        assert "reviews" not in pat.get(f"/api/demos/{lakeside.ids['film']}").json()
        for name, value in pat.cookies.items():
            looked.context.add_cookies([{"name": name, "value": value, "url": server.url}])
        page = looked.open("/partners?partner=p1")
        assert card(page).locator("[data-demo]").count() == len(told["demos"]) > 0
        assert card(page).locator("[data-rated]").count() == 0
        drawer = opened(page, lakeside.ids["film"])
        assert drawer.get_by_role("button", name="Review").count() == 0
        expect(drawer.get_by_role("button", name="Remove")).to_be_visible()
        assert "ada@example.com" not in page.content()
        close(page)
        upload(page, noise(lakeside.folder, 500, "pat.txt"), "By Pat")
        expect(titled(page, "By Pat")).to_have_attribute(
            "data-state", "completed", timeout=PATIENCE_MS
        )
        assert violations(page) == []
    looked.close()
    assert looked.complaints == []
    assert looked.foreign == []


def test_a_read_key_reads_and_changes_nothing(browser: Any, lakeside: Lakeside) -> None:
    """After the partner's, as the server asks who is there."""
    key = created(lakeside.sending.lake, "read", "board")
    with lakeside.sending.server.client(headers=bearer(key)) as client:
        path = f"/api/partners/{PARTNER}/demos"
        wait_until(lambda: client.get(path).status_code == 200, what="the key")
        assert client.get(path).json()["may_add"] is False
    looked = Looked(browser, lakeside.sending.server.url)
    looked.page.add_init_script(f"sessionStorage.setItem('lakeward.key', '{key}')")
    page = looked.open(PAGE)
    film = row(page, lakeside.ids["film"])
    expect(film.get_by_role("img")).to_be_visible()  # which an address in the page could not be
    assert card(page).get_by_role("button", name="Upload a demo").count() == 0
    drawer = opened(page, lakeside.ids["film"])
    for name in ("Give a transcript", "Review", "Remove"):
        assert drawer.get_by_role("button", name=name).count() == 0
    looked.close()
    assert looked.complaints == []
