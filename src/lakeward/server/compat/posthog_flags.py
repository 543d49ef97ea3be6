"""Feature flags as PostHog's SDKs ask for them: `POST /flags/`.

In: the body with `distinct_id` and properties. Out: attributes; and evaluations in the forms of
both versions of the answer. Pure; nothing fails. An experiment's variant is the key of its
variation, as in exposures, and its value, where that is another, the payload; an SDK that uses a
flag tells of it by `$feature_flag_called`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from lakeward.flags import Evaluation
from lakeward.interaction import JsonObject
from lakeward.plain import text_of
from lakeward.server.compat.dialect import object_of

REASONS: Final = {
    "force": "condition_match", "experiment": "condition_match", "disabled": "disabled",
    "defaultValue": "no_condition_match", "prerequisite": "no_condition_match",
}  # fmt: skip


def attributes_of(content: JsonObject) -> JsonObject:
    """What is known of who asks: properties by their names, groups by theirs, and the id under each
    name by which rules may want it."""
    found: JsonObject = {
        **{f"group_{name}": value for name, value in object_of(content.get("groups")).items()},
        **object_of(content.get("person_properties")),
    }
    anonymous = text_of(content.get("$anon_distinct_id")) or text_of(content.get("$device_id"))
    if anonymous:
        found["anonymous_id"] = anonymous
    identifier = text_of(content.get("distinct_id"))
    if identifier:
        found |= {"id": identifier, "distinct_id": identifier, "user_id": identifier}
    return found


def flags_of(found: Mapping[str, Evaluation]) -> JsonObject:
    """The answer's part about flags."""
    detailed = {name: _detailed(name, one) for name, one in found.items()}
    payloads = {
        name: one["metadata"]["payload"]
        for name, one in detailed.items()
        if "payload" in one["metadata"]
    }
    return {
        "flags": detailed,
        "featureFlags": {name: one.get("variant") or one["enabled"]
                         for name, one in detailed.items()},
        "featureFlagPayloads": payloads,
        "errorsWhileComputingFlags": False,
    }  # fmt: skip


def _detailed(name: str, found: Evaluation) -> dict[str, Any]:
    variant = _variant(found)
    metadata: JsonObject = {"id": 0, "version": 1}
    if not isinstance(found.value, bool) and found.value not in (None, variant):
        metadata["payload"] = msgspec.json.encode(found.value).decode()
    detailed: dict[str, Any] = {
        "key": name,
        "enabled": variant is not None or found.on,
        "reason": {
            "code": REASONS.get(found.source, "condition_match"),
            "description": found.source,
        },
        "metadata": metadata,
    }
    if variant is not None:
        detailed["variant"] = variant
    return detailed


def _variant(found: Evaluation) -> str | None:
    if found.assigned is not None and not isinstance(found.value, bool):
        return found.assigned.key
    return found.value if isinstance(found.value, str) and found.value else None
