"""Feeds: one for those who see everything, and one for each partner that watches.

In: a lake's folder. Out: the `Feed` of a partner, made when it is first asked for and let go when
nobody has watched it for a while. Says no with 503 when too many partners watch at once.
"""

from __future__ import annotations

from lakeward.lakedir import LakeDir
from lakeward.server.answer import Refusal
from lakeward.server.feed import Feed

MOST_PARTNERS = 32


class Feeds:
    """The feeds of one lake in one process."""

    def __init__(self, lake: LakeDir, everything: Feed) -> None:
        self._lake = lake
        self._everything = everything
        self._partners: dict[str, Feed] = {}

    def of(self, partner: str | None) -> Feed:
        """The feed of a partner; without one, of everything."""
        if partner is None:
            return self._everything
        feed = self._partners.get(partner)
        if feed is None:
            for name in [name for name, feed in self._partners.items() if feed.idle]:
                del self._partners[name]
            if len(self._partners) >= MOST_PARTNERS:
                raise Refusal(503, "busy", "Too many watch already: try again in a moment.",
                              retry_after=5)  # fmt: skip
            feed = self._partners[partner] = Feed(self._lake, partner=partner)
        return feed

    def stop(self) -> None:
        """End all of them at once."""
        for feed in (self._everything, *self._partners.values()):
            feed.stop()
