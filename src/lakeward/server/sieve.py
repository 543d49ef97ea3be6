"""Which records a stream wants, as its query says it.

In: query parameters. Out: a `Sieve`, and yes or no for each entry. Fails with `Rejected`, in one
sentence that names the parameter.

    type=api_call,click    any of these types
    route=GET /api/x       exactly this route (or path, for what has no route), as the hour lists it
    status=5xx,404         any of these statuses or classes
    id=c-17                this user, anonymous, session, trace or interaction id
    q=northbuild           this text anywhere in the record, names of fields too; case is ignored
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from lakeward.errors import Rejected
from lakeward.server.hour import route_of
from lakeward.server.tail import Entry

NAMES = ("type", "route", "status", "id", "q")
LONGEST = 300
_STATUS = re.compile(r"[1-5]xx\Z|[1-5]\d\d\Z")


class Sieve(msgspec.Struct, frozen=True):
    """What must hold for a record to be shown; empty values ask for nothing."""

    types: frozenset[str] = frozenset()
    route: str = ""
    statuses: frozenset[str] = frozenset()
    id: str = ""
    needle: bytes = b""
    folded: str = ""

    @property
    def open(self) -> bool:
        """Whether everything passes."""
        return self == Sieve()

    def keeps(self, entry: Entry) -> bool:
        """Whether the entry passes."""
        row = entry.row
        if self.types and row.interaction_type not in self.types:
            return False
        if self.route and route_of(row) != self.route:
            return False
        if self.statuses:
            status = str(row.response_status)
            if status not in self.statuses and f"{status[0]}xx" not in self.statuses:
                return False
        if self.id and self.id not in (
            row.user_id, row.anonymous_id, row.session_id, row.trace_id, row.interaction_id
        ):  # fmt: skip
            return False
        return not (self.needle or self.folded) or self._speaks(entry.line)

    def _speaks(self, line: bytes) -> bool:
        if self.needle:
            return self.needle in line.lower()
        return self.folded in line.decode("utf-8", "replace").casefold()


def parse_sieve(query: Mapping[str, Sequence[str]]) -> Sieve:
    """The sieve of a query; parameters of other names are not ours and ignored."""
    values = {name: _value(query, name) for name in NAMES}
    statuses = _listed(values["status"])
    for status in statuses:
        if not _STATUS.match(status):
            raise Rejected("`status` takes statuses such as 404 and classes such as 5xx")
    # The text is looked for in the line as it stands, where quotes and the like are escaped.
    text = msgspec.json.encode(values["q"]).decode()[1:-1]
    needle, folded = (text.lower().encode(), "") if text.isascii() else (b"", text.casefold())
    return Sieve(_listed(values["type"]), values["route"], statuses, values["id"], needle, folded)


def _value(query: Mapping[str, Sequence[str]], name: str) -> str:
    value = (
        ",".join(query.get(name, ())) if name in {"type", "status"} else query.get(name, [""])[-1]
    )
    if len(value) > LONGEST:
        raise Rejected(f"`{name}` is longer than {LONGEST} characters")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Rejected(f"`{name}` is not text") from None
    return value.strip()


def _listed(value: str) -> frozenset[str]:
    return frozenset(part for part in (p.strip() for p in value.split(",")) if part)
