"""What flags plan of an experiment, for whoever asks about it without saying it again.

In: settings and arguments of `lakeward experiment`. Out: the arguments filled with what the flag
says of metrics, guardrails, split, days, unit and control, where nobody said otherwise; sentences
on what was passed over. Fails with `Rejected` where flags contradict each other.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lakeward.errors import LakewardError, Terminal
from lakeward.settings import Settings

if TYPE_CHECKING:
    from lakeward.analysis.experiment.planned import Planned, Shares
    from lakeward.flags.feature import Payload


def fill(settings: Settings, arguments: argparse.Namespace) -> list[str]:
    """Say what nobody said; the sentences are notes of the report."""
    from lakeward.analysis.experiment.planned import planned

    try:
        payload = definitions(settings)
    except (LakewardError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        where = "in the app database" if settings.flags == "database" else f"in {settings.flags}"
        return [f"the flags {where} cannot be read, so nothing is taken from them: {why}"]
    if payload is None:
        return []
    notes = _to_mend(payload, arguments.name)
    found = planned(
        payload, arguments.name, split_told=arguments.split is not None,
        metrics_told=bool(arguments.metric or arguments.guardrail),
    )  # fmt: skip
    return notes if found is None else [*_filled(arguments, found), *notes]


def _to_mend(payload: Payload, experiment: str) -> list[str]:
    """Faults of the flags that run an experiment: its units may be shared out otherwise."""
    from lakeward.flags.check import faults_of_feature

    return [
        f"mend the flag {key}: {fault}"
        for key, flag in payload.features.items()
        if any(rule.variations and (rule.key or key) == experiment for rule in flag.rules)
        for fault in faults_of_feature(key, flag, payload)
    ]


def _filled(arguments: argparse.Namespace, found: Planned) -> list[str]:
    plan, notes = found.plan, []
    if plan.hypothesis:
        notes.append(f"planned: {plan.hypothesis[:500]}")
    if not arguments.metric and not arguments.guardrail:
        arguments.metric, arguments.guardrail = list(plan.metrics), list(plan.guardrails)
    for name, value in (
        ("within", plan.within_days), ("unit", plan.unit), ("control", plan.control),
    ):  # fmt: skip
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    said = ",".join(f"{arm}={share:g}" for arm, share in found.split)
    if arguments.split is None:
        arguments.split = found.split
    elif found.split and differs(split_of(arguments.split), found.split):
        notes.append(f"--split {arguments.split} is not what the flag plans, which is {said}")
    return notes


def differs(told: tuple[tuple[str | None, float], ...], planned: Shares) -> bool:
    """Whether a split that somebody wrote is another one than the flag's."""
    total = sum(share for _, share in told) or 1.0
    names = [arm for arm, _ in planned] if told[0][0] is None else [name for name, _ in told]
    shares = {name: share / total for name, (_, share) in zip(names, told, strict=False)}
    own = dict(planned)
    return len(told) != len(own) or any(
        abs(shares.get(arm, -1.0) - share) > 0.001 for arm, share in own.items()
    )


def definitions(settings: Settings) -> Payload | None:
    """The flags of the setting as they are now; None where there are none."""
    from lakeward.flags.source import FileSource, Source

    if not settings.flags:
        return None
    source: Source
    if settings.flags == "database":
        from lakeward.flags.database import DatabaseSource

        source = DatabaseSource(settings)
    else:
        source = FileSource(Path(settings.flags).expanduser())
    try:
        snapshot = source.read("")
    finally:
        source.close()
    return None if snapshot is None else snapshot.payload


def faults(payload: Payload) -> list[str]:
    """What to mend in definitions, plans included."""
    from lakeward.analysis.experiment.planned import faults_of_plans
    from lakeward.flags.check import faults_of

    return [*faults_of(payload), *faults_of_plans(payload)]


def counted(flags: int) -> str:
    """So many flags, in words."""
    return "1 flag" if flags == 1 else f"{flags:,} flags"


def split_of(text: str | Shares | None) -> tuple[tuple[str | None, float], ...]:
    """Planned shares: `50/50` in the order of the arms, or `control=90,treatment=10`."""
    if text is None:
        return ()
    if not isinstance(text, str):
        return text
    found: list[tuple[str | None, float]] = []
    for part in text.split("," if "=" in text else "/"):
        name, equals, share = part.rpartition("=")
        try:
            found.append((name if equals else None, float(share)))
        except ValueError:
            found = []
            break
    if not found or len({name for name, _ in found}) < len(found) * ("=" in text):
        raise Terminal(f"--split: {text[:60]!r} must be like 50/50 or control=90,treatment=10")
    return tuple(found)
