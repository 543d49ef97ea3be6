"""Roll-ups are kept: by the keeper's task, by hand, through erasures, merges and retention."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from conftest import Lake, wait_until
from lakeward.analysis.rollup import packs
from lakeward.analysis.rollup.build import Builder
from lakeward.analysis.rollup.eraser import RollupEraser
from lakeward.analysis.trend import Series, Trend
from lakeward.cli import main
from lakeward.cli.compact import compact
from lakeward.cli.rolling import Rolling
from lakeward.cli.stores import opened
from lakeward.lake import receipt as book
from lakeward.lake.delta import Table
from lakeward.lake.erase import Setting, begin
from lakeward.lake.forget import TableEraser
from lakeward.lake.merge import merge
from lakeward.lake.rows import connect
from lakeward.lake.storage import table_storage
from lakeward.lakedir import replace_file
from lakeward.person import Person
from lakeward.server.asking import document
from scanning import files, found
from tabled import START_MS, crowd
from test_rollup import NOW, Home, same

SOON = datetime(2025, 10, 30, tzinfo=UTC)
"""The month goes on: each day has a pack of its own."""
ANN = Person("user_id", "ann-7c1e9f")


def of_ann(home: Home) -> list[str]:
    """Where she stands in roll-ups."""
    return found(ANN.value.encode(), list(files(packs.folder(home.lake))))


def erase(home: Home, person: Person) -> dict[str, int]:
    """What each store removed."""
    with opened(home.lake, home.settings) as stores:
        receipt = begin(Setting(home.lake, stores, drain=list), [person])
    assert receipt.gone_at
    return {note.name: note.records for note in receipt.stores}


def test_an_erased_person_is_in_no_roll_up_and_other_days_keep_theirs(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.put(crowd(1, 60))
    home.put([{"ms": START_MS, "user_id": ANN.value, "path": f"/home/{ANN.value}"}])
    home.roll(SOON)
    assert of_ann(home)
    before = home.packs()
    assert erase(home, ANN)["rollups"] == 1
    assert not of_ann(home)
    assert RollupEraser(home.lake, home.settings).find(ANN) == 0
    assert len(set(before) & set(home.packs())) == 2
    with home.reading() as reading:
        same(Trend(by=("path",)), reading)
    home.roll(SOON)
    assert not of_ann(home)
    with home.reading() as reading:
        same(Trend(by=("path",)), reading)


@pytest.mark.parametrize("point", ["made", "placed"])
def test_an_erasure_during_the_making_of_a_pack_leaves_nothing_in_it(
    tmp_path: Path, point: str
) -> None:
    """The maker holds the lock meanwhile, so that the erasure of roll-ups waits; of the table it
    does not."""
    home = Home(tmp_path)
    home.put([{"ms": START_MS, "user_id": ANN.value, "path": f"/home/{ANN.value}"}])
    erased: list[str] = []

    def pause(now: str) -> None:
        if now == point and not erased:
            erased.append(now)
            with opened(home.lake, home.settings) as stores:
                stores.others[:] = [s for s in stores.others if s.name != "rollups"]  # type: ignore[index]
                (table,) = (s for s in stores.others if isinstance(s, TableEraser))
                table._patience = 0.0  # the maker reads the table all the while
                begin(Setting(home.lake, stores, drain=list), [ANN])

    home.put(crowd(2, 30))
    Builder(home.lake, home.settings, now=lambda: NOW, pause=pause).run()
    RollupEraser(home.lake, home.settings).erase(ANN)
    assert erased
    assert not of_ann(home)
    assert RollupEraser(home.lake, home.settings).find(ANN) == 0


def test_while_an_erasure_waits_rows_are_counted_and_nothing_is_made(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.put([{"ms": START_MS, "user_id": ANN.value}, {"ms": START_MS, "user_id": "bob"}])
    home.roll()
    book.ask(home.lake, "0198a000-0000-7000-8000-000000000000", [ANN])
    answer = home.ask(Trend(grain=None))
    assert (answer.source, answer.rows) == ("rows", [(1,)])
    home.put([{"ms": START_MS, "user_id": "carol"}])
    home.roll()
    assert len(home.packs()) == 1


def test_a_merge_of_files_takes_their_pack_along(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for seed in (3, 4):
        home.put(crowd(seed, 40, days=1))
    home.roll()
    before = home.packs()
    table = Table(table_storage(home.lake.root, home.settings))
    assert merge(connect(1 << 28), table, tmp_path, closed_before="2026-01-01") == 2
    with home.reading() as reading:
        same(Trend(), reading, "rows")
    RollupEraser(home.lake, home.settings).prune()
    assert home.packs() == []
    home.roll()
    assert len(home.packs()) == len(before)
    with home.reading() as reading:
        same(Trend(series=(Series(), Series(metric="errors"))), reading)


def test_retention_takes_what_was_counted_of_days_that_are_over(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.put(crowd(5, 90))
    home.roll(SOON)
    assert len(home.packs()) == 3
    compact(home.lake, home.settings, over={None: START_MS + 86_400_000})
    assert [name[:10] for name in home.packs()] == ["2025-10-26", "2025-10-27"]
    with home.reading() as reading:
        same(Trend(), reading)


def test_the_keepers_task_makes_roll_ups_after_the_table_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEWARD_ROLLUP_ROWS", "1")
    home = Home(tmp_path)
    home.put(crowd(6, 60))
    task = Rolling(home.lake, home.settings, every=0.0)
    try:
        task.step(None)
        assert not packs.folder(home.lake).exists()  # compaction has done nothing yet
        replace_file(home.lake.private / "table.json", b"{}")

        def made() -> bool:
            task.step(None)
            index = packs.read(home.lake)
            return index is not None and [pack.rows for pack in index.packs] == [60]

        wait_until(made, 120, "a roll-up")
    finally:
        task.close()
    with home.reading() as reading:
        same(Trend(), reading)


def test_the_command_counts_shows_and_drops(
    lake: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with lake.collector() as collector:
        collector.record("page_view")
        collector.commit()
    for name, value in {**lake.env, "LAKEWARD_ROLLUP_ROWS": "61"}.items():
        monkeypatch.setenv(name, value)
    home = Home(lake.root.parent, LAKEWARD_LAKE_DIR=str(lake.root))
    assert home.lake.root == lake.root
    home.put(crowd(7, 60))
    assert main(["rollup"]) == 0
    assert "fewer than 61 (LAKEWARD_ROLLUP_ROWS)" in capsys.readouterr().out
    monkeypatch.setenv("LAKEWARD_ROLLUP_ROWS", "60")
    assert main(["rollup", "--format", "json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["covered"], made["total"], made["packs"]) == (60, 60, 1)
    assert main(["doctor", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)["rollups"]
    assert told == {"packs": 1, "rows": 60, "bytes": made["bytes"]}
    assert main(["doctor"]) == 0
    assert "rollups   1 packs of 60 rows" in capsys.readouterr().out
    assert main(["rollup", "--drop"]) == 0
    assert "1 packs of roll-ups deleted" in capsys.readouterr().out
    assert not (lake.root / "rollup").exists()


def test_an_answer_over_http_says_what_was_counted(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.put(crowd(8, 20))
    home.roll()
    for exact, source in ((False, "rollups"), (True, "rows")):
        question = Trend(exact=exact)
        told = msgspec.json.decode(document(question, home.ask(question), 1.0))
        assert told["source"] == source
