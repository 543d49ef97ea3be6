"""What flags plan of an experiment, for whoever asks about it without saying it again.

In: settings and arguments of `lakeward experiment`. Out: the arguments filled with what the flag
says of metrics, guardrails, split, days, unit and control, where nobody said otherwise; sentences
on what was passed over. Fails with `Rejected` where flags contradict each other, with `Terminal`
for a split that is none.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lakeward.errors import Rejected, Terminal
from lakeward.settings import Settings

if TYPE_CHECKING:  # what is behind it needs an extra that other commands do without
    from lakeward.analysis.experiment.brief import Split
    from lakeward.flags.feature import Payload


def fill(settings: Settings, arguments: argparse.Namespace) -> list[str]:
    """Say what nobody said; the sentences are notes of the report."""
    from lakeward.analysis.experiment.brief import Said, filled

    split_of(arguments.split)
    found = filled(
        settings,
        Said(
            experiment=arguments.name,
            metrics=tuple(arguments.metric),
            guardrails=tuple(arguments.guardrail),
            split=arguments.split,
            within_days=arguments.within,
            unit=arguments.unit,
            control=arguments.control,
        ),
    )
    arguments.metric, arguments.guardrail = list(found.said.metrics), list(found.said.guardrails)
    arguments.within, arguments.unit = found.said.within_days, found.said.unit
    arguments.control, arguments.split = found.said.control, found.split
    return list(found.notes)


def faults(payload: Payload) -> list[str]:
    """What to mend in definitions, plans included."""
    from lakeward.analysis.experiment.brief import faults

    return faults(payload)


def counted(flags: int) -> str:
    """So many flags, in words."""
    return "1 flag" if flags == 1 else f"{flags:,} flags"


def split_of(text: str | Split | None) -> Split:
    """Planned shares, as somebody wrote them or as they were read already."""
    from lakeward.analysis.experiment import brief

    if text is not None and not isinstance(text, str):
        return text
    try:
        return brief.split_of(text)
    except Rejected as error:
        raise Terminal(f"--split: {error}") from None
