"""Turns: a few places, shared among who asks for them."""

from __future__ import annotations

import asyncio

from lakeward.server.turns import Turns


async def settled(turns: Turns, held: list[tuple[str, asyncio.Future[None]]]) -> list[str]:
    """Give back what is held, the first first, until nobody has anything; the order of turns."""
    order: list[str] = []
    while True:
        ready = [each for each in held if each[1].done()]
        if not ready:
            assert not held
            return order
        order.append(ready[0][0])
        held.remove(ready[0])
        turns.give(*ready[0])


def test_whoever_asks_for_little_is_served_between_those_who_ask_for_much() -> None:
    async def run() -> None:
        turns = Turns(1, most=10, each=5)
        held = [(who, turns.ask(who)) for who in ("a", "a", "a", "b", "c", "b")]
        assert "".join(await settled(turns, held)) == "aabcab"
        assert turns.idle

    asyncio.run(run())


def test_a_place_that_two_wait_for_comes_in_the_turn_that_is_first() -> None:
    async def run() -> None:
        turns = Turns(1, most=10, each=5)
        held = [("a" + str(n), turns.ask("a")) for n in range(4)]
        places = dict(held)
        turns.join("b", places["a3"])  # b asks what a asked last
        order = []
        while waiting := [name for name, place in places.items() if place.done()]:
            order.append(waiting[0])
            turns.give("a", places.pop(waiting[0]))
        assert order == ["a0", "a1", "a3", "a2"]
        assert turns.idle

    asyncio.run(run())


def test_who_waits_no_longer_holds_up_nobody() -> None:
    async def run() -> None:
        turns = Turns(1, most=10, each=5)
        first, left, last = turns.ask("a"), turns.ask("a"), turns.ask("b")
        turns.give("a", left)
        turns.give("a", first)
        assert last.done()
        turns.give("b", last)
        assert turns.idle
        assert turns.ask("c").done()

    asyncio.run(run())


def test_nobody_waits_for_more_than_a_share_and_all_for_no_more_than_there_is() -> None:
    async def run() -> None:
        turns = Turns(1, most=5, each=3)
        for _ in range(3):
            assert turns.admits("a")
            turns.ask("a")
        assert not turns.admits("a")
        assert turns.admits("b")
        turns.ask("b"), turns.ask("b")
        assert not turns.admits("c")

    asyncio.run(run())
