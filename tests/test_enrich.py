"""What rows gain on their way into the table: device, browser, origin, place."""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from crawlerdetect import CrawlerDetect

from lakeward.lake.agents import LONGEST, Agent, Agents, Engines
from lakeward.lake.campaigns import CAMPAIGN_SQL
from lakeward.lake.columns import ENRICHED, RECORD
from lakeward.lake.enrich import enriched as enriched_sql
from lakeward.lake.enrich import register
from lakeward.lake.places import Places
from maxmind import mmdb

SAMPLE = Path(__file__).parent / "data" / "access_sample.log"

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36"
)
SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.4 Safari/605.1.15"
)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)
IPAD = (
    "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/16.6 Mobile/15E148 Safari/604.1"
)
PIXEL = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Mobile Safari/537.36"
)
GALAXY_TAB = (
    "Mozilla/5.0 (Linux; Android 13; SM-X710) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36"
)
TIZEN = (
    "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) "
    "SamsungBrowser/4.0 Chrome/76.0.3809.146 TV Safari/537.36"
)
BRAVIA = (
    "Mozilla/5.0 (Linux; Android 11; BRAVIA 4K VH2) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/90.0.4430.210 Safari/537.36"
)
CHROMEBOOK = (
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36"
)
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
HEADLESS = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "HeadlessChrome/126.0.0.0 Safari/537.36"
)
KNOWN: dict[str, Agent] = {
    CHROME: Agent("desktop", "Chrome", "Windows"),
    SAFARI: Agent("desktop", "Safari", "Mac OS X"),
    IPHONE: Agent("mobile", "Mobile Safari", "iOS"),
    IPAD: Agent("tablet", "Mobile Safari", "iOS"),
    PIXEL: Agent("mobile", "Chrome Mobile", "Android"),
    GALAXY_TAB: Agent("tablet", "Chrome", "Android"),
    TIZEN: Agent("tv", "Samsung Internet", "Tizen"),
    BRAVIA: Agent("tv", "Chrome", "Android"),
    CHROMEBOOK: Agent("desktop", "Chrome", "Chrome OS"),
    GOOGLEBOT: Agent("bot", "Googlebot", None, bot=True),
    "GPTBot/1.0": Agent("bot", "GPTBot", None, bot=True),
    "curl/8.8.0": Agent("bot", "curl", None, bot=True),
    "python-requests/2.32": Agent("bot", "Python Requests", None, bot=True),
    HEADLESS: Agent("bot", "HeadlessChrome", "Linux", bot=True),
}


def enriched(
    rows: list[Mapping[str, object]], geo: Path | None = None, con: Any = None
) -> list[dict[str, Any]]:
    """Rows as the table gains them, through DuckDB as compaction does it."""
    con = con or duckdb.connect()
    register(con, geo)
    batch = pa.table({n: pa.array([row.get(n) for row in rows], pa.string()) for n in RECORD})
    con.register("batch", batch)
    gained = f"SELECT * EXCLUDE ({', '.join(RECORD)}) FROM ({enriched_sql('FROM batch')})"
    found: list[dict[str, Any]] = con.sql(gained).to_arrow_table().to_pylist()
    con.close()
    return found


def origin(**row: object) -> dict[str, Any]:
    """Campaign and referrer of one row, without what is NULL."""
    found = enriched([row])[0]
    return {name: found[name] for name in CAMPAIGN_SQL if found[name] is not None}


def test_every_enriched_column_is_made_and_none_else() -> None:
    assert list(enriched([{}])[0]) == list(ENRICHED)


@pytest.mark.parametrize("text", KNOWN)
def test_a_known_agent_is_what_it_is(text: str) -> None:
    assert Agents().known([text]) == [KNOWN[text]]


@pytest.mark.parametrize("text", [None, "", "-", "   "])
def test_no_agent_says_nothing_and_is_no_bot(text: str | None) -> None:
    row = enriched([{"user_agent": text}])[0]
    assert (row["device"], row["browser"], row["os"], row["bot"]) == (None, None, None, False)


def test_an_agent_nobody_knows_is_other() -> None:
    assert Agents().known(["testclient"]) == [Agent("other")]


def test_agents_of_real_traffic_are_told_apart() -> None:
    agents = re.findall(r'"([^"]*)"$', SAMPLE.read_text(errors="replace"), re.MULTILINE)
    assert len(agents) >= 25
    known = dict(zip(agents, Agents().known(agents), strict=True))
    assert {a.device for a in known.values()} > {"desktop"}
    firefox = next(text for text in known if text.endswith("Firefox/29.0"))
    assert known[firefox] == Agent("desktop", "Firefox", "Linux")


def test_bots_are_those_of_the_crawler_list() -> None:
    """RE2 in place of Python's engine changes no answer."""
    dice, detect = random.Random(7), CrawlerDetect()
    pieces = [*KNOWN, "Yandex", "YandexSearch", "Search", "bot", "Bot/1", "spider", "Java/1.8", "é"]
    texts = sorted(
        {" ".join(dice.choices(pieces, k=dice.randrange(1, 4)))[:400] for _ in range(300)}
    )
    agents = dict(zip(texts, Engines().bots([text.strip() for text in texts]), strict=True))
    assert agents == {text: detect.is_crawler(text) for text in texts}


@pytest.mark.parametrize(
    "text",
    ["a" * 100_000, "Mozilla/5.0 (" + "; " * 50_000, "\0\x1b[31m", "Ω" * 9000, "%s{0}'\";--",
     "9" * 40_000],
)  # fmt: skip
def test_a_hostile_agent_is_answered(text: str) -> None:
    (row,) = enriched([{"user_agent": text}])
    assert row["device"] in {"bot", "other", "desktop"}


def test_only_so_much_of_an_agent_is_looked_at() -> None:
    assert Agents().known([CHROME + " " * LONGEST + "Googlebot"]) == [KNOWN[CHROME]]


def test_many_rows_keep_their_order_and_each_agent_is_looked_at_once() -> None:
    looked: list[str | None] = []

    class Counting(Engines):
        def look(self, texts: Sequence[str | None]) -> list[Agent]:
            looked.extend(texts)
            return super().look(texts)

    texts = [*KNOWN, None]
    order = [texts[n * 7 % len(texts)] for n in range(50_000)]
    agents = Agents(Counting)
    for start in range(0, len(order), 2048):
        part = order[start : start + 2048]
        column = agents.struct(pa.chunked_array([pa.array(part, pa.string())]))
        assert column.field("browser").to_pylist() == [
            KNOWN[text].browser if text else None for text in part
        ]
    assert sorted(map(str, looked)) == sorted(KNOWN)


def test_what_takes_long_to_load_waits_for_the_first_agent() -> None:
    def never() -> Engines:
        raise AssertionError("loaded")

    assert Agents(never).known([None]) == [Agent()]


def test_rows_keep_their_order_in_duckdb() -> None:
    texts = list(KNOWN)
    order = [texts[n * 5 % len(texts)] for n in range(10_000)]
    rows = enriched([{"user_agent": text} for text in order])
    assert [row["browser"] for row in rows] == [KNOWN[text].browser for text in order]


def test_a_campaign_stands_in_the_address() -> None:
    url = "https://app.example/start?utm_source=news&x=1&utm_medium=e-mail&utm_campaign=may#utm_term=no"
    assert origin(url=url) == {
        "utm_source": "news", "utm_medium": "e-mail", "utm_campaign": "may",
    }  # fmt: skip


def test_a_campaign_is_decoded_as_forms_are() -> None:
    url = "https://a.example/?utm_source=caf%C3%A9+bar&utm_term=100%25+%2B1&utm_content=%20%20"
    assert origin(url=url) == {"utm_source": "café bar", "utm_term": "100% +1"}


@pytest.mark.parametrize("value", ["%", "%zz", "%ff", "%C3", "a%e2%82", "%00", "%u0041"])
def test_a_campaign_that_decodes_to_no_text_does_not_fail(value: str) -> None:
    found = origin(url=f"/?utm_source={value}&utm_medium=mail")
    assert found["utm_source"]
    assert found["utm_medium"] == "mail"


def test_a_campaign_stands_among_a_calls_query_parameters() -> None:
    query = '{"utm_source":"news","utm_medium":["mail","sms"],"utm_term":7,"q":"utm_content=x"}'
    assert origin(query_params=query) == {
        "utm_source": "news", "utm_medium": "mail", "utm_term": "7",
    }  # fmt: skip


def test_a_campaign_that_a_client_sent_by_name_counts_last() -> None:
    sent = '{"utm_source":"sent","utm_medium":"sent","utm_term":"sent"}'
    found = origin(
        url="/?utm_source=address", query_params='{"utm_medium":"query"}', properties=sent
    )
    assert found == {"utm_source": "address", "utm_medium": "query", "utm_term": "sent"}


def test_the_first_of_a_parameter_given_twice_counts() -> None:
    assert origin(url="/?utm_source=one&utm_source=two") == {"utm_source": "one"}


def test_another_parameters_name_is_no_campaign() -> None:
    assert origin(url="/?my_utm_source=x&utm_sources=y&q=utm_source=z") == {}


def test_a_campaigns_word_is_cut() -> None:
    assert origin(url="/?utm_source=" + "x" * 5000) == {"utm_source": "x" * 200}


@pytest.mark.parametrize(
    ("referrer", "host"),
    [
        ("https://www.Google.com/search?q=a", "www.google.com"),
        ("http://user:pass@news.example:8080/x", "news.example"),
        ("https://[2001:db8::1]:443/", "[2001:db8::1]"),
        ("//cdn.example/x", "cdn.example"),
        ("android-app://com.google.android.gm/", "com.google.android.gm"),
        ("https://app.example/own/page", "app.example"),
        ("https://bücher.example/", "bücher.example"),
        ("/relative", None), ("about:blank", None), ("", None), ("https://", None),
        ("https:///x", None), ("\0\n", None), ("x" * 70_000, None),
    ],
)  # fmt: skip
def test_a_referrers_host_is_told(referrer: str, host: str | None) -> None:
    assert origin(referrer=referrer).get("referrer_host") == host


@pytest.mark.parametrize(
    "text", ['{"utm_source"', '["utm_source"]', '"utm_source"', "\0", '{"utm_source":{}}']
)
def test_json_that_is_no_object_of_texts_does_not_fail(text: str) -> None:
    enriched([{"query_params": text, "properties": text, "url": text, "referrer": text}])


@pytest.fixture
def geo(tmp_path: Path) -> Path:
    path = tmp_path / "city.mmdb"
    path.write_bytes(
        mmdb(
            {
                "203.0.113.0/24": {
                    "country": {"iso_code": "DE"},
                    "city": {"names": {"de": "Köln", "en": "Cologne"}},
                },
                "198.51.100.7/32": {"country": {"iso_code": "US"}},
                "2001:db8:1::/48": {"registered_country": {"iso_code": "FR"}},
                "192.0.2.0/24": "a file may hold anything",
            }
        )
    )  # fmt: skip
    return path


def test_addresses_of_both_families_have_their_places(geo: Path) -> None:
    addresses = ["203.0.113.77", "203.0.113.0", "198.51.100.7", "198.51.100.8", "2001:db8:1:2::3",
                 "2001:db8:1::", "2001:db8:2::1", "::ffff:203.0.113.9"]  # fmt: skip
    rows = enriched([{"ip_address": text} for text in addresses], geo)
    assert [(row["country"], row["city"]) for row in rows] == [
        ("DE", "Cologne"), ("DE", "Cologne"), ("US", None), (None, None), ("FR", None),
        ("FR", None), (None, None), ("DE", "Cologne"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "address", [None, "", "ip_0123456789abcdef0123456789abcdef", "not one", "10.0.0.1", "192.0.2.1",
                "1.2.3.4.5", "fe80::1%eth0", "\0", "9" * 5000],
)  # fmt: skip
def test_an_address_that_is_none_or_unknown_has_no_place(geo: Path, address: str | None) -> None:
    row = enriched([{"ip_address": address}], geo)[0]
    assert (row["country"], row["city"]) == (None, None)


def test_an_ipv6_address_in_a_file_of_ipv4_has_no_place(tmp_path: Path) -> None:
    path = tmp_path / "four.mmdb"
    path.write_bytes(mmdb({"203.0.113.0/24": {"country": {"iso_code": "DE"}}}, ip_version=4))
    rows = enriched([{"ip_address": "2001:db8::1"}, {"ip_address": "203.0.113.1"}], path)
    assert [row["country"] for row in rows] == [None, "DE"]


def test_without_a_file_nothing_has_a_place() -> None:
    row = enriched([{"ip_address": "203.0.113.77"}])[0]
    assert (row["country"], row["city"]) == (None, None)


@pytest.mark.parametrize("content", [None, b"", b"no such thing", "cut"])
def test_a_file_that_is_missing_or_broken_is_named_once_and_costs_nothing_else(
    geo: Path, content: bytes | str | None, caplog: pytest.LogCaptureFixture
) -> None:
    if content is None:
        geo.unlink()
    else:
        geo.write_bytes(content if isinstance(content, bytes) else geo.read_bytes()[:-400])
    with caplog.at_level(logging.WARNING, "lakeward.places"):
        rows = enriched([{"ip_address": f"203.0.113.{n}"} for n in range(5000 // 20)], geo)
    assert {row["country"] for row in rows} == {None}
    (message,) = [record.getMessage() for record in caplog.records]
    assert "LAKEWARD_GEOIP" in message
    assert "203.0.113" not in message


def test_a_file_whose_content_is_damaged_never_fails(geo: Path) -> None:
    whole, dice = geo.read_bytes(), random.Random(7)
    end = whole.rindex(b"\xab\xcd\xefMaxMind.com")
    for _ in range(200):
        damaged = bytearray(whole)
        for _ in range(4):
            damaged[dice.randrange(end)] = dice.randrange(256)
        geo.write_bytes(damaged)
        Places(geo).known(["203.0.113.77", "2001:db8:1::1", "192.0.2.1"])
