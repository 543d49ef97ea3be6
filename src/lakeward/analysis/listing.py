"""The questions as a page: what each is called, takes and answers.

Out: Markdown, made of the registry. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import NODEFAULT, inspect

from lakeward.analysis.ai_ratings import RATING
from lakeward.analysis.ai_turns import TURN
from lakeward.analysis.events import CALENDAR, FIELDS, PEOPLE, looked
from lakeward.analysis.metric import METRICS
from lakeward.analysis.registry import KINDS, question_of
from lakeward.analysis.scope import Dimension

HEAD: Final = """# Questions

Written by `make docs` from `lakeward.analysis`. A question is a struct of parameters; it becomes
SQL over the [views](query.md#views), with every value a parameter, and is answered in rows of these
columns:

```python
from lakeward import Collector
from lakeward.analysis.ai_cost import AiCost
from lakeward.analysis.question import ask
from lakeward.lake.reading import open_reading
from lakeward.lakedir import open_lake

with Collector.from_env() as collector:
    collector.record("ai_conversation", model_answered="gpt-4o", cost_usd=0.02436625)
    collector.commit()
    settings = collector.settings

with open_reading(open_lake(settings.lake_dir, create=False), settings) as reading:
    for row in ask(reading, AiCost(by=("model",))).dicts():
        print(row["model"], row["turns"], row["cost_usd"])
```

```text
gpt-4o 1 0.02436625
```

On the command line they are [`lakeward ask`](cli.md#ask) and commands of their own, such as
[`lakeward funnel`](cli.md#funnel) and [`lakeward ai`](cli.md#ai); over HTTP they are
[`POST /api/questions/…`](server.md#asking-it). Parameters that cannot be asked raise `Rejected`
with one sentence.
"""
FIELDS_HEAD: Final = """## Fields of interactions

`by`, `unit`, filters and metrics take these, and what stands in an object of the record by its
path: `properties.plan`, `outcomes.score`, `feedback.rating`, `experiments.variant`.
"""
FILTERS_TEXT: Final = """
A filter is a condition on one field or a group of filters, up to 8 deep; every one of them is true
or false, for a field that is not there, too:

```json
{"all": [
  {"field": "route", "op": "starts", "values": ["/api/"]},
  {"field": "response_time_ms", "op": "above", "values": [250]},
  {"none": [{"field": "properties.plan", "values": ["trial", "test"]}]}
]}
```

`op` is `is` (the default), `is_not`, `contains` and `contains_not` (whatever the case of
letters), `starts`, `ends`, `above`, `at_least`, `below`, `at_most`, `known` or `unknown`; of
several values one is enough.
"""
_STEPS: Final = {"steps": [{"event": "page_view"}, {"event": "demo_booking"}]}
_MEASURE: Final = {"event": "api_call", "verb": "sum", "field": "response_time_ms"}
SHOWN: Final[Mapping[str, Mapping[str, Any]]] = {
    "ai_thread": {"conversation": "c5"},
    "experiment_units": {"experiment": "match-page"},
    "experiment_moments": {
        "experiment": "match-page",
        "metric": {"kind": "share", "measures": [{"event": "demo_booking"}]},
    },
    "experiment_quantile": {
        "experiment": "match-page",
        "metric": {"kind": "quantile", "quantile": 0.9, "measures": [_MEASURE]},
    },
    "data_fields": {"event": "partner_match"},
    "trace": {"of": "4bf92f3577b34da6a3ce929d0e0e4736"},
    **dict.fromkeys(("funnel", "funnel_units", "funnel_times"), _STEPS),
}
"""Parameters that a question cannot be made without."""


def render_questions_md() -> str:
    """The page."""
    lines = [HEAD]
    for kind in KINDS:
        lines += _question(kind)
    lines += [*_fields(), *_metrics()]
    lines += ["## Dimensions of AI turns", "", "`by` and `only` take these of a turn:", ""]
    lines += _dimensions(TURN)
    own = {name: found for name, found in RATING.items() if TURN.get(name) != found}
    lines += ["", "`ai_ratings` has them all, and these for the rating itself:", ""]
    lines += _dimensions(own)
    return "\n".join(lines) + "\n"


def _question(kind: type[msgspec.Struct]) -> Iterator[str]:
    name = str(kind.name)  # type: ignore[attr-defined]  # each of KINDS has one
    yield f"## {name}"
    yield f"\n{kind.__doc__}\n"
    yield "| parameter | default | |"
    yield "|---|---|---|"
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    for field in described.fields:
        yield f"| `{field.name}` | {_default(field)} | {_meaning(field)} |"
    yield "\n| column | unit | |"
    yield "|---|---|---|"
    made = question_of(name, SHOWN.get(name, {}))
    for column in made.columns():
        yield f"| `{column.name}` | {column.unit or column.kind} | {column.doc} |"
    if "per" in kind.__struct_fields__:
        yield from _of_outcomes()
    yield ""


def _fields() -> Iterator[str]:
    """Of interactions."""
    yield FIELDS_HEAD
    shown = {name: looked(name) for name in (*PEOPLE, *CALENDAR, *FIELDS)}
    yield from _dimensions(shown)
    yield FILTERS_TEXT


def _metrics() -> Iterator[str]:
    yield "\n## Metrics\n\nThe `metric` of a series:\n"
    yield "| metric | field | unit | |"
    yield "|---|---|---|---|"
    for name, metric in METRICS.items():
        takes = {"nothing": "", "number": "a number", "anything": "any"}[metric.takes]
        if metric.default:
            takes += f" (`{metric.default}`)"
        yield f"| `{name}` | {takes} | {metric.unit} | {metric.doc} |"
    yield ""


def _of_outcomes() -> Iterator[str]:
    from lakeward.analysis.ai_cost import LED

    for column in LED:
        yield f"| `{column.name}` | {column.unit} | With `per`. {column.doc} |"


def _default(field: inspect.Field) -> str:
    if field.default is NODEFAULT and field.default_factory is NODEFAULT:
        return "needed"
    value = field.default if field.default is not NODEFAULT else None
    return "" if value in (None, ()) else f"`{plain(value)}`"


def plain(value: object) -> str:
    """A default as a table shows it."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _meaning(field: inspect.Field) -> str:
    found = field.type
    schema = (found.extra_json_schema or {}) if isinstance(found, inspect.Metadata) else {}
    meaning = str(schema.get("description", ""))
    inner = found.type if isinstance(found, inspect.Metadata) else found
    members = inner.types if isinstance(inner, inspect.UnionType) else (inner,)
    choices = [v for m in members if isinstance(m, inspect.LiteralType) for v in m.values]
    if choices:
        meaning += f" One of {', '.join(f'`{value}`' for value in choices)}."
    return meaning


def _dimensions(dimensions: Mapping[str, Dimension]) -> Iterator[str]:
    yield "| dimension | |"
    yield "|---|---|"
    for name, dimension in dimensions.items():
        yield f"| `{name}` | {dimension.doc} |"
