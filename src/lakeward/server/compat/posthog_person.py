"""PostHog's events of persons and groups: who somebody is, and what is known of them.

In: an `Event`. Out: its record, `identify`, `alias` or `group`. Pure; nothing fails.
"""

from __future__ import annotations

import msgspec

from lakeward.interaction import JsonObject
from lakeward.plain import text_of
from lakeward.server.compat.dialect import object_of
from lakeward.server.compat.posthog_event import LONGEST_ID, Event, names, record

OF_A_SENDER = frozenset({"$device_id", "$is_identified", "$process_person_profile", "$session_id",
                         "$lib", "$lib_version", "$raw_user_agent", "$useragent"})  # fmt: skip
ONE_OF_IT = frozenset({"$group_type", "$group_key", "$group_set"})


def traits(event: Event, part: str = "") -> JsonObject:
    """An `identify` of the person whom the event is of."""
    source = event
    if part:
        kept = {n: v for n, v in event.properties.items() if n in OF_A_SENDER}
        source = msgspec.structs.replace(event, properties=kept)
    fields = record(source, "identify", {"traits": event.set_always}, ONE_OF_IT, part)
    if event.set_once:
        fields["properties"] = object_of(fields.get("properties")) | {"set_once": event.set_once}
    return fields


def identify(event: Event) -> list[JsonObject]:
    """`$identify`: the anonymous one and the user are the same person."""
    fields = traits(event)
    before = text_of(event.properties.get("$anon_distinct_id"))
    if event.distinct_id is not None:
        fields["user_id"] = event.distinct_id
    if before is not None and before != event.distinct_id:
        fields["anonymous_id"] = before
    elif fields.get("anonymous_id") == event.distinct_id:
        fields.pop("anonymous_id", None)
    return [fields]


def alias(event: Event) -> list[JsonObject]:
    """`$create_alias`: `alias` is an id that the person had until now."""
    now, before = event.distinct_id, text_of(event.properties.get("alias"))
    if event.properties.get("$lib") == "posthog-python":
        now, before = before, now  # it alone sends the new id as `alias`
    fields = record(event, "alias", {})
    ids = {"user_id": now, "anonymous_id": before}
    return [fields | {name: text[:LONGEST_ID] for name, text in ids.items() if text is not None}]


def group(event: Event) -> list[JsonObject]:
    """`$groupidentify`."""
    given = event.properties
    own = names(given, {"group_id": "$group_key"}, LONGEST_ID) | names(
        given, {"group_type": "$group_type"}
    )
    if traits := object_of(given.get("$group_set")):
        own["traits"] = traits
    fields = record(event, "group", own, ONE_OF_IT)
    if event.distinct_id == f"${given.get('$group_type')}_{given.get('$group_key')}":
        # What SDKs of servers say when there is nobody.
        fields.pop("user_id", None)
        fields.pop("anonymous_id", None)
    return [fields]


def person_set(event: Event) -> list[JsonObject]:
    """`$set` and `$set_once`."""
    return [traits(event)]
