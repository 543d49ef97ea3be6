"""Partners as PowerConfidence knows them: what they are called, and what their CEO says they offer.

In: a database, and the words of whoever keeps partners. A platform that has partners of its own
tells of them again and again, and nothing but a difference is a change. Out: a `Partner`. Fails
with `Terminal` naming what will not do, and as the database does.
"""

from __future__ import annotations

from typing import Final

ID_LENGTH: Final = 128
NAME_LENGTH: Final = 200
CATEGORY_LENGTH: Final = 64
PROPOSITION_LENGTH: Final = 20_000
