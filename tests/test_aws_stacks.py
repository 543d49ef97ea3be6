"""Every stack is made, used, changed and taken away on an emulator that makes each resource.

ministack makes the whole stack; where it is less strict than AWS, a policy is judged instead
(`test_aws_roles.py`). It leaves out lifecycle and logging of buckets, the topic's key, throttles of
the API, dead letters of functions and the environment of tasks: `test_aws_templates.py` reads those
in the templates. It knows neither saved queries nor budgets, which the linter alone has seen.
"""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import msgspec
import pytest

from conftest import wait_until
from lakeward.aws.stacks import NAMES
from lakeward.lake.columns import RECORD
from lakeward.settings import load
from lakeward.sinks import s3 as archive
from lakeward.sinks.blueprint import INDEXES
from stacked import CODE, FARGATE, IMAGE, QUERY, STOPPED, Account, account
from templated import templates


@pytest.fixture
def aws(tmp_path: Path) -> Account:
    made = account(tmp_path)
    made.package()
    return made


def deployed(aws: Account, *words: str) -> None:
    said = aws.run("deploy", *words, "--yes")
    assert said.code == 0, said.err


def types(aws: Account, template: str, environment: str = "production") -> set[str]:
    rows = aws.cloud.client("cloudformation").describe_stack_resources(
        StackName=f"lakeward-{environment}-{template}"
    )["StackResources"]
    return {row["ResourceType"] for row in rows}


def test_storage_takes_what_the_sinks_send(aws: Account, tmp_path: Path) -> None:
    """The settings that `aws env` prints are enough for a slice and an item."""
    deployed(aws, "storage")
    (tmp_path / ".env.production").write_text(aws.run("env").out)
    keys = {name: value for name, value in aws.environ.items() if name.startswith("AWS_")}
    settings = load({**keys, "LAKEWARD_ENV": "production"}, tmp_path)
    assert (settings.use_s3, settings.use_dynamodb) == (True, True)
    bucket = archive.bucket_of(settings)
    key = "raw/year=2025/month=08/day=14/a-1.jsonl.gz"
    bucket.put_once(key, (b'{"interaction_id":"a"}\n',))
    client = aws.cloud.client("s3")
    head = client.get_object(Bucket=settings.data_lake_bucket, Key=key)
    assert gzip.decompress(head["Body"].read()) == b'{"interaction_id":"a"}\n'
    assert head["ServerSideEncryption"] == "AES256"
    table = aws.cloud.client("dynamodb").describe_table(TableName=settings.interactions_table)
    indexes = {row["IndexName"] for row in table["Table"]["GlobalSecondaryIndexes"]}
    assert indexes == set(INDEXES.values())
    assert table["Table"]["DeletionProtectionEnabled"] is True


def test_the_bucket_has_what_the_template_promises_of_it(aws: Account) -> None:
    deployed(aws, "storage")
    client = aws.cloud.client("s3")
    for name in (value for key, value in aws.outputs("storage").items() if "Bucket" in key):
        blocked = client.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
        assert set(blocked.values()) == {True}
        rules = client.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]
        assert [rule["ObjectOwnership"] for rule in rules] == ["BucketOwnerEnforced"]
    data = aws.outputs("storage")["DataLakeBucket"]
    assert client.get_bucket_versioning(Bucket=data)["Status"] == "Enabled"


def test_a_change_is_made_in_place_and_what_was_set_before_stays(aws: Account) -> None:
    deployed(aws, "storage", "--set", "NoncurrentDays=9")
    before = aws.outputs("storage")
    (plan,) = aws.run("plan", "storage", "--set", "ExpireItems=no", "--format", "json").json["plan"]
    assert "Interactions" in {change["resource"] for change in plan["changes"]}
    assert not {"add", "remove", "replace"} & {change["action"] for change in plan["changes"]}
    deployed(aws, "storage", "--set", "ExpireItems=no")
    assert aws.outputs("storage") == before
    dynamodb = aws.cloud.client("dynamodb")
    expiry = dynamodb.describe_time_to_live(TableName=before["InteractionsTable"])
    assert expiry["TimeToLiveDescription"]["TimeToLiveStatus"] == "DISABLED"
    rows = aws.cloud.client("cloudformation").describe_stacks(
        StackName="lakeward-production-storage"
    )["Stacks"][0]["Parameters"]
    values = {row["ParameterKey"]: row["ParameterValue"] for row in rows}
    assert (values["NoncurrentDays"], values["ExpireItems"]) == ("9", "no")


def test_ingest_by_lambda_answers_over_its_api(aws: Account) -> None:
    deployed(aws, "storage", "ingest", *CODE, "--set", "Authorization=NONE")
    outputs = aws.outputs("ingest")
    api = re.sub(r"^https?://", "", outputs["IngestUrl"]).partition(":")[0]
    request = Request(f"{aws.cloud.endpoint}/v1/interactions", b"{}", {"Host": api}, method="POST")
    with urlopen(request, timeout=120) as answer:
        assert answer.read().decode() == aws.outputs("storage")["DataLakeBucket"]
    function = aws.cloud.client("lambda").get_function_configuration(
        FunctionName=outputs["IngestFunction"]
    )
    assert function["Handler"] == "lakeward.aws.ingest.handler"


def image_config(function: dict[str, Any]) -> dict[str, Any]:
    """How a container of the function is started."""
    told: dict[str, Any] = function["Configuration"]["ImageConfigResponse"]["ImageConfig"]
    return told


def test_ingest_by_lambda_may_be_the_image_and_a_package_goes_before_it(aws: Account) -> None:
    deployed(aws, "storage", "ingest", *IMAGE)
    name = aws.outputs("ingest")["IngestFunction"]
    functions = aws.cloud.client("lambda")
    found = functions.get_function(FunctionName=name)
    assert found["Configuration"]["PackageType"] == "Image"
    assert image_config(found)["Command"] == ["lakeward.aws.ingest.handler"]
    deployed(aws, "ingest", "--environment", "other", *CODE, *IMAGE, "--set", "DataLakeBucket=lake")
    name = aws.outputs("ingest", "other")["IngestFunction"]
    found = functions.get_function(FunctionName=name)["Configuration"]
    assert (found["PackageType"], found["Runtime"]) == ("Zip", "python3.11")


def test_callers_must_sign_unless_it_is_changed(aws: Account) -> None:
    deployed(aws, "storage", "ingest", *CODE)
    api = aws.outputs("ingest")["IngestApi"]
    client = aws.cloud.client("apigatewayv2")
    assert [it["AuthorizationType"] for it in client.get_routes(ApiId=api)["Items"]] == ["AWS_IAM"]
    deployed(aws, "ingest", "--set", "Authorization=NONE")
    assert [it["AuthorizationType"] for it in client.get_routes(ApiId=api)["Items"]] == ["NONE"]


def test_ingest_by_fargate_stands_behind_a_balancer(aws: Account) -> None:
    network = aws.network()
    balancer = ("--set", f"LoadBalancerSubnetIds={network[3].partition('=')[2]}")
    deployed(aws, "storage")
    deployed(aws, "ingest", *FARGATE, *STOPPED, *network, *balancer)
    found = types(aws, "ingest")
    assert "AWS::ECS::Service" in found
    assert "AWS::Lambda::Function" not in found
    elb = aws.cloud.client("elbv2")
    listeners = {
        it["Port"]: it
        for load in elb.describe_load_balancers()["LoadBalancers"]
        for it in elb.describe_listeners(LoadBalancerArn=load["LoadBalancerArn"])["Listeners"]
    }
    assert listeners[443]["Protocol"] == "HTTPS"
    assert listeners[80]["DefaultActions"][0]["Type"] == "redirect"
    (target,) = elb.describe_target_groups()["TargetGroups"]
    assert (target["HealthCheckPath"], target["TargetType"]) == ("/health", "ip")
    ecs = aws.cloud.client("ecs")
    (task,) = ecs.list_task_definitions()["taskDefinitionArns"]
    definition = ecs.describe_task_definition(taskDefinition=task)["taskDefinition"]
    (container,) = definition["containerDefinitions"]
    assert container["readonlyRootFilesystem"] is True
    assert container["command"] == ["serve", "--host", "0.0.0.0", "--port", "8000"]
    assert "postgresql" not in msgspec.json.encode(definition, enc_hook=str).decode()


def test_a_kind_without_what_it_needs_is_refused_before_anything_is_made(aws: Account) -> None:
    deployed(aws, "storage")
    for words, said in (
        ((), "Kind lambda needs CodeBucket"),
        (CODE[:2], "CodeBucket needs CodeKey"),
        (("--set", "Kind=fargate"), "Kind fargate needs"),
        (("--set", "PutItems=yes", *CODE, "--set", "InteractionsTable="), "PutItems needs"),
    ):
        refused = aws.run("deploy", "ingest", "--yes", *words)
        assert refused.code == 2
        assert said in refused.err
    assert aws.run("status", "--format", "json").json["stacks"]["ingest"] is None


def test_processing_starts_compactions_and_has_the_queue_of_demos(aws: Account) -> None:
    deployed(aws, "storage", "processing", *IMAGE)
    outputs = aws.outputs("processing")
    scheduler = aws.cloud.client("scheduler")
    (row,) = scheduler.list_schedules(GroupName=outputs["CompactSchedules"])["Schedules"]
    schedule = scheduler.get_schedule(GroupName=outputs["CompactSchedules"], Name=row["Name"])
    assert schedule["Target"]["Arn"].endswith(outputs["CompactFunction"])
    function = aws.cloud.client("lambda").get_function(FunctionName=outputs["CompactFunction"])
    assert function["Code"]["ImageUri"] == IMAGE[1].partition("=")[2]
    assert image_config(function) == {
        "EntryPoint": ["/opt/lakeward/bin/python", "-m", "awslambdaric"],
        "Command": ["lakeward.cli.aws_compact.handler"], "WorkingDirectory": "/",
    }  # fmt: skip
    refused = aws.run("deploy", "processing", "--yes", "--set", "ImageUri=")
    assert refused.code == 2
    assert "Compaction needs ImageUri" in refused.err
    sqs = aws.cloud.client("sqs")
    url = sqs.get_queue_url(QueueName=outputs["DemoQueueUrl"].rpartition("/")[2])["QueueUrl"]
    for _ in range(5):  # five failures, and it waits among the dead letters
        sqs.send_message(QueueUrl=url, MessageBody="demo") if _ == 0 else None
        got = sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"]
        assert got[0]["Body"] == "demo"
    assert "Messages" not in sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)
    dead = sqs.get_queue_url(QueueName=outputs["DemoDeadLetters"])["QueueUrl"]
    assert sqs.receive_message(QueueUrl=dead)["Messages"][0]["Body"] == "demo"


def test_a_compaction_by_fargate_is_scheduled(aws: Account) -> None:
    deployed(aws, "storage")
    deployed(aws, "processing", *FARGATE[:6], *aws.network())
    found = types(aws, "processing")
    assert "AWS::ECS::TaskDefinition" in found
    assert "AWS::Lambda::Function" not in found


def test_monitoring_watches_what_is_deployed_and_nothing_else(aws: Account) -> None:
    deployed(aws, "storage", "monitoring")
    cloudwatch = aws.cloud.client("cloudwatch")
    assert {it["MetricName"] for it in cloudwatch.describe_alarms()["MetricAlarms"]} == {
        "WriteThrottleEvents", "ReadThrottleEvents",
    }  # fmt: skip
    deployed(aws, "ingest", "processing", "monitoring", *CODE, *IMAGE)
    alarms = cloudwatch.describe_alarms()["MetricAlarms"]
    assert {it["MetricName"] for it in alarms} == {
        "WriteThrottleEvents", "ReadThrottleEvents", "Errors", "Throttles", "5xx",
        "ApproximateNumberOfMessagesVisible", "TargetErrorCount", "InvocationAttemptCount",
        "CompactionLagSeconds",
    }  # fmt: skip
    outputs = {**aws.outputs("storage"), **aws.outputs("ingest"), **aws.outputs("processing")}
    for alarm in alarms:
        named = [pair["Value"] for pair in alarm["Dimensions"]] or [alarm["Namespace"]]
        assert set(named) <= set(outputs.values()), alarm["AlarmName"]
        assert len(named) == 1
        assert alarm["AlarmActions"] == [aws.outputs("monitoring")["AlarmTopic"]]
    (board,) = cloudwatch.list_dashboards()["DashboardEntries"]
    body = cloudwatch.get_dashboard(DashboardName=board["DashboardName"])["DashboardBody"]
    assert outputs["IngestFunction"] in body
    assert len(msgspec.json.decode(body)["widgets"]) == 7


def test_a_queue_with_dead_letters_is_an_alarm(aws: Account) -> None:
    """Each alarm of dead letters is of a queue that really gets them."""
    queues = {
        logical
        for logical, resource in templates()["monitoring"]["Resources"].items()
        if resource["Properties"].get("Namespace") == "AWS/SQS"
    }
    assert queues == {
        "IngestDeadLettersWaiting", "CompactDeadLettersWaiting", "DemoDeadLettersWaiting",
    }  # fmt: skip


def test_raw_is_read_by_its_dates(aws: Account) -> None:
    """Lines of spaces, where somebody was erased, are no rows."""
    deployed(aws, "storage", "query", *QUERY)
    outputs, bucket = aws.outputs("query"), aws.outputs("storage")["DataLakeBucket"]
    for day in ("14", "15"):
        line = b'{"interaction_id":"of-%s","properties":{"a":1}}\n' % day.encode()
        body = gzip.compress(line + b" " * 20 + b"\n")
        key = f"raw/year=2025/month=08/day={day}/a.jsonl.gz"
        aws.cloud.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
    athena = aws.cloud.client("athena")
    started = athena.start_query_execution(
        QueryString="SELECT interaction_id, day FROM raw WHERE year = '2025' AND day = '15'",
        WorkGroup=outputs["AthenaWorkgroup"],
        QueryExecutionContext={"Database": outputs["AthenaDatabase"]},
    )["QueryExecutionId"]

    def state() -> str:
        found = athena.get_query_execution(QueryExecutionId=started)
        return str(found["QueryExecution"]["Status"]["State"])

    wait_until(lambda: state() not in ("QUEUED", "RUNNING"), what="the answer")
    assert state() == "SUCCEEDED"
    rows = athena.get_query_results(QueryExecutionId=started)["ResultSet"]["Rows"][1:]
    assert [[cell["VarCharValue"] for cell in row["Data"]] for row in rows] == [["of-15", "15"]]


def test_query_has_its_tables_and_a_workgroup_with_a_limit(aws: Account) -> None:
    deployed(aws, "storage", "query", *QUERY)
    outputs = aws.outputs("query")
    glue = aws.cloud.client("glue")
    tables = {
        table["Name"]: table
        for table in glue.get_tables(DatabaseName=outputs["AthenaDatabase"])["TableList"]
    }
    assert set(tables) == {"raw", "interactions", "lakeward_identities"}
    bucket = aws.outputs("storage")["DataLakeBucket"]
    projected = tables["raw"]["Parameters"]["storage.location.template"]
    assert projected == f"s3://{bucket}/raw/year=${{year}}/month=${{month}}/day=${{day}}/"
    group = aws.cloud.client("athena").get_work_group(WorkGroup=outputs["AthenaWorkgroup"])
    made = group["WorkGroup"]["Configuration"]
    assert made["EnforceWorkGroupConfiguration"] is True
    assert int(made["BytesScannedCutoffPerQuery"]) == 10 * 1024**3
    assert made["ResultConfiguration"]["OutputLocation"] == outputs["AthenaOutput"]
    assert [column["Name"] for column in tables["raw"]["StorageDescriptor"]["Columns"]] == [
        name for name in RECORD if name != "extra"
    ]


def test_every_stack_can_be_made_twice_over_and_taken_away(aws: Account) -> None:
    """Two environments in one account; nothing of one is in the way of the other."""
    words = (*NAMES, *CODE, *IMAGE, *QUERY)
    deployed(aws, *words)
    deployed(aws, *words, "--environment", "staging")
    for environment in ("production", "staging"):
        again = aws.run("deploy", *words, "--yes", "--environment", environment, "--format", "json")
        assert again.code == 0, again.err
        assert [row["changed"] for row in again.json["deployed"]] == [False] * len(NAMES)
    bucket = aws.outputs("storage", "staging")["DataLakeBucket"]
    said = aws.run("destroy", *NAMES, "--yes", "--bucket", bucket, "--environment", "staging")
    assert said.code == 0, said.err
    assert bucket in said.out
    names = {row["Name"] for row in aws.cloud.client("s3").list_buckets()["Buckets"]}
    assert bucket in names
    status = aws.run("status", "--format", "json").json["stacks"]
    assert {row["status"] for row in status.values()} == {"CREATE_COMPLETE"}


def test_a_plain_connection_is_denied_by_the_policy_where_the_emulator_has_no_tls(
    aws: Account,
) -> None:
    """ministack speaks no TLS and lets plain requests through: the policy is what is looked at."""
    deployed(aws, "storage")
    bucket = aws.outputs("storage")["DataLakeBucket"]
    policy = aws.cloud.client("s3").get_bucket_policy(Bucket=bucket)["Policy"]
    (first, _) = msgspec.json.decode(policy)["Statement"]
    assert first["Effect"] == "Deny"
    assert first["Principal"] == "*"
    assert first["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert set(first["Resource"]) == {f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"}
