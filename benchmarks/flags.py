"""What an evaluation costs: `Flags` by itself, and behind OpenFeature's client beside the SDK's own
provider of flags in memory.

    itself       a plain value; a rule with a condition on three attributes; an experiment whose
                 exposure was told before; the same with sticky assignments; the tenth rule
    told         the first exposure of each unit, through a real collector into its ring
    OpenFeature  one client, one flag with a value: this provider and `InMemoryProvider`

CPU time of the calling thread; units differ from call to call.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.provider import AbstractProvider
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

from lakeward.collector import Collector
from lakeward.flags import FixedSource, Flags, MemorySticky
from lakeward.flags.feature import Payload
from lakeward.flags.provider import LakewardProvider
from lakeward.settings import load
from measure import Report, interleaved, scratch, spread, table

CALLS = 20_000
FIRST = 5_000
TRIAL = {"variations": ["a", "b"], "hashAttribute": "user_id", "hashVersion": 2}
TARGETED = {
    "condition": {"country": {"$in": ["NZ", "AU"]}, "age": {"$gte": 18}, "plan": "pro"},
    "force": True,
}
FEATURES: dict[str, Any] = {
    "value": {"defaultValue": "plain"},
    "targeted": {"defaultValue": False, "rules": [TARGETED]},
    "experiment": {"defaultValue": "a", "rules": [TRIAL]},
    "tenth": {"defaultValue": False, "rules": [
        *({"condition": {"tier": n}, "force": False} for n in range(9)), TARGETED,
    ]},
}  # fmt: skip
PEOPLE: list[dict[str, Any]] = [
    {"user_id": f"user-{n}", "country": "NZ", "age": 20 + n % 50, "plan": "pro", "tier": 99}
    for n in range(1_000)
]


def flags(collector: Collector | None = None, **more: Any) -> Flags:
    payload = msgspec.convert({"features": FEATURES}, Payload)
    return Flags(FixedSource(payload), collector, every=3600, **more)


def taken(call: Callable[[dict[str, Any]], object], calls: int = CALLS) -> float:
    """CPU µs of one call."""
    people = [PEOPLE[n % len(PEOPLE)] for n in range(calls)]
    begun = time.thread_time()
    for person in people:
        call(person)
    return (time.thread_time() - begun) / calls * 1e6


def alone(report: Report, rounds: int) -> None:
    """Every kind of evaluation."""
    sticky = flags(sticky=MemorySticky())
    with scratch() as environ:
        settings = load(environ, Path(environ["LAKEWARD_LAKE_DIR"]).parent)
        with Collector(settings) as collector:
            asked = flags(collector)
            for person in PEOPLE:
                asked.evaluate("experiment", person)
                sticky.evaluate("experiment", person)
            sticky.watch.work()
            calls: dict[str, Callable[[dict[str, Any]], object]] = {
                "a value": lambda person: asked.evaluate("value", person),
                "a condition of three attributes": lambda p: asked.evaluate("targeted", p),
                "an experiment, told before": lambda p: asked.evaluate("experiment", p),
                "the same, kept before (sticky)": lambda p: sticky.evaluate("experiment", p),
                "the tenth rule": lambda p: asked.evaluate("tenth", p),
            }
            found: dict[str, list[float]] = {name: [] for name in calls}
            for number, name in interleaved(list(calls), rounds + 1):
                spent = taken(calls[name])
                if number:  # the first is the warm-up
                    found[name].append(spent)
            found["a first exposure"] = [_first(collector, n) for n in range(rounds + 1)][1:]
            asked.close()
    sticky.close()
    report.say(f"{CALLS:,} evaluations a block, {rounds} rounds; CPU µs of the calling thread.")
    rows = [[name, spread(samples).text()] for name, samples in found.items()]
    report.say(table(["evaluation", "CPU µs"], rows))
    report.goal("an experiment, told before", spread(found["an experiment, told before"]).median,
                25, "µs")  # fmt: skip
    report.figures["alone"] = found


def _first(collector: Collector, round_: int) -> float:
    fresh = flags(collector)
    begun = time.thread_time()
    for n in range(FIRST):
        fresh.evaluate("experiment", {"user_id": f"{round_}-{n}"})
    spent = (time.thread_time() - begun) / FIRST * 1e6
    assert fresh.stats()["exposures_told"] == FIRST, fresh.stats()
    fresh.close()
    collector.commit()
    return spent


def beside(report: Report, rounds: int) -> None:
    """OpenFeature's client with each provider."""
    providers: dict[str, AbstractProvider] = {
        "Lakeward": LakewardProvider(flags()),
        "InMemoryProvider": InMemoryProvider({"value": InMemoryFlag("on", {"on": "plain"})}),
    }
    found: dict[str, list[float]] = {name: [] for name in providers}
    for name, provider in providers.items():
        api.set_provider_and_wait(provider, domain=name)
    clients = {name: api.get_client(domain=name) for name in providers}
    contexts = {person["user_id"]: EvaluationContext(person["user_id"], person)
                for person in PEOPLE}  # fmt: skip
    for number, name in interleaved(list(providers), rounds + 1):
        client = clients[name]
        spent = taken(
            lambda p, c=client: c.get_string_value("value", "x", contexts[p["user_id"]])  # type: ignore[misc]  # bound now
        )
        if number:
            found[name].append(spent)
    ratio = spread([ours / theirs for ours, theirs in zip(*found.values(), strict=True)])
    rows = [[name, spread(samples).text()] for name, samples in found.items()]
    report.say(table(["provider of OpenFeature's client", "CPU µs"], rows))
    report.goal("Lakeward ÷ InMemoryProvider, same client", ratio.median, 1.5, "")
    report.figures["openfeature"] = found
    api.clear_providers()


def main() -> None:
    """Measure both."""
    report = Report("flags")
    alone(report, report.rounds(7))
    beside(report, report.rounds(7))
    report.finish()


if __name__ == "__main__":
    main()
