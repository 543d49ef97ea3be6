"""The scrubber: what every value passes before its first byte is encoded.

In: a record's fields, or any nested value, text, path, URL, query or header. Out: the same shape,
JSON-encodable, with secrets and configured personal data replaced by `[REDACTED]`, bounded in
depth, count and length; the caller's objects are never changed. Only `fields` may fail, with
`ScrubFailed`, when the host's own callable does.

A walk first names and shapes everything and collects the texts; one cheap search over all of them
together decides whether any needs a closer look. Caches are plain bounded dicts without locks, so
threads, signal handlers and finalisers may enter at any point.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import islice
from typing import Any, Literal, TypeAlias, TypeVar
from urllib.parse import quote, unquote, unquote_plus

import msgspec
from msgspec import UNSET

from lakeward.detectors import (
    CODE_SIBLINGS,
    EMAILS,
    PHONES,
    Hint,
    Verdict,
    clear,
    code_like,
    folded,
    hidden_segment,
    judge,
    leads_to_token,
    mail_in,
    names_phone,
    opaque,
    path_tokens,
    phone_in,
    redact,
    suspects,
)
from lakeward.detectors import (
    REDACTED as REDACTED,
)
from lakeward.interaction import FIELDS, JsonObject
from lakeward.plain import name_text, number, plain

CACHE_MOST = 2048
CACHE_LENGTH = 512
TOO_DEEP = "[too deep]"
TOO_MANY = "[too many items]"
TRUNCATED = "[truncated]"

_LARGE = 10**12  # the smallest number that can be a card's has 13 digits
_AHEAD = 4096  # how far behind the cut a text is scrubbed, so that no half of a secret stays
_GUARD = 256  # a secret shorter than this may begin unseen at the end of what was looked at
_SLACK = 64  # room for the marker of an earlier cut
_FLAT_MOST = 24  # items of an object that is looked at text by text
_FLAT_DEPTH = 2
_LEVELS = 4  # texts within texts: JSON in a query in a URL in JSON
_ROUNDS = 4

_CUT = re.compile(r"…\[truncated [0-9]+ chars\]\Z")
_MORE = re.compile(r"\[[0-9]+ more\]")
_CONTAINER = re.compile(r"\s{0,64}[\[{\"]")
_FORM = re.compile(r"[\w.%\[\]+$-]{1,128}=")
_SPACE = re.compile(r"\s")
_LOCATION = re.compile(r"(?<=://)[^\s\"'<>]+")
_AUTHORITY = re.compile(r"[^/?#]*")
_PORT = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^:]*)(?::[0-9]*)?")
_SIMPLE = re.compile(  # too short for any secret but the beginning of a JWT, or a UUID
    r"(?!.{0,8}eyJ)[A-Za-z0-9._~-]{1,11}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
)
# Parts so short, of such characters, that nothing in them or across them can be a secret by form.
_PLAIN_URL = re.compile(
    r"(https?://[A-Za-z0-9.-]{1,64}(?::[0-9]{1,5})?)((?:/[A-Za-z0-9.-]{0,11})*)"
    r"(?:\?([A-Za-z]{1,15}=[A-Za-z0-9.-]{0,11}(?:&[A-Za-z]{1,15}=[A-Za-z0-9.-]{0,11}){0,15}))?"
)
_TEMPLATE = re.compile(r"[{<(*^]|/:")
_SHORT_CODE = re.compile(r"[0-9]{4,8}")
_LABEL = re.compile(r"[\w.:$\[\]-]{1,64}(?: [\w.-]{1,32}){0,2}")
_LABELS = ("name", "key", "field", "header", "label", "id")
_ADDRESS_NAMES = frozenset(
    {"ip", "ipaddress", "clientip", "remoteip", "remoteaddr", "userip", "peerip"}
)
_ADDRESS_HEADERS = frozenset(
    {b"x-forwarded-for", b"forwarded", b"x-real-ip", b"x-client-ip", b"true-client-ip"}
    | {b"cf-connecting-ip", b"fastly-client-ip", b"x-cluster-client-ip"}
)
_SECRET_HEADERS = frozenset(
    {b"authorization", b"cookie", b"set-cookie", b"proxy-authorization", b"x-api-key"}
)
_RULED = frozenset({"path", "route", "referrer", "url", "ip_address"})
"""Fields with a rule of their own."""
_COUNTS, _WORDS = {int}, {str}
_HOLDS_TEXT = (str, dict, list)
_QUOTE_SAFE = "[]/:@,"
_QUERY_STATE = frozenset({"state", "sessionstate", "iss", "scope"})

_Cache: TypeAlias = dict[str, str]
_T = TypeVar("_T")


class Policy(msgspec.Struct, frozen=True):
    """What the host adds to the rules that always hold."""

    keys: frozenset[str] = frozenset()
    """More sensitive names; case and separators do not matter."""
    allow_keys: frozenset[str] = frozenset()
    """Names that are never sensitive by themselves; their values are still looked at."""
    paths: tuple[str, ...] = ()
    """Paths with sensitive segments, such as `/invite/{}/accept`."""
    emails: bool = False
    phones: bool = False
    ip: Literal["full", "truncate", "hash", "none"] = "full"
    max_depth: int = 16
    max_string: int = 16_384
    max_items: int = 1_000


class ScrubFailed(Exception):
    """The host's callable raised or returned no dict; names only the type, never a value."""


class _Walk(msgspec.Struct, gc=False):
    """One walk through one value: the texts it met, and how many more items it may visit."""

    texts: list[str]
    left: int


class Scrubber:
    """Applies one policy; share it between threads."""

    def __init__(
        self,
        policy: Policy = Policy(),  # noqa: B008 - frozen
        *,
        salt: Callable[[str], bytes] | None = None,
        hook: Callable[[JsonObject], JsonObject] | None = None,
    ) -> None:
        self.policy = policy
        self._salt = salt
        self._hook = hook
        self._limit = policy.max_string
        self._flat_most = (
            min(_FLAT_MOST, policy.max_items) if policy.max_depth > _FLAT_DEPTH else -1
        )
        self._names = {folded(name): Verdict.PLAIN for name in policy.allow_keys}
        self._names |= {folded(name): Verdict.SECRET for name in policy.keys}
        self._patterns = [_path_pattern(pattern) for pattern in policy.paths]
        personal = ((EMAILS, mail_in, policy.emails), (PHONES, phone_in, policy.phones))
        self._personal = [pattern for pattern, _, wanted in personal if wanted]
        hints: list[Hint] = [hint for _, hint, wanted in personal if wanted]
        if self._patterns:
            hints.append(re.compile("://").search)
        self._hints: tuple[Hint, ...] = tuple(hints)
        self._wary = bool(self._personal or self._patterns)
        self._origins: set[str] = set()
        """Origins of addresses that were looked at closely and found harmless."""
        self._verdicts: dict[str, Verdict] = {}
        self._plain_keys: set[str] = set()
        self._count_keys: set[str] = set()
        """Names under which a number is no secret, whatever a text would be: tokens, say."""
        self._leads: dict[str, int] = {}
        self._texts: _Cache = {REDACTED: REDACTED}
        self._paths: _Cache = {}
        self._urls: _Cache = {}
        self._routes: _Cache = {}
        self._addresses: dict[str, str | None] = {}
        own: _Cache = {}
        self._rules: dict[str, tuple[_Cache, Callable[[str], str]]] = {
            **dict.fromkeys(FIELDS, (self._texts, self.text)),
            "path": (self._paths, self.path),
            "route": (self._routes, self._route),
            **dict.fromkeys(("referrer", "url"), (self._urls, self.url)),
            "ip_address": (own, lambda text: _remember(own, text, text)),
        }
        for name in FIELDS:
            if self._names.get(folded(name)) is Verdict.SECRET:
                del self._rules[name]  # the host wants it hidden, and `value` hides by key
        self._seen = {name: cache for name, (cache, _) in self._rules.items()}

    def fields(self, fields: JsonObject) -> JsonObject:
        """A new dict with a record's fields scrubbed, each by its own rule; then the host's hook.

        `ip_address` is left alone: `address` needs the day. Raises `ScrubFailed`.
        """
        out = fields.copy()
        self.scrub(out)
        return out

    def scrub(self, fields: JsonObject) -> None:
        """As `fields`, in place: for a caller whose dict nobody else holds."""
        self.clean(fields)
        if self._hook is not None:
            hooked = self.hooked(fields)
            fields.clear()
            fields.update(hooked)
            self.clean(fields)

    def clean(self, out: JsonObject) -> None:
        """Each field by its own rule, in place, without the host's callable: the common ones by
        what is known of their text, the others afterwards, one by one."""
        seen = self._seen
        others: list[tuple[str, object]] | None = None
        for name, item in out.items():
            kind = type(item)
            if kind is str:
                try:
                    known = seen[name][item]
                except KeyError:
                    pass
                else:
                    if known is not item:
                        out[name] = known
                    continue
            elif name in seen and (
                item is None
                or kind is bool
                or ((kind is int or kind is float) and -_LARGE < item < _LARGE)
            ):
                continue
            if others is None:
                others = []
            others.append((name, item))
        if others is not None:
            for name, item in others:
                self._field(out, name, item)

    def _field(self, out: JsonObject, name: str, item: object) -> None:
        """One field that is new, nested or none of the record's."""
        if item is UNSET:
            return
        if (rule := self._rules.get(name)) is None:
            del out[name]
            out |= self.value({name: item})
        elif type(item) is str:
            out[name] = rule[1](item)
        elif type(item) is Decimal and item.is_finite() and Decimal(repr(float(item))) == item:
            out[name] = float(item)  # a number of the record, not a text
        else:
            path = out.get("path")
            shaped = self._value(item, 0, type(path) is str and self._announces(path) > 0)
            out[name] = rule[1](shaped) if type(shaped) is str else shaped

    def rule(self, name: str) -> Callable[[str], str]:
        """What scrubs a text in this field of the record."""
        return self._rules[name][1]

    def leaves_names(self, names: Iterable[str]) -> bool:
        """Whether none of these names of fields makes what stands in it a secret."""
        return all(
            name in self._rules if name in FIELDS else self._verdict(name) is Verdict.PLAIN
            for name in names
        )

    def hooked(self, fields: JsonObject) -> JsonObject:
        """What the host's callable makes of `fields`; it may hold secrets again."""
        if self._hook is None:
            return fields
        try:
            result: object = self._hook(fields)
        except Exception as error:
            failure = f"the scrub callable raised {type(error).__name__}"
        else:
            if isinstance(result, dict) and all(type(name) is str for name in result):
                return dict.copy(result)
            failure = f"the scrub callable returned {type(result).__name__}, not a dict of names"
        raise ScrubFailed(failure)  # outside the handler: the host's error may quote a value

    def value(self, value: Any) -> Any:
        """Any value as scrubbed, JSON-encodable data."""
        return self._value(value, 0, False)

    def _value(self, value: object, level: int, verifying: bool) -> Any:
        if type(value) is dict and level == 0 and (known := self.known(value)) is not None:
            return known
        walk = _Walk([], self.policy.max_items * 32)
        shaped = self._shape(value, 0, verifying, walk)
        changed = self._changed(walk.texts, level) if walk.texts else None
        return _replaced(shaped, changed) if changed else shaped

    def known(self, item: JsonObject, depth: int = 0) -> JsonObject | None:
        """A small object, and small ones in it, whose names are all known to be harmless, text by
        text from what is remembered; None for any other, which takes the long way."""
        if len(item) > self._flat_most:
            return None
        out = item.copy()  # before it is looked at: another thread may be changing it
        harmless = self._plain_keys.issuperset(out)
        if "value" in out or (not harmless and not self._count_keys.issuperset(out)):
            return None
        for key, below in out.items():
            kind = type(below)
            if kind is int or kind is float:
                if not -_LARGE < below < _LARGE:
                    return None
            elif kind is str:
                known = self._texts.get(below)
                if known is None:
                    known = self.text(below)
                if len(known) > self._limit or not (harmless or key in self._plain_keys):
                    return None
                out[key] = known
            elif kind is dict and depth < _FLAT_DEPTH:
                inner = self.known(below, depth + 1)
                if inner is None or not (harmless or key in self._plain_keys):
                    return None
                out[key] = inner
            elif below is not None and kind is not bool:
                return None
        return out

    def harmless(self, fields: JsonObject) -> JsonObject | None:
        """A copy of fields that hold JSON, if `clean` would change nothing in them: one walk, one
        search. None where it takes a closer look. What the caller goes on to change is not in it.
        """
        texts: list[str] = []
        out: JsonObject = {}
        for name, item in fields.items():
            if name not in self._rules or name in _RULED:
                return None
            out[name] = kept = self._gathered(item, _FLAT_DEPTH + 2, texts)
            if kept is UNSET:
                return None
        if len(texts) > self.policy.max_items or sum(map(len, texts)) > self._limit:
            return None
        clean = _encodable("".join(texts)) and not suspects(texts, self._hints)
        return out if clean else None

    def gathered(self, item: JsonObject | list[Any], texts: list[str]) -> Any:
        """A copy of an object or list inside a field, whose texts are added to `texts` to be looked
        at; UNSET when anything else in it may have to change."""
        return self._gathered(item, _FLAT_DEPTH + 1, texts)

    def counted(self, item: JsonObject) -> JsonObject | None:
        """As `gathered`, of whole numbers and objects of them, such as a provider's usage; None
        for any other."""
        names, most = self._count_keys, self._flat_most
        if len(item) > most:
            return None
        out = item.copy()
        if not names.issuperset(out) or "value" in out:
            return None
        for name, below in out.items():
            if type(below) is int:
                if not -_LARGE < below < _LARGE:
                    return None
            elif type(below) is not dict or name not in self._plain_keys:
                return None
            else:
                if len(below) > most:
                    return None
                out[name] = inner = below.copy()
                if not names.issuperset(inner) or "value" in inner:
                    return None
                for count in inner.values():
                    if type(count) is not int or not -_LARGE < count < _LARGE:
                        return None
        return out

    def leaves(self, texts: list[str]) -> bool:
        """Whether `clean` would leave each of these texts as it is, where no name makes it a
        secret."""
        blob = "\n".join(texts)
        if len(texts) > self.policy.max_items or len(blob) > self._limit or not _encodable(blob):
            return False
        if clear(blob, self._hints):
            return True
        return all(self.text(text) == text for text in suspects(texts, self._hints))

    def _gathered(self, item: object, depth: int, texts: list[str]) -> Any:
        """A copy of a value whose texts are collected; UNSET when anything else in it may have to
        change."""
        kind = type(item)
        if kind is str:
            texts.append(item)  # type: ignore[arg-type]  # narrowed by `kind`
            return item
        if item is None or kind is bool:
            return item
        if depth > 0 and kind is list:
            return self._gathered_list(item.copy(), depth, texts)  # type: ignore[attr-defined]
        if depth > 0 and kind is dict:
            return self._gathered_dict(item.copy(), depth, texts)  # type: ignore[attr-defined]
        return UNSET

    def _gathered_list(self, out: list[Any], depth: int, texts: list[str]) -> Any:
        texts.append("")  # each container counts, or a few that hold each other were without end
        if len(out) > self.policy.max_items or len(texts) > self.policy.max_items:
            return UNSET
        for index, below in enumerate(out):
            kind = type(below)
            if kind is str:
                texts.append(below)
            elif kind is dict:
                kept = out[index] = self._gathered_dict(below.copy(), depth - 1, texts)
                if kept is UNSET:
                    return UNSET
            else:
                return UNSET
        return out

    def _gathered_dict(self, out: JsonObject, depth: int, texts: list[str]) -> Any:
        texts.append("")
        if len(out) > self._flat_most or "value" in out or len(texts) > self.policy.max_items:
            return UNSET
        harmless = self._plain_keys.issuperset(out)
        if not harmless and not self._count_keys.issuperset(out):
            return UNSET
        kinds = set(map(type, out.values()))
        if kinds == _COUNTS:
            return out if min(out.values()) > -_LARGE and max(out.values()) < _LARGE else UNSET
        if kinds == _WORDS and harmless:
            texts += out.values()
            return out
        for key, below in out.items():
            kind = type(below)
            if kind is int or kind is float:
                if not -_LARGE < below < _LARGE:
                    return UNSET
            elif not harmless and key not in self._plain_keys:
                return UNSET
            elif kind is str:
                texts.append(below)
            elif below is not None and kind is not bool:
                kept = out[key] = self._gathered(below, depth - 1, texts)
                if kept is UNSET:
                    return UNSET
        return out

    def _changed(self, texts: list[str], level: int) -> dict[str, str]:
        """The texts that must change, with what they become."""
        long: list[str] = []
        if sum(map(len, texts)) > self._limit:
            long = [text for text in texts if len(text) > self._limit]
            texts = [text for text in texts if len(text) <= self._limit]
        found = suspects(texts, self._hints)
        found.update(long)
        if not _encodable("".join(texts)):
            found.update([text for text in texts if not _encodable(text)])
        if level == 0:
            return {text: clean for text in found if (clean := self._looked_at(text)) != text}
        once = self._once
        return {
            text: clean for text in found if (clean := self._settled(text, once, level)) != text
        }

    def _shape(self, item: object, depth: int, verifying: bool, walk: _Walk) -> Any:
        """`item` as JSON types, sensitive names done; its texts are collected, not yet scrubbed."""
        kind = type(item)
        if kind is str:
            walk.texts.append(item)  # type: ignore[arg-type]  # narrowed by `kind`
            return item
        if item is None or kind is bool:
            return item
        if kind is int or kind is float:
            return number(item)  # type: ignore[arg-type]  # narrowed by `kind`
        if kind is not dict and kind is not list:
            return self._shape(plain(item), depth, verifying, walk)
        if depth >= self.policy.max_depth:
            return TOO_DEEP
        walk.left -= len(item)  # type: ignore[arg-type]  # narrowed by `kind`
        if walk.left < 0:
            return TOO_MANY
        if kind is dict:
            return self._dict(item.copy(), depth, verifying, walk)  # type: ignore[attr-defined]
        return self._list(item.copy(), depth, verifying, walk)  # type: ignore[attr-defined]

    def _dict(self, out: dict[Any, Any], depth: int, verifying: bool, walk: _Walk) -> JsonObject:
        if len(out) > self.policy.max_items:
            out = _first_items(out, self.policy.max_items)
        if not self._plain_keys.issuperset(out):
            strange = [key for key in out if key not in self._plain_keys]
            if any(type(key) is not str or self.text(key) != key for key in strange):
                out = self._named(out)
                strange = list(out)
            self._hide(out, strange, depth, verifying, walk)
        if "value" in out:
            self._label(out, verifying)
        texts = walk.texts
        for key, item in out.items():
            kind = type(item)
            if kind is str:
                texts.append(item)
            elif kind is int or kind is float:
                if not -_LARGE < item < _LARGE:
                    out[key] = number(item)
            elif item is not None and kind is not bool:
                out[key] = self._shape(item, depth + 1, verifying, walk)
        return out

    def _hide(
        self, out: JsonObject, names: list[str], depth: int, verifying: bool, walk: _Walk
    ) -> None:
        """Replace the values in `out` that their names make secret; remember harmless names."""
        for name in names:
            verdict, item = self._verdict(name), out[name]
            if verdict in (Verdict.PLAIN, Verdict.MAYBE):
                self._note(name, verdict)
            if verdict is Verdict.PLAIN:
                continue
            if self._hides(verdict, item, out, verifying):
                out[name] = REDACTED
            elif verdict is Verdict.VERIFY:
                out[name] = self._shape(item, depth + 1, True, walk)

    def _note(self, name: str, verdict: Verdict) -> None:
        """Remember a harmless name, or one that is so for a number."""
        for names in (self._plain_keys, self._count_keys):
            if names is self._count_keys or verdict is Verdict.PLAIN:
                if len(names) >= CACHE_MOST:
                    names.clear()
                if len(name) <= CACHE_LENGTH:
                    names.add(name)

    def _list(self, out: list[Any], depth: int, verifying: bool, walk: _Walk) -> list[Any]:
        most = self.policy.max_items
        if len(out) > most and not (
            len(out) == most + 1 and type(out[-1]) is str and _MORE.fullmatch(out[-1])
        ):
            out[most:] = [f"[{len(out) - most} more]"]
        for index, item in enumerate(out):
            if type(item) in (list, tuple) and len(item) == 2 and self._names_secret(item[0]):
                item = [item[0], _covered(item[1])]  # a pair, as in a list of headers
            out[index] = self._shape(item, depth + 1, verifying, walk)
        return out

    def _named(self, out: dict[Any, Any]) -> JsonObject:
        """`out` with its names as scrubbed text, each still different from the others."""
        named: JsonObject = {}
        for key, item in out.items():
            name = self.text(key if type(key) is str else name_text(key))
            while name in named:
                name = f"{name} ({len(named)})"
            named[name] = item
        return named

    def _label(self, out: JsonObject, verifying: bool) -> None:
        """Hide `value` where the entry beside it names it, as in `{"name": …, "value": …}`."""
        for label in _LABELS:
            name = out.get(label)
            if self._names_secret(name) or (verifying and name == "code"):
                out["value"] = _covered(out["value"])

    def _names_secret(self, name: object) -> bool:
        """Whether a value, not a key, is the name of something secret."""
        if type(name) is bytes:
            name = name.decode("utf-8", "replace")
        return (
            type(name) is str
            and _LABEL.fullmatch(name) is not None
            and self._verdict(name) is Verdict.SECRET
        )

    def _verdict(self, name: str) -> Verdict:
        found = self._verdicts.get(name)
        if found is not None:
            return found
        fold = folded(name[:256])
        verdict = self._names.get(fold)
        if verdict is None:
            personal = (self.policy.ip != "full" and fold in _ADDRESS_NAMES) or (
                self.policy.phones and names_phone(name)
            )
            verdict = Verdict.SECRET if personal else judge(name)
        return _remember(self._verdicts, name, verdict)

    def _hides(self, verdict: Verdict, item: object, out: JsonObject, verifying: bool) -> bool:
        """Whether a name of this verdict, beside the others in `out`, makes `item` a secret."""
        if verdict is Verdict.SECRET:
            return _covered(item) is REDACTED
        if verdict is Verdict.CODE:
            code = item >= 1000 if type(item) is int else type(item) is str and code_like(item)
            return code and (verifying or self._beside_code(out))
        if type(item) is not str:
            return False
        short = verdict is Verdict.VERIFY and _SHORT_CODE.fullmatch(item) is not None
        return short or opaque(item)

    def _beside_code(self, names: Iterable[str]) -> bool:
        return any(
            folded(name) in CODE_SIBLINGS or self._verdict(name) in (Verdict.SECRET, Verdict.VERIFY)
            for name in names
        )

    def _looked_at(self, text: str) -> str:
        """`text`, which was found suspicious, with the secrets in it replaced."""
        found = self._texts.get(text)
        if found is None:
            found = _remember(self._texts, text, self._settled(text, self._once, 0))
        return found

    def text(self, text: str) -> str:
        """One string with the secrets in it replaced."""
        found = self._texts.get(text)
        if found is None:
            found = _remember(self._texts, text, self._scrubbed(text, 0))
        return found

    def path(self, path: str) -> str:
        """A URL's path with opaque tokens, and the host's sensitive segments, replaced."""
        found = self._paths.get(path)
        if found is None:
            found = _remember(self._paths, path, self._settled(path, self._path_once, 0))
        return found

    def _route(self, route: str) -> str:
        """A framework's template keeps its slots; a path that stands for one is a path."""
        once = self._template_once if _TEMPLATE.search(route) else self._path_once
        return _remember(self._routes, route, self._settled(route, once, 0))

    def _template_once(self, route: str, level: int) -> str:
        return self._detected(route)

    def url(self, url: str) -> str:
        """An address without userinfo; its path, query and fragment scrubbed."""
        found = self._urls.get(url)
        if found is None:
            found = _remember(self._urls, url, self._url(url))
        return found

    def _url(self, url: str) -> str:
        parts = None if self._wary else _PLAIN_URL.fullmatch(url)
        if parts is not None and parts[1] in self._origins and self._plain_url(parts):
            return url
        clean = self._settled(url, self._url_once, 0)
        if parts is not None and clean == url:
            if len(self._origins) >= CACHE_MOST:
                self._origins.clear()
            self._origins.add(parts[1])
        return clean

    def _plain_url(self, parts: re.Match[str]) -> bool:
        """Whether an address at a known origin, all of whose parts are short, says by no word that
        a token or a code is in it."""
        _, path, query = parts.groups()
        if any(map(self._lead, path.split("/"))) or "eyJ" in parts[0]:
            return False
        names = [pair.partition("=")[0] for pair in query.split("&")] if query else ()
        return all(self._verdict(name) is Verdict.PLAIN for name in names)

    def _scrubbed(self, text: str, level: int) -> str:
        if _SIMPLE.fullmatch(text):
            return text
        if len(text) <= self._limit and _encodable(text) and not suspects([text], self._hints):
            return text
        return self._settled(text, self._once, level)

    def _settled(self, text: str, once: Callable[[str, int], str], level: int) -> str:
        """`once` applied until nothing changes; only then cut, so that no half secret stays."""
        rest = max(0, len(text) - self._limit - _AHEAD)
        clean = text = _mended(text[: len(text) - rest] if rest else text)
        for _ in range(_ROUNDS):
            before, clean = clean, once(clean, level)
            if clean == before:
                break
        else:
            clean = REDACTED
        return clean if level else self._cut(clean, rest)

    def _cut(self, text: str, rest: int) -> str:
        limit = self._limit
        if not rest and (len(text) <= limit or (len(text) <= limit + _SLACK and _CUT.search(text))):
            return text
        keep = min(limit, max(0, len(text) - _GUARD)) if rest else limit
        marker = text.rfind(REDACTED, max(0, keep - len(REDACTED)), keep + len(REDACTED))
        if 0 <= marker < keep:
            keep = max(keep, marker + len(REDACTED))
        return f"{text[:keep]}…[truncated {len(text) - keep + rest} chars]"

    def _once(self, text: str, level: int) -> str:
        """One round over one text: what it holds by its form first, then the detectors."""
        if level < _LEVELS:
            if _CONTAINER.match(text) and (inner := self._json(text, level)) is not None:
                return inner
            if "=" in text and _FORM.match(text) and ("&" in text or not _SPACE.search(text)):
                text = self._pairs(text, level, False)
            if "://" in text:
                text = _LOCATION.sub(lambda found: self._location(found[0], level), text)
            elif text.startswith("/") and not _SPACE.search(text):
                text = self._target(text, level)
            if "%" in text and (decoded := unquote(text)) != text:
                clean = self._once(decoded, level + 1)
                if clean != decoded:
                    return clean
        return self._detected(text)

    def _detected(self, text: str) -> str:
        text = redact(text, self._verdict)
        for pattern in self._personal:
            text = pattern.sub(REDACTED, text)
        return text

    def _json(self, text: str, level: int) -> str | None:
        """The scrubbed form of a text that is JSON, None where it is none or has no secret."""
        try:
            decoded = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return None
        clean = self._value(decoded, level + 1, False)
        return None if clean == decoded else msgspec.json.encode(clean).decode()

    def _pairs(self, text: str, level: int, behind: bool) -> str:
        """A form or query as text; harmless pairs stay byte for byte."""
        chunks = text.split("&")
        names = [unquote_plus(chunk.partition("=")[0]) for chunk in chunks]
        state = not _QUERY_STATE.isdisjoint(map(folded, names)) if "code" in names else False
        beside = dict.fromkeys(names)
        for index, (chunk, name) in enumerate(zip(chunks, names, strict=True)):
            raw_name, equals, raw = chunk.partition("=")
            value = unquote_plus(raw)
            if (clean_name := self._scrubbed(name, level + 1)) != name:
                raw_name = quote(clean_name, safe=_QUOTE_SAFE)
            elif not equals and opaque(name):
                raw_name = REDACTED
            if (value and self._hides(self._verdict(name), value, beside, state)) or (
                behind and hidden_segment(value, behind=False, after=True)
            ):
                raw = REDACTED
            elif (clean := self._scrubbed(value, _within(raw, value, level))) != value:
                raw = quote(clean, safe=_QUOTE_SAFE)
            chunks[index] = raw_name + equals + raw
        return "&".join(chunks)

    def _url_once(self, url: str, level: int) -> str:
        scheme, mark, rest = url.partition("://")
        if mark and "/" not in scheme:
            url = scheme + mark + self._location(rest, level)
        elif url.startswith("//"):
            url = "//" + self._location(url[2:], level)
        else:
            url = self._target(url, level)
        return self._once(url, _LEVELS)

    def _location(self, rest: str, level: int) -> str:
        """What follows `scheme://`: the host without userinfo, and the target."""
        host = _authority(rest)
        if "@" in rest and ("@" in host or not _PORT.fullmatch(host)):
            at = host.rfind("@") if "@" in host else rest.rfind("@")  # a password may have / ? #
            rest = rest[at + 1 :]
            host = _authority(rest)
        return host + self._target(rest[len(host) :], level)

    def _target(self, target: str, level: int) -> str:
        """Path, query and fragment."""
        head, hash_mark, fragment = target.partition("#")
        path, question, query = head.partition("?")
        behind = bool(query or fragment) and self._announces(path) == 2
        if fragment:
            route, mark, pairs = fragment.partition("?")
            if not mark and "=" in route and "/" not in route.partition("=")[0]:
                fragment = self._pairs(route, level, behind)
            else:
                fragment = self._path_once(route, level) + mark
                fragment += self._pairs(pairs, level, behind or self._announces(route) == 2)
        if query:
            query = self._pairs(query, level, behind)
        return self._path_once(path, level) + question + query + hash_mark + fragment

    def _lead(self, segment: str) -> int:
        found = self._leads.get(segment)
        if found is None:
            found = _remember(self._leads, segment, leads_to_token(segment))
        return found

    def _announces(self, path: str) -> int:
        """How strongly a segment of `path` announces a token or a code: 2, 1 or 0."""
        return max(map(self._lead, path[: self._limit].split("/")))

    def _path_once(self, path: str, level: int) -> str:
        for pattern in self._patterns:
            if (found := pattern.fullmatch(path)) or (found := pattern.fullmatch(unquote(path))):
                path = _hide_groups(found)
        return path_tokens(path, self._hidden, self._lead)

    def _hidden(self, segment: str, behind: bool, after: bool) -> bool:
        decoded = segment
        for _ in range(_LEVELS):
            if "%" not in decoded or (again := unquote(decoded)) == decoded:
                break
            decoded = again
        if "/" in decoded and path_tokens(decoded, self._hidden, self._lead) != decoded:
            return True
        if hidden_segment(decoded, behind=behind, after=after):
            return True
        return not _SIMPLE.fullmatch(decoded) and self._detected(decoded) != decoded

    def query(self, raw: str | bytes) -> JsonObject | None:
        """A raw query string as a dict; a repeated name has a list. None when it is empty."""
        text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
        parsed: JsonObject = {}
        for chunk in text.split("&"):
            name, equals, item = chunk.partition("=")
            if not chunk:
                continue
            name = unquote_plus(name)
            if not equals and opaque(name):
                name = REDACTED
            item = unquote_plus(item)
            before = parsed.setdefault(name, item)
            if type(before) is list:
                before.append(item)
            elif before is not item:
                parsed[name] = [before, item]
        state = "code" in parsed and not _QUERY_STATE.isdisjoint(map(folded, parsed))
        return self._value(parsed, 0, state) if parsed else None

    def headers(
        self, headers: Iterable[tuple[bytes, bytes]], allow: frozenset[bytes]
    ) -> dict[str, str]:
        """The allowed headers (lower-case names), their values scrubbed; secret ones hidden."""
        out: dict[str, str] = {}
        for raw_name, raw in headers:
            raw_name = raw_name.lower()
            if raw_name not in allow:
                continue
            name = raw_name.decode("latin-1")
            if (
                raw_name in _SECRET_HEADERS
                or self._verdict(name) is Verdict.SECRET
                or (raw_name in _ADDRESS_HEADERS and self.policy.ip != "full")
            ):
                out[name] = REDACTED
            else:
                value = self.text(raw.decode("latin-1"))
                out[name] = f"{out[name]}, {value}" if name in out else value
        return out

    def address(self, ip: str | None, day: str) -> str | None:
        """A client's address as the policy wants it; `day` chooses the salt of a hash."""
        policy = self.policy.ip
        if ip is None or policy == "none":
            return None
        if policy == "full":
            return self.text(ip)
        known = f"{day} {ip}"
        try:
            return self._addresses[known]
        except KeyError:
            return _remember(self._addresses, known, self._protected(ip, day))

    def _protected(self, ip: str, day: str) -> str | None:
        try:
            address = ip_address(ip.strip())
        except ValueError:
            return None
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or IPv6Address(int(address))  # without a zone
        if self.policy.ip == "truncate":
            bits = 8 if isinstance(address, IPv4Address) else 80
            return str(type(address)(int(address) >> bits << bits))
        if self._salt is None:
            return None
        key = self._salt(day)[:64]
        return "ip_" + blake2b(address.packed, key=key, digest_size=16).hexdigest()


def _remember(cache: dict[str, _T], key: str, value: _T) -> _T:
    if len(key) <= CACHE_LENGTH:
        if len(cache) >= CACHE_MOST:
            cache.clear()
        cache[key] = value
    return value


def _encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _mended(text: str) -> str:
    """`text` with halves of surrogate pairs joined, and lone ones replaced."""
    if _encodable(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _within(raw: str, value: str, level: int) -> int:
    """The level of a pair's value; `a=a=a=…` is no form within a form within a form."""
    return _LEVELS if raw == value and _FORM.match(value) else level + 1


def _authority(rest: str) -> str:
    found = _AUTHORITY.match(rest)
    return found[0] if found else ""


def _path_pattern(pattern: str) -> re.Pattern[str]:
    literals = re.split(r"\{[^{}/]*\}", pattern.rstrip("/"))
    return re.compile("([^/]+)".join(map(re.escape, literals)) + "/?")


def _hide_groups(found: re.Match[str]) -> str:
    text = found[0]
    for group in range(len(found.groups()), 0, -1):
        start, end = found.span(group)
        text = text[:start] + REDACTED + text[end:]
    return text


def _first_items(items: dict[Any, Any], most: int) -> dict[Any, Any]:
    if len(items) == most + 1 and TRUNCATED in items:
        return items
    return dict(islice(items.items(), most)) | {TRUNCATED: f"{len(items) - most} more"}


def _covered(item: object) -> object:
    """What stands in a secret's place; that there is none may be known."""
    return item if item is None or type(item) is bool else REDACTED


def _replaced(item: Any, changed: dict[str, str]) -> Any:
    """Shaped data with its changed texts; `item` itself is written to."""
    kind = type(item)
    if kind is str:
        return changed.get(item, item)
    if kind is dict:
        for key, below in item.items():
            if type(below) in _HOLDS_TEXT:
                item[key] = _replaced(below, changed)
    elif kind is list:
        item[:] = [_replaced(below, changed) for below in item]
    return item
