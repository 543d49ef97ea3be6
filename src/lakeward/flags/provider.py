"""The provider for OpenFeature: its clients ask flags here.

In: `Flags`. Out: what OpenFeature's SDK expects of a provider: values of the asked type with
reason, variant, metadata and error code; the events of flags that changed, cannot be read (stale,
with the last good ones in force) and can again. The targeting key is the attribute `id`, and
whatever `key_attribute` names. Never raises; importing this module without the SDK fails with
`MissingExtra`.

    api.set_provider(LakewardProvider(Flags(FileSource("flags.json"), collector)))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Final, TypeVar

from lakeward.errors import MissingExtra

if find_spec("openfeature") is None:
    raise MissingExtra("the OpenFeature provider", "flags")

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata

from lakeward.flags.client import Flags
from lakeward.flags.evaluate import Evaluation
from lakeward.flags.watch import Change

T = TypeVar("T")
Objects = Sequence[FlagValueType] | Mapping[str, FlagValueType]

REASONS: Final = {
    "defaultValue": Reason.DEFAULT,
    "disabled": Reason.DISABLED,
    "experiment": Reason.SPLIT,
    "override": Reason.STATIC,
    "prerequisite": Reason.DEFAULT,
}
TYPES: Final[dict[str, tuple[type, ...]]] = {
    "boolean": (bool,), "string": (str,), "integer": (int,), "float": (float, int),
    "object": (dict, list),
}  # fmt: skip


class LakewardProvider(AbstractProvider):
    """Resolves flags of every type, sync and async alike: nothing here waits."""

    def __init__(self, flags: Flags, *, key_attribute: str | None = None) -> None:
        super().__init__()
        self._flags = flags
        self._key_attribute = key_attribute
        self._untold = False
        flags.on_change(self._changed)
        flags.watch.chores.append(self._late)

    def get_metadata(self) -> Metadata:
        """The provider's name, as hooks and telemetry have it."""
        return Metadata(name="lakeward")

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Flags that cannot be read stop no app: evaluations say PROVIDER_NOT_READY until they can
        be, and the next look tells the event: behind the one that says READY."""
        self._untold = self._flags.watch.trouble is not None
        self._flags.watch.reopen()

    def shutdown(self) -> None:
        """End the watch on the flags."""
        self._flags.close()

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:  # fmt: skip
        """True or false."""
        return self._resolved("boolean", flag_key, default_value, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:  # fmt: skip
        """A text."""
        return self._resolved("string", flag_key, default_value, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:  # fmt: skip
        """A whole number; one that was written `3.0` is one, too."""
        return self._resolved("integer", flag_key, default_value, evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:  # fmt: skip
        """A number."""
        return self._resolved("float", flag_key, default_value, evaluation_context)

    def resolve_object_details(
        self, flag_key: str, default_value: Objects,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Objects]:  # fmt: skip
        """An object or a list."""
        return self._resolved("object", flag_key, default_value, evaluation_context)

    def _resolved(
        self, kind: str, key: str, default: T, context: EvaluationContext | None
    ) -> FlagResolutionDetails[T]:
        found = self._flags.evaluate(key, self._attributes(context))
        match found.source:
            case "unknownFeature":
                return self._unknown(key, default)
            case "cyclicPrerequisite":
                return _error(default, ErrorCode.PARSE_ERROR,
                              f"the parents of flag {key!r} lead back to itself")  # fmt: skip
            case "error":
                return _error(default, ErrorCode.INVALID_CONTEXT,
                              "the attributes of the context cannot be read as JSON")  # fmt: skip
        if found.value is None:  # a flag without a value leaves it to the caller
            return FlagResolutionDetails(
                default, reason=_reason(found), flag_metadata=_metadata(found)
            )
        value = _of_type(kind, found.value)
        if value is None:
            return _error(default, ErrorCode.TYPE_MISMATCH, f"the flag {key!r} is no {kind}")
        return FlagResolutionDetails(
            value, reason=_reason(found), variant=_variant(found), flag_metadata=_metadata(found)
        )

    def _attributes(self, context: EvaluationContext | None) -> Mapping[str, Any]:
        if context is None:
            return {}
        key = context.targeting_key
        if not key:
            return context.attributes
        attributes = {"id": key, "targetingKey": key, **context.attributes}
        if self._key_attribute is not None:
            attributes.setdefault(self._key_attribute, key)
        return attributes

    def _unknown(self, key: str, default: T) -> FlagResolutionDetails[T]:
        watch = self._flags.watch
        if not watch.loaded:
            return _error(default, ErrorCode.PROVIDER_NOT_READY, watch.sentence)
        return _error(default, ErrorCode.FLAG_NOT_FOUND, f"there is no flag {key!r}")

    def _changed(self, change: Change) -> None:
        """Called by the thread that looks."""
        if change.trouble is not None:
            self._trouble(change.sentence)
            return
        self._untold = False
        if change.recovered:
            self.emit_provider_ready(ProviderEventDetails())
        self.emit_provider_configuration_changed(
            ProviderEventDetails(flags_changed=list(change.changed))
        )

    def _late(self) -> None:
        """Tell of flags that could not be read when the app started."""
        if self._untold:
            self._trouble(self._flags.watch.sentence)

    def _trouble(self, sentence: str) -> None:
        self._untold = False
        if self._flags.watch.loaded:
            self.emit_provider_stale(ProviderEventDetails(message=sentence))
            return
        code = ErrorCode.PROVIDER_NOT_READY
        self.emit_provider_error(ProviderEventDetails(message=sentence, error_code=code))


def _of_type(kind: str, value: object) -> Any:
    """The value as it was asked for; None when it is of another type."""
    if isinstance(value, bool):
        return value if kind == "boolean" else None
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, TYPES[kind]):
        return None
    return float(value) if kind == "float" and isinstance(value, int) else value


def _reason(found: Evaluation) -> Reason:
    if found.source == "force":
        if found.partial:
            return Reason.SPLIT
        return Reason.TARGETING_MATCH if found.targeted else Reason.STATIC
    return REASONS.get(found.source, Reason.UNKNOWN)


def _variant(found: Evaluation) -> str | None:
    """Of an experiment its key; of a switch `on` or `off`."""
    if found.assigned is not None:
        return found.assigned.key
    return ("on" if found.value else "off") if isinstance(found.value, bool) else None


def _metadata(found: Evaluation) -> dict[str, bool | int | float | str]:
    told: dict[str, bool | int | float | str] = {"source": found.source}
    if found.rule_id:
        told["ruleId"] = found.rule_id
    if found.assigned is not None:
        told |= {"experiment": found.assigned.experiment, "sticky": found.assigned.sticky}
        if found.assigned.bucket is not None:
            told["bucket"] = found.assigned.bucket
    return told


def _error(default: T, code: ErrorCode, sentence: str) -> FlagResolutionDetails[T]:
    return FlagResolutionDetails(
        default, error_code=code, error_message=sentence, reason=Reason.ERROR
    )
