"""Where visitors came from, as DuckDB derives it: the referrer's host and the campaign's words.

In: columns `url`, `query_params` (JSON text), `properties` (JSON text) and `referrer`. Out: SQL
expressions by column. Pure; none of them fails for what a value holds, in any encoding.

A campaign stands in the page's address, or else among a call's query parameters, or else it was
sent by name. Of a parameter given twice the first counts. The referrer's host is that of any page
before, the app's own included: whether it is the app's own is a question's matter, for an app may
have many hosts.
"""

from __future__ import annotations

from typing import Final

LONGEST: Final = 200
"""Characters of a campaign's word that are kept, as many as the catalog lets a client send."""
UTM: Final = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")

HOST: Final = r"^(?:[A-Za-z][A-Za-z0-9+.-]*:)?//(?:[^/?#@]*@)?(\[[0-9A-Fa-f:.]+\]|[^/?#:@\[\]\s]+)"
"""The host of an address: behind scheme and credentials, before port and path."""


def _in_url(name: str) -> str:
    """A parameter of the page's address, decoded as forms are; as it stands where that is no
    text."""
    raw = f"regexp_extract(url, '[?&]{name}=([^&#]*)', 1)"
    given = f"contains(url, '?{name}=') OR contains(url, '&{name}=')"
    return f"CASE WHEN {given} THEN coalesce(TRY(url_decode(replace({raw}, '+', ' '))), {raw}) END"


def _in_json(column: str, name: str) -> str:
    """A member of a JSON object; of a list of them the first."""
    return (
        f"CASE WHEN contains({column}, '\"{name}\"') THEN TRY(coalesce("
        f"json_extract_string({column}, '$.{name}[0]'), "
        f"json_extract_string({column}, '$.{name}'))) END"
    )


def _campaign(name: str) -> str:
    sources = (_in_url(name), _in_json("query_params", name), _in_json("properties", name))
    return f"trim(left(coalesce({', '.join(sources)}), {LONGEST}))"


CAMPAIGN_SQL: Final[dict[str, str]] = {
    "referrer_host": f"lower(regexp_extract(referrer, '{HOST}', 1))",
    **{name: _campaign(name) for name in UTM},
}
"""The expression of each derived column; what is empty is to become NULL."""
