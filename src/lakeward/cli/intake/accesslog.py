"""One line of a web server's access log → the fields of an `api_call`.

In: the text of a line in the common, combined or vhost_combined format, e.g.

    1.2.3.4 - ann [17/May/2015:10:05:03 +0000] "GET /a?b=1 HTTP/1.1" 200 235 "referrer" "agent"

Out: the fields, or None when there is no address, time, request and status. A line cut short after
its status gives what it still has. A request that is not HTTP (`-`, a TLS hello) has no method, an
empty path, since every `api_call` has one, and its text in `metadata.request_line`. What follows
the known parts is `metadata.tail`. Nothing is scrubbed here, the collector does that; nothing is
raised.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from lakeward.interaction import JsonObject

_QUOTED = r'(?:[^"\\]++|\\.|\\$)*+'
_LINE = re.compile(
    r"(?:(?P<vhost>[^\s:]+:\d+) )?(?P<ip>\S++) \S++ (?P<user>[^\[]{0,256}?) "
    r'\[(?P<time>[^\]"]{10,40})\] '
    rf'"(?P<request>{_QUOTED}|.*?)" (?P<status>\d{{3}}|-)(?!\S)'
    r"(?: (?P<size>\d{1,18}|-)(?!\S))?"
    rf'(?: "(?P<referrer>{_QUOTED})(?:"|$))?'
    rf'(?: "(?P<agent>{_QUOTED})(?:"|$))?'
    r"(?P<tail>.*)",
    re.ASCII | re.DOTALL,
)
_REQUEST = re.compile(r"([A-Za-z][A-Za-z_-]*) (\S.*?)(?: HTTP/\d(?:\.\d)?)?", re.ASCII | re.DOTALL)
_TIME = re.compile(
    r"(\d\d?)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d):(\d\d)(?: ?([+-]\d{4}))?", re.ASCII
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def fields_of(text: str) -> JsonObject | None:
    """The fields of one line, `timestamp` as the log wrote it; None when it is no access line."""
    match = _LINE.match(text.strip("\0 \t"))
    if not match:
        return None
    found = {name: _unquoted(value) for name, value in match.groupdict("").items()}
    request = _REQUEST.fullmatch(found["request"] or "")
    path, _, query = request[2].partition("?") if request else ("", "", "")
    optional = {
        "query_params": _query(query),
        "referrer": found["referrer"],
        "response_bytes": int(match["size"]) if found["size"] else None,
        "metadata": _metadata(found, known_request=request is not None),
    }
    return {
        "interaction_type": "api_call",
        "timestamp": match["time"],
        "method": request[1] if request else None,
        "path": path,
        "user_id": found["user"] or "anonymous",
        "response_status": int(match["status"]) if found["status"] else None,
        "response_time_ms": None,
        "ip_address": found["ip"],
        "user_agent": found["agent"],
    } | {name: value for name, value in optional.items() if value not in (None, {})}


def iso_of(time: str) -> str:
    """A log's `17/May/2015:10:05:03 +0000` as ISO 8601; any other text as it is."""
    parts = _TIME.fullmatch(time)
    if not parts or parts[2] not in _MONTHS:
        return time
    day, month, year, minutes, second, zone = parts.groups("")
    second = min(second, "59")  # a leap second has no ISO form that Python reads
    return f"{year}-{_MONTHS.index(month) + 1:02}-{day:0>2}T{minutes}:{second}{zone}"


def _unquoted(text: str) -> str | None:
    """`text` without the server's escapes of quotes; None for what it writes when absent."""
    return None if text in ("", "-", '""') else re.sub(r"\\([\"\\])", r"\1", text)


def _query(text: str) -> JsonObject:
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        values.setdefault(name, []).append(value)
    return {name: many[0] if len(many) == 1 else many for name, many in values.items()}


def _metadata(found: dict[str, str | None], *, known_request: bool) -> JsonObject:
    rest = {
        "vhost": found["vhost"],
        "request_line": None if known_request else found["request"],
        "tail": (found["tail"] or "").strip(),
    }
    return {name: value for name, value in rest.items() if value}
