"""The kill harness of the table: SIGKILLs keepers and compactors of one lake and counts from
outside.

    PYTHONPATH=benchmarks python tests/table_killing.py --lake DIR --rings DIR --kills 30

Six writers feed lines of the generator, duplicates and contradictions among them, also each other's
lines. Each tells, through a file that is not Lakeward's, every id of which `commit()` said that it
is durable. A reader opens one snapshot after the other and looks whether an id stands there twice,
whether there are fewer rows than before, and whether anything is missing that was told before it
looked. Afterwards the table is compared with the log, line by line: one row for each id, and its
content is that of the first line. Prints JSON.

`--mutant` leaves out the look for ids that the table has, to prove that this would be seen.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from generator import lines
from lakeward.audit import audit
from lakeward.collector import Collector
from lakeward.errors import LakewardError
from lakeward.lakedir import LakeDir, open_lake
from lakeward.log import read_lines
from lakeward.settings import Settings, load

WRITERS = 6
LOOKS = 3
"""Of the reader, at the least: a busy machine makes them slow."""
POINTS = ("after take", "before commit", "after commit")
ID = slice(19, 55)
MEMORY = 512 << 20


class Harness:
    """One lake with its processes; each of them is this file, started with another role."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.dice = random.Random(options.seed)
        self.root = Path(options.lake).parent
        self.kills: Counter[str] = Counter()
        self.environ = os.environ | {
            "LAKEWARD_LAKE_DIR": options.lake, "LAKEWARD_RING_DIR": options.rings,
            "LAKEWARD_KEEPER": "external", "LAKEWARD_ENV": "production",
            "LAKEWARD_SEGMENT_BYTES": str(options.segment), "LAKEWARD_COMPACT_BYTES": "256KiB",
            "LAKEWARD_COMPACT_SECONDS": "1", "LAKEWARD_COMPACT_MEMORY": "1GiB",
            "LAKEWARD_VACUUM_SECONDS": "1", "LAKEWARD_INDIVIDUAL_FILES": "off",
        }  # fmt: skip
        if options.mutant != "none":
            self.environ["LAKEWARD_COMPACT"] = "false"  # all compacting is the mutant's
        self.settings: Settings = load(self.environ, self.root)
        self.lake: LakeDir = open_lake(self.settings.lake_dir)
        self.started: list[subprocess.Popen[bytes]] = []
        self.keeper = self._keeper()
        self.compactor: subprocess.Popen[bytes] | None = None

    def start(self, *role: str) -> subprocess.Popen[bytes]:
        """A process of this file in another role."""
        command = [sys.executable, __file__, *sys.argv[1:], *role]
        return self._note(subprocess.Popen(command, env=self.environ, cwd=self.root))

    def _note(self, process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        self.started = [p for p in self.started if p.poll() is None] + [process]
        return process

    def end(self) -> None:
        """Leave no process behind, however this went."""
        for process in self.started:
            process.kill()
            process.wait()

    def _keeper(self) -> subprocess.Popen[bytes]:
        with (self.root / "keeper.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "lakeward.cli", "run"],
                env=self.environ, cwd=self.root, stdout=log, stderr=log,
            )  # fmt: skip
        return self._note(process)

    def run(self) -> dict[str, Any]:
        """Write, read and kill until all is written, enough is killed and enough was looked at;
        then compare."""
        each = ["--role", "writer", "--writer"]
        writers = [self.start(*each, str(number)) for number in range(WRITERS)]
        reader = self.start("--role", "reader")
        while (
            sum(self.kills.values()) < self.options.kills
            or any(w.poll() is None for w in writers)
            or self._looks() < LOOKS
        ):
            self._kill_something()
            self._look(reader)
        for writer in writers:
            if writer.wait():
                raise SystemExit(f"a writer ended with {writer.returncode}")
        reader.send_signal(signal.SIGTERM)
        if reader.wait(120):
            raise SystemExit("the reader failed")
        return self.finish()

    def _look(self, reader: subprocess.Popen[bytes]) -> None:
        if reader.poll() is not None:
            raise SystemExit(f"the reader ended with {reader.returncode}: see above")

    def _looks(self) -> int:
        looks = self.root / "looks"
        return looks.read_text().count("\n") if looks.exists() else 0

    def _kill_something(self) -> None:
        """A keeper, the compactor that it started, or one of ours, at a point or at any time."""
        roll = self.dice.random()
        if self.compactor is None and roll < 0.5:
            point = self.dice.choice((*POINTS, "", ""))
            self.compactor = self.start("--role", "compactor", "--point", point)
        longest = self.options.longest
        if self.compactor is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.compactor.wait(self.dice.uniform(0.05, longest))
            self._end_compactor()
            return
        time.sleep(self.dice.uniform(0.05, longest / 3))
        if roll < 0.75:
            self._kill_child()
        else:
            self.keeper.kill()
            self.keeper.wait()
            self.kills["keeper"] += 1
            time.sleep(self.dice.choice((0.0, 0.3)))
            self.keeper = self._keeper()

    def _end_compactor(self) -> None:
        """Kill it if it lives still; or it was killed at its point, or had nothing to do."""
        assert self.compactor is not None
        self.compactor.kill()
        if self.compactor.wait() == -signal.SIGKILL:
            self.kills["compactor"] += 1
        elif self.compactor.returncode:
            raise SystemExit(f"a compactor ended with {self.compactor.returncode}")
        self.compactor = None

    def _kill_child(self) -> None:
        children = Path(f"/proc/{self.keeper.pid}/task/{self.keeper.pid}/children")
        with contextlib.suppress(OSError):
            for pid in map(int, children.read_text().split()):
                if b"cli.compact" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
                    self.kills["child"] += 1

    def finish(self) -> dict[str, Any]:
        """Drain, compact what is left, and compare the table with the log."""
        deadline = time.monotonic() + 120
        while any(Path(self.options.rings).glob("*.ring")) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.keeper.terminate()
        self.keeper.wait(120)
        if self.options.mutant == "none":
            command = [sys.executable, "-m", "lakeward.cli", "compact", "--full"]
            subprocess.run(
                command, env=self.environ, cwd=self.root, check=True, capture_output=True
            )
        else:
            self.start("--role", "compactor").wait()
        report = audit(self.lake, (Path(self.options.rings),))
        return self.verdict() | {
            "kills": sum(self.kills.values()), "by": dict(self.kills), "ok": report.ok,
            "faults": report.faults[:5],
        }  # fmt: skip

    def verdict(self) -> dict[str, Any]:
        """Every line of the log, against every row."""
        from lakeward.lake.lookup import record_of
        from lakeward.lake.progress import read_progress
        from lakeward.lake.reading import open_reading

        firsts: dict[str, bytes] = {}
        read = other = 0
        for line, _ in read_lines(self.lake):
            read += 1
            other += firsts.setdefault(line[ID].decode(), line) != line
        wrong = rows = 0
        found: set[str] = set()
        with open_reading(self.lake, self.settings, memory=MEMORY) as reading:
            tail = reading.tail_rows
            cursor = reading.con.execute("FROM interactions")
            names = [column[0] for column in cursor.description or ()]
            while many := cursor.fetchmany(10_000):
                for row in many:
                    record = record_of(dict(zip(names, row, strict=True)))
                    first = firsts.get(record["interaction_id"], b"{}")
                    wrong += record != msgspec.json.decode(first)
                    found.add(record["interaction_id"])
                    rows += 1
        told = set(told_ids(self.root))
        counts = read_progress(self.lake).done.counts
        looks = [json.loads(text) for text in (self.root / "looks").read_text().splitlines()]
        return {
            "lines": read, "contradicted": other, "ids": len(firsts), "rows": rows,
            "wrong": wrong, "twice": rows - len(found), "missing": len(set(firsts) - found),
            "told": len(told), "told_missing": len(told - found), "tail": tail,
            "counted": msgspec.structs.asdict(counts), "snapshots": len(looks),
            "most_versions": max(look["version"] for look in looks),
        }  # fmt: skip


def told_ids(root: Path) -> Iterator[str]:
    """What writers were told to be durable."""
    for path in sorted(root.glob("told-*")):
        yield from path.read_text().split("\n")[:-1]


def write(options: argparse.Namespace, settings: Settings) -> None:
    """Feed a share of the lines, and now and then some of the neighbour's, at a steady pace."""
    share = options.rows // WRITERS
    source = lines(options.seed * 100 + options.writer, share, per_day=40_000)
    neighbour = lines(options.seed * 100 + (options.writer + 1) % WRITERS, share, per_day=40_000)
    dice = random.Random(options.writer)
    started, written = time.monotonic(), 0
    with (
        Collector(settings) as collector,
        (Path(options.lake).parent / f"told-{options.writer}").open("w") as told,
    ):
        while batch := list(itertools.islice(source, dice.randrange(1, 120))):
            written += len(batch)
            if dice.random() < 0.05:
                batch += itertools.islice(neighbour, 20)
            while not collector.put_batch(batch):
                time.sleep(0.02)
            while True:
                with contextlib.suppress(LakewardError):
                    collector.commit(5.0)
                    break
            told.write("".join(line[ID].decode() + "\n" for line in batch))
            told.flush()
            if options.pace:
                time.sleep(max(started + written / options.pace - time.monotonic(), 0))


def read(options: argparse.Namespace, settings: Settings) -> None:
    """Look at one snapshot after the other until SIGTERM."""
    from lakeward.lake.reading import open_reading

    root, lake = Path(options.lake).parent, open_lake(settings.lake_dir)
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    before = version = 0
    with (root / "looks").open("w") as looks:
        while not ended:
            told = list(told_ids(root))
            with open_reading(lake, settings, memory=MEMORY) as reading:
                found = look(reading.con, told) | {"version": reading.snapshot.version}
            looks.write(json.dumps(found) + "\n")
            looks.flush()
            if found["twice"] or found["missing"] or found["rows"] < before:
                raise SystemExit(f"after {before} rows in version {version}: {found}")
            before, version = found["rows"], found["version"]


def look(con: Any, told: list[str]) -> dict[str, int]:
    """Rows, ids that stand there twice, and ids that were told and do not."""
    import pyarrow as pa

    con.register("told", pa.table({"id": pa.array(told, pa.string())}))
    con.execute("CREATE TEMP TABLE seen AS SELECT interaction_id AS id FROM interactions")
    (rows, ids) = con.execute("SELECT count(*), count(DISTINCT id) FROM seen").fetchone()
    (missing,) = con.execute("SELECT count(*) FROM told ANTI JOIN seen USING (id)").fetchone()
    return {"rows": rows, "twice": rows - ids, "missing": missing}


def compact(options: argparse.Namespace, settings: Settings) -> None:
    """Compact in small slices, dying at a point when it is reached for the n-th time."""
    import lakeward.lake.compact
    from lakeward.lake.compact import Compactor, locked
    from lakeward.lake.delta import Table
    from lakeward.lake.merge import merge
    from lakeward.lake.storage import table_storage
    from lakeward.lake.vacuum import vacuum

    nth = iter(range(random.randrange(3), -1, -1))

    def pause(point: str) -> None:
        if point == options.point and next(nth) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    if options.mutant == "blind":
        lakeward.lake.compact.known_ids = lambda *_: set()
    lake = open_lake(settings.lake_dir, create=False)
    with locked(lake):
        table = Table(table_storage(lake.root, settings))
        compactor = Compactor(lake, table, memory=MEMORY, slice_bytes=options.slice, pause=pause)
        compactor.run()
        merge(compactor.con, table, compactor.scratch)
        vacuum(lake, table, settings.vacuum_seconds)
        compactor.close()


ROLES: dict[str, Callable[[argparse.Namespace, Settings], None]] = {
    "writer": write, "reader": read, "compactor": compact,
}  # fmt: skip


def main() -> int:
    """Play one's role; without one, run the others and print the verdict."""
    parser = argparse.ArgumentParser(description="kill keepers and compactors of one lake")
    parser.add_argument("--lake", required=True)
    parser.add_argument("--rings", required=True)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pace", type=float, default=0.0, help="lines a second of each writer")
    parser.add_argument("--longest", type=float, default=4.0, help="seconds until a kill")
    parser.add_argument("--slice", type=int, default=200_000, help="bytes of a commit")
    parser.add_argument("--segment", type=int, default=1_000_000)
    parser.add_argument("--mutant", choices=("none", "blind"), default="none")
    parser.add_argument("--role", choices=ROLES)
    parser.add_argument("--writer", type=int, default=0)
    parser.add_argument("--point", default="")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if options.role:
        ROLES[options.role](options, load(os.environ, Path(options.lake).parent))
        return 0
    Path(options.rings).mkdir(mode=0o700, parents=True)
    harness = Harness(options)
    try:
        print(json.dumps(harness.run()))
    finally:
        harness.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
