"""Templates: what AWS's own linter says of them, and what they promise of data, names and secrets.

That they can be made is tried on an emulator, in `test_aws_stacks.py`; nothing here ran on AWS.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clouds import KEYS
from lakeward.analysis.athena import shown
from lakeward.analysis.listing import SHOWN
from lakeward.analysis.registry import QUESTIONS, question_of
from lakeward.analysis.trino import foreign
from lakeward.aws.questions import saved
from lakeward.aws.stacks import NAMES, STACKS, stack_of
from lakeward.cli.compact import Report
from lakeward.errors import Terminal
from lakeward.interaction import FIELDS
from lakeward.lake.columns import COLUMNS, PARTITION
from lakeward.settings import SETTINGS, load
from lakeward.sinks import blueprint
from lakeward.sinks.aws import Api
from lakeward.sinks.verdict import Place
from templated import leaves, resources, templates

FOLDER = Path(__file__).resolve().parent.parent / "src/lakeward/aws/templates"
LINTER = Path(sys.executable).parent / "cfn-lint"
DATA = {"AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::DynamoDB::Table", "AWS::SQS::Queue"}
TAGLESS = {
    "AWS::ApiGatewayV2::Integration", "AWS::ApiGatewayV2::Route", "AWS::Athena::NamedQuery",
    "AWS::Budgets::Budget", "AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard",
    "AWS::ElasticLoadBalancingV2::Listener", "AWS::Glue::Database", "AWS::Glue::Table",
    "AWS::IAM::ManagedPolicy", "AWS::Lambda::Permission", "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy",
    "AWS::Logs::MetricFilter", "AWS::Scheduler::Schedule",
}  # fmt: skip
"""Types that take no tags, or, as alarms, that nobody pays for by themselves."""
NAMED = re.compile(r"(?:Name|Family)$")
SECRET = re.compile(
    r"AKIA[A-Z0-9]{12}|-----BEGIN|(?i:password|secret_?key|token)\s*[:=]\s*['\"]?\w"
)


@pytest.mark.parametrize("name", NAMES)
def test_the_linter_of_cloudformation_has_nothing_to_say(name: str) -> None:
    command = [str(LINTER), "-t", str(FOLDER / f"{name}.yaml")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")


def test_the_linter_would_find_a_mistake(tmp_path: Path) -> None:
    text = (FOLDER / "storage.yaml").read_text()
    broken = tmp_path / "broken.yaml"
    broken.write_text(text.replace("BillingMode: PAY_PER_REQUEST", "BillingMode: FREE"))
    ran = subprocess.run([LINTER, "-t", broken], capture_output=True, text=True, timeout=120)
    assert "FREE" in ran.stdout
    assert ran.returncode != 0


def test_every_template_of_the_folder_is_a_stack_and_every_stack_has_one() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(NAMES)


def test_templates_are_sent_as_they_are_or_lie_in_a_bucket() -> None:
    for stack in STACKS:
        size = len(stack.template().encode())
        assert size <= 1_000_000, stack.name  # what CloudFormation reads from a bucket
        assert len(templates()[stack.name]["Resources"]) <= 500
    assert len(stack_of("storage").template().encode()) <= 51_200  # there is no bucket before it


def test_what_holds_data_outlives_its_stack() -> None:
    kept: dict[str, set[str]] = {name: set() for name in NAMES}
    for name, logical, resource in resources():
        if resource["Type"] not in DATA:
            continue
        assert resource["DeletionPolicy"] == "RetainExceptOnCreate", logical
        assert resource["UpdateReplacePolicy"] == "Retain", logical
        kept[name].add(logical)
    assert kept == {stack.name: set(stack.stays) for stack in STACKS}


def test_whatever_takes_tags_says_whose_it_is() -> None:
    for name, logical, resource in resources():
        tags = resource["Properties"].get("Tags")
        if resource["Type"] in TAGLESS:
            continue
        if resource["Type"] == "AWS::KMS::Key" and tags is None:
            pytest.fail(logical)
        found = tags if isinstance(tags, dict) else {tag["Key"]: tag["Value"] for tag in tags}
        assert found == {"lakeward": name, "environment": {"Ref": "Environment"}}, logical


def test_no_name_is_the_same_in_two_environments() -> None:
    """A name is left to CloudFormation, or made of the stack's, or a parameter's."""
    free = {"Glue::Table", "Athena::NamedQuery", "EC2::", "SecretsManager"}  # within what has one
    for _, logical, resource in resources():
        if any(part in resource["Type"] for part in free):
            continue
        for key, value in resource["Properties"].items():
            if NAMED.search(key) and key not in ("MetricName", "StageName", "PolicyName"):
                assert not isinstance(value, str), (logical, key, value)


@pytest.mark.parametrize("name", NAMES)
def test_no_template_holds_a_secret(name: str) -> None:
    text = stack_of(name).template()
    assert SECRET.search(text) is None
    for key in KEYS.values():
        assert key not in text


def test_containers_and_functions_have_no_secret_in_their_environment() -> None:
    secret = {setting.env for setting in SETTINGS if setting.secret}
    known = {setting.env for setting in SETTINGS} | {"LAKEWARD_ACK", "LAKEWARD_KEYS"}
    seen = 0
    for _, logical, resource in resources():
        plain: list[str] = []
        if resource["Type"] == "AWS::Lambda::Function":
            plain = list(resource["Properties"]["Environment"]["Variables"])
        elif resource["Type"] == "AWS::ECS::TaskDefinition":
            for container in resource["Properties"]["ContainerDefinitions"]:
                plain += [pair["Name"] for pair in container["Environment"]]
        seen += len(plain)
        assert not secret & set(plain), logical
        assert set(plain) <= known, logical
    assert seen > 20


def test_a_task_has_the_address_of_its_database_by_a_secret_alone() -> None:
    task = templates()["ingest"]["Resources"]["Task"]["Properties"]
    (container,) = task["ContainerDefinitions"]
    environ = {pair["Name"]: pair["Value"] for pair in container["Environment"]}
    assert environ["LAKEWARD_ACK"] == "s3"
    assert container["Secrets"] == [
        {"Name": "LAKEWARD_DATABASE_URL", "ValueFrom": {"Ref": "DatabaseUrlArn"}}
    ]


def test_what_a_function_fails_at_goes_to_its_dead_letters() -> None:
    letters = {
        name: function["Properties"]["DeadLetterConfig"]["TargetArn"]["Fn::GetAtt"]
        for name, _, function in resources("AWS::Lambda::Function")
    }
    assert letters == {
        "ingest": ["DeadLetters", "Arn"], "processing": ["CompactionDeadLetters", "Arn"],
    }  # fmt: skip


def test_no_role_allows_everything() -> None:
    """A star stands where AWS takes nothing else: entering a registry, a key's own policy."""
    stars = []
    for _, logical, resource in resources():
        for policy in resource["Properties"].get("Policies", []) or []:
            statements = policy["PolicyDocument"]["Statement"]
            for statement in statements:
                inner = statement.get("Fn::If", [None, statement])[1:]
                for one in inner:
                    if isinstance(one, dict) and "Sid" in one:
                        actions = one["Action"]
                        assert not any("*" in it for it in leaves(actions)), (logical, one["Sid"])
                        if "*" in list(leaves(one["Resource"])):
                            stars.append(one["Sid"])
    assert set(stars) == {"EnterRegistry"}


def test_the_bucket_is_closed_encrypted_versioned_and_logged() -> None:
    bucket = templates()["storage"]["Resources"]["DataLake"]["Properties"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["LoggingConfiguration"]["DestinationBucketName"] == {"Ref": "AccessLogs"}
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    yours, theirs = rule["Fn::If"][1:]
    assert yours["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert theirs["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"


def test_raw_gets_colder_versions_and_answers_expire_as_parameters_say() -> None:
    bucket = templates()["storage"]["Resources"]["DataLake"]["Properties"]
    uploads, versions, colder = bucket["LifecycleConfiguration"]["Rules"]
    days = uploads["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
    assert days == {"Ref": "AbortMultipartDays"}
    kept = versions["NoncurrentVersionExpiration"]["NoncurrentDays"]
    assert kept == {"Ref": "NoncurrentDays"}
    condition, rule, nothing = colder["Fn::If"]
    assert (condition, nothing) == ("MovesRaw", {"Ref": "AWS::NoValue"})
    assert rule["Prefix"] == "raw/"
    moves = [it["Fn::If"][1] for it in rule["Transitions"]]
    assert [it["StorageClass"] for it in moves] == [
        "STANDARD_IA",
        "GLACIER_IR",
    ]  # both read at once
    answers = templates()["query"]["Resources"]["Answers"]["Properties"]
    (rule,) = answers["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == {"Ref": "AnswerDays"}


def test_the_api_is_throttled_and_alarms_go_to_an_encrypted_topic() -> None:
    stage = templates()["ingest"]["Resources"]["Stage"]["Properties"]
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] == {"Ref": "RequestsPerSecond"}
    assert stage["DefaultRouteSettings"]["ThrottlingBurstLimit"] == {"Ref": "RequestBurst"}
    made = templates()["monitoring"]["Resources"]
    assert made["Topic"]["Properties"]["KmsMasterKeyId"] == {"Ref": "Key"}
    services = made["Key"]["Properties"]["KeyPolicy"]["Statement"][1]["Principal"]["Service"]
    assert "cloudwatch.amazonaws.com" in services
    for _, logical, alarm in resources("AWS::CloudWatch::Alarm"):
        assert alarm["Properties"]["AlarmActions"] == [{"Ref": "Topic"}], logical


def test_the_table_of_the_template_is_that_of_the_blueprint() -> None:
    asked: dict[str, Any] = {}

    class Listening:
        def create_table(self, **arguments: Any) -> dict[str, Any]:
            asked.update(arguments)
            return {}

    blueprint._create(Api(Listening(), Place("t", "T")), "t")  # type: ignore[arg-type]  # no client
    made = templates()["storage"]["Resources"]["Interactions"]["Properties"]
    for key in ("BillingMode", "KeySchema", "GlobalSecondaryIndexes"):
        assert made[key] == asked[key], key
    by_name = {row["AttributeName"]: row for row in asked["AttributeDefinitions"]}
    assert {row["AttributeName"]: row for row in made["AttributeDefinitions"]} == by_name
    assert made["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert made["DeletionProtectionEnabled"] is True
    yes = made["TimeToLiveSpecification"]["Fn::If"][1]
    assert yes == {"AttributeName": "expires_at", "Enabled": True}


def test_what_a_template_takes_from_another_is_an_output_of_an_earlier_one() -> None:
    """Or has a default; only code, images and networks are yours to name."""
    given: set[str] = set()
    for name in NAMES:
        template = templates()[name]
        needed = {key for key, row in template["Parameters"].items() if "Default" not in row}
        assert needed - given <= {"Environment"}, name
        given |= set(template["Outputs"])
    taken = {key for name in NAMES for key in templates()[name]["Parameters"]} & given
    assert taken >= {"DataLakeBucket", "InteractionsTable", "AccessLogsBucket", "KmsKeyArn",
                     "IngestFunction", "CompactSchedules", "DemoDeadLetters"}  # fmt: skip


def test_the_lag_that_a_compaction_prints_is_the_metric_that_an_alarm_watches() -> None:
    made = {logical: resource["Properties"] for _, logical, resource in resources()}
    [metric] = made["CompactionLag"]["MetricTransformations"]
    assert metric["MetricValue"].removeprefix("$.") in Report.__struct_fields__
    assert made["CompactionLag"]["FilterPattern"] == f"{{ {metric['MetricValue']} >= 0 }}"
    alarm = made["CompactionBehind"]
    assert alarm["MetricName"] == metric["MetricName"]
    assert templates()["processing"]["Outputs"]["CompactMetrics"]["Value"] == {
        "Ref": "AWS::StackName"
    }
    assert metric["MetricNamespace"] == {"Ref": "AWS::StackName"}
    assert alarm["Namespace"] == {"Ref": "CompactMetrics"}
    [task] = templates()["processing"]["Resources"]["Task"]["Properties"]["ContainerDefinitions"]
    assert task["Command"] == ["compact", "--archive", "--format", "json"]


def test_exceptions_from_checks_have_a_reason() -> None:
    skipped = 0
    for _, logical, resource in resources():
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
            assert re.fullmatch(r"CKV_AWS_\d+", skip["id"]), logical
            assert len(skip["comment"]) > 30, logical
            skipped += 1
    assert skipped


# Saved queries.


def kept_queries() -> dict[str, str]:
    """As Athena has them in the environment `lakeward`."""
    found = {}
    for _, _, resource in resources("AWS::Athena::NamedQuery"):
        text = resource["Properties"]["QueryString"]["Fn::Sub"]
        text = text.replace("${Database}", "lakeward").replace("${!", "${")
        found[resource["Properties"]["Name"]] = text
    return found


def test_every_question_is_saved_as_the_engine_would_send_it_or_it_is_said_why_not(
    tmp_path: Path,
) -> None:
    settings, kept = load({}, tmp_path), kept_queries()
    page = stack_of("query").template()
    refused = {}
    for name in QUESTIONS:
        question = question_of(name, SHOWN.get(name, {}), settings)
        try:
            sql = shown(question, settings)
        except Terminal as error:
            refused[name] = str(error)
        else:
            assert kept.pop(name) == sql
            assert foreign(sql) == set(), name
    assert kept == {}
    for name, why in refused.items():
        assert f"  # {name} is not here: {why}\n" in page
    assert len(refused) < len(QUESTIONS) / 2
    assert {one.name for one in saved(settings) if one.refused} == set(refused)
    told = (FOLDER.parents[3] / "docs/aws.md").read_text(encoding="utf-8")
    assert f"{len(QUESTIONS) - len(refused)} of {len(QUESTIONS)}" in told


def test_saved_queries_name_no_table_but_those_of_the_stack() -> None:
    tables = {
        resource["Properties"]["TableInput"]["Name"]
        for _, _, resource in resources("AWS::Glue::Table")
    }
    assert tables == {"raw", "interactions", "lakeward_identities"}
    for name, sql in kept_queries().items():
        assert set(re.findall(r'"lakeward"\."(\w+)"', sql)) <= tables, name


def test_the_tables_have_the_columns_of_the_record_and_of_the_lake() -> None:
    columns = {}
    for _, _, resource in resources("AWS::Glue::Table"):
        table = resource["Properties"]["TableInput"]
        columns[table["Name"]] = [c["Name"] for c in table["StorageDescriptor"]["Columns"]]
    assert columns["raw"] == list(FIELDS)
    assert columns["interactions"] == [*COLUMNS, PARTITION]


def test_the_dates_of_raw_are_projected_as_the_archive_writes_its_folders() -> None:
    table = templates()["query"]["Resources"]["Raw"]["Properties"]["TableInput"]
    place = table["Parameters"]["storage.location.template"]["Fn::Sub"]
    template = place.replace("${DataLakeBucket}", "b").replace("${!", "${")
    for name, value in {"year": "2025", "month": "08", "day": "14"}.items():
        template = template.replace(f"${{{name}}}", value)
        assert table["Parameters"][f"projection.{name}.type"] == "integer"
    assert template == "s3://b/raw/year=2025/month=08/day=14/"
    assert [key["Name"] for key in table["PartitionKeys"]] == ["year", "month", "day"]
    assert table["Parameters"]["projection.month.digits"] == "2"
    assert table["Parameters"]["projection.day.digits"] == "2"
