"""What `lakeward import` reads: encodings, lines, and the three formats."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lakeward.cli.intake.accesslog import fields_of
from lakeward.cli.intake.framing import MAX_LINE, Unit, csv_rows, decoded, lines
from lakeward.cli.intake.rows import (
    Kind,
    Layout,
    Row,
    event_ms,
    keyed,
    layout_of,
    parse,
    parse_mapping,
    units,
)
from lakeward.errors import Rejected, Terminal
from lakeward.interaction import JsonObject, foreign_id, id_ms, parse_iso

SAMPLE = Path(__file__).parent / "data" / "access_sample.log"
STARTED_MS = parse_iso("2025-08-14T00:00:00Z")
OUR_V7 = "0198a9a5-3f25-7abc-8def-0123456789ab"


def opened(content: bytes) -> io.BufferedReader:
    return io.BufferedReader(cast(io.RawIOBase, io.BytesIO(content)))


def pieces_of(content: bytes) -> list[bytes]:
    return list(decoded(opened(content)))


def decode_into(found: bytearray, content: bytes) -> None:
    for piece in decoded(opened(content)):
        found += piece


def framed(content: bytes, layout: Layout) -> list[Unit]:
    return list(units(lines([content]), layout))


def read(
    content: bytes,
    kind: Kind | None = None,
    mapping: dict[str, str] | None = None,
    default_type: str | None = "page_view",
) -> list[Row]:
    sample = [unit for unit in lines([content]) if unit.raw.strip()]
    layout = layout_of(sample, kind, mapping or {}, default_type)
    return [parse(unit.raw, layout) for unit in framed(content, layout)]


def sampled(marker: str) -> JsonObject:
    found = [
        fields_of(line.decode("utf-8", "backslashreplace"))
        for line in SAMPLE.read_bytes().splitlines()
        if marker.encode() in line
    ]
    assert found[0] is not None
    return found[0]


# Bytes → lines


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, bz2.compress])
def test_compression_is_told_by_the_first_bytes(pack: Callable[[bytes], bytes]) -> None:
    content = b"".join(b"%d\n" % n for n in range(50_000))
    assert b"".join(pieces_of(pack(content))) == content


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_all_members_of_a_compressed_file_are_read(pack: Callable[[bytes], bytes]) -> None:
    assert b"".join(pieces_of(pack(b"one\n") + pack(b"two\n"))) == b"one\ntwo\n"


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, lambda it: bz2.compress(it, 1)])
def test_what_decodes_before_a_compressed_file_ends_early_is_read(
    pack: Callable[[bytes], bytes],
) -> None:
    content = b"".join(b"%d\n" % (n * 7919 % 1_000_003) for n in range(150_000))
    packed = pack(content)
    found = bytearray()
    with pytest.raises(Terminal, match="damaged or cut short"):
        decode_into(found, packed[: len(packed) * 3 // 4])
    assert len(found) > len(content) // 4
    assert content.startswith(found)


@given(st.lists(st.binary(max_size=40)))
def test_lines_do_not_depend_on_how_the_bytes_arrive(pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    assert list(lines(pieces)) == list(lines([content]))


def test_a_line_longer_than_the_bound_is_cut_and_marked_and_the_next_is_whole() -> None:
    long = [b"x" * 65_536] * 40
    found = list(lines([b"a\n", *long, b"\nb\n"]))
    assert [(unit.number, unit.problem) for unit in found] == [
        (1, None),
        (2, "too_long"),
        (3, None),
    ]
    assert len(found[1].raw) == MAX_LINE


def test_a_line_of_exactly_the_bound_is_kept() -> None:
    assert next(lines([b"x" * MAX_LINE + b"\n"])) == Unit(1, b"x" * MAX_LINE)


def test_a_byte_order_mark_and_carriage_returns_are_not_part_of_a_line() -> None:
    assert [unit.raw for unit in lines([b"\xef\xbb\xbfa\r\nb\r\n"])] == [b"a", b"b"]


def test_a_last_line_without_an_end_is_whole_unless_the_stream_was_cut() -> None:
    assert list(lines([b"a\nb"]))[1].problem is None
    assert list(lines([b"a\nb"], cut=True))[1].problem == "cut_short"


# Which format


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"interaction_type":"click"}\n', "jsonl"),
        (b"interaction_type,path\nclick,/\n", "csv"),
        (b"interaction_type;path\nclick;/\n", "csv"),
        (b'10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5\n', "access"),
    ],
)
def test_the_format_is_told_by_the_first_lines(content: bytes, kind: Kind) -> None:
    assert layout_of(list(lines([content])), None, {}, None).kind == kind


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"just prose\n", "no known format"),
        (b'[{"a":1},\n{"a":2}]\n', "one JSON array"),
        ("a,b\n".encode("utf-16"), "UTF-16"),
        (b"\x00\x01,\x02\x03\n", "no known format"),
        (b'{"path":"/"}\n', "--type"),
        (b"path,plan\n/,x\n", "--type"),
        (b'"path,plan\n/,x\n', "quotes"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_sentence(content: bytes, words: str) -> None:
    with pytest.raises(Terminal, match=words):
        layout_of(list(lines([content])), None, {}, None)


def test_an_access_log_takes_no_mapping() -> None:
    with pytest.raises(Terminal, match="no --map"):
        layout_of(list(lines([b"x\n"])), "access", {"path": "url"}, None)


@pytest.mark.parametrize("pair", ["", "path", "=a", "path="])
def test_a_mapping_that_is_not_field_equals_column_is_refused(pair: str) -> None:
    with pytest.raises(Terminal, match="field=column"):
        parse_mapping([pair])


def test_a_field_mapped_twice_is_refused() -> None:
    with pytest.raises(Terminal, match="once"):
        parse_mapping(["path=a", "path=b"])


def test_a_mapping_may_hold_an_equals_sign_in_the_column() -> None:
    assert parse_mapping(["path=a=b"]) == {"path": "a=b"}


# Access logs


def test_a_combined_line_becomes_an_api_call() -> None:
    assert sampled("POST /api/partners") == {
        "interaction_type": "api_call",
        "timestamp": "17/May/2015:10:05:03 +0000",
        "method": "POST",
        "path": "/api/partners",
        "user_id": "ann",
        "response_status": 201,
        "response_time_ms": None,
        "ip_address": "198.51.100.7",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:29.0) Gecko/20100101 Firefox/29.0",
        "referrer": "https://app.example.com/new",
        "response_bytes": 512,
    }


def test_a_common_line_has_neither_referrer_nor_agent() -> None:
    found = sampled("apache_pb.gif")
    assert found["user_id"] == "frank"
    assert found["user_agent"] is None
    assert "referrer" not in found


def test_a_minus_means_absent() -> None:
    found = sampled("robots.txt")
    assert (found["user_id"], found["user_agent"]) == ("anonymous", None)
    assert "response_bytes" not in sampled("/reset.css")


def test_a_query_becomes_a_dict_and_leaves_the_path() -> None:
    found = sampled("/search?")
    assert found["path"] == "/search"
    assert found["query_params"] == {"q": "a b", "tag": ["x", "y"], "page": ""}


def test_escaped_quotes_belong_to_the_field() -> None:
    assert sampled("quoted")["user_agent"] == 'Agent "quoted" C:\\temp'
    assert sampled("/say?")["query_params"] == {"x": '"hi" 200'}


def test_a_cut_line_keeps_what_it_has() -> None:
    assert sampled("configlib")["user_agent"].endswith("+http://example.com/bot.html")
    found = sampled("/cut/at/status")
    assert (found["response_status"], found["user_agent"]) == (200, None)


def test_a_request_that_is_not_http_keeps_its_text_and_has_an_empty_path() -> None:
    for found in (sampled("x16"), sampled("\x16")):
        assert (found["method"], found["path"], found["response_status"]) == (None, "", 400)
        assert "\\x" in found["metadata"]["request_line"] or "\x16" in str(found["metadata"])
    assert "metadata" not in sampled("408")


def test_an_http_0_9_request_has_a_path() -> None:
    assert (sampled("/nine")["method"], sampled("/nine")["path"]) == ("GET", "/nine")


def test_a_virtual_host_and_a_tail_are_kept_as_metadata() -> None:
    assert sampled("/cart")["metadata"] == {"vhost": "shop.example.com:443"}
    assert sampled("/cart")["ip_address"] == "192.0.2.30"
    assert sampled("/timed")["metadata"] == {"tail": '"192.0.2.200" 0.004'}


def test_a_port_behind_the_address_is_no_virtual_host() -> None:
    found = fields_of('10.0.0.1:55 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5')
    assert found is not None
    assert found["ip_address"] == "10.0.0.1:55"


def test_a_line_cut_before_its_status_is_not_read() -> None:
    assert fields_of('1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /cut/in') is None


def test_a_hostile_line_is_read_in_linear_time() -> None:
    hostile = "1.2.3.4 - - " + '[17/May/2015:10:05:03 +0000] " ' * 20_000
    assert fields_of(hostile) is None
    assert fields_of("a " * 300_000) is None
    assert fields_of('1 - - [17/May/2015:10:05:03 +0000] "' + '\\"' * 300_000) is None


# Times and ids


@pytest.mark.parametrize(
    ("when", "iso"),
    [
        ("17/May/2015:10:05:03 +0200", "2015-05-17T08:05:03.000Z"),
        ("30/Jun/2015:23:59:60 +0000", "2015-06-30T23:59:59.000Z"),
        ("2015-05-17 08:05:03", "2015-05-17T08:05:03Z"),
        ("2015-05-17 08:05:03 UTC", "2015-05-17T08:05:03Z"),
        ("2015-05-17", "2015-05-17T00:00:00Z"),
        ("1431849903", "2015-05-17T08:05:03Z"),
        ("1431849903250", "2015-05-17T08:05:03.250Z"),
        (1431849903.25, "2015-05-17T08:05:03.250Z"),
    ],
)
def test_a_time_may_be_iso_a_logs_or_epoch(when: object, iso: str) -> None:
    assert event_ms(when) == parse_iso(iso)


@pytest.mark.parametrize("when", ["soon", "31/Feb/2015:10:05:03 +0000", True, [1], {"a": 1}])
def test_what_is_not_a_time_is_rejected_without_quoting_it(when: object) -> None:
    with pytest.raises(Rejected, match="its timestamp is not a time"):
        event_ms(when)


def test_a_time_outside_the_lakes_years_is_clamped_and_the_original_kept() -> None:
    (row,) = read(b'{"timestamp":"1969-07-20T20:17:00Z"}\n')
    fields = keyed(row, b"", 0, STARTED_MS)
    assert fields["timestamp"] == "2000-01-01T00:00:00.000Z"
    assert fields["client_timestamp"] == "1969-07-20T20:17:00Z"


def test_equal_lines_get_an_id_for_each_occurrence_and_the_same_ids_next_time() -> None:
    row = Row("click", {}, ms=STARTED_MS)
    first, second, again = (keyed(row, b"x", n, 0)["interaction_id"] for n in (0, 1, 0))
    assert first != second
    assert first == again
    assert id_ms(first) == STARTED_MS


def test_an_id_of_ours_stays_and_gives_a_missing_time() -> None:
    (row,) = read(msgspec.json.encode({"interaction_id": OUR_V7.upper()}) + b"\n")
    fields = keyed(row, b"", 0, STARTED_MS)
    assert fields["interaction_id"] == OUR_V7
    assert parse_iso(fields["timestamp"]) == id_ms(OUR_V7)


@pytest.mark.parametrize("theirs", ["evt_17", 17, "123e4567-e89b-12d3-a456-426614174000"])
def test_any_other_id_becomes_a_foreign_id_at_the_rows_time(theirs: str | int) -> None:
    line = {"interaction_id": theirs, "timestamp": "2015-05-17T08:05:03Z"}
    (row,) = read(msgspec.json.encode(line) + b"\n")
    expected = foreign_id("import", str(theirs), parse_iso("2015-05-17T08:05:03Z"))
    assert keyed(row, b"", 0, STARTED_MS)["interaction_id"] == expected


def test_a_row_without_a_time_gets_that_of_the_imports_start() -> None:
    (row,) = read(b'{"path":"/"}\n')
    assert keyed(row, b"", 0, STARTED_MS)["timestamp"] == "2025-08-14T00:00:00.000Z"


# JSON Lines


def test_a_rows_own_type_comes_before_the_default() -> None:
    rows = read(b'{"interaction_type":"click","a":1}\n{"a":2}\n')
    assert [(row.interaction_type, row.fields) for row in rows] == [
        ("click", {"a": 1}),
        ("page_view", {"a": 2}),
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[1]",
        b"\xff",
        b'{"a":1e999}',
        b"[" * 9999,
        b'{"interaction_type":5}',
        b'{"interaction_id":[1]}',
        b'{"a":1} {"a":2}',
    ],
)
def test_a_line_that_is_no_interaction_is_rejected(line: bytes) -> None:
    with pytest.raises(Rejected):
        parse(line, Layout("jsonl", {}, "click"))


def test_keys_of_objects_can_be_mapped_too() -> None:
    (row,) = read(b'{"ts":1431849903,"url":"/"}\n', mapping={"timestamp": "ts", "path": "url"})
    assert (row.ms, row.fields) == (1431849903000, {"path": "/"})


def test_a_misspelt_time_key_is_refused_before_anything_is_read() -> None:
    with pytest.raises(Terminal, match="no key 'tss'"):
        read(b'{"ts":1431849903}\n', mapping={"timestamp": "tss"})


def test_an_object_with_two_values_for_a_field_is_rejected() -> None:
    with pytest.raises(Rejected, match="two values for 'path'"):
        read(b'{"path":"/a","url":"/b"}\n', mapping={"path": "url"})


# CSV


def test_columns_go_where_they_are_mapped_or_to_the_field_of_their_name() -> None:
    content = b"When,path,plan,response_status,response_time_ms,partner_id\n"
    content += b"2015-05-17T08:05:03Z,/a,gold,200,12.5,\n"
    (row,) = read(content, mapping={"timestamp": "When", "tier": "plan"})
    assert row.ms == parse_iso("2015-05-17T08:05:03Z")
    assert row.fields == {
        "path": "/a",
        "response_status": 200,
        "response_time_ms": 12.5,
        "tier": "gold",
    }


def test_numbers_that_are_none_stay_text_for_the_collector_to_judge() -> None:
    (row,) = read(b"path,response_status,response_time_ms\n/,many,nan\n")
    assert row.fields == {"path": "/", "response_status": "many", "response_time_ms": "nan"}


def test_a_cell_for_a_nested_field_holds_json() -> None:
    (row,) = read(b'path|properties\n/|"{""a"": [1]}"\n')
    assert row.fields["properties"] == {"a": [1]}


def test_a_quoted_cell_may_hold_delimiters_quotes_and_lines() -> None:
    (row, last) = read(b'path,note\r\n/,"a ""b"",\r\n\r\nc"\r\n/x,y\r\n')
    assert row.fields == {"path": "/", "note": 'a "b",\n\nc'}
    assert last.fields == {"path": "/x", "note": "y"}


def test_a_quote_that_never_closes_costs_only_its_own_line() -> None:
    content = b'path,note\n/,"open\n' + b"/a,b\n" * 5000
    layout = Layout("csv", {}, "click", ("path", "note"))
    found = framed(content, layout)
    assert len(found) == 5001
    with pytest.raises(Rejected, match="quotes"):
        parse(found[0].raw, layout)
    assert parse(found[1].raw, layout).fields == {"path": "/a", "note": "b"}


def test_a_row_with_other_cells_than_the_header_is_rejected() -> None:
    layout = Layout("csv", {}, "click", ("a", "b"))
    for raw in (b"1", b"1,2,3"):
        with pytest.raises(Rejected, match="cells under a header of 2"):
            parse(raw, layout)
    assert parse(b"1,2,,", layout).fields == {"a": "1", "b": "2"}


def test_columns_without_a_name_or_with_the_same_are_numbered() -> None:
    layout = layout_of(list(lines([b"a,,a\n"])), None, {}, "click")
    assert layout.columns == ("a", "column_2", "a_3")


@pytest.mark.parametrize(
    ("mapping", "words"),
    [({"path": "nowhere"}, "no column 'nowhere'"), ({"b": "a"}, "map it too")],
)
def test_a_mapping_that_does_not_fit_the_header_is_refused(
    mapping: dict[str, str], words: str
) -> None:
    with pytest.raises(Terminal, match=words):
        read(b"a,b\n1,2\n", mapping=mapping)


@given(st.lists(st.text(alphabet='ab",\n\r', max_size=12)))
@example(['"', 'a"b', '"'])
def test_no_line_of_a_csv_is_lost_or_told_twice(texts: list[str]) -> None:
    source = list(lines(["\n".join(texts).encode()]))
    told = b"\n".join(row.raw for row in csv_rows(source, ","))
    kept = [line for line in told.split(b"\n") if line.strip()]
    assert kept == [line.raw for line in source if line.raw.strip()]


# Any bytes at all

UGLY = st.one_of(
    st.binary(max_size=200),
    st.text(alphabet='"\\ []-/{}:,|\x00\xff0123GETPHTP.1\n', max_size=200).map(str.encode),
    st.sampled_from(SAMPLE.read_bytes().splitlines()).flatmap(
        lambda line: st.integers(0, len(line)).map(lambda at: line[:at] + line[at + 1 :])
    ),
)


@pytest.mark.parametrize("kind", ["access", "jsonl", "csv"])
@given(content=UGLY)
def test_every_unit_of_any_bytes_is_read_or_rejected(kind: Kind, content: bytes) -> None:
    layout = Layout(kind, {}, "click", ("interaction_id", "timestamp") if kind == "csv" else ())
    for unit in framed(content, layout):
        try:
            row = parse(unit.raw, layout)
        except Rejected:
            continue
        msgspec.json.encode(keyed(row, unit.raw, 0, STARTED_MS))


@given(content=UGLY)
def test_any_first_lines_are_understood_or_refused(content: bytes) -> None:
    sample = [unit for unit in lines([content]) if unit.raw.strip()]
    if sample:
        with suppress(Terminal):
            layout_of(sample, None, {}, None)


def test_a_csv_of_a_known_type_has_that_types_numbers(tmp_path: Path) -> None:
    path = tmp_path / "deals.csv"
    path.write_text("when,user_id,partner_id,value,currency,days_to_close\n"
                    "2025-08-14T16:11:28Z,7,p1,1200.50,EUR,31\n")  # fmt: skip
    environ = {"LAKEWARD_LAKE_DIR": str(tmp_path / "lake"), "LAKEWARD_KEEPER": "thread",
               "LAKEWARD_RING_DIR": str(tmp_path / "rings")}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "lakeward.cli", "import", str(path), "--type", "deal_closed",
         "--map", "timestamp=when"],
        env={**os.environ, **environ}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    log = next((tmp_path / "lake").glob("raw/*/*/*/*.jsonl"))
    outcome = msgspec.json.decode(log.read_bytes())["outcomes"]
    assert outcome == {"value": 1200.5, "currency": "EUR", "days_to_close": 31}
