"""The kill harness: SIGKILLs writers and keepers of one lake and counts from outside.

Run as a program (tests and `make soak` do), so that it is single-threaded and may fork:

    python tests/killing.py --lake DIR --rings DIR --kills 300 --seed 7

Each writer tells the harness, through a file that is not Lakeward's, every id that `record()`
returned and every `commit()` that returned. Afterwards every told id must be in the log exactly
once; what stands there beyond that is at most one record for each writer killed. Prints JSON.

`--mutant` breaks the product on purpose, to prove that the harness would see it. `--power` ends
each episode as a power loss does: files keep what was synced, shared memory is gone.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import lakeward.log
from lakeward import ring_reader
from lakeward.audit import audit
from lakeward.collector import Collector
from lakeward.errors import LakewardError
from lakeward.fleet import Gathered
from lakeward.keeper import Keeper
from lakeward.lakedir import LakeDir, open_lake
from lakeward.ledger import Reason
from lakeward.log import read_lines
from lakeward.ring import DRAINED, FRAME_BYTES
from lakeward.settings import load

WRITER_POINTS = ("writer: before the copy", "writer: inside the copy", "writer: before the head",
                 "writer: before the rename", "writer: after the rename")  # fmt: skip
KEEPER_POINTS = (
    "before write", "inside write", "before fdatasync", "after fdatasync", "before release",
    "inside release", "after release", "before fold", "after fold", "after unlink",
    "before replace", "after replace", "opening a segment",
)  # fmt: skip
LAKEWARD_ID = 36
SEGMENT_BYTES = 40_000
ROTATE_BYTES = 3_000


def die() -> NoReturn:
    """End this process as SIGKILL does, now."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("not reached")


def after(n: int, action: Callable[..., Any]) -> Callable[..., bool]:
    """A switch that becomes true on its `n`-th call."""
    left = [n]

    def due(*_: Any) -> bool:
        left[0] -= 1
        if left[0] == 0:
            action()
        return left[0] <= 0

    return due


class EagerKeeper(Keeper):
    """The mutant: releases the tails before the bytes are durable."""

    def _commit(self, gathered: Gathered) -> None:
        self._release(gathered)
        self._make_durable(gathered)
        self._publish()


class Harness:
    """One lake, its writers and keepers, and what they told."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.random = random.Random(options.seed)
        self.lake_dir = Path(options.lake)
        self.rings = Path(options.rings)
        self.told = self.lake_dir.parent / f"told-{options.seed}"
        self.synced = self.lake_dir.parent / f"synced-{options.seed}"
        self.hits: Counter[str] = Counter()
        self.kills: Counter[str] = Counter()
        self.environ = {
            "LAKEWARD_LAKE_DIR": str(self.lake_dir), "LAKEWARD_RING_DIR": str(self.rings),
            "LAKEWARD_RING_BYTES": "512KiB", "LAKEWARD_FRAME_BYTES": "16KiB",
            "LAKEWARD_RING_LANES": "4", "LAKEWARD_KEEPER": "external",
        }  # fmt: skip
        self.lake = open_lake(self.lake_dir)

    def fork(self, child: Callable[[], None]) -> int:
        """Run `child` in a forked process."""
        pid = os.fork()
        if pid == 0:
            try:
                child()
            except BaseException as error:
                print(f"child failed: {error!r}", file=sys.stderr)
                os._exit(9)
            os._exit(0)
        return pid

    def writer(self, point: str | None, nth: int) -> None:
        """Record as fast as possible, telling each id; commit now and then."""
        told = os.open(self.told, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if point == "writer: before the rename":
            os.rename = after_call(os.rename, before=True)
        elif point == "writer: after the rename":
            os.rename = after_call(os.rename, before=False)
        collector = Collector(load(self.environ))
        dice = random.Random(nth)
        collector.record("page_view", url="first")
        attachment = collector.attach()
        assert attachment is not None
        if point is not None:
            arm_writer(attachment.ring, point, nth)
        last = ""
        while True:
            for _ in range(dice.randrange(1, 40)):
                found = collector.record("page_view", url="x" * dice.randrange(1, 300))
                if found is not None:
                    os.write(told, f"r{found}{os.getpid()}\n".encode())
                    last = found
                if dice.random() < 0.05:
                    collector.count(Reason.sampled)
                if dice.random() < 0.03:
                    collector.record("partner_match", score=-1)
            if last and dice.random() < 0.5:
                try:
                    collector.commit(0.05)
                    os.write(told, f"c{last}{os.getpid()}\n".encode())
                except LakewardError:
                    pass

    def keeper(self, point: str | None, nth: int) -> None:
        """Keep the lake, dying at `point` when it is reached for the `nth` time."""
        due = after(nth, die)

        def pause(name: str) -> None:
            if name == point:
                self._hit(name, due)

        arm_keeper(point, due, self._hit)
        made = EagerKeeper if self.options.mutant == "eager" else Keeper
        keeper = made(
            self.lake, self.rings, segment_bytes=SEGMENT_BYTES, pause=pause,
            fdatasync=self._fdatasync(point, due), rotate_bytes=ROTATE_BYTES,
        )  # fmt: skip
        signal.signal(signal.SIGTERM, lambda *_: keeper.stop())
        keeper.run(wait=5.0)

    def _hit(self, name: str, due: Callable[[], bool]) -> None:
        due()

    def _fdatasync(self, point: str | None, due: Callable[[], bool]) -> Callable[[int], None]:
        def sync(fd: int) -> None:
            if point == "before fdatasync":
                due()
            if self.options.power:
                # A disk of which only synced bytes survive: remember how far that is.
                size = os.fstat(fd).st_size
                path = os.readlink(f"/proc/self/fd/{fd}")
                with self.synced.open("a") as note:
                    note.write(json.dumps([path, size]) + "\n")
            else:
                os.fdatasync(fd)

        return sync

    def episode(self) -> None:
        """Start a keeper and writers, kill some of them, reap."""
        dice = self.random
        point = self._next_point() if dice.random() < self.options.named else None
        keeper_point = point if point in KEEPER_POINTS else None
        writer_point = point if point in WRITER_POINTS else None
        nth = dice.randrange(1, 4)
        keeper = self.fork(lambda: self.keeper(keeper_point, nth))
        writers = [
            self.fork(lambda seed=n: self.writer(writer_point, nth + seed * 977))  # type: ignore[misc]
            for n in range(dice.choice((1, 1, 2)))
        ]
        self._wait(keeper if keeper_point else writers[0] if writer_point else None)
        victims = dice.choice(("app", "keeper", "both")) if not self.options.power else "both"
        if victims in {"app", "both"}:
            self._kill(writers, writer_point, "app")
        if victims in {"keeper", "both"} or keeper_point:
            self._kill([keeper], keeper_point, "keeper")
            keeper = 0
        self._kill(writers, writer_point, "app")
        if keeper:
            os.kill(keeper, signal.SIGTERM)
            os.waitpid(keeper, 0)
        if self.options.power:
            self._lose_power()

    def _next_point(self) -> str:
        """The point that was hit least so far."""
        points = [*WRITER_POINTS, *KEEPER_POINTS]
        self.random.shuffle(points)
        return min(points, key=lambda point: self.hits[point])

    def _wait(self, marked: int | None) -> None:
        """Let them run: a random while, or until the marked process died at its point."""
        deadline = time.monotonic() + (0.6 if marked else self.random.uniform(0.0, 0.04))
        while time.monotonic() < deadline:
            if marked and os.waitid(os.P_PID, marked, os.WEXITED | os.WNOWAIT | os.WNOHANG):
                return
            time.sleep(0.001)

    def _kill(self, pids: list[int], point: str | None, who: str) -> None:
        for pid in pids:
            ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
            if ended is None:
                os.kill(pid, signal.SIGKILL)
                self.kills[who] += 1
            elif ended.si_status == signal.SIGKILL:
                self.kills[who] += 1
                self.hits[point or "?"] += 1
            else:
                raise SystemExit(f"{who} {pid} ended by itself with {ended.si_status}")
            os.waitpid(pid, 0)
        pids.clear()

    def _lose_power(self) -> None:
        """Files keep what was synced; shared memory and the unsynced ledger tail are gone."""
        if self.synced.exists():
            ends = dict(json.loads(line) for line in self.synced.read_text().splitlines())
            for name, size in ends.items():
                path = Path(name)
                if path.exists() and path.stat().st_size > size:
                    os.truncate(path, size)
        known = set(ends) if self.synced.exists() else set()
        for path in self.lake_dir.glob("raw/*/*/*/*.jsonl"):
            if str(path) not in known:
                os.truncate(path, 0)
        ledger = self.lake_dir / ".lakeward" / "ledger.jsonl"
        if ledger.exists() and self.random.random() < 0.7:
            lines = ledger.read_bytes().splitlines(keepends=True)
            ledger.write_bytes(b"".join(lines[: self.random.randrange(1, len(lines) + 1)]))
        if self.random.random() < 0.5:
            (self.lake_dir / ".lakeward" / "published").unlink(missing_ok=True)
        for path in self.rings.iterdir():
            if path.is_file() or path.is_socket():
                path.unlink()

    def finish(self) -> dict[str, Any]:
        """Let a last keeper take over everything, then count."""
        keeper = self.fork(lambda: self.keeper(None, 0))
        published = self.lake_dir / ".lakeward" / "published"
        before = published.stat().st_mtime_ns if published.exists() else 0
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and (
            any(self.rings.glob("*.ring"))
            or not published.exists()
            or published.stat().st_mtime_ns == before
        ):
            time.sleep(0.02)
        os.kill(keeper, signal.SIGTERM)
        os.waitpid(keeper, 0)
        return self.verdict()

    def verdict(self) -> dict[str, Any]:
        """Compare what writers told with what the log holds."""
        told, committed = read_told(self.told)
        found = Counter(log_ids(self.lake))
        report = audit(self.lake, (self.rings,))
        wanted = committed if self.options.power else told
        missing = [i for i in wanted if i not in found]
        return {
            "kills": sum(self.kills.values()), "by": dict(self.kills), "points": dict(self.hits),
            "told": len(told), "committed": len(committed), "found": sum(found.values()),
            "missing": len(missing), "twice": sum(1 for n in found.values() if n > 1),
            "untold": len(set(found) - told), "ok": report.ok, "faults": report.faults[:5],
            "sum": report.sum,
        }  # fmt: skip


def arm_writer(ring: Any, point: str, nth: int) -> None:
    """Make the ring kill its process at `point`, on the `nth` record from now."""
    due = after(nth % 50 + 1, lambda: None)
    crc, pack, heads = ring._crc, ring._pack, ring._heads
    if point == "writer: before the copy":
        ring._crc = lambda *a: die() if due() else crc(*a)
    elif point == "writer: inside the copy":

        def half(where: Any, at: int, size: int, *rest: Any) -> None:
            pack(where, at, size, *rest)
            if size != 0xFFFFFFFF and due():
                where[at + FRAME_BYTES : at + FRAME_BYTES + size // 2] = b"?" * (size // 2)
                die()

        ring._pack = half
    elif point == "writer: before the head":

        class Heads:
            def __setitem__(self, index: int, value: int) -> None:
                if due():
                    die()
                heads[index] = value

            def __iter__(self) -> Any:
                return iter(heads)

        ring._heads = Heads()


def after_call(function: Callable[..., Any], *, before: bool) -> Callable[..., Any]:
    """`function`, around which this process dies when it renames a ring."""

    def deadly(source: Any, target: Any) -> None:
        if not str(target).endswith(".ring"):
            function(source, target)
            return
        if not before:
            function(source, target)
        die()

    return deadly


def arm_keeper(
    point: str | None, due: Callable[[], bool], hit: Callable[[str, Callable[[], bool]], None]
) -> None:
    """Points that lie inside functions of the system: half a write, replace, opening a segment."""
    write_all, replace, make = lakeward.log.write_all, os.replace, lakeward.log.make_folders
    if point == "inside write":

        def half(fd: int, content: bytes) -> None:
            if os.readlink(f"/proc/self/fd/{fd}").endswith(".jsonl") and len(content) > 200:
                write_all(fd, content[: len(content) // 2])
                due()
                content = content[len(content) // 2 :]
            write_all(fd, content)

        lakeward.log.write_all = half
    elif point in {"before replace", "after replace"}:

        def deadly(source: Any, target: Any) -> None:
            if point == "before replace":
                due()
            replace(source, target)
            if point == "after replace":
                due()

        os.replace = deadly  # type: ignore[assignment]
    elif point == "inside release":
        store = ring_reader.store_word

        def half_release(where: Any, at: int, word: int) -> None:
            store(where, at, word)
            if at < DRAINED:
                due()

        ring_reader.store_word = half_release
    elif point == "opening a segment":

        def folders(path: Path, mode: int = 0o750) -> None:
            due()
            make(path, mode)

        lakeward.log.make_folders = folders


def read_told(path: Path) -> tuple[set[str], set[str]]:
    """Ids that `record()` returned, and those of them that a returned `commit()` covers."""
    told: set[str] = set()
    committed: set[str] = set()
    uncommitted: dict[str, set[str]] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        kind, identifier, pid = line[:1], line[1 : 1 + LAKEWARD_ID], line[1 + LAKEWARD_ID :]
        if kind == "r":
            told.add(identifier)
            uncommitted.setdefault(pid, set()).add(identifier)
        else:
            committed |= uncommitted.pop(pid, set())
    return told, committed


def log_ids(lake: LakeDir) -> list[str]:
    """Every id in the log, through the reader."""
    return [json.loads(line)["interaction_id"] for line, _ in read_lines(lake)]


def main() -> int:
    """Run the episodes and print the verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lake", required=True)
    parser.add_argument("--rings", required=True)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--named", type=float, default=0.6, help="share of kills at named points")
    parser.add_argument("--seconds", type=float, default=3000.0, help="stop after this long")
    parser.add_argument("--mutant", choices=("none", "eager"), default="none")
    parser.add_argument("--power", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    shutil.rmtree(options.rings, ignore_errors=True)
    Path(options.rings).mkdir(mode=0o700, parents=True)
    harness = Harness(options)
    deadline = time.monotonic() + options.seconds
    while sum(harness.kills.values()) < options.kills and time.monotonic() < deadline:
        harness.episode()
    verdict = harness.finish()
    print(json.dumps(verdict))
    shutil.rmtree(options.rings, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
