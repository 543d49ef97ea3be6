"""Templates as data: CloudFormation's short forms (`!Ref`) as its long ones."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml  # type: ignore[import-untyped]  # no stubs installed

from lakeward.aws.stacks import STACKS


class Loader(yaml.SafeLoader):  # type: ignore[misc]  # of untyped yaml
    """YAML with tags that begin with an exclamation mark."""


def _function(loader: Loader, name: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if name == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


Loader.add_multi_constructor("!", _function)


@cache
def templates() -> dict[str, dict[str, Any]]:
    """Every template by its name."""
    return {stack.name: yaml.load(stack.template(), Loader) for stack in STACKS}


def resources(kind: str = "") -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(template, logical id, resource) of every resource, or of one type."""
    for name, template in templates().items():
        for logical, resource in template["Resources"].items():
            if kind in ("", resource["Type"]):
                yield name, logical, resource


def leaves(node: Any) -> Iterator[str]:
    """Every text within."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(key)
            yield from leaves(value)
    elif isinstance(node, list):
        for value in node:
            yield from leaves(value)
    else:
        yield str(node)
