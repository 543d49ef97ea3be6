"""PowerConfidence: a partner's score, earned from several kinds of witnesses.

Its parts are imported by their own names: `score` computes, `consistency` compares what is said.
"""

from __future__ import annotations
