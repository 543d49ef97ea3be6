"""The DynamoDB table of interactions, as it must be: its key, its two indexes, expiry and recovery.

In: settings. Out: the table, on demand, ready to be written; what is there already stays as it is.
`Terminal` when a table of that name has another key, or when it may not be made.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from lakeward.errors import SettingError, Terminal, Transient
from lakeward.interaction import JsonObject
from lakeward.settings import Settings
from lakeward.sinks import aws
from lakeward.sinks.aws import Api
from lakeward.sinks.verdict import Missing

INDEXES: dict[str, str] = {
    "user_id": "user_id-timestamp-index",
    "session_id": "session_id-timestamp-index",
}
READY_SECONDS = 120


def create_table(settings: Settings, sleep: Callable[[float], None] = time.sleep) -> None:
    """Make the table unless it is there; expiry and point-in-time recovery are switched on."""
    api = table_api(settings)
    table = settings.interactions_table
    try:
        if describe(api, table) is None:
            _create(api, table)
        for _ in range(READY_SECONDS):
            state = describe(api, table) or {}
            if state.get("TableStatus") == "ACTIVE":
                break
            sleep(1)
        check(describe(api, table), api)
        _switch_on(api, table)
    finally:
        api.close()


def table_api(settings: Settings) -> Api:
    """The API of the table that settings name."""
    if not settings.interactions_table:
        raise SettingError("writing to DynamoDB needs a table: set INTERACTIONS_TABLE")
    return aws.dynamodb_api(settings, aws.session(settings))


def describe(api: Api, table: str) -> JsonObject | None:
    """What DynamoDB says of the table; None when there is none."""
    try:
        found: JsonObject = api.ask("describe_table", TableName=table)["Table"]
    except Missing:
        return None
    return found


def check(found: JsonObject | None, api: Api) -> None:
    """Raise unless the table exists, is ready, and has our key."""
    if found is None:
        raise Terminal(
            f"there is no {api.place.name}: create it as docs/aws.md shows, or mend "
            "INTERACTIONS_TABLE or AWS_REGION"
        )
    if found.get("KeySchema") != [{"AttributeName": "interaction_id", "KeyType": "HASH"}]:
        raise Terminal(
            f"the key of {api.place.name} is not interaction_id alone: create another as "
            "docs/aws.md shows, and name it in INTERACTIONS_TABLE"
        )
    if found.get("TableStatus") not in {"ACTIVE", "UPDATING"}:
        raise Transient(f"{api.place.name} is not ready yet")


def _create(api: Api, table: str) -> None:
    keys = ["interaction_id", "timestamp", *INDEXES]
    api.ask(
        "create_table",
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=[{"AttributeName": "interaction_id", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": name,
                "KeySchema": [
                    {"AttributeName": key, "KeyType": "HASH"},
                    {"AttributeName": "timestamp", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
            for key, name in INDEXES.items()
        ],
    )


def _switch_on(api: Api, table: str) -> None:
    expiry = api.ask("describe_time_to_live", TableName=table)["TimeToLiveDescription"]
    if expiry.get("TimeToLiveStatus") not in {"ENABLED", "ENABLING"}:
        api.ask(
            "update_time_to_live",
            TableName=table,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"},
        )
    api.ask(
        "update_continuous_backups",
        TableName=table,
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
    )
