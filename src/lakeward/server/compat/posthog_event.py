"""PostHog's events: who did it, when, where, and what the SDK wrote of its own beside.

In: one event as an SDK sends it. Out: an `Event`, and from it the fields that the record of any
type has. Pure; nothing fails: what cannot be read is absent.

    {"event": "$pageview", "uuid": "01a2…", "distinct_id": "u1", "timestamp": "2025-08-14T16:…Z",
     "properties": {"$current_url": "https://…", "$session_id": "0198…", "plan": "pro"}}

Properties with a `$` are the SDK's, the others are the app's. Those that say how the SDK itself is
doing are left out; the rest keep their names without the `$`, but where the app has one so called.
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakeward.interaction import LATEST_MS, JsonObject, iso
from lakeward.plain import text_of
from lakeward.server.compat.dialect import object_of, path_of, placed

DIRECT = "$direct"
COOKIELESS = "$posthog_cookieless"
"""What posthog-js says in place of an id when it may keep none."""
LONGEST_NAME, LONGEST_TEXT, LONGEST_ID = 200, 32_768, 512

TAKEN = frozenset(
    {
        "token", "api_key", "distinct_id", "alias", "$ip", "$time", "$insert_id", "$lib",
        "$lib_version", "$device_id", "$user_id", "$anon_distinct_id", "$is_identified",
        "$process_person_profile", "$current_url", "$pathname", "$host", "$referrer",
        "$referring_domain", "$session_id", "$raw_user_agent", "$useragent", "$set", "$set_once",
        "$elements", "$elements_chain", "$ce_version", "$event_type", "$cookieless_mode",
        "$ignore_sent_at",
    }
)  # fmt: skip
"""Have a place of their own in the record, are secret, or are not to be kept."""
OF_THE_SDK = frozenset(
    {
        "$config_defaults", "$configured_session_timeout_ms", "$feature_flag_payloads",
        "$initialization_time", "$is_server", "$lib_custom_api_host", "$recording_status",
        "$sdk_dist_channel", "$transformations_failed", "$transformations_succeeded",
    }
)  # fmt: skip
PREFIXES = ("$geoip_", "$lib_rate_limit_", "$sdk_debug_", "$session_entry_",
            "$event_time_override_")  # fmt: skip
SERVERS = frozenset({"posthog-python", "posthog-node", "posthog-ruby", "posthog-php", "posthog-go",
                     "posthog-java", "posthog-rs", "posthog-elixir", "posthog-dotnet"})  # fmt: skip


class Event(msgspec.Struct, frozen=True):
    """One event."""

    name: str
    identifier: str | None
    timestamp: str | None
    distinct_id: str | None
    properties: JsonObject
    """With what some SDKs write beside them."""
    set_always: JsonObject
    """What the app says of the person from now on."""
    set_once: JsonObject

    @property
    def of_a_server(self) -> bool:
        """Whether a program of the app's own sent it, not a visitor's device."""
        given = self.properties
        return given.get("$is_server") is True or text_of(given.get("$lib")) in SERVERS


def event_of(raw: JsonObject, library: str | None = None) -> Event | None:
    """The event, None when it has no name; `library` is who sends it, where it does not say so."""
    name = raw.get("event")
    if not isinstance(name, str) or not name.strip():
        return None
    properties = object_of(raw.get("properties")).copy()
    _moved(raw, properties)
    if library is not None and "$lib" not in properties:
        properties["$lib"], _, properties["$lib_version"] = library.partition("/")
    distinct_id = text_of(raw.get("distinct_id")) or text_of(properties.get("distinct_id"))
    return Event(
        name.strip(),
        text_of(raw.get("uuid")) or text_of(properties.get("$insert_id")),
        time_text(raw.get("timestamp")) or time_text(properties.get("$time")),
        distinct_id,
        properties,
        _of_the_app(raw.get("$set"), properties.get("$set")),
        {n: v for n, v in _of_the_app(raw.get("$set_once"), properties.get("$set_once")).items()
         if v is not None and n not in properties},
    )  # fmt: skip


def _moved(raw: JsonObject, properties: JsonObject) -> None:
    """Put what the newer protocol has beside the properties where the older has it."""
    options = object_of(raw.get("options"))
    for place, field, name in (
        (raw, "session_id", "$session_id"),
        (raw, "window_id", "$window_id"),
        (options, "process_person_profile", "$process_person_profile"),
        (options, "cookieless_mode", "$cookieless_mode"),
        (options, "product_tour_id", "$product_tour_id"),
    ):
        if place.get(field) is not None:
            properties.setdefault(name, place[field])


def _of_the_app(*given: object) -> JsonObject:
    """What the app says of a person; the SDK's own `$…` are facts of the event already."""
    merged: JsonObject = {}
    for traits in given:
        merged |= {n: v for n, v in object_of(traits).items() if not n.startswith("$")}
    return merged


def time_text(value: object) -> str | None:
    """A time as ISO 8601: text as it came, a number as seconds or ms since 1970."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    ms = value if abs(value) > 1e11 else value * 1000
    return iso(round(ms)) if 0 <= ms <= LATEST_MS else None


def person(event: Event) -> JsonObject:
    """`user_id` for somebody who is known, else `anonymous_id`."""
    given, distinct_id = event.properties, event.distinct_id
    if distinct_id is None or distinct_id.startswith(COOKIELESS):
        return {}
    device_id = text_of(given.get("$device_id"))
    identified = given.get("$is_identified")
    if not isinstance(identified, bool):
        identified = given.get("$process_person_profile") is not False and distinct_id != device_id
    if not identified:
        return {"anonymous_id": distinct_id}
    found = {"user_id": distinct_id}
    if device_id is not None and device_id != distinct_id:
        found["anonymous_id"] = device_id
    return found


def place(event: Event) -> JsonObject:
    """The page, where there is one."""
    given = event.properties
    found: JsonObject = {}
    if (url := text_of(given.get("$current_url"))) is not None:
        found["url"] = url
    path = text_of(given.get("$pathname")) or (path_of(url) if url else None)
    if path is not None:
        found["path"] = path
    referrer = text_of(given.get("$referrer"))
    if referrer is not None and referrer != DIRECT:
        found["referrer"] = referrer
    return found


def record(
    event: Event, interaction_type: str, own: JsonObject, used: frozenset[str] = frozenset(),
    part: str = "",
) -> JsonObject:  # fmt: skip
    """The event as an interaction: `own` are the type's fields, made of the properties `used`;
    `part` tells records of the same event apart."""
    given = event.properties
    fields: JsonObject = {"interaction_type": interaction_type}
    if event.identifier is not None:
        fields["interaction_id"] = f"{event.identifier}:{part}" if part else event.identifier
    if event.timestamp is not None:
        fields["timestamp"] = event.timestamp
    fields |= person(event) | place(event)
    for field, names in (("session_id", ("$session_id",)),
                         ("user_agent", ("$raw_user_agent", "$useragent"))):  # fmt: skip
        value = next((text for name in names if (text := text_of(given.get(name)))), None)
        if value is not None:
            fields[field] = value
    if (library := text_of(given.get("$lib"))) is not None:
        version = text_of(given.get("$lib_version"))
        fields["metadata"] = {"library": f"{library} {version}" if version else library}
    return fields | placed(interaction_type, rest(event, used)) | own


def rest(event: Event, used: frozenset[str] = frozenset()) -> JsonObject:
    """The properties that have no place of their own yet, by plain names."""
    kept: JsonObject = {}
    for name, value in event.properties.items():
        if value is None or name in used or name in TAKEN or name in OF_THE_SDK:
            continue
        if name.startswith(PREFIXES) or name.endswith("_server_side"):
            continue
        plain = name.removeprefix("$")
        kept[plain if plain and plain not in event.properties else name] = value
    return kept


def names(given: JsonObject, wanted: dict[str, str], most: int = LONGEST_NAME) -> JsonObject:
    """Texts by the names that our fields have, cut to what they take."""
    return {
        field: text[:most]
        for field, name in wanted.items()
        if (text := text_of(given.get(name))) is not None
    }


def number(value: object, most: float = 1e12) -> float | None:
    """A number that is not negative and can be believed."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value <= most else None


def whole(value: object) -> int | None:
    """A count."""
    found = number(value)
    return int(found) if found is not None else None


def list_of(value: Any) -> list[Any]:
    """`value` when it is a list, else an empty one."""
    return value if isinstance(value, list) else []
