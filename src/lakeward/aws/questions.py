"""The end of `templates/query.yaml`: tables over the lake, and every question as a saved query.

In: the registry of questions and the table's columns. Out: YAML; `make docs` writes it below the
line that says so. Pure.

    raw                   lines under raw/, found by their dates; for looking
    interactions          the Delta table under table/, which the questions are about
    lakeward_identities   who is who, of no file: a saved query takes people by their own ids

`lakeward ask --engine athena` hands over who is who for as long as it asks; a query saved for all
to run cannot, and a file that stayed would know who was erased.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from lakeward.analysis.athena import shown
from lakeward.analysis.listing import SHOWN
from lakeward.analysis.registry import KINDS, question_of
from lakeward.errors import Terminal
from lakeward.lake.columns import COLUMNS, PARTITION, RECORD, SqlType
from lakeward.settings import Settings

MARK: Final = "  # From here on it is written by `make docs`, of lakeward.aws.questions.\n"
HIVE: Final[dict[SqlType, str]] = {
    "VARCHAR": "string",
    "TIMESTAMPTZ": "timestamp",
    "INTEGER": "int",
    "BIGINT": "bigint",
    "DOUBLE": "double",
    "BOOLEAN": "boolean",
    "DATE": "date",
}
IDENTITIES: Final = ("kind", "id", "person", "since", "until")
DATABASE: Final = "lakeward"
"""In the statements, until the stack puts its own in its place."""


class Saved(msgspec.Struct, frozen=True):
    """A question as Athena keeps it; or why it cannot, and then there is no SQL."""

    name: str
    about: str
    sql: str
    refused: str = ""


def rendered(template: str, settings: Settings) -> str:
    """The template with its end as it must be."""
    head, mark, _ = template.partition(MARK)
    return head + (mark or MARK) + "\n" + "\n".join(_resources(settings)).rstrip("\n") + "\n"


def saved(settings: Settings) -> Iterator[Saved]:
    """Every question of the registry, with the parameters that its page shows."""
    for kind in KINDS:
        name = str(kind.name)
        about = " ".join((kind.__doc__ or "").split())
        try:
            sql = shown(question_of(name, SHOWN.get(name, {}), settings), settings)
        except Terminal as error:
            yield Saved(name, about, "", str(error))
        else:
            yield Saved(name, about, sql)


def _resources(settings: Settings) -> Iterator[str]:
    yield from _raw()
    yield from _interactions()
    yield from _identities()
    for question in saved(settings):
        if question.refused:
            yield f"  # {question.name} is not here: {question.refused}"
        else:
            yield from _query(question)


def _raw() -> Iterator[str]:
    """Columns of nested fields hold their JSON text; times stay text, as the lines have them."""
    yield from _table("Raw", "raw", "Lines as they were shipped, by day of receipt.")
    yield from (
        "        Parameters:",
        "          EXTERNAL: 'TRUE'",
        "          classification: json",
        "          projection.enabled: 'true'",
        "          projection.year.type: integer",
        '          projection.year.range: !Sub "${FirstYear},${LastYear}"',
        "          projection.month.type: integer",
        "          projection.month.range: 1,12",
        "          projection.month.digits: '2'",
        "          projection.day.type: integer",
        "          projection.day.range: 1,31",
        "          projection.day.digits: '2'",
        '          storage.location.template: !Sub "s3://${DataLakeBucket}/raw/'
        'year=${!year}/month=${!month}/day=${!day}/"',
        "        PartitionKeys:",
        *_columns(dict.fromkeys(("year", "month", "day"), "string"), 10),
        "        StorageDescriptor:",
        '          Location: !Sub "s3://${DataLakeBucket}/raw/"',
        "          InputFormat: org.apache.hadoop.mapred.TextInputFormat",
        "          OutputFormat: org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
        "          SerdeInfo:",
        "            SerializationLibrary: org.openx.data.jsonserde.JsonSerDe",
        "            Parameters:",
        "              ignore.malformed.json: 'true'",
        "          Columns:",
        *_columns({name: _raw_type(kind) for name, kind in RECORD.items() if name != "extra"}, 12),
        "",
    )


def _raw_type(kind: SqlType) -> str:
    return "string" if kind == "TIMESTAMPTZ" else HIVE[kind]


def _interactions() -> Iterator[str]:
    """Athena takes columns and files from the Delta log; what stands here is for the catalog."""
    columns = {name: HIVE[kind] for name, kind in COLUMNS.items()} | {PARTITION: "date"}
    yield from _table("Interactions", "interactions", "The table that questions are about (Delta).")
    yield from (
        "        Parameters:",
        "          EXTERNAL: 'TRUE'",
        "          table_type: DELTA",
        "          spark.sql.sources.provider: delta",
        "        StorageDescriptor:",
        '          Location: !Sub "s3://${DataLakeBucket}/table/"',
        "          InputFormat: org.apache.hadoop.mapred.SequenceFileInputFormat",
        "          OutputFormat: org.apache.hadoop.hive.ql.io.HiveSequenceFileOutputFormat",
        "          SerdeInfo:",
        "            SerializationLibrary: org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
        "            Parameters:",
        '              path: !Sub "s3://${DataLakeBucket}/table/"',
        "          Columns:",
        *_columns(columns, 12),
        "",
    )


def _identities() -> Iterator[str]:
    yield from _table("Identities", "lakeward_identities", "Who is who, of nobody; see the docs.")
    parquet = "org.apache.hadoop.hive.ql.io.parquet"
    yield from (
        "        Parameters:",
        "          EXTERNAL: 'TRUE'",
        "          classification: parquet",
        "        StorageDescriptor:",
        '          Location: !Sub "s3://${Answers}/identities/"',
        f"          InputFormat: {parquet}.MapredParquetInputFormat",
        f"          OutputFormat: {parquet}.MapredParquetOutputFormat",
        "          SerdeInfo:",
        f"            SerializationLibrary: {parquet}.serde.ParquetHiveSerDe",
        "          Columns:",
        *_columns(dict.fromkeys(IDENTITIES, "string"), 12),
        "",
    )


def _table(logical: str, name: str, about: str) -> Iterator[str]:
    yield from (
        f"  {logical}:",
        "    Type: AWS::Glue::Table",
        "    Properties:",
        "      CatalogId: !Ref AWS::AccountId",
        "      DatabaseName: !Ref Database",
        "      TableInput:",
        f"        Name: {name}",
        f"        Description: {about}",
        "        TableType: EXTERNAL_TABLE",
    )


def _columns(columns: dict[str, str], indent: int) -> Iterator[str]:
    for name, kind in columns.items():
        yield f"{' ' * indent}- Name: {name}"
        yield f"{' ' * indent}  Type: {kind}"


def _query(question: Saved) -> Iterator[str]:
    logical = "".join(part.title() for part in question.name.split("_"))
    yield from (
        f"  Ask{logical}:",
        "    Type: AWS::Athena::NamedQuery",
        "    Condition: Saves",
        "    Properties:",
        f"      Name: {question.name}",
        f"      Description: {_quoted(question.about)}",
        "      Database: !Ref Database",
        "      WorkGroup: !Ref Workgroup",
        f"      QueryString: !Sub {_quoted(_substituted(question.sql))}",
        "",
    )


def _substituted(sql: str) -> str:
    """As `Fn::Sub` takes it: with the stack's database in the place of ours."""
    return sql.replace("${", "${!").replace(f'"{DATABASE}".', '"${Database}".')


def _quoted(text: str) -> str:
    """A text as YAML has it, which is as JSON has it."""
    return msgspec.json.encode(text).decode()
