"""`lakeward aws`: what it shows before it does anything, what it refuses, and in which words."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError

from clouds import KEYS, Cloud, emulator
from lakeward.aws.bucket import judged as judged_bucket
from lakeward.aws.formation import Deployed, judged, reason, require_alive
from lakeward.aws.stacks import NAMES, STACKS
from lakeward.cli.aws import TEMPLATES
from lakeward.errors import Terminal, Transient
from lakeward.settings import load
from lakeward.sinks.verdict import Invalid, Missing, Place
from stacked import CODE, IMAGE, QUERY, Account, account
from templated import templates


@pytest.fixture
def aws(tmp_path: Path) -> Account:
    return account(tmp_path)


def stack_names(aws: Account) -> set[str]:
    rows = aws.cloud.client("cloudformation").describe_stacks()["Stacks"]
    return {row["StackName"] for row in rows}


def test_the_command_knows_every_template() -> None:
    assert TEMPLATES == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_template_prints_what_is_in_the_package(aws: Account, name: str) -> None:
    (stack,) = [stack for stack in STACKS if stack.name == name]
    assert aws.run("template", name).out == stack.template()
    assert aws.run("template", name, "--format", "json").json == {"template": stack.template()}


@pytest.mark.parametrize("name", NAMES)
def test_what_a_template_takes_and_gives_is_read_from_it_as_yaml_has_it(name: str) -> None:
    (stack,) = [stack for stack in STACKS if stack.name == name]
    template = templates()[name]
    needed = {key: "Default" not in row for key, row in template["Parameters"].items()}
    assert stack.parameters() == needed
    assert stack.outputs() == tuple(template["Outputs"])


def test_template_needs_no_extra_and_no_account() -> None:
    code = (
        "import sys; sys.modules['boto3'] = None; sys.modules['obstore'] = None\n"
        "from lakeward.cli import main\n"
        "assert main(('aws', 'template', 'storage')) == 0\n"
        "assert main(('aws', 'status')) == 2\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert "DeletionProtectionEnabled" in ran.stdout
    assert "pip install 'lakeward[aws]'" in ran.stderr


def test_plan_shows_everything_and_leaves_nothing(aws: Account) -> None:
    said = aws.run("plan", "storage")
    assert said.code == 0, said.err
    assert "lakeward-production-storage: bucket and table" in said.out
    assert "account 000000000000, us-east-1, environment production" in said.out
    assert "  + DataLake (AWS::S3::Bucket)" in said.out
    assert stack_names(aws) == set()
    assert aws.cloud.client("s3").list_buckets()["Buckets"] == []


def test_plan_of_a_stack_that_stands_leaves_it_and_no_change_set(aws: Account) -> None:
    aws.run("deploy", "storage", "--yes")
    before = aws.outputs("storage")
    said = aws.run("plan", "storage", "--set", "BucketName=another-name", "--format", "json")
    (plan,) = said.json["plan"]
    (action,) = [it["action"] for it in plan["changes"] if it["resource"] == "DataLake"]
    assert action in ("replace", "may replace")  # AWS says the first, the emulator the second
    sets = aws.cloud.client("cloudformation").list_change_sets(
        StackName="lakeward-production-storage"
    )["Summaries"]
    assert [row for row in sets if row["ExecutionStatus"] == "AVAILABLE"] == []
    assert aws.outputs("storage") == before


def test_deploying_twice_is_deploying_once(aws: Account) -> None:
    first = aws.run("deploy", "storage", "--yes")
    assert first.code == 0, first.err
    assert "lakeward-production-storage stands" in first.out
    assert "next: `lakeward aws env` prints the settings" in first.out
    again = aws.run("deploy", "storage", "--yes")
    assert again.code == 0
    assert "lakeward-production-storage: no changes" in again.out
    told = aws.run("deploy", "storage", "--yes", "--format", "json").json
    assert told["deployed"][0]["changed"] is False
    assert told["deployed"][0]["outputs"] == aws.outputs("storage")


def test_without_a_yes_nothing_is_done(aws: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    said = aws.run("deploy", "storage")
    assert said.code == 2
    assert "nobody is here to be asked: add --yes" in said.err
    assert "+ DataLake" in said.out
    assert stack_names(aws) == set()
    answered(monkeypatch, "n\n")
    said = aws.run("deploy", "storage")
    assert (said.code, stack_names(aws)) == (1, set())
    assert said.out.endswith("nothing was done\n")
    answered(monkeypatch, "y\n")
    assert aws.run("deploy", "storage").code == 0


def answered(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A person at a terminal types it."""

    class Terminal:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return text

    monkeypatch.setattr(sys, "stdin", Terminal())


def test_a_resource_that_fails_is_told_in_one_sentence_and_the_stack_can_be_cleared(
    aws: Account,
) -> None:
    aws.cloud.client("s3").create_bucket(Bucket="taken-name")
    said = aws.run("deploy", "storage", "--yes", "--set", "BucketName=taken-name")
    assert said.code == 2
    assert re.fullmatch(
        "lakeward: lakeward-production-storage failed and is ROLLBACK_COMPLETE: DataLake: .*"
        "already exists\n", said.err,
    )  # fmt: skip
    assert aws.run("status").code == 1
    again = aws.run("deploy", "storage", "--yes", "--set", "BucketName=free-name")
    assert again.code == 2
    assert "`lakeward aws destroy` clears it" in again.err
    assert aws.run("destroy", "storage", "--bucket", "none").code == 0
    names = {row["Name"] for row in aws.cloud.client("s3").list_buckets()["Buckets"]}
    assert names == {"taken-name"}  # what was there stays, what was made half is gone
    assert aws.run("deploy", "storage", "--yes", "--set", "BucketName=free-name").code == 0


def test_a_change_that_fails_is_rolled_back_and_told_and_the_next_one_is_made(
    aws: Account,
) -> None:
    aws.package()
    assert aws.run("deploy", "storage", "ingest", "--yes", *CODE).code == 0
    before = aws.outputs("ingest")
    said = aws.run("deploy", "ingest", "--yes", "--set", "CodeKey=not-there.zip")
    assert said.code == 2
    name = "lakeward-production-ingest"
    assert f"{name} failed and is UPDATE_ROLLBACK_COMPLETE: Function: " in said.err
    assert said.err.count("\n") == 1
    assert aws.outputs("ingest") == before
    mended = aws.run("deploy", "ingest", "--yes", "--set", "LogDays=7")  # with the old key again
    assert mended.code == 0, mended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "Nope=1"), "'Nope' is no parameter of storage"),
        (("--set", "nonsense"), "--set takes NAME=VALUE"),
        (("--set", "Environment=x"), "named with --environment"),
        (("--set", "BucketName=UPPER"), "must be 3 to 63 small letters"),
        (("--set", f"BucketName={'b' * 64}"), "must be 3 to 63 small letters"),
        (("--environment", "Production"), "cannot stand in the names of stacks"),
        (("--environment", "e" * 21), "up to 20 small letters"),
        (("--account", "123456789012"), "are of account 000000000000, not of 123456789012"),
    ],
)
def test_what_cannot_be_deployed_is_one_sentence(
    aws: Account, words: tuple[str, ...], said: str
) -> None:
    refused = aws.run("deploy", "storage", "--yes", *words)
    assert refused.code == 2
    assert said in refused.err
    assert refused.err.count("\n") == 1
    assert stack_names(aws) == set()


def test_a_stack_whose_giver_is_missing_says_who_gives(aws: Account) -> None:
    said = aws.run("deploy", "processing", "--yes", *IMAGE)
    assert said.code == 2
    assert "processing needs DataLakeBucket: deploy storage first" in said.err
    said = aws.run("deploy", "query", "--yes")
    assert "too long to be sent and must lie in a bucket: deploy storage first" in said.err


@pytest.mark.parametrize("verb", ["status", "plan storage", "deploy storage --yes", "env",
                                  "bucket", "table", "destroy ingest --yes"])  # fmt: skip
def test_without_credentials_and_with_a_region_that_is_none_a_sentence_is_said(
    aws: Account, verb: str
) -> None:
    names = {"DATA_LAKE_BUCKET": "a-lake", "INTERACTIONS_TABLE": "a-table"}
    none = {**dict.fromkeys(KEYS, ""), "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_SHARED_CREDENTIALS_FILE": "none", "AWS_CONFIG_FILE": "none"}  # fmt: skip
    said = aws.run(*verb.split(), **none, **names)
    assert said.code == 2
    assert "there are no AWS credentials: set AWS_ACCESS_KEY_ID" in said.err
    said = aws.run(*verb.split(), AWS_REGION="no region", **names)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "AWS_REGION must be a region such as" in said.err


def test_destroy_refuses_storage_without_its_buckets_name(
    aws: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.run("deploy", "storage", "query", "--yes", *QUERY)
    bucket = aws.outputs("storage")["DataLakeBucket"]
    said = aws.run("destroy", "storage", "--bucket", bucket)
    assert said.code == 2
    assert "query stand on storage: destroy them first" in said.err
    assert aws.run("destroy", "query", "--yes").code == 0
    for words, why in (
        (("--yes",), "add --bucket NAME"),
        (("--yes", "--bucket", "another"), "only for whoever names its bucket"),
    ):
        said = aws.run("destroy", "storage", *words)
        assert said.code == 2
        assert why in said.err
    answered(monkeypatch, "yes\n")
    assert aws.run("destroy", "storage").code == 2
    assert stack_names(aws) == {"lakeward-production-storage"}
    answered(monkeypatch, f"{bucket}\n")
    said = aws.run("destroy", "storage")
    assert said.code == 0, said.err
    assert f"{bucket}" in said.out
    assert "stays, with all data" in said.out


def test_data_outlive_the_stack_of_storage(aws: Account) -> None:
    aws.run("deploy", "storage", "--yes")
    outputs, s3 = aws.outputs("storage"), aws.cloud.client("s3")
    dynamodb = aws.cloud.client("dynamodb")
    s3.put_object(Bucket=outputs["DataLakeBucket"], Key="raw/a", Body=b"x")
    item = {"interaction_id": {"S": "1"}}
    dynamodb.put_item(TableName=outputs["InteractionsTable"], Item=item)
    said = aws.run("destroy", "storage", "--bucket", outputs["DataLakeBucket"], "--format", "json")
    (gone,) = said.json["destroyed"]
    assert {
        outputs["DataLakeBucket"],
        outputs["AccessLogsBucket"],
        outputs["InteractionsTable"],
    } == (set(gone["stays"]))
    found = s3.get_object(Bucket=outputs["DataLakeBucket"], Key="raw/a")
    assert found["Body"].read() == b"x"
    assert dynamodb.get_item(TableName=outputs["InteractionsTable"], Key=item)["Item"] == item
    policy = s3.get_bucket_policy(Bucket=outputs["DataLakeBucket"])["Policy"]
    assert "aws:SecureTransport" in policy
    assert aws.run("destroy", "storage", "--bucket", "any").code == 0
    assert "is not there" in aws.run("destroy", "ingest", "--yes").out


def test_env_loads_and_holds_no_secret(aws: Account, tmp_path: Path) -> None:
    assert aws.run("env").code == 2
    aws.run("deploy", "storage", "query", "--yes", *QUERY)
    said = aws.run("env")
    assert said.code == 0
    (tmp_path / ".env.production").write_text(said.out)
    settings = load({"LAKEWARD_ENV": "production"}, tmp_path)
    outputs = {**aws.outputs("storage"), **aws.outputs("query")}
    assert settings.data_lake_bucket == outputs["DataLakeBucket"]
    assert settings.interactions_table == outputs["InteractionsTable"]
    assert settings.athena_table == "lakeward_production.interactions"
    assert settings.athena_output == outputs["AthenaOutput"]
    assert settings.athena_workgroup == outputs["AthenaWorkgroup"]
    assert settings.table == f"s3://{outputs['DataLakeBucket']}/table"
    assert (settings.use_s3, settings.use_dynamodb) == (True, True)
    assert (settings.aws_access_key_id, settings.aws_secret_access_key) == ("", "")
    assert aws.run("env", "--format", "json").json["env"] == said.out


def test_no_command_says_a_secret(aws: Account) -> None:
    said = ""
    token = {"AWS_SESSION_TOKEN": "token-of-a-person"}
    for words in (
        ("plan", "storage"), ("deploy", "storage", "--yes"), ("status",), ("env",),
        ("deploy", "query", "--yes"), ("deploy", "ingest", "--yes"), ("bucket",), ("table",),
        ("status", "--format", "json"), ("deploy", "storage", "--yes", "--set", "BucketName=UP"),
        ("destroy", "storage", "--bucket", "x"), ("status", "--account", "1"),
    ):  # fmt: skip
        got = aws.run(*words, **token, DATA_LAKE_BUCKET="a-lake", INTERACTIONS_TABLE="a-table")
        said += got.out + got.err
    assert len(said) > 2000
    for secret in (*KEYS.values(), *token.values()):
        assert secret not in said


def test_the_template_that_is_too_long_lies_in_the_bucket_and_gets_there_once(aws: Account) -> None:
    for _ in range(2):
        assert aws.run("deploy", "storage", "query", "--yes", *QUERY).code == 0
    rows = aws.cloud.client("s3").list_object_versions(
        Bucket=aws.outputs("storage")["DataLakeBucket"], Prefix="templates/"
    )["Versions"]
    assert {row["Key"].rpartition("-")[0] for row in rows} == {"templates/query"}
    assert len(rows) == 1


# Without CloudFormation, on both emulators.


@pytest.mark.parametrize("name", ["ministack", "moto"])
def test_bucket_makes_what_the_template_makes_and_twice_nothing(tmp_path: Path, name: str) -> None:
    aws = account(tmp_path, name)
    said = aws.run("bucket", DATA_LAKE_BUCKET="my-lake", AWS_REGION="us-east-1")
    assert said.code == 0, said.err
    client = aws.cloud.client("s3")
    for bucket in ("my-lake", "my-lake-logs"):
        blocked = client.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        assert set(blocked.values()) == {True}
        (rule,) = client.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
        assert rule["ObjectOwnership"] == "BucketOwnerEnforced"
        rules = client.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
        by = rules["Rules"][0]["ApplyServerSideEncryptionByDefault"]
        assert by["SSEAlgorithm"] == "AES256"
        policy = msgspec.json.decode(client.get_bucket_policy(Bucket=bucket)["Policy"])
        denied = [it["Condition"] for it in policy["Statement"] if it["Effect"] == "Deny"]
        assert {"Bool": {"aws:SecureTransport": "false"}} in denied
        rules = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        assert [rule["Status"] for rule in rules] == ["Enabled", "Enabled"]
    assert client.get_bucket_versioning(Bucket="my-lake")["Status"] == "Enabled"
    logging = client.get_bucket_logging(Bucket="my-lake")["LoggingEnabled"]
    assert logging["TargetBucket"] == "my-lake-logs"
    again = aws.run("bucket", "--format", "json", DATA_LAKE_BUCKET="my-lake")
    assert {row["became"] for row in again.json["done"]} == {"was there"}


def test_what_somebody_configured_stays_and_is_pointed_at(aws: Account) -> None:
    client = aws.cloud.client("s3")
    client.create_bucket(Bucket="my-lake")
    own = {"Rules": [{"ID": "mine", "Status": "Enabled", "Filter": {"Prefix": "x/"},
                      "Expiration": {"Days": 3}}]}  # fmt: skip
    client.put_bucket_lifecycle_configuration(Bucket="my-lake", LifecycleConfiguration=own)
    mine = '{"Version":"2012-10-17","Statement":[{"Sid":"Mine","Effect":"Deny","Principal":"*",' \
           '"Action":"s3:DeleteBucket","Resource":"arn:aws:s3:::my-lake"}]}'  # fmt: skip
    client.put_bucket_policy(Bucket="my-lake", Policy=mine)
    said = aws.run("bucket", DATA_LAKE_BUCKET="my-lake")
    assert said.code == 1
    assert "my-lake  TLS only: left as it is: look at it" in said.out
    assert "my-lake  lifecycle: was there" in said.out
    found = client.get_bucket_policy(Bucket="my-lake")["Policy"]
    assert msgspec.json.decode(found) == msgspec.json.decode(mine)
    (rule,) = client.get_bucket_lifecycle_configuration(Bucket="my-lake")["Rules"]
    assert rule["ID"] == "mine"


@pytest.mark.parametrize(
    ("name", "said"),
    [("", "set DATA_LAKE_BUCKET"), ("b" * 59, "3 to 58 small letters"), ("Upper", "3 to 58 small")],
)
def test_a_name_that_no_bucket_can_have_is_refused(aws: Account, name: str, said: str) -> None:
    refused = aws.run("bucket", DATA_LAKE_BUCKET=name)
    assert refused.code == 2
    assert said in refused.err


@pytest.mark.parametrize("name", ["ministack", "moto"])
def test_table_makes_what_the_template_makes_and_twice_nothing(tmp_path: Path, name: str) -> None:
    aws = account(tmp_path, name)
    said = aws.run("table", INTERACTIONS_TABLE="my-table")
    assert (said.code, said.out) == (0, "table my-table: made\n"), said.err
    again = aws.run("table", "--format", "json", INTERACTIONS_TABLE="my-table")
    assert again.json == {"table": "my-table", "became": "was there"}
    client = aws.cloud.client("dynamodb")
    found = client.describe_table(TableName="my-table")["Table"]
    assert found["DeletionProtectionEnabled"] is True
    assert len(found["GlobalSecondaryIndexes"]) == 2
    backups = client.describe_continuous_backups(TableName="my-table")
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"
    expiry = client.describe_time_to_live(TableName="my-table")["TimeToLiveDescription"]
    assert expiry["AttributeName"] == "expires_at"


# What AWS says, and what is made of it.


def refusal(code: str, message: str = "", status: int = 400) -> ClientError:
    said: Any = {"Error": {"Code": code, "Message": message},
                 "ResponseMetadata": {"HTTPStatusCode": status}}  # fmt: skip
    return ClientError(said, "Any")


HERE = Place("CloudFormation", "AWS_REGION")


@pytest.mark.parametrize(
    ("judge", "error", "kind", "said"),
    [
        (judged, refusal("ValidationError", "Stack with id a does not exist"), Missing, "exist"),
        (judged, refusal("ValidationError", "X must be small"), Invalid, "X must be small"),
        (judged, refusal("ChangeSetNotFound"), Missing, "no such change set"),
        (judged, refusal("AccessDenied", "user AKIASECRETSECRETSEC1"), Terminal, "denies access"),
        (judged, refusal("ExpiredToken"), Transient, "expired"),
        (judged_bucket, refusal("BucketAlreadyExists"), Terminal, "belongs to somebody else"),
        (judged_bucket, refusal("403", status=403), Terminal, "belongs to somebody else"),
        (judged_bucket, refusal("404", status=404), Missing, "there is no"),
        (judged_bucket, refusal("InvalidBucketName"), Terminal, "mend DATA_LAKE_BUCKET"),
        (judged_bucket, refusal("SlowDown", status=503), Transient, "does not answer now"),
    ],
)  # fmt: skip
def test_each_refusal_has_its_branch(
    judge: Callable[[Exception, Place], Exception], error: ClientError, kind: type[Exception],
    said: str,
) -> None:  # fmt: skip
    found = judge(error, HERE)
    assert type(found) is kind
    assert said in str(found)
    assert "AKIA" not in str(found)


def test_reasons_lose_keys_request_ids_and_length() -> None:
    assert reason("b already exists (Service: S3, Status Code: 409, Request ID: X)") == (
        "b already exists"
    )
    assert reason("Key AKIAABCDEFGHIJKLMNOP is bad.") == "Key [REDACTED] is bad"
    assert len(reason("x" * 5000)) == 300
    assert reason("two\nlines") == "two lines"


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        ("ROLLBACK_COMPLETE", Terminal, "`lakeward aws destroy` clears it"),
        ("ROLLBACK_FAILED", Terminal, "`lakeward aws destroy` clears it"),
        ("DELETE_FAILED", Terminal, "`lakeward aws destroy` clears it"),
        ("UPDATE_ROLLBACK_FAILED", Terminal, "continue its rollback"),
        ("UPDATE_IN_PROGRESS", Transient, "when it has ended"),
        ("UPDATE_COMPLETE", None, ""),
        ("UPDATE_ROLLBACK_COMPLETE", None, ""),
        ("REVIEW_IN_PROGRESS", None, ""),
    ],
)
def test_a_stack_in_a_state_that_takes_no_change_says_what_to_do(
    status: str, kind: type[Exception] | None, said: str
) -> None:
    found = Deployed("lakeward-production-storage", "id", status, {}, {})
    if kind is None:
        require_alive(found, "deploy")
        return
    with pytest.raises(kind, match=said):
        require_alive(found, "deploy")


def test_a_cloud_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    emulator("ministack").reset()
    aws = account(tmp_path)
    aws.cloud = Cloud("nobody", 9, "")
    said = aws.run("status", LAKEWARD_AWS_ENDPOINT="http://127.0.0.1:9", LAKEWARD_AWS_SECONDS="1")
    assert said.code == 2
    assert "cannot be reached: check the network" in said.err
