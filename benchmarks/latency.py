"""What an application's callers notice: latency under uvicorn with Lakeward on and off.

Four servers run side by side: `off`, `on`, `control` (off once more) and `delayed` (off with a
planted millisecond). One at a time is asked, at a steady rate, for a tenth of a second, to and fro,
so that a neighbour on the same machine disturbs all alike. A round collects a block of such slots
for each; a block has its own p50 and p99, and what is compared are the differences to `off` of the
same round. The figure that is held against the goal is the upper 95 % bound of their median, by
bootstrap over the rounds.

The method must tell one from the other: the control must pass in both directions and the planted
delay must fail, or the exit code is 1 and nothing is claimed. Rounds are added, up to a limit,
while the control does not pass; what `on` does has no say in that.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from measure import Report, Talker, interleaved, quantile, scratch, spread, table, upper_bound

NAMES = ("off", "on", "control", "delayed")
ROUNDS, MOST_ROUNDS, MORE = 24, 48, 6
RATE, SLOTS, SLOT_REQUESTS = 400, 15, 40
SHARE, FLOOR_MS = 0.02, 0.2

Blocks = dict[str, list[dict[str, float]]]


class Setting(msgspec.Struct, frozen=True):
    """What is served, and how it is asked."""

    served: str = ""
    """What stands before the names of the variants."""
    rate: int = RATE
    path: str = ""
    slot_requests: int = SLOT_REQUESTS


def one_round(load: Talker, ports: dict[str, int], setting: Setting) -> dict[str, dict[str, float]]:
    """p50 and p99 of one block of each server, in ms."""
    times: dict[str, list[float]] = {name: [] for name in NAMES}
    for _, name in interleaved(NAMES, SLOTS):
        order = {"port": ports[name], "requests": setting.slot_requests, "rate": setting.rate,
                 "path": setting.path}  # fmt: skip
        times[name] += load.ask(order)["times"]
    found = {}
    for name, block in times.items():
        block.sort()
        found[name] = {"p50": quantile(block, 0.5), "p99": quantile(block, 0.99)}
    return found


def limit(blocks: Blocks) -> float:
    """The goal in ms: 2 % of the p99 without Lakeward, and at least 0.2 ms."""
    return max(SHARE * spread([b["p99"] for b in blocks["off"]]).median, FLOOR_MS)


def differences(blocks: Blocks, name: str, q: str) -> list[float]:
    """How much slower than `off` each round was, in ms."""
    return [b[q] - a[q] for a, b in zip(blocks["off"], blocks[name], strict=True)]


def bound(blocks: Blocks, name: str) -> float:
    """Upper 95 % bound of the p99 difference to `off`, in ms."""
    return upper_bound(differences(blocks, name, "p99"))


def noise(blocks: Blocks) -> float:
    """The same for the control, whichever of the two was the slower."""
    there = differences(blocks, "control", "p99")
    return max(upper_bound(there), upper_bound([-difference for difference in there]))


def measure(rounds: int, setting: Setting = Setting()) -> Blocks:  # noqa: B008 - frozen
    """All blocks; the first round only warms up."""
    blocks: Blocks = {name: [] for name in NAMES}
    with contextlib.ExitStack() as stack:
        environ = stack.enter_context(scratch())
        load = stack.enter_context(Talker("load.py"))
        ports = {
            name: stack.enter_context(
                Talker("serving.py", setting.served + name, environ=environ)
            ).greeting["port"]
            for name in NAMES
        }
        one_round(load, ports, setting)
        while True:
            for _ in range(rounds):
                for name, block in one_round(load, ports, setting).items():
                    blocks[name].append(block)
            if noise(blocks) <= limit(blocks) or len(blocks["off"]) + MORE > MOST_ROUNDS:
                return blocks
            rounds = MORE


def rows(blocks: Blocks) -> Sequence[Sequence[str]]:
    """One row for each server."""
    made = []
    for name in NAMES:
        p50, p99 = (spread([b[q] for b in blocks[name]]).text(3) for q in ("p50", "p99"))
        row = [name, p50, p99]
        if name != "off":
            row += [
                f"{spread(differences(blocks, name, 'p50')).median:+.3f}",
                f"{spread(differences(blocks, name, 'p99')).median:+.3f}",
                f"{bound(blocks, name):+.3f}",
            ]
        made.append([*row, *[""] * (6 - len(row))])
    return made


def main() -> int:
    """Measure, report, and say whether the method can be believed."""
    return told(Report("latency"), "Latency", Setting())


def told(report: Report, what: str, setting: Setting) -> int:
    """0 when the method tells the control from the planted delay."""
    blocks = measure(report.rounds(ROUNDS), setting)
    most = limit(blocks)
    report.say(
        f"{what} under uvicorn at {setting.rate} requests a second, {len(blocks['off'])} rounds of "
        f"{SLOTS * setting.slot_requests} requests to each server, ms: median of the blocks "
        "(least…most), and the differences to `off` of the same round."
    )
    head = ["server", "p50", "p99", "Δ p50", "Δ p99", "Δ p99, 95 % bound"]
    report.say(table(head, rows(blocks)))
    passes, notices = noise(blocks) <= most, bound(blocks, "delayed") > most
    verdict: dict[str, Any] = {"limit_ms": most, "control_passes": passes, "delay_fails": notices}
    report.figures = {"blocks": blocks, **verdict}
    report.say(
        f"The control {'passes' if passes else 'DOES NOT PASS'} (bound in both directions "
        f"{noise(blocks):.3f} ms, limit {most:.3f} ms), the planted millisecond "
        f"{'fails' if notices else 'DOES NOT FAIL'}: the method "
        f"{'discriminates' if passes and notices else 'DOES NOT DISCRIMINATE on this machine now'}."
    )
    if passes and notices:
        report.goal("upper 95 % bound of the p99 difference", bound(blocks, "on"), most, "ms")
    report.finish()
    return 0 if passes and notices else 1


if __name__ == "__main__":
    sys.exit(main())
