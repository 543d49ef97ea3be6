"""Rates: a client that comes too often waits, all workers count together, and nothing grows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Lake, wait_until
from lakeward.server.rates import Rates, group
from server_process import serving

S = 1_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now = 1000 * S

    def __call__(self) -> int:
        return self.now


def test_ten_seconds_worth_may_come_at_once_and_then_as_many_as_are_allowed() -> None:
    clock = Clock()
    rates = Rates(None, b"k", clock)
    assert [rates.take("a", 1, 5) for _ in range(50)] == [0.0] * 50
    wait = rates.take("a", 1, 5)
    assert 0 < wait < 0.3
    assert rates.take("b", 1, 5) == 0.0, "others do not wait"
    clock.now += int(wait * S)
    assert rates.take("a", 1, 5) == 0.0
    assert rates.take("a", 1, 5) > 0
    clock.now += 100 * S
    assert sum(rates.take("a", 1, 5) == 0.0 for _ in range(100)) == 50


@given(st.lists(st.tuples(st.integers(0, 3 * S), st.integers(1, 40)), max_size=80))
def test_over_any_time_no_more_passes_than_burst_and_rate_allow(
    steps: list[tuple[int, int]],
) -> None:
    clock = Clock()
    rates, began, passed, largest = Rates(None, b"k", clock), 1000 * S, 0, 0
    for pause, amount in steps:
        clock.now += pause
        if rates.take("a", amount, 7) == 0.0:
            passed += amount
            largest = max(largest, amount)
        assert passed <= 70 + 7 * (clock.now - began) / S + largest


def test_no_limit_lets_everything_through() -> None:
    rates = Rates(None, b"k", Clock())
    assert not any(rates.take("a", 10**6, 0) for _ in range(100))


def test_processes_count_together_and_the_file_holds_no_name(tmp_path: Path) -> None:
    clock = Clock()
    rates = Rates(tmp_path / "rates", b"k", clock)
    pid = os.fork()
    if pid == 0:
        other = Rates(tmp_path / "rates", b"k", clock)
        for _ in range(50):
            other.take("address 203.0.113.9", 1, 5)
        os._exit(0)
    os.waitpid(pid, 0)
    assert rates.take("address 203.0.113.9", 1, 5) > 0
    assert b"203.0" not in (tmp_path / "rates").read_bytes()
    assert (tmp_path / "rates").stat().st_blocks * 512 < 64 << 10, "what nobody uses takes no room"
    assert (tmp_path / "rates").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("address", "name"),
    [("203.0.113.9", "203.0.113.9"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
     ("::ffff:203.0.113.9", "203.0.113.9"), ("127.0.0.1", None), ("::1", None),
     ("::ffff:127.0.0.1", None), (None, None), ("nonsense", None)],
)  # fmt: skip
def test_a_household_counts_as_one_and_this_machine_not_at_all(
    address: str | None, name: str | None
) -> None:
    assert group(address) == name


def test_an_address_that_comes_too_often_is_told_when_to_come_again(lake: Lake) -> None:
    settings = {"LAKEWARD_RATE_ADDRESS": "2", "LAKEWARD_TRUSTED_PROXIES": "127.0.0.1"}
    with serving(lake, "--workers", "2", **settings) as server, server.client() as client:
        view = {"interaction_type": "page_view"}

        def status(address: str) -> int:
            headers = {"x-forwarded-for": address, "connection": "close"}
            answer = client.post("/v1/interactions", json=view, headers=headers)
            if answer.status_code == 429:
                assert answer.json()["code"] == "address_rate"
                assert int(answer.headers["retry-after"]) >= 1
            return answer.status_code

        counted = [status("203.0.113.9") for _ in range(30)]
        assert set(counted[:20]) == {200}
        assert counted.count(429) >= 5
        assert status("203.0.113.10") == 200
        assert {status("::1") for _ in range(30)} == {200}
        wait_until(lambda: status("203.0.113.9") == 200, what="room for the first again")
    assert len(lake.rows()) == len(set(lake.ids()))
