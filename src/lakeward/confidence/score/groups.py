"""Who belongs together: witnesses that any chain of links joins.

In: links, each a list of witnesses that share something. Out: groups of two and more different
ones. Whoever joins two groups makes them one, or a ring of fakes would count by pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lakeward.confidence.score.flag import Key


def groups(links: Iterable[Sequence[Key]]) -> list[set[Key]]:
    """The groups, in an order of their own."""
    chief: dict[Key, Key] = {}

    def root(key: Key) -> Key:
        while chief[key] != key:
            chief[key] = chief[chief[key]]
            key = chief[key]
        return key

    for link in links:
        for key in link:
            chief.setdefault(key, key)
        for key in link[1:]:
            chief[root(key)] = root(link[0])
    members: dict[Key, set[Key]] = {}
    for key in chief:
        members.setdefault(root(key), set()).add(key)
    return sorted((each for each in members.values() if len(each) > 1), key=min)
