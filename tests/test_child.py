"""The one child that a task of the keeper has at a time, as real processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import alive, wait_until
from lakeward.cli.child import Child

MODULE = """
import time
def child(code):
    while code == "never":
        time.sleep(1)
    return int(code)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the child runs: it ends with the code that it is given."""
    (tmp_path / "ends_so.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return "ends_so"


def ended_with(child: Child, code: int, now: float) -> int | None:
    """Start one that ends so, and wait for it."""
    codes: list[int | None] = [None]

    def ended() -> bool:
        codes[0] = child.reaped(now)
        return codes[0] is not None

    child.start(str(code))
    assert child
    wait_until(ended, what="its end")
    assert not child
    return codes[0]


def test_after_each_failure_comes_a_pause_twice_as_long_until_one_succeeds(module: str) -> None:
    child = Child(module, 3.0, longest_pause=10.0)
    for now, pause in ((100.0, 3.0), (200.0, 6.0), (300.0, 10.0), (400.0, 10.0)):
        assert ended_with(child, 7, now) == 7
        assert child.not_before == now + pause
    assert ended_with(child, 0, 500.0) == 0
    assert child.not_before == 410.0  # it is over
    ended_with(child, 7, 600.0)
    assert child.not_before == 603.0


def test_one_that_does_not_end_is_ended_by_its_task(module: str) -> None:
    child = Child(module, 1.0, farewell=0.0)
    child.start("never")
    pid = child._pid
    assert child.reaped(1.0) is None
    child.close()
    assert not child
    assert not alive(pid)
    child.close()
