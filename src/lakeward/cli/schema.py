"""`lakeward schema`: the JSON Schema of each type, and the data dictionary, on screen or as files.

DIR/interaction.json    any record
DIR/partner_match.json  one file for each known type
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from lakeward.catalog import TYPES
from lakeward.dictionary import FieldDoc, data_dictionary, json_schema, render_types_md
from lakeward.errors import Terminal
from lakeward.evolution import incompatible
from lakeward.interaction import SCHEMA_VERSION, JsonObject
from lakeward.lakedir import replace_file
from lakeward.settings import Settings

FORMATS = ("text", "json", "csv", "markdown")
ANY = "interaction"
"""Called so: the record of any type."""
ENDING = {"text": "json", "json": "json", "csv": "csv", "markdown": "md"}


def add_arguments(command: argparse.ArgumentParser) -> None:
    """What, and where to."""
    command.add_argument(
        "type", nargs="?", metavar="TYPE", help=f"a known type, or {ANY} for the record of any"
    )
    command.add_argument(
        "--out", type=Path, metavar="DIR", help="write one file for each type into a folder"
    )
    command.add_argument(
        "--dictionary", action="store_true",
        help="the data dictionary: every field with unit, meaning and class of personal data",
    )  # fmt: skip
    command.add_argument(
        "--against", type=Path, metavar="DIR",
        help="exit code 1 when these schemas break with those of an earlier --out",
    )  # fmt: skip


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print or write; no lake is needed."""
    del settings
    if arguments.format in ("csv", "markdown") and not arguments.dictionary:
        raise Terminal(f"--format {arguments.format} is for --dictionary")
    if arguments.against is not None:
        if arguments.type is not None:
            raise Terminal("--against compares all types: leave TYPE out")
        return _compare(schemas(), arguments.against, arguments.format)
    if arguments.out is not None:
        _write(schemas(arguments.type), arguments)
    elif arguments.dictionary:
        print(dictionary(arguments.type, arguments.format), end="")
    elif arguments.type is not None:
        print(text_of(next(iter(schemas(arguments.type).values()))), end="")
    else:
        print("\n".join(_list(arguments.format)))
    return 0


def schemas(type_name: str | None = None) -> dict[str, JsonObject]:
    """Schemas by file stem: of one type, or of all and the record itself."""
    if type_name is not None:
        return {type_name: json_schema(None if type_name == ANY else type_name)}
    return {ANY: json_schema()} | {name: json_schema(name) for name in TYPES}


def text_of(schema: JsonObject) -> str:
    """A schema as its file has it."""
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def dictionary(type_name: str | None, format_: str) -> str:
    """The rows of one type, or all."""
    rows = data_dictionary()
    if type_name is not None:
        if type_name not in TYPES and type_name != ANY:
            json_schema(type_name)  # which says what there is
        wanted = "*" if type_name == ANY else type_name
        rows = [row for row in rows if row.interaction_type == wanted]
    if format_ == "markdown":
        return render_types_md() if type_name is None else _markdown(rows)
    if format_ == "csv":
        return _csv(rows)
    if format_ == "json":
        return msgspec.json.format(msgspec.json.encode(rows), indent=2).decode() + "\n"
    return "".join(
        f"{row.interaction_type}  {row.name}  {row.type}{f' ({row.unit})' * bool(row.unit)}  "
        f"[{row.personal_data}]  {row.meaning}\n"
        for row in rows
    )


def _csv(rows: list[FieldDoc]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, FieldDoc.__struct_fields__, lineterminator="\n")
    writer.writeheader()
    writer.writerows(msgspec.to_builtins(rows))
    return out.getvalue()


def _markdown(rows: list[FieldDoc]) -> str:
    lines = ["| field | type | unit | meaning | personal data |", "|---|---|---|---|---|"]
    for row in rows:
        cells = (f"`{row.name}`", row.type, row.unit, row.meaning, row.personal_data)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _list(format_: str) -> Iterator[str]:
    docs = {ANY: "The record of any type."}
    docs |= {name: " ".join(spec.doc.split("\n\n")[0].split()) for name, spec in TYPES.items()}
    if format_ == "json":
        listed = {"schema_version": SCHEMA_VERSION, "types": docs}
        yield msgspec.json.format(msgspec.json.encode(listed), indent=2).decode()
        return
    yield f"Version {SCHEMA_VERSION}; `lakeward schema TYPE` prints one."
    yield from (f"{name:<30}{doc}" for name, doc in docs.items())


def _write(found: Mapping[str, JsonObject], arguments: argparse.Namespace) -> None:
    folder: Path = arguments.out
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in found.items():
        replace_file(folder / f"{name}.json", text_of(schema).encode())
    if arguments.dictionary:
        path = folder / f"dictionary.{ENDING[arguments.format]}"
        format_ = "json" if arguments.format == "text" else arguments.format
        replace_file(path, dictionary(arguments.type, format_).encode())
    if arguments.format == "text":
        print(f"wrote {len(found) + arguments.dictionary} files to {folder}")
    elif arguments.format == "json":
        print(msgspec.json.encode({"folder": str(folder), "schemas": list(found)}).decode())


def broken(found: Mapping[str, JsonObject], folder: Path) -> list[str]:
    """What in the schemas breaks with those of a folder; a known type that is gone, too."""
    said = []
    for path in sorted(folder.glob("*.json")):
        name = path.stem
        if name == "dictionary":
            continue
        try:
            before = msgspec.json.decode(path.read_bytes(), type=dict[str, object])
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Terminal(f"{path} is no JSON Schema: export it again") from None
        if name not in found:
            said.append(f"{name}: the type is gone")
        else:
            said += [f"{name}: {change}" for change in incompatible(before, found[name])]
    return said


def _compare(found: Mapping[str, JsonObject], folder: Path, format_: str) -> int:
    if not (any(folder.glob("*.json"))):
        raise Terminal(f"{folder} has no schemas: name the folder of an earlier --out")
    changes = broken(found, folder)
    if format_ == "json":
        print(msgspec.json.encode({"incompatible": changes}).decode())
    else:
        print("\n".join(changes) or f"compatible with {folder}")
    return 1 if changes else 0
