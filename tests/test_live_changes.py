"""The stream that tells a page when there is something new, and the page's files as sent."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import httpx

from conftest import Lake
from lakeward.server.assets import STATIC, VIEWS
from live_server import served


def told(lines: Iterator[str]) -> str:
    """The position of the next event."""
    return next(line[4:] for line in lines if line.startswith("id: "))


def test_a_change_is_told_once_it_is_durable_and_nothing_of_what_it_is(lake: Lake) -> None:
    collector = lake.collector()
    collector.record("signed_up", plan="secret-plan")
    collector.commit()
    with (
        served(lake) as server,
        httpx.Client(timeout=120, verify=False) as client,
        client.stream("GET", f"{server.url}/v1/live/changes") as answer,
    ):
        lines = answer.iter_lines()
        assert answer.headers["content-type"].startswith("text/event-stream")
        said: list[str] = []
        while sum(line.startswith("event: changed") for line in said) < 1:
            said.append(next(lines))
        collector.record("signed_up", plan="secret-plan")
        collector.commit()
        while sum(line.startswith("event: changed") for line in said) < 2:
            said.append(next(lines))
    ids = [line for line in said if line.startswith("id: ")]
    assert len(set(ids)) == 2
    assert "secret" not in "".join(said)


def test_who_comes_back_with_the_end_hears_of_what_came_in_between_alone(lake: Lake) -> None:
    collector = lake.collector()
    collector.record("one")
    collector.commit()
    with served(lake) as server, httpx.Client(timeout=120, verify=False) as client:
        address = f"{server.url}/v1/live/changes"
        with client.stream("GET", address) as answer:
            known = told(answer.iter_lines())
        again = {"Last-Event-ID": known}
        with client.stream("GET", address, headers=again) as answer:
            lines = answer.iter_lines()
            assert next(lines) == ": still here"  # and none of what is known already
            collector.record("two")
            collector.commit()
            later = told(lines)
        assert later != known


def test_files_are_sent_compressed_to_who_understands_it(lake: Lake) -> None:
    lake.collector().commit()
    largest = max(STATIC.rglob("*.js"), key=lambda path: path.stat().st_size)
    name = largest.relative_to(STATIC).as_posix()
    with served(lake) as server, httpx.Client(base_url=server.url, verify=False) as client:
        plain = client.get(f"/static/{name}", headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content == largest.read_bytes()
        with client.stream("GET", f"/static/{name}", headers={"Accept-Encoding": "gzip"}) as packed:
            raw = b"".join(packed.iter_raw())
            assert packed.headers["content-encoding"] == "gzip"
            assert packed.headers["vary"] == "accept-encoding"
        assert gzip.decompress(raw) == largest.read_bytes()
        assert len(raw) < len(plain.content) / 2


def test_every_page_is_the_same_file(lake: Lake) -> None:
    lake.collector().commit()
    with served(lake) as server, httpx.Client(base_url=server.url, verify=False) as client:
        pages = [client.get(f"/{path}") for path in ("", *VIEWS)]
        assert {page.status_code for page in pages} == {200}
        assert {page.content for page in pages} == {(STATIC / "index.html").read_bytes()}
        assert all(page.headers["content-type"].startswith("text/html") for page in pages)
        assert client.get("/no-such-page").status_code == 404
