"""Paths: which nodes follow each other within sessions, position by position.

In: the field whose values are the nodes (pages, routes, screens, types), where paths start or end,
and how far they go. Out: a row for each position and edge, as a flow diagram draws it.

Interactions with a node count, and sessions are made of these (see `sittings`). Those of one
millisecond stand in the order of their nodes' names. Nodes in a row that are the same are one, at
the time of the first of them. A path is a session's nodes:

    neither        from its first node on; position 1 is from the first node to the second
    start          from its first `start` on; sessions without one have no path
    end            up to its first `end`; position -1 leads there, -2 to the node before
    start and end  from its first `start` to the first `end` after it, positions from 1;
                   sessions without both have none

Edges further than `depth` are left out. Where a session ends at a node there is an edge to nothing:
`to` is null; with `end`, where it begins, an edge from nothing: `from` is null. Of each position
the `top` edges with the most sessions are rows, of equal ones the first by name; all others are
one, whose `from` and `to` are both null. `median_seconds` is the time from node to node.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from lakeward.analysis.events import looked
from lakeward.analysis.question import Column, Sql, says
from lakeward.analysis.sittings import Sat
from lakeward.errors import Rejected

DEEPEST: Final = 10
MOST_EDGES: Final = 1000
LONGEST_NODE: Final = 2000


class Paths(Sat, frozen=True, kw_only=True):
    """Which pages, routes or steps follow each other within sessions."""

    name: ClassVar[str] = "paths"

    node: Annotated[str, says("The field whose values are the nodes: path, route, screen …")] = (
        "path"
    )
    start: Annotated[str | None, says("The node that paths start at.")] = None
    end: Annotated[str | None, says("The node that paths end at.")] = None
    depth: Annotated[int, says("How many edges of a path, at most; up to 10.")] = 5
    top: Annotated[int, says("How many edges of a position; the others are one.")] = 20

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        looked(self.node)
        for parameter, node in (("start", self.start), ("end", self.end)):
            if node is not None and not 1 <= len(node) <= LONGEST_NODE:
                raise Rejected(f"`{parameter}` must be a value of {self.node}, not empty.")
        if not 1 <= self.depth <= DEEPEST:
            raise Rejected(f"`depth` must be from 1 to {DEEPEST}.")
        if not 1 <= self.top <= MOST_EDGES:
            raise Rejected(f"`top` must be from 1 to {MOST_EDGES}.")

    def columns(self) -> tuple[Column, ...]:
        """An edge and its figures."""
        return (
            Column("position", "integer", "Where on the path; negative ones lead to `end`."),
            Column("from", "text", "The node; null where the session begins, or of all others."),
            Column("to", "text", "The next node; null where the session ends, or of all others."),
            Column("units", "integer", "Whose paths go this way.", "units"),
            Column("sessions", "integer", "Sessions whose path does.", "sessions"),
            Column("median_seconds", "number", "Time from node to node, median.", "s"),
        )

    def sql(self) -> Sql:
        """Over `interactions`, or `stitched` where the sessions are a person's."""
        from lakeward.analysis.paths_sql import quick, statement

        return quick(self) or statement(self)

    def portable(self) -> Sql:
        """The form that every engine takes."""
        from lakeward.analysis.paths_sql import statement

        return statement(self)
