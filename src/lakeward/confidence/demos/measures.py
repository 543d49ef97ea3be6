"""What can be counted in a demo: words, how fast they come, how much is silence, topics.

In: the segments of a transcript and how long is spoken. Out: `Measures`. Nothing fails.

Words per minute are words over the time in which something is heard, not over the whole length: a
pause does not make a speaker slow. Where there is no sound, the time of the cues counts instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from lakeward.confidence.demos.topics import topics_of
from lakeward.store.demo import Measures, Segment

WORD: Final = re.compile(r"[^\W_]+(?:['\u2019.-][^\W_]+)*")
LEAST_SECONDS: Final = 1.0
"""Below this nothing can be said of how fast somebody speaks."""
FASTEST: Final = 10_000.0


def measured(
    segments: Sequence[Segment] | None, speech: float | None, silence: float | None
) -> Measures:
    """The figures; `speech` and `silence` are None where there is no sound to measure."""
    if segments is None:
        return Measures(speech_seconds=speech, silence_share=silence)
    text = [segment.text for segment in segments]
    words = sum(len(WORD.findall(line)) for line in text)
    seconds = speech if speech is not None else _cued(segments)
    rate = None
    if seconds is not None and seconds >= LEAST_SECONDS:
        rate = min(round(words * 60 / seconds, 1), FASTEST)
    return Measures(
        words=words, words_per_minute=rate, speech_seconds=speech, silence_share=silence,
        topics=tuple(topics_of(text)),
    )  # fmt: skip


def _cued(segments: Sequence[Segment]) -> float | None:
    """How long cues are shown, where they overlap once."""
    spans = sorted((s.start, s.end) for s in segments if s.start is not None and s.end is not None)
    if not spans:
        return None
    total, until = 0.0, 0.0
    for start, end in spans:
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total
