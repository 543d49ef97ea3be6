"""Flags as GrowthBook writes them: a payload of features, each with a default and rules.

In: JSON or TOML of this form; names that are unknown are left out, save in a `plan`, which no other
product writes: there they are misspelt. Out: frozen structs. Fails with
`Rejected` naming the place (`$.features[…].rules[…].coverage`), never a value.

    {"features": {"match-page": {"defaultValue": "plain", "rules": [
        {"condition": {"country": "NZ"}, "force": "reasons"},
        {"key": "match-page", "variations": ["plain", "reasons"], "weights": [0.5, 0.5],
         "coverage": 1, "hashAttribute": "user_id", "hashVersion": 2}]}},
     "savedGroups": {"staff": ["u1"]}}
"""

from __future__ import annotations

import tomllib
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from lakeward.errors import Rejected
from lakeward.flags.bucket import Range

LARGEST: Final = 16 << 20
"""Bytes of a payload."""


class Meta(msgspec.Struct, frozen=True, rename="camel"):
    """What a variation is called."""

    key: str | None = None
    name: str | None = None
    passthrough: bool = False
    """Counted as exposed, but the rules behind this one decide."""


class Filter(msgspec.Struct, frozen=True, rename="camel"):
    """Units outside these ranges of another hash are left out."""

    seed: str
    ranges: tuple[Range, ...]
    attribute: str = "id"
    hash_version: int = 2


class Parent(msgspec.Struct, frozen=True, rename="camel"):
    """Another flag whose value must meet a condition."""

    id: str
    condition: dict[str, Any] = {}
    gate: bool = False
    """Whether the flag is off when it does not; else the rule is passed over."""


class Split(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """How units are shared out; rules and experiments have all of it."""

    condition: dict[str, Any] | None = None
    parent_conditions: tuple[Parent, ...] = ()
    weights: tuple[float, ...] | None = None
    coverage: float | None = None
    ranges: tuple[Range, ...] | None = None
    namespace: tuple[str, float, float] | None = None
    filters: tuple[Filter, ...] | None = None
    hash_attribute: str | None = None
    fallback_attribute: str | None = None
    hash_version: int = 1
    seed: str | None = None
    meta: tuple[Meta, ...] | None = None
    name: str | None = None
    phase: str | None = None
    disable_sticky_bucketing: bool = False
    bucket_version: int = 0
    min_bucket_version: int = 0


class Experiment(Split, frozen=True, rename="camel", kw_only=True):
    """Variations and how they are shared out."""

    key: str
    variations: tuple[Any, ...]
    active: bool = True
    force: int | None = None


class Plan(msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """Of Lakeward: what an experiment is run for, as `lakeward experiment` judges it."""

    hypothesis: str = ""
    metrics: tuple[str, ...] = ()
    """What decides, in the words of `--metric`."""
    guardrails: tuple[str, ...] = ()
    """What must not be hurt."""
    within_days: float | None = None
    unit: str | None = None
    control: str | None = None


class Rule(Split, frozen=True, rename="camel", kw_only=True):
    """A value for some, or an experiment; the first rule that applies decides."""

    id: str | None = None
    force: Any | UnsetType = UNSET
    key: str | None = None
    variations: tuple[Any, ...] | None = None
    range: Range | None = None
    enabled: bool = True
    """Of Lakeward: a rule that is switched off stays where it is."""
    plan: Plan | None = None
    """Of Lakeward; an evaluation does not look at it."""


class Feature(msgspec.Struct, frozen=True, rename="camel"):
    """One flag."""

    default_value: Any = None
    rules: tuple[Rule, ...] = ()
    enabled: bool = True
    """Of Lakeward: a flag that is switched off has its default for everybody."""
    description: str = ""


class Payload(msgspec.Struct, frozen=True, rename="camel"):
    """All flags of an app."""

    features: dict[str, Feature]
    saved_groups: dict[str, list[Any]] = {}


_JSON: Final = msgspec.json.Decoder(Payload)


def read_json(content: bytes) -> Payload:
    """A payload in JSON."""
    try:
        return _JSON.decode(content)
    except msgspec.ValidationError as error:
        raise Rejected(_sentence(content, error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Rejected("the flags are no complete JSON") from None


def read_toml(content: bytes) -> Payload:
    """A payload in TOML, with the same names."""
    try:
        return msgspec.convert(tomllib.loads(content.decode()), Payload)
    except msgspec.ValidationError as error:
        raise Rejected(f"the flags are not of the form: {error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
        raise Rejected("the flags are no complete TOML") from None


def read_feature(definition: object) -> Feature:
    """One flag from plain objects."""
    try:
        return msgspec.convert(definition, Feature)
    except msgspec.ValidationError as error:
        raise Rejected(f"the flag is not of the form: {error}") from None


def _sentence(content: bytes, error: msgspec.ValidationError) -> str:
    if b'"encryptedFeatures"' in content:
        return "the flags are encrypted: give them in plain, a file of this machine needs no cipher"
    return f"the flags are not of the form: {error}"
