"""The lake is open: every block of docs/open-lake.md reads it, without a line of Lakeward."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from ai_turns import CACHED, turn
from lakeward.lake.answer import sql
from lakeward.lakedir import LakeDir
from test_docs import ROOT, Block, blocks
from test_table import DAY, NOON, Desk, line, record

PAGE = ROOT / "docs/open-lake.md"
BLOCKS = [block for block in blocks(PAGE) if block.language == "python"]
SHOWN, TURNS = (block.text for block in blocks(PAGE) if block.language == "text")


def engine(block: Block) -> str:
    """The heading that a block stands under."""
    before = PAGE.read_text(encoding="utf-8").partition(block.text)[0]
    return before.rpartition("\n## ")[2].partition("\n")[0]


PRINTING = [block for block in BLOCKS if "log:" in block.text]
TOGETHER = next(block for block in BLOCKS if "together:" in block.text)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> LakeDir:
    """Three days in the table; repeats, an erased line and newer rows in the log; a file in the
    table's folder that the table does not name."""
    desk = Desk(tmp_path_factory.mktemp("open"))
    lines = [
        msgspec.json.encode(
            record(
                NOON + DAY * (n % 3),
                user_id=f"u{n % 7}",
                response_time_ms=n / 2,
                interaction_type="api_call" if n % 2 else "click",
                path=None if n % 2 else "/é",
                properties={"n": n, "deep": {"a": [1, "x", None]}},
            )
        )
        for n in range(1000)
    ]
    turns = [turn(CACHED, ms=NOON + DAY * (n % 3)) for n in range(10)]
    desk.log.append([*lines, *lines[:50], *turns])
    desk.compact()
    desk.log.append(lines[:20] + [line(user_id="new", response_time_ms=1000.25) for _ in range(30)])
    path = next(desk.lake.root.glob("raw/*/*/*/*.jsonl"))
    content = path.read_bytes()
    first = content.index(b"\n")
    path.write_bytes(b" " * first + content[first:])
    old = next(desk.lake.root.glob("table/*/*.parquet"))
    shutil.copy(old, old.with_name(f"old-{old.name}"))
    return desk.lake


def run(block: Block, lake: LakeDir) -> str:
    """What a block prints, in a process that cannot import Lakeward."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    barred = "import sys; sys.modules['lakeward'] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", barred + block.text], cwd=lake.root.parent, env=environ,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_shows_five_engines() -> None:
    assert [engine(block) for block in PRINTING] == [
        "DuckDB", "pandas", "polars", "Spark", "ClickHouse",
    ]  # fmt: skip


@pytest.mark.parametrize("block", PRINTING, ids=engine)
def test_an_engine_counts_what_lakeward_counts(block: Block, lake: LakeDir) -> None:
    if engine(block) == "Spark" and not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        pytest.skip("Spark needs Java, which is not installed: run `make java`")
    printed = run(block, lake).splitlines(keepends=True)
    ai = [line for line in printed if line.startswith("ai:")]
    assert ai == ([TURNS] if engine(block) in ("pandas", "Spark") else [])
    assert "".join(line for line in printed if line not in ai) == SHOWN


def test_table_and_log_together_are_what_a_query_shows(lake: LakeDir) -> None:
    [answer] = sql("SELECT count(*) AS n FROM interactions", lake_dir=lake.root).to_pylist()
    assert run(TOGETHER, lake) == f"together: {answer['n']} interactions\n"


def test_the_page_names_no_module_of_lakeward() -> None:
    for block in BLOCKS:
        assert "lakeward" not in block.text.replace("data-lake", "")


def test_every_column_has_the_type_that_the_page_of_the_table_says(lake: LakeDir) -> None:
    code = (
        "import polars as pl\nfrom deltalake import DeltaTable\n"
        "table = DeltaTable('data-lake/table')\n"
        "schema = pl.scan_parquet(table.file_uris(), hive_partitioning=True).collect_schema()\n"
        "assert schema.names()[:2] == ['interaction_id', 'timestamp'], schema\n"
        "assert schema['timestamp'] == pl.Datetime('us', 'UTC'), schema['timestamp']\n"
        "assert schema['event_date'] == pl.Date\n"
        "assert schema['properties'] == pl.String\n"
        "assert [f.name for f in table.schema().fields] == schema.names()\n"
        "print('ok')\n"
    )
    assert run(Block(Path(PAGE), "python", code), lake) == "ok\n"
