"""Shapes: interactions with the same fields as earlier ones become lines without being arranged.

In: the decoded fields of one interaction. Out: the line that `Collector.prepare` would make, or
None when it has to. A shape is a type and the names of its fields; for each there is a plan of what
stands where in the line. A text in a field is checked, scrubbed and quoted once and then known;
numbers are checked each time. Whatever is unusual (a null, a list, a name of nobody's, a value
that its type refuses, a host's own scrubbing) is left to the collector, which says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET

from lakeward.capture.fragment import LONGEST, quoted
from lakeward.catalog import TYPES
from lakeward.catalog.record import Record
from lakeward.catalog.spec import FIELD_SET, TypeSpec
from lakeward.collector import Collector, Received
from lakeward.content import POLICED
from lakeward.interaction import FIELDS, JsonObject
from lakeward.server.skew import Moment

MOST_SHAPES = 256
MOST_TEXTS = 20_000
LONGEST_SHAPE = 2_000
"""Characters of all names: what is longer is nobody's habit, and would stay in memory."""
LARGE = 10**12  # the smallest number that can be a card's has 13 digits
HEAD = frozenset(FIELDS[:5])
RECEIVED = ("ip_address", "user_agent", "received_at")
TIMES = ("client_timestamp", "sent_at")
SLOT = "slot"
DEFAULTS = {"user_id": ',"user_id":"anonymous"', "user_type": ',"user_type":"unknown"'}

Check = Callable[[Any], object]
"""Raises for a value that the field's type refuses."""


class Field(msgspec.Struct, eq=False, gc=False):
    """One field of a plan."""

    name: str
    prefix: str
    """What stands before its value in the line."""
    check: Check
    scrub: Callable[[str], str]
    known: dict[str, str] = {}
    """Finished pieces by the text that they were made of."""


class Plan(msgspec.Struct, eq=False, gc=False):
    """How the fields of one shape stand in a line."""

    steps: list[Field | str]
    """In the order of the record; a text is a finished piece, a name of RECEIVED or TIMES, or
    SLOT."""
    slot: str
    own: list[Field]
    """Fields that stand inside the slot."""
    taken: frozenset[str]
    """Names that an object given for the slot may not hold: they would have to be checked, or move,
    or go when they are null."""


class Lines:
    """Makes lines for one collector; of one thread."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._able = not collector.has_hook
        settings = collector.settings
        self._origin = (
            f'","environment":{quoted(settings.environment)},'
            f'"app_version":{quoted(settings.app_version)},"interaction_type":"'
        )
        self._service = f',"service":{quoted(settings.service)}' if settings.service else ""
        self._plans: dict[tuple[str, tuple[str, ...]], Plan | None] = {}
        self._texts = 0
        """Pieces that all fields together know."""
        self._fields: dict[tuple[str, str], Field] = {}
        self._received: tuple[Received | None, dict[str, str]] = (None, {})

    def make(
        self, interaction_type: str, fields: JsonObject, received: Received, moment: Moment,
        sent_at: str | None,
    ) -> bytes | None:  # fmt: skip
        """The line, or None when `Collector.prepare` has to make it. `fields` is left as it is and
        holds neither id nor timestamp: both are in `moment`."""
        if not self._able:
            return None
        shape = interaction_type, tuple(fields)
        try:
            plan = self._plans[shape]
        except KeyError:
            plan = self._planned(shape)
        if plan is None:
            return None
        try:
            if self._received[0] is not received:
                self._received = received, _received(received)
            return self._joined(interaction_type, plan, fields, moment, sent_at)
        except Exception:
            return None  # the long way finds out what it is, and says it

    def _joined(
        self, interaction_type: str, plan: Plan, fields: JsonObject, moment: Moment,
        sent_at: str | None,
    ) -> bytes | None:  # fmt: skip
        known = self._received[1]
        parts = [
            f'{{"interaction_id":"{moment.interaction_id}","timestamp":"{moment.timestamp}'
            f'{self._origin}{interaction_type}"'
        ]
        for step in plan.steps:
            if isinstance(step, str):
                if step is SLOT:
                    piece = self._slot(plan, fields)
                elif step in TIMES:
                    time = moment.client_timestamp if step == "client_timestamp" else sent_at
                    piece = "" if time is None else f',"{step}":"{time}"'
                else:
                    piece = known.get(step, step)
                if piece is None:
                    return None
                parts.append(piece)
                continue
            value = fields[step.name]
            if type(value) is str:
                piece = step.known.get(value) or self._text(step, value)
            elif (piece := self._plain(step, value)) is None:
                return None
            parts.append(piece)
        parts.append("}")
        return "".join(parts).encode()

    def _text(self, field: Field, value: str) -> str:
        """The finished piece of a text, remembered."""
        field.check(value)
        made = field.prefix + quoted(field.scrub(value))
        if len(value) <= LONGEST:
            self._texts += 1
            if self._texts > MOST_TEXTS:
                self._texts = 1
                for each in self._fields.values():
                    each.known.clear()
            field.known[value] = made
        return made

    def _plain(self, field: Field, value: object) -> str | None:
        """The finished piece of a number or a truth value, or of an object that is no slot of own
        fields."""
        kind = type(value)
        if kind is int or kind is float:
            if not -LARGE < value < LARGE:  # type: ignore[operator]  # narrowed by `kind`
                return None
            field.check(value)
            return field.prefix + quoted(value)  # type: ignore[arg-type]  # narrowed by `kind`
        if kind is bool:
            field.check(value)
            return field.prefix + ("true" if value else "false")
        if kind is not dict:
            return None
        clean = self._collector.scrubber.known(value)  # type: ignore[arg-type]  # narrowed by `kind`
        return None if clean is None else field.prefix + quoted(clean)

    def _slot(self, plan: Plan, fields: JsonObject) -> str | None:
        """The object of a type's own fields, behind what was given for it whole."""
        pieces = []
        if plan.slot in fields:
            given = fields[plan.slot]
            if type(given) is not dict or not plan.taken.isdisjoint(given):
                return None
            clean = self._collector.scrubber.known(given)
            if clean is None:
                return None
            if clean:
                pieces.append(quoted(clean)[1:-1])
        for field in plan.own:
            value = fields[field.name]
            if type(value) is str:
                pieces.append(field.known.get(value) or self._text(field, value))
            elif (text := self._plain(field, value)) is None:
                return None
            else:
                pieces.append(text)
        return f',"{plan.slot}":{{{",".join(pieces)}}}'

    def _planned(self, shape: tuple[str, tuple[str, ...]]) -> Plan | None:
        plan = self._plan(*shape)
        if sum(map(len, shape[1]), len(shape[0])) > LONGEST_SHAPE:
            return plan
        if len(self._plans) >= MOST_SHAPES:
            self._plans.clear()
        self._plans[shape] = plan
        return plan

    def _plan(self, interaction_type: str, names: tuple[str, ...]) -> Plan | None:
        """The plan of a shape, None for one that needs the long way."""
        spec = TYPES.get(interaction_type)
        given = list(names)
        if (
            spec is None or spec.slot is None or spec.forbidden
            or hasattr(spec.struct, "__post_init__") or interaction_type == "api_call"
            or interaction_type in POLICED
            or not HEAD.isdisjoint(given) or not set(given) <= FIELD_SET | spec.own
            or not spec.required <= set(given) or not spec.lifted.isdisjoint(given)
            or not self._collector.scrubber.leaves_names(given) or "value" in given
        ):  # fmt: skip
            return None
        own = [self._field(spec, name, f'"{name}":') for name in given if name in spec.own]
        steps: list[Field | str] = []
        for name in FIELDS[5:]:
            if name == spec.slot and (own or name in given):
                steps.append(SLOT)
            elif name in (*RECEIVED, *TIMES) and name not in given:
                steps.append(name)
            elif name in given:
                steps.append(self._field(spec, name, f',"{name}":'))
            elif name in DEFAULTS:
                steps.append(DEFAULTS[name])
            elif name == "service" and self._service:
                steps.append(self._service)
        return Plan(steps, spec.slot, own, spec.own | FIELD_SET | {"value"})

    def _field(self, spec: TypeSpec, name: str, prefix: str) -> Field:
        field = self._fields.get((spec.name, name))
        if field is None:
            struct = spec.struct if name in spec.own else Record
            kind = next(f.type for f in msgspec.structs.fields(struct) if f.name == name)
            alone = msgspec.defstruct(name, [(name, kind, UNSET)])
            scrubber = self._collector.scrubber
            scrub = scrubber.text if name in spec.own else scrubber.rule(name)
            field = Field(name, prefix, lambda v: msgspec.convert({name: v}, alone), scrub)
            self._fields[spec.name, name] = field
        return field


def _received(received: Received) -> dict[str, str]:
    """The pieces that the server knows itself."""
    agent = received.user_agent
    return {
        "ip_address": f',"ip_address":{quoted(received.address)}',
        "user_agent": "" if agent is None else f',"user_agent":{quoted(agent)}',
        "received_at": f',"received_at":"{received.at}"',
    }
