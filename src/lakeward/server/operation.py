"""Parts of an OpenAPI document that many operations share.

In: sentences and schemas. Out: plain objects. Nothing fails.
"""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

OBJECT: Object = {"type": "object"}
TEXT: Object = {"type": "string"}


def reference(name: str) -> Object:
    """A schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def content(kind: str, schema: Object) -> Object:
    """A body of one media type."""
    return {"content": {kind: {"schema": schema}}}


def refusals(**sentences: str) -> Object:
    """Answers that say no, by status: `s404="There is none."`."""
    return {
        status.removeprefix("s"): {
            "description": sentence,
            **content("application/json", reference("Refusal")),
        }
        for status, sentence in sentences.items()
    }


def get(summary: str, kind: str, schema: Object) -> Object:
    """What reads: its answer, and the refusals that every reader meets."""
    return {
        "summary": summary,
        "responses": {
            "200": {"description": summary, **content(kind, schema)},
            **refusals(
                s400="A parameter is wrong.",
                s401="A read key is needed.",
                s403="The key does not fit, or a page of another origin asks.",
                s421="The host name is not this server's.",
            ),
        },
    }


def named(name: str, schema: Object, description: str) -> Object:
    """A step of the path."""
    return {"name": name, "in": "path", "required": True, "schema": schema,
            "description": description}  # fmt: skip
