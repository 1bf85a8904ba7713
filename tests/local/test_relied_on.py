"""What RWM relies on and ministack does as AWS does: a new version of it must still do it."""

import base64
import hashlib
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from local.embedded import ACCOUNT, REGION
from tests.local.conftest import Account, allow, eventually, policy, refusal


def test_a_listing_interleaves_versions_and_markers_newest_first(account: Account) -> None:
    """Several in one second, so LastModified cannot tell: the order of the listing must."""
    bucket, s3 = account.bucket(), account.client("s3")
    written: dict[str, list[str]] = {"a": [], "b": []}
    for _ in range(3):
        for key, ids in written.items():
            ids.append(s3.put_object(Bucket=bucket, Key=key)["VersionId"])
            ids.append(s3.delete_object(Bucket=bucket, Key=key)["VersionId"])
    pages: list[bytes] = []
    s3.meta.events.register(
        "response-received.s3.ListObjectVersions",
        lambda response_dict, **_: pages.append(response_dict["body"]),
    )
    s3.list_object_versions(Bucket=bucket)
    body = pages[0].decode()
    listed = [part.split("<")[0] for part in body.split("<VersionId>")[1:]]
    assert listed == written["a"][::-1] + written["b"][::-1]
    kinds = [kind for kind in body.split("<") if kind in ("Version>", "DeleteMarker>")]
    assert kinds == ["DeleteMarker>", "Version>"] * 6


def test_pages_resume_in_the_middle_of_a_key(account: Account) -> None:
    bucket, s3 = account.bucket(), account.client("s3")
    written = [s3.put_object(Bucket=bucket, Key="k")["VersionId"] for _ in range(5)]
    written.append(s3.delete_object(Bucket=bucket, Key="k")["VersionId"])
    written.append(s3.put_object(Bucket=bucket, Key="k/2")["VersionId"])
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2})
    listed = [
        entry["VersionId"] for page in pages for entry in page.get("DeleteMarkers", []) + page.get("Versions", [])
    ]
    assert listed == [*written[5::-1], written[6]]
    skipped = s3.list_object_versions(Bucket=bucket, KeyMarker="k")
    assert [version["VersionId"] for version in skipped["Versions"]] == written[6:]


def test_keys_are_listed_in_the_order_of_their_bytes(account: Account) -> None:
    bucket, s3 = account.bucket(), account.client("s3")
    keys = ["a/", "a", "a!", "é", "Z", "\uffff", "\U00010000"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key)
    listed = [version["Key"] for version in s3.list_object_versions(Bucket=bucket)["Versions"]]
    assert listed == sorted(keys, key=str.encode)


def test_a_put_with_if_none_match_never_overwrites(account: Account) -> None:
    bucket, s3 = account.bucket(), account.client("s3")
    s3.put_object(Bucket=bucket, Key="k", IfNoneMatch="*")
    again = refusal(s3.put_object, Bucket=bucket, Key="k", IfNoneMatch="*")
    assert again == "PreconditionFailed"
    s3.delete_object(Bucket=bucket, Key="k")
    s3.put_object(Bucket=bucket, Key="k", IfNoneMatch="*")


def test_a_put_tells_its_sha256_when_asked(account: Account) -> None:
    bucket, s3 = account.bucket(), account.client("s3")
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"x", ChecksumAlgorithm="SHA256")
    expected = base64.b64encode(hashlib.sha256(b"x").digest()).decode()
    head = s3.head_object(Bucket=bucket, Key="k", VersionId=put["VersionId"], ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == expected
    assert "ChecksumSHA256" not in s3.head_object(Bucket=bucket, Key="k")


def test_get_bucket_versioning_tells_the_clock(account: Account) -> None:
    bucket, s3 = account.bucket(), account.client("s3")
    answer = s3.get_bucket_versioning(Bucket=bucket)
    assert answer["Status"] == "Enabled"
    date = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    assert abs(date.timestamp() - time.time()) < 5


def test_a_copy_of_a_version_needs_the_permission_to_read_versions(account: Account) -> None:
    source, target, s3 = account.bucket(), account.bucket(), account.client("s3")
    version = s3.put_object(Bucket=source, Key="k")["VersionId"]
    asked = {
        "Bucket": target,
        "Key": "k",
        "CopySource": {"Bucket": source, "Key": "k", "VersionId": version},
    }
    reader = account.user(allow(["s3:GetObject", "s3:PutObject"]))("s3")
    assert refusal(reader.copy_object, **asked) == "AccessDenied"
    copier = account.user(allow(["s3:GetObjectVersion", "s3:PutObject"]))("s3")
    copier.copy_object(**asked)


WORKER = """
import botocore.session  # boto3 is not installed beside ministack

sqs = botocore.session.get_session().create_client("sqs")

def handler(event, context):
    failed = []
    for record in event["Records"]:
        print("GOT", record["body"], record["attributes"]["ApproximateReceiveCount"])
        if record["body"].startswith("bad"):
            seconds = int(record["body"].split()[1])
            name = record["eventSourceARN"].split(":")[-1]
            url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
            sqs.change_message_visibility(
                QueueUrl=url, ReceiptHandle=record["receiptHandle"], VisibilityTimeout=seconds)
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}
"""


def test_a_failed_message_comes_back_when_told_and_ends_as_a_dead_letter(account: Account) -> None:
    sqs = account.client("sqs")
    dead_url, dead_arn = account.queue()
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 3})
    url, arn = account.queue(RedrivePolicy=redrive, VisibilityTimeout="600")
    may = ["sqs:GetQueueUrl", "sqs:ChangeMessageVisibility"]
    function = account.function(WORKER, allow(may, arn))
    account.client("lambda").create_event_source_mapping(
        EventSourceArn=arn,
        FunctionName=function,
        BatchSize=10,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    bodies = ["good", "bad 1", "bad 900"]
    sqs.send_message_batch(
        QueueUrl=url,
        Entries=[{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)],
    )

    def dead() -> Any:
        return sqs.receive_message(QueueUrl=dead_url).get("Messages")

    assert [message["Body"] for message in eventually(dead)] == ["bad 1"]
    lines = [line.split() for line in _lines(account, function) if line.startswith("GOT")]
    assert sorted(line[3] for line in lines if line[1:3] == ["bad", "1"]) == ["1", "2", "3"]
    assert [line[3] for line in lines if line[1:3] == ["bad", "900"]] == ["1"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessagesNotVisible"] == "1"


def _lines(account: Account, function: str) -> list[str]:
    events = account.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{function}")
    return [event["message"] for event in events["events"]]


def workflow_like_the_checks(function: str) -> str:
    """Nothing stands for what is not known, in variables, in arguments, and in what a caught error leaves."""
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": function, "Payload": {"target": "{% $asked.target %}"}},
        "Assign": {"outcomes": "{% $merge([$outcomes, {'complete': $states.result.Payload}]) %}"},
        "Output": {"report": "{% $states.result.Payload %}", "error": "{% null %}"},
        "Catch": [
            {
                "ErrorEquals": ["States.ALL"],
                "Output": {"report": "{% null %}", "error": "{% $states.errorOutput.Error %}"},
                "Next": "End",
            }
        ],
        "Next": "End",
    }
    states = {
        "Begin": {
            "Type": "Pass",
            "Assign": {"asked": "{% $states.input %}", "outcomes": "{% {} %}", "generation": "{% null %}"},
            "Output": "{% {} %}",
            "Next": "Asked?",
        },
        "Asked?": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $asked.target ? true : false %}", "Next": "End"}],
            "Default": "Task",
        },
        "Task": task,
        "End": {
            "Type": "Pass",
            "Output": {
                "was": "{% $states.input %}",
                "outcomes": "{% $outcomes %}",
                "generation": "{% $generation %}",
                "target": "{% $asked.target %}",
            },
            "End": True,
        },
    }
    return json.dumps({"QueryLanguage": "JSONata", "StartAt": "Begin", "States": states})


def _ended(account: Account, machine: str) -> Any:
    """The output of its one execution."""
    stepfunctions = account.client("stepfunctions")
    for execution in stepfunctions.list_executions(stateMachineArn=machine)["executions"]:
        found = stepfunctions.describe_execution(executionArn=execution["executionArn"])
        assert found["status"] in ("RUNNING", "SUCCEEDED"), found
        return json.loads(found["output"]) if "output" in found else None
    return None


def test_a_workflow_carries_null(account: Account) -> None:
    stepfunctions = account.client("stepfunctions")
    answers = {
        "def handler(event, context): return str(event)\n": {"report": "{'target': None}", "error": None},
        "def handler(event, context): raise MemoryError\n": {"report": None, "error": "MemoryError"},
    }
    for source, left in answers.items():
        machine = stepfunctions.create_state_machine(
            name=account.name("machine"),
            definition=workflow_like_the_checks(account.function(source)),
            roleArn=account.role(),
        )["stateMachineArn"]
        stepfunctions.start_execution(stateMachineArn=machine, input='{"target": null}')
        assert eventually(partial(_ended, account, machine)) == {
            "was": left,
            "outcomes": {"complete": left["report"]} if left["report"] else {},
            "generation": None,
            "target": None,
        }


def test_a_schedule_starts_a_workflow_if_its_role_may(account: Account) -> None:
    scheduler, stepfunctions = account.client("scheduler"), account.client("stepfunctions")
    done = {"Type": "Pass", "End": True}
    definition = json.dumps({"QueryLanguage": "JSONata", "StartAt": "Done", "States": {"Done": done}})
    machines = []
    for may in (False, True):
        machine = stepfunctions.create_state_machine(
            name=account.name("machine"), definition=definition, roleArn=account.role()
        )["stateMachineArn"]
        machines.append(machine)
        permissions = [allow("states:StartExecution", machine)] if may else []
        scheduler.create_schedule(
            Name=account.name("schedule"),
            ScheduleExpression=f"at({datetime.now(UTC):%Y-%m-%dT%H:%M:%S})",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={
                "Arn": machine,
                "RoleArn": account.role(*permissions, trusted={"Service": "scheduler.amazonaws.com"}),
                "Input": '{"target": null}',
            },
        )
    assert eventually(lambda: _ended(account, machines[1])) == {"target": None}
    assert stepfunctions.list_executions(stateMachineArn=machines[0])["executions"] == []


def test_a_topic_hears_the_roles_that_its_policy_names_and_tells_its_queue(account: Account) -> None:
    name = account.name("topic")
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}"
    url, queue = account.queue(
        Policy=policy({**allow("sqs:SendMessage"), "Principal": {"Service": "sns.amazonaws.com"}})
    )
    teller, other = (account.role(allow("sns:Publish", topic)) for _ in range(2))
    others = {
        "ArnNotEquals": {"aws:PrincipalArn": [teller]},
        "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
    }
    statement = {"Effect": "Deny", "Principal": "*", "Action": "sns:Publish", "Resource": topic, "Condition": others}
    account.stack(
        {
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name}},
            "Policy": {
                "Type": "AWS::SNS::TopicPolicy",
                "Properties": {"Topics": [{"Ref": "Topic"}], "PolicyDocument": json.loads(policy(statement))},
            },
            "Subscription": {
                "Type": "AWS::SNS::Subscription",
                "Properties": {"TopicArn": {"Ref": "Topic"}, "Protocol": "sqs", "Endpoint": queue},
            },
        }
    )
    severity = {"severity": {"DataType": "String", "StringValue": "FAIL"}}
    message: dict[str, Any] = {"TopicArn": topic, "Subject": "RWM: FAIL", "Message": "m", "MessageAttributes": severity}
    assert refusal(account.assume(other)("sns").publish, **message) == "AuthorizationError"
    account.assume(teller)("sns").publish(**message)
    (told,) = eventually(lambda: account.client("sqs").receive_message(QueueUrl=url).get("Messages"))
    body = json.loads(told["Body"])
    assert (body["Subject"], body["Message"], body["MessageAttributes"]["severity"]["Value"]) == (
        "RWM: FAIL",
        "m",
        "FAIL",
    )


def flows(function_answer: str, more_action: str, delay: int) -> Mapping[str, Any]:
    """A stack with each type that rwm-flows has; the arguments are what an update changes."""
    definition = {
        "Fn::Join": [
            "",
            [
                (
                    '{"QueryLanguage":"JSONata","StartAt":"Call","States":{"Call":{"Type":"Task",'
                    '"Resource":"arn:aws:states:::lambda:invoke","Arguments":{"FunctionName":"'
                ),
                {"Fn::GetAtt": ["Function", "Arn"]},
                (
                    '"},"Output":"{% $states.result.Payload %}","Next":"Done"},"Done":{"Type":"Pass",'
                    f'"Output":{{"said":"{{% $states.input %}}","delay":{delay}}},"End":true}}}}}}'
                ),
            ],
        ]
    }
    source = f"def handler(event, context): return {function_answer!r}\n"
    trust = json.loads(
        policy(
            {
                "Effect": "Allow",
                "Principal": {"Service": ["lambda.amazonaws.com", "scheduler.amazonaws.com"]},
                "Action": "sts:AssumeRole",
            }
        )
    )
    actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", more_action]
    return {
        "Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 30 + delay}},
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {"AssumeRolePolicyDocument": trust},
        },
        "Policy": {
            "Type": "AWS::IAM::Policy",
            "Properties": {
                "PolicyName": "own",
                "Roles": [{"Ref": "Role"}],
                "PolicyDocument": json.loads(policy(allow(actions, {"Fn::GetAtt": ["Queue", "Arn"]}))),
            },
        },
        "Managed": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {
                "Roles": [{"Ref": "Role"}],
                "PolicyDocument": json.loads(policy(allow(more_action, "*"))),
            },
        },
        "Function": {
            "Type": "AWS::Lambda::Function",
            "DependsOn": ["Policy"],
            "Properties": {
                "Code": {"ZipFile": source},
                "Handler": "index.handler",
                "Runtime": "python3.13",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "LoggingConfig": {"LogGroup": {"Ref": "Group"}},
                "TracingConfig": {"Mode": "Active"},
                "Timeout": 10,
            },
        },
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"DelaySeconds": delay}},
        "QueuePolicy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {
                "Queues": [{"Ref": "Queue"}],
                "PolicyDocument": json.loads(
                    policy(
                        {
                            **allow("sqs:SendMessage", {"Fn::GetAtt": ["Queue", "Arn"]}),
                            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                        }
                    )
                ),
            },
        },
        "Source": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {
                "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]},
                "FunctionName": {"Ref": "Function"},
                "BatchSize": 1 + delay,
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
            },
        },
        "Machine": {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {
                "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                "DefinitionString": definition,
                "TracingConfiguration": {"Enabled": True},
            },
        },
        "Schedules": {"Type": "AWS::Scheduler::ScheduleGroup", "Properties": {"Name": "relied-on"}},
        "Schedule": {
            "Type": "AWS::Scheduler::Schedule",
            "Properties": {
                "GroupName": {"Ref": "Schedules"},
                "Name": "hourly",
                "ScheduleExpression": f"rate({1 + delay} hours)",
                "FlexibleTimeWindow": {"Mode": "OFF"},
                "Target": {
                    "Arn": {"Fn::GetAtt": ["Function", "Arn"]},
                    "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                    "Input": "{}",
                },
            },
        },
        "Parameter": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Name": "/relied/on", "Type": "String", "Value": function_answer},
        },
        "Alarm": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "AlarmName": "relied-on",
                "Namespace": "AWS/SQS",
                "MetricName": "ApproximateNumberOfMessagesVisible",
                "Dimensions": [{"Name": "QueueName", "Value": {"Fn::GetAtt": ["Queue", "QueueName"]}}],
                "Statistic": "Maximum",
                "Period": 60,
                "EvaluationPeriods": 1,
                "Threshold": 1 + delay,
                "ComparisonOperator": "GreaterThanOrEqualToThreshold",
                "TreatMissingData": "notBreaching",
            },
        },
    }


def test_a_stack_is_created_updated_in_place_and_deleted(account: Account) -> None:
    cloudformation = account.client("cloudformation")

    def ids(stack: str) -> dict[str, str]:
        listed = cloudformation.list_stack_resources(StackName=stack)["StackResourceSummaries"]
        return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in listed}

    stack = account.stack(flows("one", "s3:GetObject", 0))
    created = ids(stack)
    assert _observed(account, created) == ("one", 0, "s3:GetObject", 30, 1, "rate(1 hours)", 1.0)
    account.stack(flows("two", "s3:ListBucket", 1), stack)
    assert ids(stack) == created
    assert _observed(account, created) == ("two", 1, "s3:ListBucket", 31, 2, "rate(2 hours)", 2.0)
    cloudformation.delete_stack(StackName=stack)
    eventually(lambda: _is_gone(account, stack))
    assert account.client("scheduler").list_schedules(GroupName="relied-on")["Schedules"] == []
    assert refusal(account.client("ssm").get_parameter, Name="/relied/on") == "ParameterNotFound"


def _observed(account: Account, ids: Mapping[str, str]) -> tuple[Any, ...]:
    """What an update of `flows` changed, as each service tells it."""
    stepfunctions, iam = account.client("stepfunctions"), account.client("iam")
    execution = stepfunctions.start_execution(stateMachineArn=ids["Machine"])["executionArn"]

    def output() -> Any:
        found = stepfunctions.describe_execution(executionArn=execution)
        assert found["status"] in ("RUNNING", "SUCCEEDED"), found
        return found.get("output")

    ended = json.loads(eventually(output))
    version = iam.get_policy(PolicyArn=ids["Managed"])["Policy"]["DefaultVersionId"]
    managed = iam.get_policy_version(PolicyArn=ids["Managed"], VersionId=version)
    inline = iam.get_role_policy(RoleName=ids["Role"], PolicyName="own")["PolicyDocument"]
    group = account.client("logs").describe_log_groups(logGroupNamePrefix=ids["Group"])
    source = account.client("lambda").get_event_source_mapping(UUID=ids["Source"])
    schedule = account.client("scheduler").get_schedule(GroupName="relied-on", Name="hourly")
    alarm = account.client("cloudwatch").describe_alarms(AlarmNames=["relied-on"])["MetricAlarms"][0]
    value = account.client("ssm").get_parameter(Name="/relied/on")["Parameter"]["Value"]
    assert value == ended["said"]
    (statement,) = managed["PolicyVersion"]["Document"]["Statement"]
    assert statement["Action"] == inline["Statement"][0]["Action"][-1]
    return (
        ended["said"],
        ended["delay"],
        statement["Action"],
        group["logGroups"][0]["retentionInDays"],
        source["BatchSize"],
        schedule["ScheduleExpression"],
        alarm["Threshold"],
    )


def _is_gone(account: Account, stack: str) -> bool:
    try:
        found = account.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError:
        return True
    assert found["StackStatus"] != "DELETE_FAILED", found
    return bool(found["StackStatus"] == "DELETE_COMPLETE")


def test_a_bucket_policy_is_updated_in_place_and_retained_things_stay(account: Account) -> None:
    bucket, table, user = (account.name(what) for what in ("bucket", "table", "user"))
    s3 = account.client("s3")

    def resources(action: str) -> dict[str, Any]:
        statement = {
            "Principal": {"AWS": {"Fn::GetAtt": ["User", "Arn"]}},
            **allow(action, {"Fn::Sub": "${Bucket.Arn}/*"}),
        }
        return {
            "Bucket": {
                "Type": "AWS::S3::Bucket",
                "DeletionPolicy": "Retain",
                "Properties": {
                    "BucketName": bucket,
                    "VersioningConfiguration": {"Status": "Enabled"},
                },
            },
            "BucketPolicy": {
                "Type": "AWS::S3::BucketPolicy",
                "DeletionPolicy": "Retain",
                "Properties": {
                    "Bucket": {"Ref": "Bucket"},
                    "PolicyDocument": json.loads(policy(statement)),
                },
            },
            "Table": {
                "Type": "AWS::DynamoDB::GlobalTable",
                "DeletionPolicy": "RetainExceptOnCreate",
                "Properties": {
                    "TableName": table,
                    "BillingMode": "PAY_PER_REQUEST",
                    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                    "Replicas": [{"Region": REGION}],
                },
            },
            "User": {"Type": "AWS::IAM::User", "Properties": {"UserName": user}},
        }

    stack = account.stack(resources("s3:PutObject"))
    key = account.client("iam").create_access_key(UserName=user)["AccessKey"]
    host = account.client_of(key)("s3")
    host.put_object(Bucket=bucket, Key="k", Body=b"kept")
    assert refusal(host.get_object, Bucket=bucket, Key="k") == "AccessDenied"
    account.stack(resources("s3:GetObject"), stack)
    assert host.get_object(Bucket=bucket, Key="k")["Body"].read() == b"kept"
    assert refusal(host.put_object, Bucket=bucket, Key="k", Body=b"") == "AccessDenied"
    account.client("iam").delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
    account.client("cloudformation").delete_stack(StackName=stack)
    eventually(lambda: _is_gone(account, stack))
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"kept"
    assert "Statement" in s3.get_bucket_policy(Bucket=bucket)["Policy"]
    account.client("dynamodb").describe_table(TableName=table)
