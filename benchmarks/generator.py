"""Interactions of a made-up app, the same for the same seed: what tests and benchmarks feed a lake.

    python benchmarks/generator.py --seed 7 --rows 1000000 --out FILE

In: a seed and how many lines. Out: lines as the log holds them, in the order of their arrival.
Visitors come and go by the hour of the day, some sign in midway (their anonymous id stays), walk
from page to call to outcome, and are bots now and then; every known type occurs. Of all lines about

    1.0 %  repeat an earlier line, byte for byte, soon after it or long after it
    0.2 %  repeat an earlier id with another content: the first in the order of the log counts
    0.5 %  are late: they happened up to five days before they arrived
    2 %    carry an id that another system gave (UUIDv8)
    10 %   happen in the millisecond of the line before

Ids are made of the seed's own randomness, so nothing here depends on machine or clock.
"""

from __future__ import annotations

import argparse
import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from journeys import AGENTS, BOTS, Script, Template, scripts, templates
from lakeward.interaction import MILLIS, iso

START_MS: Final = 1_754_870_400_000  # Monday 2025-08-11T00:00:00Z
DAY_MS: Final = 86_400_000
TIES, LATE, REPEATED, CONTRADICTED, FOREIGN = 0.10, 0.005, 0.010, 0.002, 0.02
RHYTHM: Final = (2, 1, 1, 1, 1, 2, 4, 8, 14, 18, 19, 18, 16, 17, 18, 18, 17, 15, 12, 10, 9, 8, 6, 4)
"""Visitors of each hour of the day (UTC), in shares of their sum."""
REMEMBERED: Final = 5000
ACTIVE: Final = 64


class Truth(msgspec.Struct):
    """What a table must hold after some lines: one row for each id, the first in their order."""

    lines: int = 0
    rows: dict[str, bytes] = {}
    """A digest of the line that counts, by id."""
    types: Counter[str] = msgspec.field(default_factory=Counter)
    users: Counter[str] = msgspec.field(default_factory=Counter)
    repeated: int = 0
    contradicted: int = 0


class Who(msgspec.Struct):
    """One visitor as lines show them."""

    user_id: str
    user_type: str
    ip_address: str
    user_agent: str
    anonymous_id: str


class Visit:
    """One session: a visitor on the way through a script."""

    __slots__ = ("next", "script", "session", "shown", "signed", "who")

    def __init__(self, script: Script, who: Who, session: str, signed: bool) -> None:
        self.script = script
        self.who = who
        self.session = session
        self.signed = signed
        self.next = 0
        self.show()

    def show(self) -> None:
        """What of the visitor stands in the next lines."""
        who = self.who
        user = (who.user_id, who.user_type) if self.signed else ("anonymous", "unknown")
        self.shown = (*user, who.ip_address, who.user_agent, self.session, who.anonymous_id)


class World:
    """The app and its visitors."""

    def __init__(self, seed: int, *, users: int, per_day: float) -> None:
        self.dice = random.Random(f"lakeward {seed}")
        self.per_day = per_day
        self.users: dict[int, Who] = {}
        self.people = users
        self.templates = templates(self.dice)
        self.scripts = scripts(self.dice)
        self.slow = [round(self.dice.lognormvariate(2.6, 0.9), 3) for _ in range(1024)]
        self.visits = [self._visit(n) for n in range(ACTIVE)]

    def _visit(self, number: int = -1) -> Visit:
        """The next one to come; the first one shows everything there is."""
        dice = self.dice
        script = self.scripts.everything if number == 0 else dice.choice(self.scripts.usual)
        if number != 0 and dice.random() < 0.04:
            return Visit(
                self.scripts.bot, self._bot(), self._uuid(dice.getrandbits(47), "8"), False
            )
        # Few come often, many come once.
        who = self._user(int(self.people * dice.random() ** 2))
        return Visit(script, who, self._uuid(dice.getrandbits(47), "8"), dice.random() < 0.35)

    def _bot(self) -> Who:
        dice = self.dice
        ip = f"198.51.100.{dice.randrange(1, 255)}"
        return Who("anonymous", "unknown", ip, dice.choice(BOTS), "")

    def _user(self, number: int) -> Who:
        who = self.users.get(number)
        if who is None:
            mine = random.Random(f"{self.people} {number}")
            ip = (
                f"2001:db8:{mine.randrange(65536):x}::{mine.randrange(1, 65536):x}"
                if mine.random() < 0.2
                else f"203.0.{mine.randrange(256)}.{mine.randrange(1, 255)}"
            )
            kind = mine.choices(("contractor", "partner", "admin"), (80, 18, 2))[0]
            agent = mine.choices([text for text, _ in AGENTS], [share for _, share in AGENTS])[0]
            who = self.users[number] = Who(
                f"user-{number:06d}", kind, ip, agent, f"anon-{mine.getrandbits(64):016x}"
            )
        return who

    def _uuid(self, ms: int, version: str) -> str:
        head, bits = f"{ms:012x}", self.dice.getrandbits(74)
        return (
            f"{head[:8]}-{head[8:]}-{version}{bits >> 62:03x}-"
            f"{bits >> 48 & 0x3FFF | 0x8000:04x}-{bits & 0xFFFFFFFFFFFF:012x}"
        )

    def lines(self) -> Iterator[bytes]:
        """Arrivals for ever."""
        dice, chance = self.dice, self.dice.random
        memory: list[bytes] = []
        now, second, text = float(START_MS), 0, ""
        hourly = [self.per_day * share / sum(RHYTHM) for share in RHYTHM]
        while True:
            roll = chance()
            if roll < REPEATED + CONTRADICTED and memory:
                # Half of them repeat what came just now, half what came at any time kept.
                recent = len(memory) - 1 - int(min(len(memory), 20) * chance())
                line = memory[recent if chance() < 0.5 else int(len(memory) * chance())]
                yield line if roll < REPEATED else contradicted(line)
                continue
            if chance() >= TIES:
                hour = int(now) % DAY_MS // 3_600_000
                now += 3_600_000 / hourly[hour] * 2 * chance()
            ms = int(now)
            if chance() < LATE:
                ms -= int(5 * DAY_MS * chance()) + 60_000
            if ms // 1000 != second:
                second = ms // 1000
                text = iso(ms)[:19]
            made = self._line(ms, text + MILLIS[ms % 1000])
            if len(memory) < REMEMBERED:
                memory.append(made)
            elif chance() < 0.02:
                memory[dice.randrange(REMEMBERED)] = made
            yield made

    def _line(self, ms: int, stamp: str) -> bytes:
        chance = self.dice.random
        index = int(ACTIVE * chance())
        visit = self.visits[index]
        step = visit.script[visit.next]
        if step == "sign in":
            visit.signed = True
            visit.show()
            visit.next += 1
            step = visit.script[visit.next]
        choices: list[Template] = self.templates[step]
        template = choices[int(len(choices) * chance())]
        interaction_id = self._uuid(ms, "8" if chance() < FOREIGN else "7")
        visit.next += 1
        if visit.next == len(visit.script):
            self.visits[index] = self._visit()
        return template.line(
            interaction_id, stamp, visit.shown, int(900 * chance()), self.slow[int(1024 * chance())]
        )


def contradicted(line: bytes) -> bytes:
    """The same id with another content."""
    return line.replace(b'"environment":"production"', b'"environment":"contradicted"')


def lines(seed: int, n: int, *, users: int = 20_000, per_day: float = 400_000) -> Iterator[bytes]:
    """`n` lines in the order of their arrival, without line feeds."""
    return islice(World(seed, users=users, per_day=per_day).lines(), n)


def records(
    seed: int, n: int, *, users: int = 20_000, per_day: float = 400_000
) -> Iterator[dict[str, Any]]:
    """The same as records."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    return map(decode, lines(seed, n, users=users, per_day=per_day))


def batches(seed: int, n: int, size: int = 100) -> Iterator[list[bytes]]:
    """The same in lists, as `Collector.put_batch` takes them."""
    source = lines(seed, n)
    while batch := list(islice(source, size)):
        yield batch


def calls(seed: int, n: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same as types and fields, as `Collector.record` takes them."""
    for record in records(seed, n):
        kind = record.pop("interaction_type")
        yield kind, {k: v for k, v in record.items() if k not in {"environment", "app_version"}}


def digest(line: bytes) -> bytes:
    """Eight bytes that stand for a line."""
    return hashlib.blake2b(line, digest_size=8).digest()


def truth(given: Iterable[bytes]) -> Truth:
    """What a table must hold of lines in the order of the log."""
    found = Truth(rows={})
    for line in given:
        record = msgspec.json.decode(line, type=dict[str, Any])
        found.lines += 1
        first = found.rows.setdefault(record["interaction_id"], mark := digest(line))
        if first is mark:
            found.types[record["interaction_type"]] += 1
            found.users[record["user_id"]] += 1
        elif first == mark:
            found.repeated += 1
        else:
            found.contradicted += 1
    return found


def main() -> int:
    """Write a file of lines."""
    parser = argparse.ArgumentParser(description="interactions of a made-up app")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--per-day", type=float, default=400_000)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    source = lines(options.seed, options.rows, users=options.users, per_day=options.per_day)
    with options.out.open("wb") as file:
        while piece := list(islice(source, 4096)):
            file.write(b"\n".join(piece) + b"\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
