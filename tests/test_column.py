"""Columns made of Python's values are those of `pa.array`, without what it loads."""

from __future__ import annotations

import subprocess
import sys

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from lakeward.lake import column

LOADED = """
import sys
import pyarrow as pa
from pathlib import Path
from lakeward.lake import column
from lakeward.lake.agents import Agents
from lakeward.lake.places import Places
from lakeward.lake.turns import Turns
given = column.texts(['x'])
agents = Agents().struct(pa.chunked_array([given]))
assert agents.to_pylist()[0]['device'] == 'other', agents
assert len(Places(Path('none')).struct(pa.chunked_array([given]))) == 1
assert Turns().completed(given, given, pa.nulls(1, pa.int64())).to_pylist() == ['x']
print(*{'pandas', 'pyarrow'} & set(sys.modules))
"""


@given(st.lists(st.none() | st.text(max_size=5)))
def test_texts_are_a_column_of_them(values: list[str | None]) -> None:
    made = column.texts(values)
    made.validate(full=True)
    assert made.equals(pa.array(values, pa.string()))


@given(st.lists(st.booleans()))
def test_truths_are_a_column_of_them(values: list[bool]) -> None:
    made = column.truths(values)
    made.validate(full=True)
    assert made.equals(pa.array(values, pa.bool_()))


def test_what_a_row_gains_is_found_without_pandas() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True)
    assert done.stdout.split() == ["pyarrow"], done.stderr
