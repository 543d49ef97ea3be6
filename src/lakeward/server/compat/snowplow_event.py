"""Snowplow's events: what each kind means here.

In: the parameters of one event, by their short names. Out: its records. Fails with `Unreadable`,
one sentence, for an event that names no kind or whose JSON cannot be read.

    {"e": "ue", "eid": "5c63…", "dtm": "1755187888677", "uid": "u1", "aid": "shop", "p": "web",
     "ue_px": base64 of {"schema": "iglu:…/unstruct_event/…", "data": {"schema": "iglu:com.acme/
     order_placed/jsonschema/1-0-0", "data": {"total": 12.5}}}}
"""

from __future__ import annotations

import base64
import re
from typing import Any

import msgspec

from lakeward.catalog import TYPES
from lakeward.interaction import LATEST_MS, JsonObject, iso
from lakeward.plain import text_of
from lakeward.server.compat.dialect import object_of, placed, type_of
from lakeward.server.compat.lenient_json import decoded
from lakeward.server.compat.snowplow_schemas import MEANINGS, Meaning
from lakeward.store.token import is_token

SCHEMA = re.compile(r"iglu:([A-Za-z0-9_.-]+)/([A-Za-z0-9_.-]+)/[A-Za-z0-9_.-]+/(\d+)-\d+-\d+")
LONGEST_NAME, LONGEST_TEXT, LONGEST_ID = 200, 32_768, 512
WEB_PAGE, CLIENT_SESSION = "web_page", "client_session"

TAKEN = frozenset(
    {
        "e", "eid", "dtm", "stm", "ttm", "uid", "duid", "nuid", "tnuid", "sid", "url", "refr", "ua",
        "ip", "ue_pr", "ue_px", "co", "cx", "aid", "p", "tv", "tna", "key",
    }
)  # fmt: skip
"""Have a place of their own in the record, are secret, or are not to be kept (`ip`)."""
STRUCT = {"se_ca": "category", "se_ac": "action", "se_la": "label", "se_pr": "property",
          "se_va": "value"}  # fmt: skip
TRANSACTION = {"tr_id": "order_id", "tr_af": "affiliation", "tr_tt": "total", "tr_tx": "tax",
               "tr_sh": "shipping", "tr_ci": "city", "tr_st": "state", "tr_co": "country",
               "tr_cu": "currency"}  # fmt: skip
ITEM = {"ti_id": "order_id", "ti_sk": "sku", "ti_nm": "name", "ti_ca": "category",
        "ti_pr": "price", "ti_qu": "quantity", "ti_cu": "currency"}  # fmt: skip
NUMBERS = frozenset({"se_va", "tr_tt", "tr_tx", "tr_sh", "ti_pr", "ti_qu"})
SEEN = ("page", "lang", "tz", "res", "vp", "ds", "pp_mix", "pp_max", "pp_miy", "pp_may")


class Unreadable(Exception):
    """An event that is none; the message is one sentence for people."""


class Event(msgspec.Struct, frozen=True):
    """One event, its JSON decoded."""

    given: JsonObject
    """Parameters as they came."""
    contexts: list[JsonObject]
    """What was sent beside, each `{"schema": …, "data": …}`."""

    def context(self, name: str) -> JsonObject:
        """The data of the first context whose schema has this name."""
        for context in self.contexts:
            if name_of(context.get("schema")) == name:
                return object_of(context.get("data"))
        return {}


def records(given: JsonObject) -> list[JsonObject]:
    """What one event makes."""
    beside = object_of(_described(given, "cx", "co")).get("data")
    contexts = [object_of(c) for c in beside] if isinstance(beside, list) else []
    event = Event(given, contexts)
    match given.get("e"):
        case "pv":
            return [record(event, "page_view", _page(event))]
        case "pp":
            return [_ping(event)]
        case "se":
            kind = type_of(f"{given.get('se_ca') or ''}_{given.get('se_ac') or ''}")
            return [_flat(event, f"struct.{kind}"[:64] if kind in TYPES else kind, STRUCT)]
        case "ue":
            return _self_describing(event)
        case "tr":
            return [_flat(event, "transaction", TRANSACTION)]
        case "ti":
            return [_flat(event, "transaction_item", ITEM)]
    raise Unreadable("`e`, the kind of event, is none of pv, pp, se, ue, tr and ti.")


def _described(given: JsonObject, encoded: str, plain: str) -> Any:
    """A self-describing JSON, as base64 or as text; None when there is none."""
    text = given.get(encoded) or given.get(plain)
    if text is None:
        return None
    if isinstance(text, dict):
        return text
    if not isinstance(text, str):
        raise Unreadable(f"`{plain}` must be text.")
    try:
        raw = text.encode()
        if given.get(encoded):
            raw = base64.urlsafe_b64decode(raw.rstrip(b"=") + b"=" * (-len(raw.rstrip(b"=")) % 4))
        return decoded(raw)
    except ValueError:  # binascii.Error is one
        raise Unreadable(f"`{encoded}` or `{plain}` holds no JSON that can be read.") from None


def name_of(schema: object) -> str | None:
    """The name in an address of a schema."""
    found = SCHEMA.fullmatch(schema) if isinstance(schema, str) else None
    return None if found is None else found[2]


def _self_describing(event: Event) -> list[JsonObject]:
    """An event of a schema: known ones have a meaning, others their name as a type."""
    envelope = object_of(_described(event.given, "ue_px", "ue_pr"))
    inner = object_of(envelope.get("data"))
    schema = inner.get("schema")
    name = name_of(schema)
    if name is None:
        raise Unreadable("`ue_pr` holds no event with the address of its schema.")
    data = inner.get("data")
    meaning = MEANINGS.get(name) if str(schema).startswith("iglu:com.snowplowanalytics.") else None
    if meaning is None:
        kind = type_of(name)
        fields = placed(kind, data) if isinstance(data, dict) else {"properties": {"data": data}}
        return [record(event, kind, fields, schema=str(schema))]
    told: list[Meaning] = meaning(object_of(data))
    return [
        record(event, one.interaction_type, _seen(event, one.interaction_type) | one.fields,
               schema=str(schema), part=one.part)
        for one in told
    ]  # fmt: skip


def _flat(event: Event, interaction_type: str, wanted: dict[str, str]) -> JsonObject:
    """A custom type of the parameters that belong to its kind."""
    properties: JsonObject = {}
    for name, field in wanted.items():
        value = event.given.get(name)
        if value is not None and value != "":
            properties[field] = _number(value) if name in NUMBERS else value
    return record(event, interaction_type, {"properties": properties}, used=frozenset(wanted))


def _number(value: Any) -> Any:
    """Trackers write numbers as text; what is none stays as it came."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return value
    return found if abs(found) < 1e15 else value  # neither NaN nor infinite is less


def _page(event: Event) -> JsonObject:
    """What is known of a page that came into view."""
    given = event.given
    found = _seen(event, "page_view")
    if (title := text_of(given.get("page"))) is not None:
        found["title"] = title[:LONGEST_TEXT]
    for name, prefix in (("res", "screen"), ("vp", "viewport")):
        size = _size(given.get(name))
        if size is not None:
            found |= {f"{prefix}_width": size[0], f"{prefix}_height": size[1]}
    if (view := text_of(event.context(WEB_PAGE).get("id"))) is not None:
        found["view_id"] = view[:LONGEST_ID]
    return found


def _seen(event: Event, interaction_type: str) -> JsonObject:
    """Language and time zone, for the types that have them."""
    if interaction_type not in {"page_view", "screen_view"}:
        return {}
    return {
        field: text[:LONGEST_NAME]
        for field, name in (("language", "lang"), ("timezone", "tz"))
        if (text := text_of(event.given.get(name))) is not None
    }


def _size(value: object) -> tuple[int, int] | None:
    found = re.fullmatch(r"([0-9]{1,6})x([0-9]{1,6})", value) if isinstance(value, str) else None
    return None if found is None else (int(found[1]), int(found[2]))


def _ping(event: Event) -> JsonObject:
    """A page ping: a later report of the view, where it says which; else a type of its own, for it
    would look like another view."""
    given = event.given
    offsets = {n: _number(given[n]) for n in SEEN if n.startswith("pp_") and n in given}
    view = text_of(event.context(WEB_PAGE).get("id"))
    if view is None:
        return record(event, "page_ping", {"properties": offsets})
    own: JsonObject = {"view_id": view[:LONGEST_ID], "properties": offsets}
    page, window, reached = _size(given.get("ds")), _size(given.get("vp")), offsets.get("pp_may")
    if page and window and page[1] and isinstance(reached, float) and reached >= 0:
        own["scroll_depth"] = min(100.0, round((reached + window[1]) / page[1] * 100, 2))
    return record(event, "page_view", own)


def record(
    event: Event, interaction_type: str, fields: JsonObject, *, schema: str | None = None,
    part: str = "", used: frozenset[str] = frozenset(),
) -> JsonObject:  # fmt: skip
    """The event as an interaction; `part` tells records of the same event apart."""
    given = event.given
    found: JsonObject = {"interaction_type": interaction_type}
    if (identifier := text_of(given.get("eid"))) is not None:
        found["interaction_id"] = f"{identifier}:{part}" if part else identifier
    true, created = _time(given.get("ttm")), _time(given.get("dtm"))
    if (moment := true or created) is not None:
        found["timestamp"] = moment
    if true is None and created is not None and (sent := _time(given.get("stm"))) is not None:
        # Some trackers cut `stm` to the second, which then lies before the event's own time.
        found["sent_at"] = max(sent, created)
    found |= _who(event)
    for field, name in (("url", "url"), ("referrer", "refr"), ("user_agent", "ua")):
        if (text := text_of(given.get(name))) is not None:
            found[field] = text
    if (path := re.match(r"[a-z][a-z0-9+.-]*://[^/?#]*([^?#]*)", found.get("url", ""))) is not None:
        found["path"] = path[1] or "/"
    metadata = _beside(event, schema, used | frozenset(SEEN if interaction_type == "page_view"
                                                       else ()))  # fmt: skip
    return found | ({"metadata": metadata} if metadata else {}) | fields


def _who(event: Event) -> JsonObject:
    """The person and the session."""
    given, session = event.given, event.context(CLIENT_SESSION)
    places = {
        "user_id": (given.get("uid"),),
        "anonymous_id": (given.get("duid"), session.get("userId"), given.get("tnuid"),
                         given.get("nuid")),
        "session_id": (given.get("sid"), session.get("sessionId")),
    }  # fmt: skip
    return {
        field: text
        for field, values in places.items()
        if (text := next((t for value in values if (t := text_of(value))), None)) is not None
    }


def _time(value: object) -> str | None:
    """ms since 1970, which come as text, as ISO 8601."""
    text = text_of(value)
    if text is None or not re.fullmatch(r"[0-9]{1,15}", text):
        return None
    return iso(int(text)) if int(text) <= LATEST_MS else None


def _beside(event: Event, schema: str | None, used: frozenset[str]) -> JsonObject:
    """Who sent it, of which schema it is, and what was sent along."""
    given = event.given
    found: JsonObject = {}
    app = text_of(given.get("aid"))
    for field, value in (("app_id", None if app is None or is_token(app) else app),
                         ("platform", text_of(given.get("p"))),
                         ("tracker", text_of(given.get("tna"))), ("schema", schema)):  # fmt: skip
        if value is not None:
            found[field] = value
    if (version := text_of(given.get("tv"))) is not None:
        found["library"] = f"snowplow {version}"
    if event.contexts:
        found["contexts"] = event.contexts
    rest = {n: v for n, v in given.items() if n not in TAKEN and n not in used}
    return found | ({"parameters": rest} if rest else {})
