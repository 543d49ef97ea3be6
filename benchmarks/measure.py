"""What the benchmarks share: spread, goals, CPU of other processes, scratch lakes, and the report.

In: samples. Out: Markdown tables that name every goal beside its figure, the same as JSON, and a
section of README.md. Speed is CPU time wherever it can be: wall time on a shared machine measures
the neighbours.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import platform
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from lakeward.lakedir import file_system_of
from lakeward.version import VERSION

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"


class Spread(msgspec.Struct, frozen=True):
    """A median with what surrounds it."""

    median: float
    least: float
    most: float
    n: int

    def text(self, digits: int = 2) -> str:
        """`4.10 (3.92…4.61)`."""
        return f"{self.median:.{digits}f} ({self.least:.{digits}f}…{self.most:.{digits}f})"


def spread(samples: Sequence[float]) -> Spread:
    """Median, least and most of `samples`."""
    return Spread(statistics.median(samples), min(samples), max(samples), len(samples))


def quantile(ordered: Sequence[float], q: float) -> float:
    """The value below which a share `q` of sorted samples lies."""
    return ordered[min(int(len(ordered) * q), len(ordered) - 1)]


def upper_bound(differences: Sequence[float], confidence: float = 0.95) -> float:
    """One-sided upper bound of the median of paired differences, by bootstrap over the pairs."""
    dice = random.Random(7)  # seeded: a report can be repeated from its figures
    medians = sorted(
        statistics.median(dice.choices(differences, k=len(differences))) for _ in range(4000)
    )
    return quantile(medians, confidence)


def interleaved(names: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """(round, name) with every name once a round, each round in the reverse order of the last."""
    for number in range(rounds):
        for name in names if number % 2 == 0 else list(reversed(names)):
            yield number, name


def cpu_seconds(pid: int) -> float:
    """CPU time that the living threads of another process have had, to the nanosecond."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def keeper_pid(lake: Path) -> int:
    """The process that keeps `lake`, as its lock file says."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError, KeyError):
            bearing = json.loads((lake / ".lakeward" / "keeper.lock").read_bytes())
            if lives(bearing["pid"]):
                return int(bearing["pid"])
        time.sleep(0.01)
    raise RuntimeError(f"no keeper came for {lake}")


def end(pid: int, seconds: float = 8.0) -> None:
    """SIGTERM to a keeper of ours and wait until it is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while lives(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)


def lives(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


@contextlib.contextmanager
def scratch() -> Iterator[dict[str, str]]:
    """Environment of a fresh lake on a real disk with its rings in shared memory; both go after."""
    lake = Path(tempfile.mkdtemp(prefix="lakeward-bench-", dir=disk()))
    environ = {"LAKEWARD_LAKE_DIR": str(lake / "lake"), "LAKEWARD_KEEPER_IDLE_SECONDS": "3",
               "LAKEWARD_INDIVIDUAL_FILES": "off"}  # fmt: skip
    rings = None
    if os.path.ismount("/dev/shm"):
        rings = Path(tempfile.mkdtemp(prefix="lakeward-bench-", dir="/dev/shm"))
        environ["LAKEWARD_RING_DIR"] = str(rings)
    try:
        yield environ
    finally:
        with contextlib.suppress(OSError, ValueError, KeyError):
            lock = lake / "lake" / ".lakeward" / "keeper.lock"
            end(int(json.loads(lock.read_bytes())["pid"]))
        shutil.rmtree(lake, ignore_errors=True)
        if rings is not None:
            shutil.rmtree(rings, ignore_errors=True)


def disk() -> Path:
    """A folder on a real disk: LAKEWARD_BENCH_DIR, else /var/tmp."""
    path = Path(os.environ.get("LAKEWARD_BENCH_DIR", "/var/tmp"))
    if file_system_of(path) in {"tmpfs", "ramfs", ""}:
        raise SystemExit(f"{path} is not on a disk: set LAKEWARD_BENCH_DIR")
    return path


def child(
    script: str, *arguments: str, environ: Mapping[str, str] | None = None, seconds: float = 300
) -> Any:
    """Run one block in a fresh interpreter; the last line that it prints is its JSON answer."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), *arguments],
        env={**os.environ, **(environ or {})},
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    if done.returncode or not done.stdout.strip():
        raise RuntimeError(f"{script} {' '.join(arguments)}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


class Talker:
    """A helper process that answers each line on its input with one line of JSON, and ends by
    itself when that input ends."""

    def __init__(
        self, script: str, *arguments: str, environ: Mapping[str, str] | None = None
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / script), *arguments],
            env={**os.environ, **(environ or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.greeting = self._read()

    def ask(self, question: Any) -> Any:
        """Send a JSON line and wait for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended with {self._process.wait()}")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Goal(msgspec.Struct, frozen=True):
    """One promise beside what was measured."""

    name: str
    measured: float
    limit: float
    unit: str
    at_most: bool = True

    @property
    def met(self) -> bool:
        """Whether the figure is on the right side of the limit."""
        return self.measured <= self.limit if self.at_most else self.measured >= self.limit

    def row(self) -> list[str]:
        """Name, goal, measured, verdict."""
        sign = "≤" if self.at_most else "≥"
        return [
            self.name,
            f"{sign} {self.limit:g} {self.unit}".rstrip(),
            f"{self.measured:.3g} {self.unit}".rstrip(),
            "met" if self.met else "**missed**",
        ]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, aligned for reading as plain text too."""
    cells = [list(head), *map(list, rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) + " |"
             for r in cells]  # fmt: skip
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)


class Report:
    """Collects what one benchmark found; prints it, and keeps it where it was asked to."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.goals: list[Goal] = []
        self.figures: dict[str, Any] = {}
        self._parts: list[str] = []
        self._started = time.monotonic()
        parser = argparse.ArgumentParser(description=f"benchmark {name}")
        parser.add_argument("--json", type=Path, help="also write the figures to this file")
        parser.add_argument("--write", action="store_true", help="put them into README.md")
        parser.add_argument("--rounds", type=int, help="other number of rounds")
        self.arguments = parser.parse_args()

    def rounds(self, default: int) -> int:
        """How many rounds to run."""
        return int(self.arguments.rounds or default)

    def say(self, text: str) -> None:
        """Add and print a paragraph or a table."""
        self._parts.append(text)
        print(text, "\n", flush=True)

    def goal(
        self, name: str, measured: float, limit: float, unit: str, *, at_most: bool = True
    ) -> None:
        """Hold a figure against its goal."""
        self.goals.append(Goal(name, measured, limit, unit, at_most))

    def finish(self) -> None:
        """Print the goals and write what was asked for."""
        if self.goals:
            self.say(table(["goal", "limit", "measured", ""], [g.row() for g in self.goals]))
        seconds = time.monotonic() - self._started
        self.say(f"`python benchmarks/{self.name}.py`, {today()}, {seconds:.0f} s. {machine()}")
        if self.arguments.json:
            goals = [msgspec.structs.asdict(goal) | {"met": goal.met} for goal in self.goals]
            found = {"benchmark": self.name, "date": today(), "machine": machine(),
                     "goals": goals, "figures": self.figures}  # fmt: skip
            self.arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(found)))
        if self.arguments.write:
            write_section(self.name, "\n\n".join(self._parts))


def write_section(name: str, text: str) -> None:
    """Replace what stands between the marks of `name` in README.md."""
    first, last = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    before, _, rest = README.read_text().partition(first)
    _, _, after = rest.partition(last)
    if not rest or not after.startswith("\n"):
        raise SystemExit(f"{README} has no marks for {name}")
    README.write_text(f"{before}{first}{text}\n{last}{after}")


def today() -> str:
    """The date of the run (UTC)."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def machine() -> str:
    """One line about where the figures come from."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    return (
        f"{os.cpu_count()} cores of {model}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, lakes on {file_system_of(disk())}, "
        f"load at the end {load}, Lakeward {VERSION}."
    )
