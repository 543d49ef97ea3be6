"""What the OpenAPI document says of keys, people, flags, views, rules and settings.

In: nothing. Out: operations by part, and path below its root. Nothing fails.
"""

from __future__ import annotations

from lakeward.server.assets import VIEWS
from lakeward.server.operation import OBJECT, TEXT, Object, content, get, named, refusals

ID: Object = {"type": "string", "pattern": "^[0-9a-f-]{1,36}$"}
NAME: Object = {"type": "string", "minLength": 1, "maxLength": 80}
QUERY: Object = {"type": "string", "maxLength": 2000}
TEXTS: Object = {"type": "array", "items": TEXT, "maxItems": 64}
JSON = "application/json"


def paths() -> dict[tuple[str, str], Object]:
    """The operations."""
    key = {"kind": {"enum": ["read", "write"]}, "name": TEXT, "types": TEXTS, "origins": TEXTS,
           "partner_id": TEXT}  # fmt: skip
    role = {"role": {"enum": ["admin", "partner"]}, "partner_id": TEXT}
    view = {"name": NAME, "page": {"enum": list(VIEWS)}, "query": QUERY}
    change = {"name": TEXT, "on": {"type": "boolean"}, "value": {}, "experiment": TEXT,
              "weights": {"type": "array", "items": {"type": "number"}},
              "after": {"type": "integer"}}  # fmt: skip
    return {
        ("keys", ""): {"get": _listed("Keys, without their secrets"),
                       "post": _act("Make a key; its secret is in this answer alone", key,
                                    ("kind", "name"), made=True)},
        ("keys", "/{id}/revoke"): {"post": _act("Revoke a key", {}, (), of=("id",))},
        ("people", ""): {"get": _listed("Who may log in"),
                         "post": _act("Let somebody in, by a one-time link",
                                      {"email": TEXT, **role}, ("email",), made=True)},
        ("people", "/{id}/link"): {"post": _act("Make another one-time link", {}, (), of=("id",))},
        ("people", "/{id}/role"): {"post": _act("Give another role", role, ("role",), of=("id",))},
        ("people", "/{id}/remove"): {"post": _act("Keep somebody out", {}, (), of=("id",))},
        ("people", "/{id}/restore"): {"post": _act("Let somebody in again", {}, (), of=("id",))},
        ("switches", ""): {"get": _listed("The flags that are in force"),
                           "post": _change(change)},
        ("rules", ""): {"get": _listed("What alerts watch, and who is told")},
        ("settings", ""): {"get": _listed("The settings in force")},
        ("views", ""): {"get": _views(),
                        "post": _act("Save a view", view, ("name", "page"), made=True)},
        ("views", "/{id}/rename"): {
            "post": _act("Rename a view", {"name": NAME}, ("name",), of=("id",))
        },
        ("views", "/{id}/remove"): {"post": _act("Remove a view", {}, (), of=("id",))},
    }  # fmt: skip


def _listed(summary: str) -> Object:
    found = get(summary, JSON, OBJECT)
    found["responses"] |= refusals(s503="The database is away.")
    return found


def _views() -> Object:
    found = _listed("Saved views")
    found["parameters"] = [
        {"name": "page", "in": "query", "required": False, "schema": {"enum": list(VIEWS)},
         "description": "Of which page; of all without it."}
    ]  # fmt: skip
    return found


def _change(fields: Object) -> Object:
    found = _act("Change a flag", fields, ("name",))
    schema = found["requestBody"]["content"][JSON]["schema"]
    schema["oneOf"] = [{"required": [one]} for one in ("on", "value", "weights")]
    return found


def _act(
    summary: str, fields: Object, needed: tuple[str, ...], *, of: tuple[str, ...] = (),
    made: bool = False,
) -> Object:  # fmt: skip
    found = _listed(summary)
    found["description"] = "By an admin who is logged in; a read key changes nothing."
    found["parameters"] = [named(name, ID, "Of what is in the list.") for name in of]
    body = {"type": "object", "properties": fields, "required": list(needed),
            "additionalProperties": False}  # fmt: skip
    found["requestBody"] = {"required": True, **content(JSON, body)}
    if made:
        found["responses"]["201"] = found["responses"].pop("200")
    found["responses"] |= refusals(
        s404="There is no such thing.",
        s408="The body did not arrive.",
        s409="It is so already, or would leave nobody to change it; the sentence says why.",
        s413="Larger than the limit it names.",
        s415="Not application/json.",
        s429="Too many requests wait: try again.",
    )
    return found
