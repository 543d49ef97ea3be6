"""Fifteen points of evidence, from the first word about a partner to a score that may be ranked by:
five employees and five customers by links of their own, five demos, through a server and its
keeper."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import demo_files
from conftest import Lake, wait_until
from lakeward.confidence.form import SHEETS
from server_process import Serving, serving

OFFER = "We answer every call within one hour. Every roof is guaranteed for ten years."
WORK = (
    "They answer each call within an hour.",
    "Roofs are guaranteed for ten years, and it holds.",
)
SAID = ("They called back within the hour.", "It took them three days to answer my call.")
BEGAN = re.compile(r'name="began" value="([^"]+)"')
TUS = {"tus-resumable": "1.0.0"}


class Journey:
    """A server, one partner, and everybody who speaks of it."""

    def __init__(self, lake: Lake, server: Serving, folder: Path) -> None:
        self.lake, self.server, self.folder = lake, server, folder
        self.post("/api/partners", {"partners": [
            {"partner_id": "p9", "name": "Acme", "category": "roofing", "proposition": OFFER}
        ]})  # fmt: skip

    def post(self, path: str, body: object) -> Any:
        with self.server.client() as client:
            answer = client.post(path, json=body)
            assert answer.status_code in (200, 201), answer.text
            return answer.json()

    def get(self, path: str) -> Any:
        with self.server.client() as client:
            return client.get(path).json()

    def people(
        self, which: Any, ratings: tuple[int, ...], field: str, said: tuple[str, ...]
    ) -> None:
        """Each is asked, opens the link in a browser of its own, and answers."""
        told = [{"name": f"{which} {n}", "email": f"{which}{n}@firm{n}.example"}
                for n in range(len(ratings))]  # fmt: skip
        links: Any = self.post("/api/partners/p9/invitations",
                          {"form": which, "people": told, "deliver": "link"})  # fmt: skip
        links = links["invitations"]
        with ThreadPoolExecutor(5) as pool:
            list(pool.map(lambda n: self._answer(which, links[n]["link"], ratings[n],
                                                 {field: said[n % len(said)]}),
                          range(len(ratings))))  # fmt: skip

    def _answer(self, which: Any, link: str, rating: int, texts: dict[str, str]) -> None:
        with self.server.client() as client:
            found = BEGAN.search(client.get(link).text)
            assert found is not None
            time.sleep(3.2)
            asked = SHEETS[which]
            fields = {item.name: str(min(rating + n % 2, 10)) for n, item in
                      enumerate((*asked.ratings, asked.likely))}  # fmt: skip
            answer = client.post(link, data=fields | texts | {"began": found[1], "act": "send"})
            assert "<h1>Thank you</h1>" in answer.text

    def demo(self, number: int) -> str:
        """Send a document, wait until it is looked into, and rate it; its id."""
        text = f"Demo {number}. Every roof is guaranteed for ten years."
        path = demo_files.pdf(self.folder / f"{number}.pdf", [text])
        content = path.read_bytes()
        with self.server.client() as client:
            begun = client.post("/api/partners/p9/demos",
                                headers=TUS | {"upload-length": str(len(content))})  # fmt: skip
            place = begun.headers["location"]
            headers = TUS | {
                "upload-offset": "0",
                "content-type": "application/offset+octet-stream",
            }
            assert client.patch(place, headers=headers, content=content).status_code == 204
        which = place.rpartition("/")[2]
        wait_until(lambda: self.get(f"/api/demos/{which}")["state"] == "completed", what="the demo")
        scores = {"clarity": 8, "relevance": 9, "proof": 7}
        self.post("/api/partners/p9/demo-reviews", {"demo_id": which, "scores": scores})
        return which


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    folder = tmp_path_factory.mktemp("journey")
    lake = Lake(folder / "data-lake", folder / "rings")
    (folder / "rings").mkdir(mode=0o700)
    with serving(lake) as server:
        made = Journey(lake, server, folder)
        made.people("employee", (7, 8, 9, 8, 7), "value_proposition", WORK)
        made.people("reference", (8, 9, 6, 9, 8), "comments", SAID)
        for n in range(5):
            made.demo(n)
        wait_until(lambda: _score(made).get("data_points") == 15, what="the score")
        yield made
    lake.close()


def _score(journey: Journey) -> dict[str, Any]:
    found: dict[str, Any] = journey.get("/api/partners/p9/confidence")["score"] or {}
    return found


def test_fifteen_points_of_evidence_are_heard_and_each_has_its_part(journey: Journey) -> None:
    score = _score(journey)
    counts = {part["source"]: part["respondents_n"] for part in score["sources"]}
    assert counts | {"consistency": 0} == {
        "employees": 5,
        "customers": 5,
        "demos": 5,
        "consistency": 0,
    }
    assert counts["consistency"] > 0
    points = sum(one["points"] for part in score["sources"] for one in part["respondents"])
    points += sum(part["prior_points"] for part in score["sources"])
    assert points == pytest.approx(score["value"])
    assert score["low"] < score["value"] < score["high"]
    demos = score["sources"][2]
    assert demos["mean"] == pytest.approx((8 - 1 + 9 - 1 + 7 - 1) / 3 / 9)


def test_what_customers_say_otherwise_is_found_with_both_quotes(journey: Journey) -> None:
    report = journey.get("/api/partners/p9/consistency")["report"]
    found = {(one["claim"], one["quote"], one["source"]) for one in report["discrepancies"]}
    assert ("We answer every call within one hour.", SAID[1], "customer") in found
    assert not any(source == "demo" for _, _, source in found)
    assert report["ceo_demo"]["score"] == 100


def test_the_lake_has_the_whole_journey(journey: Journey) -> None:
    def kinds() -> dict[str, int]:
        found: dict[str, int] = {}
        for row in journey.lake.rows():
            found[row["interaction_type"]] = found.get(row["interaction_type"], 0) + 1
        return found

    wait_until(lambda: kinds().get("employee_feedback") == 5, what="the lake")
    told = kinds()
    assert told["customer_reference"] == 5
    assert told["demo_upload"] >= 10  # received and completed, at least
    assert told["powerconfidence_update"] >= 1
    assert told["message_consistency_analysis"] >= 1
    report = journey.lake.audit()
    assert report.ok, report.faults
