"""Speech to text on this machine, by a faster-whisper model whose folder is given.

In: samples of the sound, which moments are silent, a folder. Out: the language and segments with
the seconds of each word. Fails with `Terminal` for a folder that is no model, and `MissingExtra`.

Such models make up words where nothing is said. What one hears in silence, or is not sure to be
speech at all, is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakeward.confidence.demos.sound import RATE, is_silent
from lakeward.errors import MissingExtra, Terminal
from lakeward.store.demo import Segment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NO_SPEECH: Final = 0.6
"""The model's own doubt that somebody speaks, from which it is not believed."""
THREADS: Final = 2


def transcribed(
    sound: NDArray[np.float32], quiet: NDArray[np.bool_], folder: Path,
    tell: Callable[[float], None],
) -> tuple[str | None, list[Segment]]:  # fmt: skip
    """What is said; `tell` hears how much of it is done."""
    if not len(sound) or quiet.all():
        return None, []
    found, info = _model(folder).transcribe(sound, word_timestamps=True, beam_size=1)
    seconds = len(sound) / RATE
    segments = []
    for segment in found:
        tell(min(float(segment.end) / seconds, 1.0))
        made = _segment(segment)
        if made.text and not _is_made_up(segment, quiet):
            segments.append(made)
    return (info.language if segments else None), segments


def _model(folder: Path) -> Any:
    try:
        from faster_whisper import WhisperModel
    except ImportError:
        raise MissingExtra("transcribing demos", "speech") from None
    if not (folder / "model.bin").is_file():
        raise Terminal("LAKEWARD_WHISPER_MODEL must be a folder with a model.bin of faster-whisper")
    return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=THREADS,
                        local_files_only=True)  # fmt: skip


def _segment(segment: Any) -> Segment:
    words: Iterable[Any] = segment.words or ()
    return Segment(
        text=" ".join(segment.text.split()), start=_seconds(segment.start),
        end=_seconds(segment.end),
        words=tuple((_seconds(w.start), _seconds(w.end), w.word.strip()) for w in words),
    )  # fmt: skip


def _seconds(value: Any) -> float:
    """What the model says, which is numpy's kind of number."""
    return round(float(value), 2)


def _is_made_up(segment: Any, quiet: NDArray[np.bool_]) -> bool:
    return segment.no_speech_prob > NO_SPEECH or is_silent(quiet, segment.start, segment.end)
