"""All known interaction types by name. A type that is not here is custom and welcome."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from lakeward.catalog import ai, business, confidence, identity, messages, operations, web
from lakeward.catalog.spec import TypeSpec

TYPES: Mapping[str, TypeSpec] = MappingProxyType(
    {
        spec.name: spec
        for room in (operations, web, identity, business, ai, confidence, messages)
        for spec in room.SPECS
    }
)
