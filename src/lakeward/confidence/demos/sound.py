"""How loud a demo is, moment by moment: what is speech and what is silence.

In: samples. Out: a level for each tenth of a second, in dB of full scale. Nothing fails.

A moment is silent when it is `BELOW` dB under the loud part of the same demo (the level that 95 %
of its moments do not exceed), or under `FLOOR` in any case: a quiet recording is not one long
silence, and noise without a voice is no speech.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RATE: Final = 16_000
MOMENT: Final = RATE // 10
BELOW: Final = 30.0
FLOOR: Final = -60.0
LOUD: Final = 95
"""The percentile that counts as the demo's loud part."""


def levels(pieces: Iterable[Any]) -> NDArray[np.float32]:
    """The level of each whole tenth of a second."""
    import numpy as np

    found: list[Any] = []
    rest = np.zeros(0, dtype=np.float32)
    for piece in pieces:
        rest = np.concatenate((rest, piece))
        whole = len(rest) // MOMENT * MOMENT
        if whole:
            power = np.square(rest[:whole].reshape(-1, MOMENT), dtype=np.float64).mean(axis=1)
            found.append(10 * np.log10(np.maximum(np.nan_to_num(power), 1e-12)))
            rest = rest[whole:]
    return np.concatenate(found).astype(np.float32) if found else np.zeros(0, dtype=np.float32)


def silent(found: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which moments are."""
    import numpy as np

    if not len(found):
        return np.zeros(0, dtype=np.bool_)
    threshold = max(FLOOR, float(np.percentile(found, LOUD)) - BELOW)
    return np.asarray(found < threshold)


def is_silent(quiet: NDArray[np.bool_], start: float, end: float) -> bool:
    """Whether nothing is to be heard between two seconds."""
    part = quiet[int(start * 10) : max(int(start * 10) + 1, int(end * 10))]
    return bool(len(part)) and bool(part.all())
