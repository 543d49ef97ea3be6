"""Connections to AWS, or to what speaks its protocols: credentials, endpoint, patience.

In: settings. Out: an obstore store for the bucket and callers of the APIs of S3, DynamoDB and
Athena, all with one session's credentials. `MissingExtra` without boto3 and obstore, `SettingError`
for settings that cannot belong together, `Terminal` without credentials; what a request can meet is
in `verdict`.

A session token counts with the keys that stand beside it in the environment, and no others.
Placeholders such as `your-key` there are hidden from boto3, so that they never shadow a role.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Protocol

from lakeward.errors import LakewardError, MissingExtra, SettingError, Transient
from lakeward.interaction import JsonObject
from lakeward.settings import Settings
from lakeward.sinks.verdict import Place, no_credentials, of_boto

try:
    import boto3
    import botocore.loaders
    import botocore.session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, InvalidRegionError
    from botocore.parsers import ResponseParserError
    from obstore.auth.boto3 import Boto3CredentialProvider
    from obstore.store import S3Store
except ImportError:
    raise MissingExtra("shipping to AWS", "aws") from None

if TYPE_CHECKING:
    from obstore.store import S3Config

CONNECT_SECONDS = 5
# A role's keys are refreshed when they have ten minutes left: asking more often than that is safe.
KEYS_LIVE = timedelta(minutes=5)
# What an answer of AWS has in any case. botocore takes any page with status 200 for an answer
# without content, and a portal or proxy that sends one must not make deliveries out of nothing.
HAS: dict[str, str] = {
    "batch_get_item": "Responses",
    "batch_write_item": "UnprocessedItems",
    "describe_continuous_backups": "ContinuousBackupsDescription",
    "describe_table": "Table",
    "describe_time_to_live": "TimeToLiveDescription",
    "get_object": "ETag",
    "get_query_execution": "QueryExecution",
    "get_query_results": "ResultSet",
    "get_transcription_job": "TranscriptionJob",
    "list_object_versions": "IsTruncated",
    "list_objects_v2": "IsTruncated",
    "query": "Items",
    "scan": "Items",
    "start_query_execution": "QueryExecutionId",
    "start_transcription_job": "TranscriptionJob",
}


Judge = Callable[[Exception, Place], LakewardError]
"""What an exception of boto3 means at a place."""


class Paginator(Protocol):
    """Of botocore: a listing page by page."""

    def paginate(self, **arguments: object) -> Iterable[JsonObject]:
        """All pages, each asked for when it is taken."""


class Client(Protocol):
    """Of botocore: a client; its operations are methods that are made at run time."""

    def get_paginator(self, operation_name: str) -> Paginator:
        """The pages of a listing operation."""

    def close(self) -> None:
        """Let go of connections."""


class Api:
    """One AWS API at one place: calls by the operation's name, errors of our tree."""

    def __init__(self, client: Client, place: Place, judge: Judge = of_boto) -> None:
        self._client = client
        self._judge = judge
        self.place = place

    def ask(self, operation: str, **arguments: object) -> JsonObject:
        """Call an operation (snake case) and return its answer."""
        with self.judging():
            answer: JsonObject = getattr(self._client, operation)(**arguments)
        return self._genuine(operation, answer)

    def pages(self, operation: str, **arguments: object) -> Iterator[JsonObject]:
        """Every page of a listing."""
        pages = iter(self._client.get_paginator(operation).paginate(**arguments))
        while True:
            with self.judging():
                page: JsonObject | None = next(pages, None)
            if page is None:
                return
            yield self._genuine(operation, page)

    def _genuine(self, operation: str, answer: JsonObject) -> JsonObject:
        if operation in HAS and HAS[operation] not in answer:
            raise Transient(
                f"what answers for {self.place.name} is not AWS: check the network and "
                "LAKEWARD_AWS_ENDPOINT"
            )
        return answer

    @contextmanager
    def judging(self) -> Iterator[None]:
        """What boto3 raises in this block becomes an error of our tree, without its message."""
        try:
            yield
        except (BotoCoreError, ClientError, ResponseParserError) as error:
            raise self._judge(error, self.place) from None

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()


def session(settings: Settings, environ: Mapping[str, str] = os.environ) -> boto3.Session:
    """Credentials by settings, or by the standard chain where they say nothing."""
    key, secret = settings.aws_access_key_id, settings.aws_secret_access_key
    if bool(key) != bool(secret):
        raise SettingError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together: set both")
    inner = botocore.session.get_session()
    inner.register_component("data_loader", _models(inner.get_config_variable("data_path")))
    named = {name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if environ.get(name)}
    if named and not key:
        inner.get_component("credential_provider").remove("env")
    if key:
        beside = key == environ.get("AWS_ACCESS_KEY_ID")
        inner.set_credentials(key, secret, environ.get("AWS_SESSION_TOKEN") if beside else None)
    try:
        made = boto3.Session(botocore_session=inner, region_name=settings.aws_region)
        found = made.get_credentials()
    except BotoCoreError as error:
        raise of_boto(error, Place("AWS", "AWS_REGION")) from None
    if found is None:
        raise no_credentials()
    return made


@cache
def _models(folders: str | None) -> botocore.loaders.Loader:
    """What AWS's services understand, read once: each session of its own reads it for 100 ms."""
    return botocore.loaders.create_loader(folders)


def s3_store(settings: Settings, keys: boto3.Session) -> S3Store:
    """The bucket for objects written whole; checksummed by AWS, encrypted as settings say."""
    endpoint = settings.aws_endpoint
    config: S3Config = {
        "region": settings.aws_region,
        "checksum_algorithm": "SHA256",
        "server_side_encryption": "aws:kms" if settings.s3_kms_key else "AES256",
        "virtual_hosted_style_request": not endpoint,
    }
    if settings.s3_kms_key:
        config["sse_kms_key_id"] = settings.s3_kms_key
        config["sse_bucket_key_enabled"] = True
    if endpoint:
        config["endpoint"] = endpoint
    return S3Store(
        settings.data_lake_bucket,
        config=config,
        credential_provider=Boto3CredentialProvider(keys, ttl=KEYS_LIVE),
        client_options={
            "allow_http": endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=min(CONNECT_SECONDS, settings.aws_seconds)),
            "timeout": timedelta(seconds=settings.aws_seconds),
        },
        retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=settings.aws_seconds)},
    )


def s3_api(settings: Settings, keys: boto3.Session, place: Place | None = None) -> Api:
    """A bucket's API for versions, which obstore has none of; an erase repeats what fails."""
    place = place or Place(f"bucket {settings.data_lake_bucket}", "DATA_LAKE_BUCKET")
    style = {"addressing_style": "path"} if settings.aws_endpoint else {}
    return _api("s3", settings, keys, place, Config(
        s3=style, retries={"total_max_attempts": 3, "mode": "standard"}, max_pool_connections=16,
    ))  # fmt: skip


def dynamodb_api(settings: Settings, keys: boto3.Session) -> Api:
    """The table's API; the sink itself repeats, so that its waits are bounded and seen. boto3 would
    walk through every value of every item once more before the service does: half of the CPU."""
    place = Place(f"table {settings.interactions_table}", "INTERACTIONS_TABLE")
    return _api("dynamodb", settings, keys, place, Config(
        retries={"total_max_attempts": 1, "mode": "standard"}, parameter_validation=False,
    ))  # fmt: skip


ATHENA_OUTPUT = Place("the bucket of Athena's answers", "LAKEWARD_ATHENA_OUTPUT")


def athena_api(settings: Settings, keys: boto3.Session) -> Api:
    """Athena's API; starting carries a token, so that a repeat starts nothing twice."""
    place = Place(f"Athena's workgroup {settings.athena_workgroup}", "LAKEWARD_ATHENA_WORKGROUP")
    return _api("athena", settings, keys, place, Config(
        retries={"total_max_attempts": 3, "mode": "standard"},
    ))  # fmt: skip


def transcribe_api(settings: Settings, keys: boto3.Session) -> Api:
    """Amazon Transcribe's API; a job has a name, so that a repeat starts nothing twice."""
    return _api("transcribe", settings, keys, Place("Amazon Transcribe", "LAKEWARD_TRANSCRIBE"),
                Config(retries={"total_max_attempts": 3, "mode": "standard"}))  # fmt: skip


def service_api(
    service: str, settings: Settings, keys: boto3.Session, place: Place, judge: Judge = of_boto
) -> Api:
    """Any other API, for commands that a person waits for: it may try again a few times."""
    return _api(service, settings, keys, place, Config(
        retries={"total_max_attempts": 4, "mode": "standard"},
    ), judge)  # fmt: skip


def _api(
    name: str, settings: Settings, keys: boto3.Session, place: Place, config: Config,
    judge: Judge = of_boto,
) -> Api:  # fmt: skip
    seconds = settings.aws_seconds
    waits = Config(connect_timeout=min(CONNECT_SECONDS, seconds), read_timeout=seconds)
    try:
        client = keys.client(
            name, endpoint_url=settings.aws_endpoint or None, config=config.merge(waits)
        )
    except InvalidRegionError:
        raise SettingError("AWS_REGION must be a region such as eu-central-1") from None
    except ValueError:
        raise SettingError("LAKEWARD_AWS_ENDPOINT must be an address such as http://127.0.0.1:4566"
                           ) from None  # fmt: skip
    except BotoCoreError as error:
        raise of_boto(error, place) from None
    return Api(client, place, judge)
