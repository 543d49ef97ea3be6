"""The list of experiments: those that were met, and those that a flag runs or ran.

In: an answer of the question `experiments`, and the settings that say where flags are. Out: plain
data, and a report's figures as CSV. What cannot be read of flags is one sentence beside the list,
which is whole without them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from lakeward.analysis.experiment.brief import definitions
from lakeward.analysis.experiment.planned import planned
from lakeward.errors import LakewardError, Rejected
from lakeward.flags.feature import Payload
from lakeward.settings import Settings

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet may take for the beginning of a formula, in either width."""


def listed(settings: Settings, answer: bytes) -> Mapping[str, Any]:
    """Experiments, those that were met last first; then those that nobody met."""
    rows, columns = _rows(answer)
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        told = {name: row[name] for name in ("units", "exposures", "first_at", "last_at", "days")}
        if row["arm"] is None:
            found[row["experiment"]] = {
                "key": row["experiment"], **told, "flags": [], "arms": [], "state": "no_flag",
            }  # fmt: skip
        else:
            found[row["experiment"]]["arms"].append({"arm": row["arm"], **told, "planned": None})
    note = None
    try:
        payload = definitions(settings)
        if payload is not None:
            _join(found, payload)
    except (LakewardError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        note = f"The flags cannot be read, so they are not in the list: {why}."
    return {"experiments": list(found.values()), "columns": columns, "note": note}


def _rows(answer: bytes) -> tuple[list[dict[str, Any]], list[Any]]:
    told = msgspec.json.decode(answer)
    names = [column["name"] for column in told["columns"]]
    return [dict(zip(names, row, strict=True)) for row in told["rows"]], told["columns"]


def _join(found: dict[str, dict[str, Any]], payload: Payload) -> None:
    """Which flags run which experiment, as it is planned."""
    for key, feature in payload.features.items():
        for rule in feature.rules:
            if not rule.variations:
                continue
            name = rule.key or key
            one = found.setdefault(name, _unmet(name))
            on = feature.enabled and rule.enabled
            one["flags"].append({"flag": key, "on": on, "phase": rule.phase})
            one["state"] = "running" if on or one["state"] == "running" else "off"
    for name, one in found.items():
        _plan(one, name, payload)


def _unmet(name: str) -> dict[str, Any]:
    return {
        "key": name, "units": 0, "exposures": 0, "first_at": None, "last_at": None, "days": None,
        "flags": [], "arms": [], "state": "off",
    }  # fmt: skip


def _plan(one: dict[str, Any], name: str, payload: Payload) -> None:
    try:
        found = planned(payload, name, split_told=True, metrics_told=True)
    except Rejected:
        return
    if found is None:
        return
    shares = dict(found.split)
    met = {arm["arm"] for arm in one["arms"]}
    for arm in one["arms"]:
        arm["planned"] = shares.get(arm["arm"])
    for arm, share in shares.items():
        if arm not in met:
            one["arms"].append({"arm": arm, "units": 0, "exposures": 0, "planned": share})
    one["hypothesis"] = found.plan.hypothesis
    one["metrics"], one["guardrails"] = list(found.plan.metrics), list(found.plan.guardrails)


def csv_of(answer: bytes) -> bytes:
    """The figures of a report, with a header; no cell is a formula."""
    told = msgspec.json.decode(answer)["figures"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(column["name"] for column in told["columns"])
    writer.writerows([_cell(value) for value in row] for row in told["rows"])
    return out.getvalue().encode()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
