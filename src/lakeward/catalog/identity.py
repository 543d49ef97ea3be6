"""Types that say who somebody is: names for the same person, what is known of them, their group.

They change nothing that was recorded before; questions put the names together when they are asked.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET

from lakeward.catalog.spec import Id, Name, Opt, TypeSpec, doc, spec
from lakeward.interaction import JsonObject


class Identify(msgspec.Struct, frozen=True, kw_only=True):
    """A visitor turned out to be a user: `anonymous_id` and `user_id` are the same person."""

    traits: Annotated[
        Opt[JsonObject],
        doc("What is known of the user from now on, by name.", personal="content"),
    ] = UNSET


class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """A person has another id from now on; the one until now stands in `anonymous_id`.

    That may have been a visitor's or a user's.
    """

    user_id: Annotated[Id, doc("The id from now on.", personal="pseudonymous")]
    anonymous_id: Annotated[Id, doc("The id until now.", personal="pseudonymous")]


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A user belongs to a group, such as a company."""

    group_id: Annotated[Id, doc("The app's id of the group.")]
    group_type: Annotated[Opt[Name], doc("Kind of group, such as company.")] = UNSET
    traits: Annotated[
        Opt[JsonObject],
        doc("What is known of the group from now on, by name.", personal="content"),
    ] = UNSET


SPECS: tuple[TypeSpec, ...] = (
    spec(
        "identify",
        Identify,
        "properties",
        "identity",
        example={
            "user_id": "u1",
            "anonymous_id": "a-7f31",
            "traits": {"company_size": "11-50", "plan": "pro"},
        },
    ),
    spec(
        "alias",
        Alias,
        None,
        "identity",
        example={"user_id": "u1", "anonymous_id": "lead-812"},
    ),
    spec(
        "group",
        Group,
        "properties",
        "identity",
        example={"user_id": "u1", "group_id": "g4", "group_type": "company",
                 "traits": {"industry": "roofing"}},
    ),
)  # fmt: skip
