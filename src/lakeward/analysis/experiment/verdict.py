"""The verdict: what to do with each arm, in words, with the figures it stands on.

In: the checks and the metrics' results. Out: a `Verdict`. Pure.

    broken        the arms do not have their planned shares, or too many units met several arms:
                  no figure of the experiment can be trusted
    do_not_ship   a guardrail or a metric is worse, or what can be gained is too small to matter
    mixed         a metric is better and another worse: somebody has to weigh them
    ship          a metric is better, none is worse, no guardrail is hurt
    keep_running  none of these can be said yet

Metrics decide by adjusted p; guardrails by their own, since a correction would hide harm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from lakeward.analysis.experiment.ratio import ALPHA, Split
from lakeward.analysis.experiment.result import (
    ArmEffect,
    ArmUnits,
    MetricResult,
    Reason,
    Status,
    Terms,
    Verdict,
)
from lakeward.analysis.experiment.sequential import FEWEST

TOO_MANY: Final = 0.01
"""Share of units in several arms from which on assignment does not hold."""
FEW_CROSSED: Final = 10
"""So few of them break nothing."""
RANK: Final[dict[Status, int]] = {
    "ship": 0, "mixed": 1, "keep_running": 2, "do_not_ship": 3, "broken": 4,
}  # fmt: skip
"""Of several arms, the first of these is what is said of the experiment."""
ITS_NAME: Final = "is that its name?"
"""Asked of a metric that nobody has: misspelt, it would stay unclear for ever."""


def verdict(
    arms: Sequence[ArmUnits], crossed: int, split: Split, metrics: Sequence[MetricResult],
    terms: Terms,
) -> Verdict:  # fmt: skip
    """What to do with the experiment: with the arm of which most good can be said."""
    if broken := [*_split(arms, split), *_crossed(arms, crossed)]:
        first = broken[0].sentence
        return Verdict(status="broken", arm=None, sentence=f"Broken: {first}", reasons=broken)
    if few := _few(arms):
        sentence = f"Keep running: {few.sentence}"
        return Verdict(status="keep_running", arm=None, sentence=sentence, reasons=[few])
    if not metrics:
        nothing = Reason(
            code="no_metric",
            sentence="no metric was asked for: add --metric, or a plan to the flag.",
        )
        sentence = f"Keep running: {nothing.sentence}"
        return Verdict(status="keep_running", arm=None, sentence=sentence, reasons=[nothing])
    judged = [_of_arm(arm.arm, metrics, terms) for arm in arms[1:]]
    return min(judged, key=lambda each: (RANK[each.status], -_gain(each.arm, metrics)))


def _split(arms: Sequence[ArmUnits], split: Split) -> list[Reason]:
    if not split.broken or split.p is None:
        return []
    came = ", ".join(
        f"{arm.arm} {n:,} of {e:,.0f} planned"
        for arm, n, e in zip(arms, split.units, split.expected, strict=True)
    )
    sentence = (
        f"the arms do not have their planned shares ({came}; p {small(split.p)}, below {ALPHA}): "
        "find out what assigns, exposes or loses units unevenly, and begin anew."
    )
    return [Reason(code="sample_ratio", sentence=sentence, figures={"p": split.p})]


def _crossed(arms: Sequence[ArmUnits], crossed: int) -> list[Reason]:
    whole = crossed + sum(arm.units for arm in arms)
    if crossed < FEW_CROSSED or crossed <= TOO_MANY * whole:
        return []
    sentence = (
        f"{crossed:,} of {whole:,} units ({crossed / whole:.1%}) met several arms, above "
        f"{TOO_MANY:.0%}: make assignment stick to the unit that is analysed, and begin anew."
    )
    return [
        Reason(
            code="several_arms", sentence=sentence,
            figures={"units": crossed, "share": crossed / whole},
        )
    ]  # fmt: skip


def _few(arms: Sequence[ArmUnits]) -> Reason | None:
    least = min(arms, key=lambda arm: arm.units)
    if least.units >= FEWEST:
        return None
    sentence = f"{least.arm} has {least.units:,} units, and nothing is said below {FEWEST}."
    return Reason(code="few_units", sentence=sentence, arm=least.arm,
                  figures={"units": least.units})  # fmt: skip


def _of_arm(arm: str, metrics: Sequence[MetricResult], terms: Terms) -> Verdict:
    found = [(metric, _effect(metric, arm)) for metric in metrics]
    reasons = [_reason(metric, effect, terms) for metric, effect in found]
    states = {(metric.role, effect.state) for metric, effect in found}
    by = {code: [r for r in reasons if r.code == code] for code in _CODES}
    if by["guardrail_hurt"]:
        return _said("do_not_ship", arm, by["guardrail_hurt"], reasons)
    if ("metric", "better") in states:
        if by["worse"]:
            return _said("mixed", arm, [*by["better"], *by["worse"]], reasons)
        return _said("ship", arm, by["better"], reasons)
    if by["worse"]:
        return _said("do_not_ship", arm, by["worse"], reasons)
    deciding = [reason for reason in reasons if reason.code != "guardrail"]
    if deciding and all(reason.code == "too_small" for reason in deciding):
        return _said("do_not_ship", arm, by["too_small"], reasons)
    return _said("keep_running", arm, by["unclear"] or by["guardrail"] or reasons, reasons)


_CODES: Final = ("guardrail_hurt", "better", "worse", "too_small", "unclear", "guardrail")
_LEADS: Final[dict[Status, str]] = {
    "ship": "Ship {}", "do_not_ship": "Do not ship {}", "keep_running": "Keep running {}",
    "mixed": "Weigh {}", "broken": "Broken",
}  # fmt: skip


def _said(status: Status, arm: str, leading: Sequence[Reason], all_: list[Reason]) -> Verdict:
    sentence = f"{_LEADS[status].format(arm)}: " + " ".join(r.sentence for r in leading)
    guards = [reason.sentence for reason in all_ if reason.code == "guardrail"]
    if status == "ship" and guards:
        empty = [f"{said[:1].upper()}{said[1:]}" for said in guards if said.endswith(ITS_NAME)]
        sentence += " " + " ".join(empty or ["No guardrail is hurt."])
    return Verdict(status=status, arm=arm, sentence=sentence, reasons=all_)


def _reason(metric: MetricResult, effect: ArmEffect, terms: Terms) -> Reason:
    if metric.role == "guardrail":
        code = "guardrail_hurt" if effect.state == "worse" else "guardrail"
    elif effect.state != "unclear":
        code = effect.state
    else:
        code = "too_small" if _toosmall(metric, effect, terms) else "unclear"
    return Reason(
        code=code, arm=effect.arm, metric=metric.metric,
        sentence=_sentence(code, metric, effect, terms), figures=_figures(effect),
    )  # fmt: skip


def _toosmall(metric: MetricResult, effect: ArmEffect, terms: Terms) -> bool:
    """Whether the interval leaves out every gain that matters."""
    if terms.minimum is None or effect.lift is None:
        return False
    best = effect.lift.low if metric.better == "lower" else effect.lift.high
    if best is None:
        return False
    return (-best if metric.better == "lower" else best) < terms.minimum


def _sentence(code: str, metric: MetricResult, effect: ArmEffect, terms: Terms) -> str:
    measured = _measured(effect, terms.level)
    if code in ("guardrail", "unclear") and not any(arm.value for arm in metric.arms):
        lead = "the guardrail: " if code == "guardrail" else ""
        return f"{lead}nobody did {metric.metric}: {ITS_NAME}"
    match code:
        case "guardrail_hurt":
            return f"the guardrail {metric.metric} is hurt: {measured}."
        case "better" | "worse":
            return f"{metric.metric} is {code}: {measured}."
        case "too_small":
            return f"{metric.metric} gains less than {terms.minimum:.2%}, if anything: {measured}."
        case "guardrail":
            return f"the guardrail {metric.metric} is not seen to be hurt: {measured}."
    if effect.difference is None or effect.difference.p is None:
        return f"of {metric.metric} nothing can be said: its values do not differ enough yet."
    found = "" if effect.detectable is None else (
        f" So many units show a difference of {effect.detectable:.4g} or more in "
        f"{terms.power:.0%} of cases."
    )  # fmt: skip
    return f"{metric.metric} is unclear: {measured}.{found}{_needed(effect, terms)}"


def _needed(effect: ArmEffect, terms: Terms) -> str:
    """How many units the smallest lift that matters needs, and how long they take."""
    if effect.needed is None or terms.minimum is None:
        return ""
    left = "" if effect.days_left is None else f", about {effect.days_left:,.0f} days more"
    return f" A lift of {terms.minimum:.2%} needs {effect.needed:,} units of both arms{left}."


def _measured(effect: ArmEffect, level: float) -> str:
    """A difference in words; its p is the one that decides."""
    found = effect.difference
    if found is None:
        return "there is no value to compare"
    text = f"{found.value:+.4g}"
    if found.low is None or found.high is None:
        return f"{text}, without an interval"
    text += f" ({100 * level:.4g} % interval {found.low:+.4g} to {found.high:+.4g})"
    if effect.lift is not None:
        text += f", a lift of {effect.lift.value:+.1%}"
    if effect.p_adjusted is not None:
        return f"{text}, adjusted p {small(effect.p_adjusted)}"
    return text if found.p is None else f"{text}, p {small(found.p)}"


def _figures(effect: ArmEffect) -> dict[str, float]:
    figures = {
        "p_adjusted": effect.p_adjusted, "detectable": effect.detectable, "needed": effect.needed,
        "days_left": effect.days_left,
    }  # fmt: skip
    for name, found in (("difference", effect.difference), ("lift", effect.lift)):
        if found is not None:
            figures |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
            figures[f"{name}_p"] = found.p
    return {name: value for name, value in figures.items() if value is not None}


def _gain(arm: str | None, metrics: Sequence[MetricResult]) -> float:
    """How much better the arm is in the first metric, by which several arms are ranked."""
    for metric in metrics:
        if metric.role == "metric" and arm is not None:
            found = _effect(metric, arm).difference
            if found is None or found.p is None:
                return -math.inf
            return -found.value if metric.better == "lower" else found.value
    return 0.0


def _effect(metric: MetricResult, arm: str) -> ArmEffect:
    return next(effect for effect in metric.effects if effect.arm == arm)


def small(p: float) -> str:
    """A p as people write it."""
    return f"{p:.4f}" if p >= 0.0001 else f"{p:.1e}"
