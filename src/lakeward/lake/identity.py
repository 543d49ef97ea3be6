"""Who is who, worked out when it is asked: SQL over the views of `identify`, `alias` and `group`.

Out: the views `identities`, `stitched`, `people` and `groups`. They change no record, and a query
that does not name them does not pay for them.

    alias     anonymous_id ── user_id        the same person, for ever and both ways
    identify  anonymous_id ─► user_id        the person at that anonymous id, until the next one

User ids that aliases join are one person, called by the `user_id` of the newest of them. An
anonymous id never joins two user ids: two people may use one browser. It belongs to the first
person that identified there from its beginning on, and to each later one from then on. The id until
now, which an alias has in `anonymous_id`, may be of either kind, so it counts as both.
"""

from __future__ import annotations

from typing import Final

from lakeward.interaction import EARLIEST_MS, LATEST_MS

NOBODY: Final = "'anonymous'"
"""The record's word for a user that is not known."""
BEGINNING: Final = f"make_timestamptz({EARLIEST_MS}000)"
END: Final = f"make_timestamptz({LATEST_MS + 1}000)"

IDENTITIES: Final = f"""
WITH RECURSIVE told AS (
    SELECT anonymous_id AS previous, user_id AS id, timestamp AS moment,
        interaction_id AS place
    FROM alias
    WHERE user_id <> {NOBODY} AND previous NOT IN ({NOBODY}, '', user_id)
), joined AS (
    SELECT previous AS id, id AS other FROM told UNION SELECT id, previous FROM told
), reached(id, least) USING KEY (id) AS (
    SELECT DISTINCT id, id FROM joined
    UNION
    SELECT joined.other, min(reached.least)
    FROM reached JOIN joined ON joined.id = reached.id
    JOIN recurring.reached AS known ON known.id = joined.other
    WHERE reached.least < known.least
    GROUP BY joined.other
), named AS (
    SELECT least, arg_max(told.id, (moment, place)) AS person
    FROM told JOIN reached ON reached.id = told.id GROUP BY least
), users AS (
    SELECT reached.id, person FROM reached JOIN named USING (least)
), claims AS (
    SELECT anonymous_id AS id, coalesce(person, user_id) AS person, timestamp AS moment,
        interaction_id AS place
    FROM identify LEFT JOIN users ON users.id = user_id
    WHERE anonymous_id <> '' AND user_id <> {NOBODY}
    UNION ALL
    SELECT previous, person, moment, place FROM told JOIN users ON users.id = told.id
), settled AS (
    SELECT id, moment, arg_max(person, place) AS person FROM claims GROUP BY id, moment
), changed AS (
    SELECT *, lag(person) OVER (PARTITION BY id ORDER BY moment) AS before FROM settled
    QUALIFY before IS DISTINCT FROM person
)
SELECT 'anonymous_id' AS kind, id, person,
    if(before IS NULL, {BEGINNING}, moment) AS since,
    lead(moment, 1, {END}) OVER (PARTITION BY id ORDER BY moment) AS until
FROM changed
UNION ALL
SELECT 'user_id', id, person, {BEGINNING}, {END} FROM users
UNION ALL
SELECT DISTINCT 'user_id', user_id, user_id, {BEGINNING}, {END} FROM identify
WHERE user_id <> {NOBODY} AND user_id NOT IN (SELECT id FROM users)
"""

STITCHED: Final = f"""
SELECT i.*, CASE WHEN i.user_id <> {NOBODY} THEN coalesce(u.person, i.user_id)
    ELSE coalesce(a.person, nullif(i.anonymous_id, '')) END AS person
FROM interactions i
LEFT JOIN (FROM identities WHERE kind = 'user_id') u ON u.id = i.user_id
LEFT JOIN (FROM identities WHERE kind = 'anonymous_id') a
    ON a.id = i.anonymous_id AND i.timestamp >= a.since AND i.timestamp < a.until
"""


def merged(rows: str, *keys: str) -> str:
    """One row for each of the keys with the traits of its rows; the newest value of each wins."""
    named = ", ".join(keys)
    return f"""
    SELECT {named}, '{{' || string_agg(
        to_json(name) || ':' || coalesce(value::VARCHAR, 'null'), ',' ORDER BY name
    ) || '}}' AS traits FROM (
        SELECT {named}, trait.key AS name,
            arg_max_null(trait.value, (timestamp, interaction_id)) AS value
        FROM ({rows}) r, json_each(r.properties, '$.traits') AS trait GROUP BY ALL
    ) GROUP BY ALL"""


PEOPLE: Final = f"""
SELECT person, coalesce(any_value(t.traits), '{{}}') AS traits,
    min(timestamp) AS first_seen, max(timestamp) AS last_seen
FROM stitched LEFT JOIN ({merged(
    "SELECT person, timestamp, interaction_id, properties FROM stitched "
    "WHERE interaction_type = 'identify' AND person IS NOT NULL", "person",
)}) t USING (person)
WHERE person IS NOT NULL
GROUP BY person
HAVING bool_or(user_id <> {NOBODY} OR interaction_type = 'identify')
"""  # fmt: skip

_GROUPS: Final = (
    "SELECT properties->>'$.group_type' AS group_type, properties->>'$.group_id' AS group_id, "
    'timestamp, interaction_id, properties FROM "group"'
)
GROUPS: Final = f"""
SELECT g.group_type, g.group_id, coalesce(any_value(t.traits), '{{}}') AS traits,
    min(timestamp) AS first_seen, max(timestamp) AS last_seen
FROM ({_GROUPS}) g LEFT JOIN ({merged(_GROUPS, "group_type", "group_id")}) t
    ON t.group_id = g.group_id AND t.group_type IS NOT DISTINCT FROM g.group_type
GROUP BY g.group_type, g.group_id
"""

VIEWS: Final[dict[str, str]] = {
    "identities": IDENTITIES,
    "stitched": STITCHED,
    "people": PEOPLE,
    "groups": GROUPS,
}
"""The select of each view by its name; each stands on those before it."""
