"""The made-up app: the same lines for the same seed, all of them as the collector could have made
them, with known shares of what is hard."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from generator import START_MS, batches, calls, lines, records, truth
from lakeward.catalog import TYPES, Record, arrange
from lakeward.collector import Collector
from lakeward.interaction import FIELDS, OURS, id_ms, parse_iso
from lakeward.lakedir import open_lake
from lakeward.log import read_lines
from lakeward.settings import load

N = 40_000


@pytest.fixture(scope="module")
def made() -> list[bytes]:
    return list(lines(7, N))


@pytest.fixture(scope="module")
def decoded(made: list[bytes]) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in made]


def test_a_seed_makes_the_same_lines_and_another_one_others(made: list[bytes]) -> None:
    assert list(lines(7, N)) == made
    assert not set(lines(8, 1000)) & set(made)


def test_fewer_lines_are_the_first_of_more(made: list[bytes]) -> None:
    assert list(lines(7, 500)) == made[:500]


def test_records_and_batches_are_the_same_lines(
    made: list[bytes], decoded: list[dict[str, Any]]
) -> None:
    assert list(records(7, N)) == decoded
    assert [line for batch in batches(7, 1234, 100) for line in batch] == made[:1234]


def test_every_record_is_one_that_the_catalog_takes(decoded: list[dict[str, Any]]) -> None:
    for record in decoded:
        msgspec.convert(record, Record)
        assert OURS.fullmatch(record["interaction_id"])
        given = {name: value for name, value in record.items() if name != "interaction_type"}
        arranged = arrange(record["interaction_type"], given)
        assert arranged == given


def test_fields_stand_in_the_records_order(decoded: list[dict[str, Any]]) -> None:
    for record in decoded[:5000]:
        assert list(record) == [name for name in FIELDS if name in record]


def test_every_known_type_occurs(decoded: list[dict[str, Any]]) -> None:
    assert {record["interaction_type"] for record in decoded[:10_000]} == set(TYPES)


def test_an_id_carries_the_millisecond_of_its_timestamp(decoded: list[dict[str, Any]]) -> None:
    for record in decoded:
        assert id_ms(record["interaction_id"]) == parse_iso(record["timestamp"])


def test_what_is_hard_has_its_share(made: list[bytes], decoded: list[dict[str, Any]]) -> None:
    found = truth(made)
    assert found.lines == N
    assert len(found.rows) + found.repeated + found.contradicted == N
    assert found.repeated / N == pytest.approx(0.0100, rel=0.25)
    assert found.contradicted / N == pytest.approx(0.002, rel=0.5)
    times = [id_ms(record["interaction_id"]) for record in decoded]
    late = ties = 0
    latest = START_MS
    for before, ms in pairwise(times):
        late += ms < latest - 60_000
        ties += ms == before
        latest = max(latest, ms)
    assert 0.005 < late / N < 0.03
    assert 0.05 < ties / N < 0.15
    foreign = sum(record["interaction_id"][14] == "8" for record in decoded)
    assert foreign / N == pytest.approx(0.02, rel=0.25)


def test_the_first_of_contradicting_lines_counts(made: list[bytes]) -> None:
    of: dict[str, list[str]] = {}
    for record in map(msgspec.json.decode, made):
        of.setdefault(record["interaction_id"], []).append(record["environment"])
    assert {contents[0] for contents in of.values()} == {"production"}
    assert any("contradicted" in contents for contents in of.values())


def test_visitors_sign_in_midway_and_keep_their_anonymous_id(
    decoded: list[dict[str, Any]],
) -> None:
    users: dict[str, set[str]] = {}
    for record in decoded:
        if "anonymous_id" in record:
            users.setdefault(record["anonymous_id"], set()).add(record["user_id"])
    merged = [names for names in users.values() if len(names) == 2]
    assert len(merged) > 100
    assert all(len(names - {"anonymous"}) <= 1 for names in users.values())


def test_traffic_looks_like_traffic(made: list[bytes], decoded: list[dict[str, Any]]) -> None:
    types = Counter(record["interaction_type"] for record in decoded)
    assert types.most_common(1)[0][0] == "api_call"
    sizes = [len(line) for line in made if b'"interaction_type":"api_call"' in line]
    assert 400 < sum(sizes) / len(sizes) < 600
    agents = " ".join({record.get("user_agent", "") for record in decoded})
    assert all(word in agents for word in ("iPhone", "Googlebot", "Firefox", "curl"))
    assert {record.get("service") for record in decoded} == {"api", "web", "jobs"}
    assert sum("utm_source=" in record.get("url", "") for record in decoded) > 100


def test_truth_counts_rows_by_type_and_user(made: list[bytes]) -> None:
    found = truth(made)
    assert found.types.total() == found.users.total() == len(found.rows)


def test_the_command_writes_the_same_lines(tmp_path: Path, made: list[bytes]) -> None:
    script = Path(__file__).parent.parent / "benchmarks" / "generator.py"
    out = tmp_path / "lines.jsonl"
    command = [sys.executable, str(script), "--seed", "7", "--rows", "5000", "--out", str(out)]
    subprocess.run(command, check=True, timeout=120)
    assert out.read_bytes() == b"\n".join(made[:5000]) + b"\n"


def test_a_collector_takes_them_both_ways(tmp_path: Path) -> None:
    """As fields through `record`, and as lines through `put_batch`: the log holds the same."""
    rings = tmp_path / "rings"
    rings.mkdir(mode=0o700)
    settings = load(
        {"LAKEWARD_LAKE_DIR": str(tmp_path / "lake"), "LAKEWARD_RING_DIR": str(rings),
         "LAKEWARD_KEEPER": "thread", "LAKEWARD_ENV": "production", "APP_VERSION": "1.4.2"},
    )  # fmt: skip
    lake = open_lake(settings.lake_dir)
    with Collector(settings) as collector:
        kept = [collector.record(kind, **fields) for kind, fields in calls(7, 300)]
        collector.commit()
        assert all(collector.put_batch(batch) for batch in batches(7, 300, 50))
        collector.commit()
        found = [line.rstrip(b"\n") for line, _ in read_lines(lake)]
    wanted = list(lines(7, 300))
    assert kept == [msgspec.json.decode(line)["interaction_id"] for line in wanted]
    assert len(found) == 600
    assert sorted(found[300:]) == sorted(wanted)
