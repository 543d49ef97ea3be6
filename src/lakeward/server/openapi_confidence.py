"""What the OpenAPI document says of partners, their witnesses, scores, forms and webhooks.

In: nothing. Out: operations by part, and path below its root. Nothing fails.
"""

from __future__ import annotations

from typing import Final

from lakeward.server.answers import RATED
from lakeward.server.operation import OBJECT, TEXT, Object, content, get, named, refusals
from lakeward.store.invitations import FORMS

JSON: Final = "application/json"
HTML: Final = "text/html; charset=utf-8"
ID: Object = {"type": "string", "pattern": "^[0-9a-f-]{1,36}$"}
PARTNER: Object = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
LINE: Object = {"type": "string", "pattern": "^[A-Za-z0-9]{1,60}$"}
PROSE: Object = {"type": "string", "pattern": "^[A-Za-z0-9 .,]{0,200}$"}
LINK: Object = {"type": "string", "pattern": "^[A-Za-z0-9_-]{38}$"}
PERSON: Object = {
    "type": "object", "additionalProperties": False, "required": ["user_id"],
    "properties": {"name": LINE, "company": LINE, "user_id": LINE},
}  # fmt: skip
OF: Final = named("id", PARTNER, "The partner.")
CHANGES: Final = "By an admin, a partner for itself, or a write key of a server."


def paths() -> dict[tuple[str, str], Object]:
    """The operations."""
    given = {"partner_id": PARTNER, "name": LINE, "category": LINE, "proposition": PROSE}
    whom = {"form": {"enum": list(FORMS)}, "deliver": {"enum": ["message", "link"]},
            "people": {"type": "array", "items": PERSON, "maxItems": 200}}  # fmt: skip
    ten = {"type": "integer", "minimum": 1, "maximum": 10}
    fed = {"person": PERSON, "key": LINE, "scores": {"type": "object", "additionalProperties": ten},
           "nps": {"type": "integer", "minimum": 0, "maximum": 10},
           "texts": {"type": "object", "additionalProperties": PROSE},
           "months": {"type": "integer", "minimum": 0, "maximum": 1200},
           "may_quote": {"type": "boolean"}, "at": TEXT | {"format": "date-time"}}  # fmt: skip
    rated = {"type": "object", "additionalProperties": False, "minProperties": 1,
             "properties": dict.fromkeys(RATED, ten)}  # fmt: skip
    review = {"demo_id": LINE, "scores": rated, "comments": PROSE}
    several = {"partners": {"type": "array", "maxItems": 1000, "minItems": 1, "items": {
        "type": "object", "properties": given, "required": ["partner_id", "name"],
        "additionalProperties": False}}}  # fmt: skip
    quarterly = {"form": {"enum": ["reference", "quarterly"]}}
    return {
        ("partners", ""): {"get": _read("Partners", of=False),
                           "post": _act("Make or change partners", several, ("partners",))},
        ("partners", "/{id}"): {"get": _read("A partner")},
        ("partners", "/{id}/remove"): {"post": _act("Remove a partner", {}, (), OF)},
        ("partner_invitations", "/{id}/invitations"): {
            "get": _read("How far invitations are"),
            "post": _act("Ask people to speak of a partner", whom, ("form", "people"), OF, 201),
        },
        ("answers", "/{id}/employee-feedback"): {
            "post": _act("What an employee said elsewhere", fed,
                         ("person", "key", "scores"), OF, 201)
        },
        ("answers", "/{id}/customer-references"): {
            "post": _act("What a customer said elsewhere", fed | quarterly,
                         ("person", "key", "scores"), OF, 201)
        },
        ("answers", "/{id}/demo-reviews"): {
            "post": _act("Rate a demo", review, ("demo_id", "scores"), OF, 201)
        },
        ("partners", "/{id}/confidence"): {"get": _read("The score, and what it is made of")},
        ("partners", "/{id}/consistency"): {"get": _read("How far all say the same")},
        ("partners", "/{id}/history"): {"get": _read("Every score there was")},
        ("invitations", "/{id}/withdraw"): {
            "post": _act("Withdraw an invitation", {}, (), named("id", ID, "As it is listed."))
        },
        ("witnesses", "/{id}/remove"): {
            "post": _act("Forget a person, and what the person said", {}, (),
                         named("id", ID, "As it is listed."))
        },
        ("witness", "/{token}"): {"get": _page("A form"), "post": _page("Save or send it", True)},
        ("witness", "/{token}/stop"): {"get": _page("Asks whether no more messages are wanted"),
                                       "post": _stop()},
        ("witness", "/style.css"): {"get": _style()},
        ("hooks", "/twilio"): {"post": _hook("What became of an SMS", "text/xml")},
        ("hooks", "/twilio/incoming"): {"post": _hook("What somebody answers", "text/xml")},
        ("hooks", "/sendgrid"): {"post": _hook("What became of mails", JSON)},
    }  # fmt: skip


def _read(summary: str, *, of: bool = True) -> Object:
    found = get(summary, JSON, OBJECT)
    found["parameters"] = [OF] if of else []
    found["responses"] |= refusals(s404="There is no such partner.", s503="The database is away.")
    return found


def _act(
    summary: str, fields: Object, needed: tuple[str, ...], of: Object | None = None,
    status: int = 200,
) -> Object:  # fmt: skip
    found = get(summary, JSON, OBJECT)
    found["description"] = CHANGES
    found["parameters"] = [] if of is None else [of]
    body = {"type": "object", "properties": fields, "required": list(needed),
            "additionalProperties": False}  # fmt: skip
    found["requestBody"] = {"required": True, **content(JSON, body)}
    found["responses"][str(status)] = found["responses"]["200"]
    found["responses"] |= refusals(
        s404="There is no such thing.",
        s408="The body did not arrive.",
        s409="It has ended already.",
        s413="Larger than the limit it names.",
        s415="Not application/json.",
        s429="Too many requests: try again.",
        s503="The database is away.",
    )
    return found


def _page(summary: str, sends: bool = False) -> Object:
    """A page: whatever is wrong, it says so in HTML."""
    said = {
        "200": summary, "400": "That was no form.", "403": "A page of another site.",
        "404": "There is no such link.", "408": "The body did not arrive.",
        "410": "The link has ended.", "413": "Larger than the limit.",
        "422": "Something is missing, the page says what.", "429": "Too many requests.",
        "503": "The database is away.",
    }  # fmt: skip
    page = {status: {"description": text, **content(HTML, TEXT)} for status, text in said.items()}
    page |= refusals(s421="The host name is not this server's.")
    page["501"] = {"description": "An extra is missing.", **content("text/plain", TEXT)}
    found: Object = {"summary": summary, "responses": page,
                     "parameters": [named("token", LINK, "As it was sent.")]}  # fmt: skip
    if sends:
        fields = {"type": "object", "properties": {"act": {"enum": ["send", "keep"]}}}
        found["requestBody"] = content("application/x-www-form-urlencoded", fields)
    return found


def _stop() -> Object:
    """What the page sends, and what a mail program does (RFC 8058), in either kind of form."""
    found = _page("No more messages")
    said = {"act": {"enum": ["stop"]}, "List-Unsubscribe": {"enum": ["One-Click"]}}
    fields: Object = {"type": "object", "properties": said}
    found["description"] = "Of a mail program, wherever that runs: List-Unsubscribe=One-Click."
    kinds = ("application/x-www-form-urlencoded", "multipart/form-data")
    found["requestBody"] = {"content": {kind: {"schema": fields} for kind in kinds}}
    return found


def _style() -> Object:
    return get("How the pages look", "text/css; charset=utf-8", TEXT)


def _hook(summary: str, kind: str) -> Object:
    found: Object = {
        "summary": summary,
        "description": "By the provider, signed.",
        "responses": {
            "200": {
                "description": "Heard, now or before.",
                **content(kind, OBJECT if kind == JSON else TEXT),
            },
            **refusals(
                s400="Not what the provider sends.",
                s403="The signature is none or too old, or there is no setting to check it with.",
                s408="The body did not arrive.",
                s413="Larger than the limit it names.",
                s421="The host name is not this server's.",
                s429="Too many requests: try again.",
                s503="The database is away.",
            ),
        },
    }
    sent = JSON if kind == JSON else "application/x-www-form-urlencoded"
    schema: Object = {"type": "array", "items": OBJECT} if kind == JSON else OBJECT
    found["requestBody"] = content(sent, schema)
    return found
