"""How an experiment is judged: what somebody says of it, and what its flag plans where they do not.

In: settings, and what was said. Out: that, filled from the flag, with sentences on what was passed
over. Fails with `Rejected` where flags contradict each other, and for words that are no split.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from lakeward.analysis.experiment.planned import Planned, Shares, planned
from lakeward.errors import LakewardError, Rejected
from lakeward.flags.feature import Payload
from lakeward.settings import Settings

Split = tuple[tuple[str | None, float], ...]


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What whoever asks says of an experiment; the rest is the flag's to say."""

    experiment: str
    metrics: tuple[str, ...] = ()
    """In the words of `lakeward.analysis.experiment.metric`."""
    guardrails: tuple[str, ...] = ()
    split: str | None = None
    """As `split_of` reads it."""
    within_days: float | None = None
    unit: str | None = None
    control: str | None = None


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    said: Said
    split: Split
    notes: tuple[str, ...] = ()


def filled(settings: Settings, said: Said) -> Filled:
    """What was said, and the rest from the flag."""
    split = split_of(said.split)
    try:
        payload = definitions(settings)
    except (LakewardError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        where = "in the app database" if settings.flags == "database" else f"in {settings.flags}"
        note = f"the flags {where} cannot be read, so nothing is taken from them: {why}"
        return Filled(said=said, split=split, notes=(note,))
    if payload is None:
        return Filled(said=said, split=split)
    notes = _to_mend(payload, said.experiment)
    found = planned(
        payload, said.experiment, split_told=said.split is not None,
        metrics_told=bool(said.metrics or said.guardrails),
    )  # fmt: skip
    if found is None:
        return Filled(said=said, split=split, notes=tuple(notes))
    return _from_plan(said, split, found, notes)


def _from_plan(said: Said, split: Split, found: Planned, notes: list[str]) -> Filled:
    plan, more = found.plan, list[str]()
    if plan.hypothesis:
        more.append(f"planned: {plan.hypothesis[:500]}")
    told = said.metrics or said.guardrails
    whole = msgspec.structs.replace(
        said,
        metrics=said.metrics if told else plan.metrics,
        guardrails=said.guardrails if told else plan.guardrails,
        within_days=plan.within_days if said.within_days is None else said.within_days,
        unit=plan.unit if said.unit is None else said.unit,
        control=plan.control if said.control is None else said.control,
    )
    if said.split is not None and found.split and differs(split, found.split):
        shares = ",".join(f"{arm}={share:g}" for arm, share in found.split)
        more.append(f"--split {said.split} is not what the flag plans, which is {shares}")
    return Filled(
        said=whole, split=found.split if said.split is None else split, notes=(*more, *notes)
    )


def _to_mend(payload: Payload, experiment: str) -> list[str]:
    """Faults of the flags that run an experiment: its units may be shared out otherwise."""
    from lakeward.flags.check import faults_of_feature

    return [
        f"mend the flag {key}: {fault}"
        for key, flag in payload.features.items()
        if any(rule.variations and (rule.key or key) == experiment for rule in flag.rules)
        for fault in faults_of_feature(key, flag, payload)
    ]


def differs(told: Split, planned: Shares) -> bool:
    """Whether a split that somebody wrote is another one than the flag's."""
    total = sum(share for _, share in told) or 1.0
    names = [arm for arm, _ in planned] if told[0][0] is None else [name for name, _ in told]
    shares = {name: share / total for name, (_, share) in zip(names, told, strict=False)}
    own = dict(planned)
    return len(told) != len(own) or any(
        abs(shares.get(arm, -1.0) - share) > 0.001 for arm, share in own.items()
    )


def split_of(text: str | None) -> Split:
    """Planned shares: `50/50` in the order of the arms, or `control=90,treatment=10`."""
    if text is None:
        return ()
    found: list[tuple[str | None, float]] = []
    for part in text.split("," if "=" in text else "/"):
        name, equals, share = part.rpartition("=")
        try:
            found.append((name if equals else None, float(share)))
        except ValueError:
            found = []
            break
    if not found or len({name for name, _ in found}) < len(found) * ("=" in text):
        raise Rejected(f"{text[:60]!r} must be like 50/50 or control=90,treatment=10")
    return tuple(found)


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
