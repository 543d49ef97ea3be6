"""Each role may do its work and nothing else, as two judges of its real policy say.

The stacks are made on an emulator, so that the policies are those that a role has when all names
are in place; one judge is `policies`, the other the emulator's own simulation. A policy that is
widened to a star must be found out by the table.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import pytest

from policies import Request, allowed
from stacked import CODE, FARGATE, IMAGE, QUERY, STOPPED, Account, account
from templated import resources

ACCOUNT, ARN = "000000000000", "arn:aws"
OTHER = f"{ARN}:s3:::somebody-else"


class Stood(NamedTuple):
    """What was deployed, and how to ask for its policies."""

    account: Account
    key: str

    def physical(self, environment: str, template: str, logical: str) -> str:
        found = self.account.cloud.client("cloudformation").describe_stack_resource(
            StackName=f"lakeward-{environment}-{template}", LogicalResourceId=logical
        )
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def policies(self, role: Role) -> list[dict[str, Any]]:
        """The documents of a role, or a managed policy's own."""
        iam = self.account.cloud.client("iam")
        name = self.physical(role.environment, role.template, role.logical)
        if name.startswith("arn:"):
            version = iam.get_policy(PolicyArn=name)["Policy"]["DefaultVersionId"]
            found = iam.get_policy_version(PolicyArn=name, VersionId=version)
            return [found["PolicyVersion"]["Document"]]
        return [
            iam.get_role_policy(RoleName=name, PolicyName=one)["PolicyDocument"]
            for one in iam.list_role_policies(RoleName=name)["PolicyNames"]
        ]


class Role(NamedTuple):
    """A role of a template in an environment."""

    environment: str
    template: str
    logical: str


@pytest.fixture(scope="module")
def stood(tmp_path_factory: pytest.TempPathFactory) -> Stood:
    """All templates twice: with functions, and with tasks and a key of one's own. Ingest a third
    time, with items."""
    made = account(tmp_path_factory.mktemp("roles"))
    made.package()
    key = made.cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    network = made.network()
    balancer = ("--set", f"LoadBalancerSubnetIds={network[3].partition('=')[2]}")
    with_key = ("--environment", "boxes", "--yes", "--set", f"KmsKeyArn={key}")
    deployments: tuple[tuple[str, ...], ...] = (
        ("storage", "--yes"),
        ("query", "--yes", *QUERY),
        ("ingest", "processing", "--yes", *CODE, *IMAGE),
        ("storage", "ingest", "--environment", "items", "--yes", "--set", "PutItems=yes", *CODE),
        ("storage", *with_key),
        ("query", *with_key, *QUERY),
        ("ingest", *with_key, *FARGATE, *STOPPED, *network, *balancer),
        ("processing", *with_key, *FARGATE[:6], *network),
    )
    for words in deployments:
        said = made.run("deploy", *words)
        assert said.code == 0, said.err
    return Stood(made, key)


ROLES = [
    Role("production", "storage", "ShippingPolicy"),
    Role("production", "storage", "TablePolicy"),
    Role("production", "ingest", "FunctionRole"),
    Role("production", "query", "AskingPolicy"),
    Role("production", "processing", "SchedulerRole"),
    Role("production", "processing", "FunctionRole"),
    Role("production", "processing", "DemoWorkerPolicy"),
    Role("items", "ingest", "FunctionRole"),
    Role("boxes", "storage", "ShippingPolicy"),
    Role("boxes", "storage", "TablePolicy"),
    Role("boxes", "ingest", "ExecutionRole"),
    Role("boxes", "ingest", "TaskRole"),
    Role("boxes", "query", "AskingPolicy"),
    Role("boxes", "processing", "SchedulerRole"),
    Role("boxes", "processing", "ExecutionRole"),
    Role("boxes", "processing", "TaskRole"),
]


class Rights(NamedTuple):
    """What a role may, and what it may not."""

    may: list[Request]
    may_not: list[Request]


def rights(stood: Stood, role: Role) -> Rights:
    """The table, with the names that this deployment has."""
    outputs = {
        name: stood.account.outputs(name, role.environment)
        for name in (
            ("storage", "ingest")
            if role.environment == "items"
            else ("storage", "query", "ingest", "processing")
        )
    }
    bucket = f"{ARN}:s3:::{outputs['storage']['DataLakeBucket']}"
    table = f"{ARN}:dynamodb:us-east-1:{ACCOUNT}:table/{outputs['storage']['InteractionsTable']}"
    object_, items = f"{bucket}/raw/year=2025/month=08/day=14/a.jsonl.gz", f"{bucket}/items/a.gz"

    def queue(name: str) -> str:
        return f"{ARN}:sqs:us-east-1:{ACCOUNT}:{name}"

    def group(logical: str) -> str:
        name = stood.physical(role.environment, role.template, logical)
        return f"{ARN}:logs:us-east-1:{ACCOUNT}:log-group:{name}:log-stream:a"

    def both(action: str, *resources: str) -> list[Request]:
        return [Request(action, resource) for resource in resources]

    may: list[Request] = []
    may_not = [  # of every role
        Request("iam:PassRole", f"{ARN}:iam::{ACCOUNT}:role/admin",
                {"iam:PassedToService": "ecs-tasks.amazonaws.com"}),
        Request("iam:CreateRole", f"{ARN}:iam::{ACCOUNT}:role/new"),
        Request("sts:AssumeRole", f"{ARN}:iam::{ACCOUNT}:role/admin"),
        *both("s3:DeleteObject", object_, items, f"{bucket}/other"),
        *both("s3:PutObject", f"{OTHER}/raw/a", f"{bucket}/other", f"{bucket}/table-2/a"),
        *both("s3:GetObject", f"{OTHER}/raw/a", f"{bucket}/other"),
        *both("s3:PutBucketPolicy", bucket), *both("s3:DeleteBucket", bucket),
        *both("s3:ListBucket", OTHER), *both("s3:GetBucketLocation", OTHER),
        *both("s3:ListAllMyBuckets", "*"),
        *both("dynamodb:DeleteItem", table), *both("dynamodb:DeleteTable", table),
        *both("dynamodb:Scan", table),
        *both("dynamodb:BatchWriteItem", f"{table}-2"),
        *both("dynamodb:DescribeTable", f"{table}-2"),
        *both("logs:PutLogEvents", f"{ARN}:logs:us-east-1:{ACCOUNT}:log-group:other:log-stream:a"),
        *both("logs:DeleteLogGroup", f"{ARN}:logs:us-east-1:{ACCOUNT}:log-group:other"),
        *both("sqs:SendMessage", queue("other")), *both("sqs:ReceiveMessage", queue("other")),
        *both("sqs:DeleteQueue", queue("other")),
        *both("lambda:InvokeFunction", f"{ARN}:lambda:us-east-1:{ACCOUNT}:function:other"),
        *both("lambda:UpdateFunctionCode", f"{ARN}:lambda:us-east-1:{ACCOUNT}:function:other"),
        *both("kms:Decrypt", f"{ARN}:kms:us-east-1:{ACCOUNT}:key/other"),
        *both("kms:ScheduleKeyDeletion", stood.key), *both("kms:PutKeyPolicy", stood.key),
        *both("secretsmanager:GetSecretValue",
              f"{ARN}:secretsmanager:us-east-1:{ACCOUNT}:secret:other"),
        *both("athena:StartQueryExecution", f"{ARN}:athena:us-east-1:{ACCOUNT}:workgroup/primary"),
        *both("glue:DeleteTable", f"{ARN}:glue:us-east-1:{ACCOUNT}:table/other/raw"),
        *both("glue:GetTable", f"{ARN}:glue:us-east-1:{ACCOUNT}:table/other/raw"),
        *both("ecr:BatchGetImage", f"{ARN}:ecr:us-east-1:{ACCOUNT}:repository/other"),
        *both("ecr:PutImage", f"{ARN}:ecr:us-east-1:{ACCOUNT}:repository/lakeward"),
        Request("ecs:RunTask", f"{ARN}:ecs:us-east-1:{ACCOUNT}:task-definition/other:1",
                {"ecs:cluster": f"{ARN}:ecs:us-east-1:{ACCOUNT}:cluster/other"}),
        *both("ec2:RunInstances", "*"),
        Request("s3:ListBucket", OTHER, {"s3:prefix": "raw/a"}),
    ]  # fmt: skip
    listing = [Request("s3:ListBucket", bucket, {"s3:prefix": p}) for p in ("raw/a", "table/_d")]
    unlisted = [Request("s3:ListBucket", bucket, {"s3:prefix": p}) for p in ("", "items/")]
    compacts = [*both("s3:GetObject", object_, f"{bucket}/table/a"),
                *both("s3:PutObject", f"{bucket}/table/a"),
                *both("s3:DeleteObject", f"{bucket}/table/a"), *listing]  # fmt: skip
    not_compacts = [*unlisted, *both("s3:PutObject", object_), *both("s3:GetObject", items)]
    keyed = both("kms:Decrypt", stood.key) if role.environment == "boxes" else []
    match role.template, role.logical:
        case "storage", "TablePolicy":
            for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
                may += both(action, f"{bucket}/table/a")
                may_not += both(action, object_, items)
            may += [Request("s3:ListBucket", bucket, {"s3:prefix": "table/_d"}), *keyed]
            may_not += [Request("s3:ListBucket", bucket, {"s3:prefix": "raw/a"}), *unlisted]
            may_not.append(Request("s3:ListBucket", OTHER, {"s3:prefix": "table/_d"}))
            may_not += both("dynamodb:BatchWriteItem", table)
        case "storage", _:
            may += both("s3:PutObject", object_, items) + both("s3:GetObject", object_, items)
            may += both("s3:ListBucket", bucket) + both("dynamodb:BatchWriteItem", table) + keyed
            may_not += both("s3:PutObject", f"{bucket}/table/a")
        case "ingest", "FunctionRole":
            may += both("s3:PutObject", object_) + both("s3:GetObject", object_) + keyed
            may += both("logs:PutLogEvents", group("FunctionLogs"))
            may += both("sqs:SendMessage", queue(outputs["ingest"]["IngestDeadLetters"]))
            may_not += both("s3:PutObject", f"{bucket}/table/a") + listing
            puts = both("dynamodb:BatchWriteItem", table) + both("dynamodb:DescribeTable", table)
            puts += both("s3:PutObject", items) + both("s3:GetObject", items)
            if role.environment == "items":
                may += puts
            else:
                may_not += puts
            may_not += both("dynamodb:Query", table, f"{table}/index/user_id-timestamp-index")
            may_not += both("sqs:ReceiveMessage", queue(outputs["ingest"]["IngestDeadLetters"]))
        case "ingest", "TaskRole":
            may += both("s3:PutObject", object_) + both("s3:GetObject", object_) + keyed
            may_not += both("s3:PutObject", items, f"{bucket}/table/a") + listing
        case _, "ExecutionRole":
            logs = "TaskLogs" if role.template == "ingest" else "CompactionLogs"
            may += both("logs:PutLogEvents", group(logs)) + both("ecr:GetAuthorizationToken", "*")
            may += both("ecr:BatchGetImage", f"{ARN}:ecr:us-east-1:{ACCOUNT}:repository/lakeward")
            secret = f"{ARN}:secretsmanager:us-east-1:{ACCOUNT}:secret:url-AbCdEf"
            if role.template == "ingest":
                may += both("secretsmanager:GetSecretValue", secret)
                may_not += both("secretsmanager:PutSecretValue", secret)
            may_not += both("s3:PutObject", object_) + both("s3:GetObject", object_)
        case "query", _:
            workgroup = outputs["query"]["AthenaWorkgroup"]
            database = outputs["query"]["AthenaDatabase"]
            answers = f"{ARN}:s3:::{outputs['query']['AthenaOutput'].split('/')[2]}"
            glue = f"{ARN}:glue:us-east-1:{ACCOUNT}"
            may += both("athena:StartQueryExecution",
                        f"{ARN}:athena:us-east-1:{ACCOUNT}:workgroup/{workgroup}")  # fmt: skip
            may += both("glue:GetTable", f"{glue}:table/{database}/interactions")
            may += both("glue:DeleteTable", f"{glue}:table/{database}/lakeward_identities_a")
            may += both("s3:GetObject", object_, f"{bucket}/table/a", f"{answers}/athena/a")
            may += both("s3:PutObject", f"{answers}/athena/a") + listing + keyed
            may += both("s3:GetBucketLocation", answers, bucket) + both("s3:ListBucket", answers)
            may_not += both("s3:PutObject", object_, f"{bucket}/table/a") + unlisted
            may_not += both("glue:DeleteTable", f"{glue}:table/{database}/interactions")
            may_not += both("glue:DeleteTable", f"{glue}:table/{database}/raw")
            may_not += both("athena:DeleteWorkGroup",
                            f"{ARN}:athena:us-east-1:{ACCOUNT}:workgroup/{workgroup}")  # fmt: skip
            may_not += both("s3:GetObject", items)
        case "processing", "SchedulerRole":
            may += both("sqs:SendMessage", queue(outputs["processing"]["CompactDeadLetters"]))
            if role.environment == "production":
                name = outputs["processing"]["CompactFunction"]
                may += both("lambda:InvokeFunction",
                            f"{ARN}:lambda:us-east-1:{ACCOUNT}:function:{name}")  # fmt: skip
            else:
                cluster = stood.physical("boxes", "processing", "Cluster")
                task = stood.physical("boxes", "processing", "Task")
                arn = f"{ARN}:ecs:us-east-1:{ACCOUNT}:cluster/{cluster}"
                here, elsewhere = {"ecs:cluster": arn}, {"ecs:cluster": f"{arn}-2"}
                may.append(Request("ecs:RunTask", task, here))
                may_not.append(Request("ecs:RunTask", task, elsewhere))
                may_not.append(Request("ecs:RunTask", task.replace("boxes", "other"), here))
                passed = stood.physical("boxes", "processing", "TaskRole")
                role_arn = f"{ARN}:iam::{ACCOUNT}:role/{passed}"
                service = "iam:PassedToService"
                may.append(Request("iam:PassRole", role_arn, {service: "ecs-tasks.amazonaws.com"}))
                may_not.append(Request("iam:PassRole", role_arn, {service: "ec2.amazonaws.com"}))
            may_not += both("s3:PutObject", object_) + both("s3:GetObject", object_)
        case "processing", "DemoWorkerPolicy":
            demo = outputs["processing"]["DemoQueueUrl"].rpartition("/")[2]
            may += both("sqs:ReceiveMessage", queue(demo)) + both("sqs:DeleteMessage", queue(demo))
            may_not += both("sqs:PurgeQueue", queue(demo)) + both("sqs:DeleteQueue", queue(demo))
            may_not += both("sqs:AddPermission", queue(demo))
        case "processing", _:
            may += compacts + keyed + both("logs:PutLogEvents", group("CompactionLogs"))
            may_not += not_compacts
            if role.logical == "FunctionRole":
                may += both("sqs:SendMessage", queue(outputs["processing"]["CompactDeadLetters"]))
        case _:
            raise AssertionError(role)
    unlisted_actions = [
        Request(f"{it.action.partition(':')[0]}:NotOnAnyList", it.resource, it.context)
        for it in may
        if it.resource != "*"
    ]
    return Rights(may, may_not + unlisted_actions)


@pytest.mark.parametrize("role", ROLES, ids="-".join)
def test_a_role_may_do_its_work_and_nothing_else(stood: Stood, role: Role) -> None:
    documents, table = stood.policies(role), rights(stood, role)
    assert documents
    assert table.may
    for request in table.may:
        assert allowed(documents, request), request
    for request in table.may_not:
        assert not allowed(documents, request), request


@pytest.mark.parametrize("role", ROLES, ids="-".join)
def test_the_emulators_own_simulation_says_the_same(stood: Stood, role: Role) -> None:
    """It takes no circumstances, and so judges what depends on none."""
    documents, table = stood.policies(role), rights(stood, role)
    iam = stood.account.cloud.client("iam")
    texts = [msgspec.json.encode(document).decode() for document in documents]
    for wanted, requests in (("allowed", table.may), ("implicitDeny", table.may_not)):
        asked = [request for request in requests if not request.context]
        assert asked
        for request in asked:
            (said,) = iam.simulate_custom_policy(
                PolicyInputList=texts, ActionNames=[request.action],
                ResourceArns=[request.resource],
            )["EvaluationResults"]  # fmt: skip
            assert said["EvalDecision"] == wanted, request


def widened(documents: list[dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The policies with one statement's resource, actions or conditions taken away."""
    for n, document in enumerate(documents):
        for m, statement in enumerate(document["Statement"]):
            changes: list[tuple[str, dict[str, Any]]] = [
                ("Resource", {**statement, "Resource": "*"}),
                ("Action", {**statement, "Action": "*"}),
                ("all", {**statement, "Action": "*", "Resource": "*"}),
            ]
            if "Condition" in statement:
                changes.append(("Condition", {k: v for k, v in statement.items()
                                              if k != "Condition"}))  # fmt: skip
            for what, changed in changes:
                if changed == statement:
                    continue
                wider = copy.deepcopy(documents)
                wider[n]["Statement"][m] = changed
                yield f"{what} of {statement['Sid']}", wider


@pytest.mark.parametrize("role", ROLES, ids="-".join)
def test_a_policy_widened_to_a_star_is_found_out(stood: Stood, role: Role) -> None:
    table, missed = rights(stood, role), []
    for what, documents in widened(stood.policies(role)):
        if not any(allowed(documents, request) for request in table.may_not):
            missed.append(what)
    assert missed == []


def test_every_role_and_policy_of_the_templates_is_in_the_table() -> None:
    found = {
        (template, logical)
        for template, logical, resource in resources()
        if resource["Type"] in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy")
    }
    assert found == {(role.template, role.logical) for role in ROLES}


def test_buckets_refuse_plain_connections_and_queues_do(stood: Stood) -> None:
    s3 = stood.account.cloud.client("s3")
    storage, query = stood.account.outputs("storage"), stood.account.outputs("query")
    for name in (
        storage["DataLakeBucket"],
        storage["AccessLogsBucket"],
        query["AthenaOutput"].split("/")[2],
    ):
        policy = msgspec.json.decode(s3.get_bucket_policy(Bucket=name)["Policy"])
        everything = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        both = [policy, {"Statement": [everything]}]
        for resource in (f"{ARN}:s3:::{name}", f"{ARN}:s3:::{name}/raw/a"):
            plain = {"aws:SecureTransport": "false", "s3:TlsVersion": "1.3"}
            assert not allowed(both, Request("s3:GetObject", resource, plain))
            tls = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
            assert allowed(both, Request("s3:GetObject", resource, tls))
    old = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.1"}
    policy = msgspec.json.decode(s3.get_bucket_policy(Bucket=storage["DataLakeBucket"])["Policy"])
    both = [policy, {"Statement": [everything]}]
    data = f"{ARN}:s3:::{storage['DataLakeBucket']}/raw/a"
    assert not allowed(both, Request("s3:GetObject", data, old))
