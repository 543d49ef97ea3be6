"""The data lake's bucket without CloudFormation, with what the template `storage` guarantees.

In: settings that name it. Out: the bucket and one for its access logs, `<bucket>-logs`, and what
was done for each guarantee. What somebody configured there stays: a rule is added where there is
none, never in the place of another. `Terminal` for a name too long, or that is somebody else's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Final, Literal

import msgspec

from lakeward.aws.formation import account_of
from lakeward.errors import LakewardError, SettingError, Terminal
from lakeward.interaction import JsonObject
from lakeward.settings import Settings
from lakeward.sinks import aws
from lakeward.sinks.aws import Api
from lakeward.sinks.verdict import Missing, Place, of_boto

NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
LOGS: Final = "-logs"
NONCURRENT_DAYS, LOG_DAYS = 30, 90
ABSENT: Final = frozenset(
    {
        "NoSuchBucketPolicy", "NoSuchLifecycleConfiguration",
        "NoSuchPublicAccessBlockConfiguration", "OwnershipControlsNotFoundError",
        "ServerSideEncryptionConfigurationNotFoundError",
    }
)  # fmt: skip
"""What S3 says where nothing is configured."""
BLOCKED: Final = {
    "BlockPublicAcls": True,
    "BlockPublicPolicy": True,
    "IgnorePublicAcls": True,
    "RestrictPublicBuckets": True,
}


class Done(msgspec.Struct, frozen=True):
    """A guarantee of a bucket, and what became of it."""

    bucket: str
    what: str
    became: Literal["made", "was there", "left as it is: look at it"]


def judged(error: Exception, place: Place) -> LakewardError:
    """As `of_boto`, with what making a bucket can meet."""
    answer = getattr(error, "response", None)
    code = str(answer.get("Error", {}).get("Code", "")) if isinstance(answer, dict) else ""
    if code in ABSENT:
        return Missing(f"{place.name} has no such configuration")
    if code in {"BucketAlreadyExists", "403", "AccessDenied"}:
        return Terminal(
            f"{place.name} belongs to somebody else, or these credentials may not see it: choose "
            "another name for DATA_LAKE_BUCKET, or allow what docs/aws.md lists"
        )
    if code in {"404", "NoSuchBucket"}:
        return Missing(f"there is no {place.name}")
    if code == "InvalidBucketName":
        return Terminal(f"{place.name} is no name that S3 takes: mend DATA_LAKE_BUCKET")
    return of_boto(error, place)


def create_bucket(settings: Settings) -> list[Done]:
    """Make bucket and logs unless they are there; configure what is not."""
    name = settings.data_lake_bucket
    if not name:
        raise SettingError("making the bucket needs a name: set DATA_LAKE_BUCKET")
    logs = name + LOGS
    if NAME.fullmatch(name) is None or NAME.fullmatch(logs) is None:
        raise Terminal(
            f"{name[:70]!r} cannot name a bucket, or its logs beside it: DATA_LAKE_BUCKET must be "
            f"3 to {63 - len(LOGS)} small letters, digits, dots and dashes"
        )
    keys = aws.session(settings)
    account = account_of(settings)
    done: list[Done] = []
    for bucket in (logs, name):
        place = Place(f"bucket {bucket}", "DATA_LAKE_BUCKET")
        with closing(aws.service_api("s3", settings, keys, place, judged)) as api:
            done.append(Done(bucket, "bucket", _make(api, bucket, settings.aws_region)))
            done += _guarantees(api, bucket, settings, account)
    return done


def _make(api: Api, bucket: str, region: str) -> Literal["made", "was there"]:
    try:
        api.ask("head_bucket", Bucket=bucket)
    except Missing:
        where = {} if region == "us-east-1" else {"LocationConstraint": region}
        more = {"CreateBucketConfiguration": where} if where else {}
        api.ask("create_bucket", Bucket=bucket, **more)
        return "made"
    return "was there"


def _guarantees(api: Api, bucket: str, settings: Settings, account: str) -> Iterator[Done]:
    """Each is asked for, and made where there is none."""
    name = settings.data_lake_bucket
    own = bucket == name
    yield _unless(api, bucket, "no public access", "public_access_block",
                  PublicAccessBlockConfiguration=BLOCKED)  # fmt: skip
    rules = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    yield _unless(api, bucket, "no ACLs", "bucket_ownership_controls", OwnershipControls=rules)
    key = settings.s3_kms_key if own else ""
    yield _encrypted(api, bucket, key)
    yield _lifecycle(api, bucket, own)
    policy = msgspec.json.encode(bucket_policy(bucket, name, account)).decode()
    yield _policy(api, bucket, policy)
    if own:
        yield _versions(api, bucket)
        yield _logging(api, bucket)


def _unless(api: Api, bucket: str, what: str, operation: str, **wanted: object) -> Done:
    try:
        api.ask(f"get_{operation}", Bucket=bucket)
    except Missing:
        api.ask(f"put_{operation}", Bucket=bucket, **wanted)
        return Done(bucket, what, "made")
    return Done(bucket, what, "was there")


def _encrypted(api: Api, bucket: str, key: str) -> Done:
    """Every bucket is encrypted by SSE-S3 anyhow; yours is put where yours is named."""
    by: JsonObject = {"SSEAlgorithm": "AES256"}
    if key:
        by = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    wanted = {"Rules": [{"ApplyServerSideEncryptionByDefault": by, "BucketKeyEnabled": bool(key)}]}
    what = "encrypted by your key" if key else "encrypted"
    done = _unless(api, bucket, what, "bucket_encryption",
                   ServerSideEncryptionConfiguration=wanted)  # fmt: skip
    if not key or done.became == "made":
        return done
    found = api.ask("get_bucket_encryption", Bucket=bucket)["ServerSideEncryptionConfiguration"]
    if found["Rules"][0]["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID") == key:
        return done
    api.ask("put_bucket_encryption", Bucket=bucket, ServerSideEncryptionConfiguration=wanted)
    return Done(bucket, what, "made")


def _lifecycle(api: Api, bucket: str, own: bool) -> Done:
    rules: list[JsonObject] = [
        {"ID": "unfinished-uploads", "Status": "Enabled", "Filter": {"Prefix": ""},
         "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
    ]  # fmt: skip
    if own:
        rules.append({
            "ID": "replaced-versions", "Status": "Enabled", "Filter": {"Prefix": ""},
            "Expiration": {"ExpiredObjectDeleteMarker": True},
            "NoncurrentVersionExpiration": {"NoncurrentDays": NONCURRENT_DAYS},
        })  # fmt: skip
    else:
        rules.append({"ID": "old-logs", "Status": "Enabled", "Filter": {"Prefix": ""},
                      "Expiration": {"Days": LOG_DAYS}})  # fmt: skip
    return _unless(api, bucket, "lifecycle", "bucket_lifecycle_configuration",
                   LifecycleConfiguration={"Rules": rules})  # fmt: skip


def _policy(api: Api, bucket: str, policy: str) -> Done:
    """Somebody's own policy stays; whether it refuses plain connections is said."""
    try:
        found = str(api.ask("get_bucket_policy", Bucket=bucket)["Policy"])
    except Missing:
        api.ask("put_bucket_policy", Bucket=bucket, Policy=policy)
        return Done(bucket, "TLS only", "made")
    kept = "aws:SecureTransport" in found
    return Done(bucket, "TLS only", "was there" if kept else "left as it is: look at it")


def _versions(api: Api, bucket: str) -> Done:
    found = api.ask("get_bucket_versioning", Bucket=bucket).get("Status")
    if found == "Enabled":
        return Done(bucket, "versions", "was there")
    if found == "Suspended":
        return Done(bucket, "versions", "left as it is: look at it")
    api.ask("put_bucket_versioning", Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return Done(bucket, "versions", "made")


def _logging(api: Api, bucket: str) -> Done:
    if api.ask("get_bucket_logging", Bucket=bucket).get("LoggingEnabled"):
        return Done(bucket, "access logs", "was there")
    target = {"TargetBucket": bucket + LOGS, "TargetPrefix": "s3/"}
    api.ask("put_bucket_logging", Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": target})
    return Done(bucket, "access logs", "made")


def bucket_policy(bucket: str, data: str, account: str) -> JsonObject:
    """TLS for everybody; and into the bucket of logs, S3's own logs of the data's bucket."""
    arn = f"arn:aws:s3:::{bucket}"
    plain: JsonObject = {
        "Sid": "EncryptedConnectionsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"], "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }  # fmt: skip
    if bucket == data:
        old = {"NumericLessThan": {"s3:TlsVersion": "1.2"}}
        statements = [plain, {**plain, "Sid": "NoOldEncryption", "Condition": old}]
    else:
        logs: JsonObject = {
            "Sid": "LogsOfTheBucket", "Effect": "Allow",
            "Principal": {"Service": "logging.s3.amazonaws.com"}, "Action": "s3:PutObject",
            "Resource": f"{arn}/s3/*",
            "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{data}"},
                          "StringEquals": {"aws:SourceAccount": account}},
        }  # fmt: skip
        statements = [logs, plain]
    return {"Version": "2012-10-17", "Statement": statements}
