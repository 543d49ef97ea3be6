"""Turns that came into the table without a cost, and get one when there is a price for them."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from ai_turns import CACHED, SILENT, said, turn
from lakeward.cli import repricing
from lakeward.errors import MissingExtra, SettingError, Terminal
from lakeward.lake import reprice as reprice_module
from lakeward.lake.forget import TableEraser
from lakeward.lake.reading import Reading
from lakeward.lake.reprice import reprice
from lakeward.person import Person
from lakeward.settings import load
from test_table import NOON, Desk, line

DAY = 86_400_000
HOUSE = {"model_requested": "house-1", "input_tokens": 1_000_000, "output_tokens": 0}


class Shop(Desk):
    """A desk whose own prices can be set."""

    def price(self, text: str) -> None:
        path = self.lake.root.parent / "prices.toml"
        path.write_text(text)
        self.settings = load({"LAKEWARD_AI_PRICES": str(path)}, self.lake.root.parent)

    def told(self) -> list[dict[str, Any]]:
        rows = self.rows("SELECT ai_metadata FROM ai_conversation ORDER BY interaction_id")
        return [json.loads(row[0]) for row in rows]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    yield shop
    shop.log.close()


def house(input_price: float) -> str:
    return f'[[price]]\nmodel = "house-*"\ninput = {input_price}\noutput = 1\n'


def test_a_turn_gets_a_cost_when_its_price_becomes_known(shop: Shop) -> None:
    shop.log.append(
        [turn(HOUSE), turn(CACHED, ms=NOON + 1), line(ms=NOON + 2), line(ms=NOON - DAY)]
    )
    shop.compact()
    assert "cost_usd" not in shop.told()[0]
    others = shop.rows(
        "SELECT * FROM interactions WHERE coalesce(ai_metadata, '') NOT LIKE '%house%' ORDER BY 1"
    )
    shop.price(house(3))
    done = reprice(shop.lake, shop.settings)
    assert (done.turns, done.files, done.unpriced) == (1, 1, 0)
    first, second = shop.told()
    assert (first["cost_usd"], first["price_source"]) == (3, "own")
    assert second["cost_usd"] == 0.02436625
    assert others == shop.rows(
        "SELECT * FROM interactions WHERE coalesce(ai_metadata, '') NOT LIKE '%house%' ORDER BY 1"
    )
    frame = DeltaTable(str(shop.lake.root / "table")).to_pyarrow_table()
    assert frame.num_rows == 4


def test_a_second_run_writes_nothing(shop: Shop) -> None:
    shop.log.append([turn(HOUSE), turn({"model_requested": "unheard"}, ms=NOON + 1)])
    shop.compact()
    shop.price(house(3))
    assert reprice(shop.lake, shop.settings).turns == 1
    version = shop.table().snapshot().version
    done = reprice(shop.lake, shop.settings)
    assert (done.turns, done.files, done.unpriced) == (0, 0, 1)
    assert shop.table().snapshot().version == version


def test_days_before_the_first_stay_as_they_are(shop: Shop) -> None:
    shop.log.append([turn(HOUSE), turn(HOUSE, ms=NOON + DAY)])
    shop.compact()
    shop.price(house(3))
    assert reprice(shop.lake, shop.settings, since="2025-11-26").turns == 1
    assert [turn.get("cost_usd") for turn in shop.told()] == [None, 3]


def test_costs_that_were_looked_up_are_looked_up_again_where_it_is_asked(shop: Shop) -> None:
    shop.price(house(3))
    told = HOUSE | {"cost_usd": 7.0, "price_source": "posthog"}
    shop.log.append([turn(HOUSE), turn(told, ms=NOON + 1), turn(SILENT, said(), NOON + 2)])
    shop.compact(prices=shop.settings.ai_prices)
    before = shop.told()
    shop.price(house(5))
    assert reprice(shop.lake, shop.settings).turns == 0
    assert reprice(shop.lake, shop.settings, again=True).turns == 1
    after = shop.told()
    assert [turn["cost_usd"] for turn in after[:2]] == [5, 7]
    assert after[1:] == before[1:]
    assert after[0].keys() == before[0].keys()


def test_a_price_that_is_gone_leaves_the_cost(shop: Shop) -> None:
    shop.price(house(3))
    shop.log.append([turn(HOUSE)])
    shop.compact(prices=shop.settings.ai_prices)
    shop.price('[[price]]\nmodel = "other"\ninput = 1\n')
    assert reprice(shop.lake, shop.settings, again=True).turns == 0
    assert shop.told()[0]["cost_usd"] == 3


def test_a_wrong_file_of_prices_or_a_missing_extra_is_told_before_anything_is_touched(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.log.append([turn(HOUSE)])
    shop.compact()
    version = shop.table().snapshot().version
    shop.price("[[price]]\nmodel = 5\n")
    with pytest.raises(SettingError, match="row 1: model must be text"):
        reprice(shop.lake, shop.settings)
    shop.price("")
    monkeypatch.setattr(reprice_module, "available", lambda: False)
    with pytest.raises(MissingExtra, match=r"lakeward\[ai\]"):
        reprice(shop.lake, shop.settings)
    assert shop.table().snapshot().version == version


def test_the_command_says_what_it_did(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.log.append([turn(HOUSE), turn({"model_requested": "unheard"}, ms=NOON + 1)])
    shop.compact()
    shop.price(house(3))
    parser = argparse.ArgumentParser()
    parser.add_argument("--format", default="table")
    repricing.add_arguments(parser)
    assert repricing.run(shop.settings, parser.parse_args(["--since", "2025-11-25"])) == 0
    said = capsys.readouterr().out
    assert said == "1 turns completed in 1 files; 1 still have no cost\n"
    assert repricing.run(shop.settings, parser.parse_args(["--format", "json", "--all"])) == 0
    assert json.loads(capsys.readouterr().out) == {"turns": 0, "files": 0, "unpriced": 1}
    with pytest.raises(Terminal, match="--since: 'soon' is no day"):
        repricing.run(shop.settings, parser.parse_args(["--since", "soon"]))


def test_a_question_under_way_is_answered_from_the_files_it_began_with(shop: Shop) -> None:
    shop.log.append([turn(HOUSE)])
    shop.compact()
    shop.price(house(3))
    ask = "SELECT ai_metadata->>'$.cost_usd' FROM ai_conversation"
    with Reading(shop.lake, shop.settings, memory=512 << 20) as reading:
        assert reprice(shop.lake, shop.settings).turns == 1
        assert reading.con.execute(ask).fetchall() == [(None,)]
    assert shop.rows(ask) == [("3.0",)]


def test_who_is_erased_afterwards_is_in_no_file(shop: Shop) -> None:
    told = msgspec.json.decode(turn(HOUSE)) | {"user_id": "u-gone"}
    shop.log.append([msgspec.json.encode(told), turn(HOUSE, ms=NOON + 1)])
    shop.compact()
    shop.price(house(3))
    assert reprice(shop.lake, shop.settings).turns == 2
    gone = TableEraser(shop.lake, shop.settings).erase(Person("user_id", "u-gone"))
    assert gone.records == 1
    for path in (shop.lake.root / "table").rglob("*.parquet"):
        assert "u-gone" not in pq.read_table(path)["user_id"].to_pylist()
    assert [turn["cost_usd"] for turn in shop.told()] == [3]


def test_kills_at_every_point_and_at_random_lose_and_repeat_no_row(shop: Shop) -> None:
    for day in range(3):
        ms = NOON + day * DAY
        told = HOUSE | {"provider": "house"}
        shop.log.append([turn(told, ms=ms), turn(told, ms=ms + 1), line(ms=ms + 2)])
    shop.compact()
    shop.price(house(3))
    harness = Path(__file__).with_name("reprice_killing.py")
    prices = str(shop.settings.ai_prices)
    done = subprocess.run(
        [sys.executable, str(harness), str(shop.lake.root), prices, "3"],
        capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    before, *kills = map(json.loads, done.stdout.splitlines())
    assert (before["rows"], before["turns"], before["priced"]) == (9, 6, 0)
    assert [kill["ended"] for kill in kills if isinstance(kill["trap"], list)] == [-9] * 8
    reached = set()
    for kill in kills:
        for seen in (kill["left"], kill["whole"]):
            assert (seen["rows"], seen["ids"], seen["absent"], seen["bad"]) == (9, 9, 0, 0), kill
            assert seen["hash"] == before["hash"], kill
            assert seen["costs"] in ([], [3.0]), kill
        left = kill["left"]["priced"]
        reached.add(left)
        assert kill["again"]["turns"] == 6 - left, kill
        assert kill["last"] == {"turns": 0, "files": 0, "unpriced": 0}
        assert kill["whole"]["priced"] == 6
        assert kill["scratch"] == 0
    assert reached == {0, 2, 4, 6}
