"""The topic of alerts: who may publish, and who is told."""

import re
from pathlib import Path
from typing import Any

from functions.configuration import read_toml
from infra.deployment import compose
from infra.permissions_page import ACCOUNT, EXAMPLE, REGION
from tests.headings import anchors
from tests.infra.templates import Assembly

TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:rwm-alerts"


def _statements(assembly: Assembly) -> dict[str, Any]:
    (policy,) = assembly.data.of_type("AWS::SNS::TopicPolicy").values()
    assert policy["Topics"] == ["rwm-alerts"]
    return {each["Sid"]: each for each in policy["PolicyDocument"]["Statement"]}


def test_nobody_publishes_without_tls(shipped: Assembly) -> None:
    plain = _statements(shipped)["DenyPlainHttp"]
    assert (plain["Effect"], plain["Principal"], plain["Action"]) == ("Deny", "*", "sns:Publish")
    assert plain["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_nobody_publishes_but_the_steps_that_judge_or_ask(shipped: Assembly) -> None:
    others = _statements(shipped)["DenyOthers"]
    assert (others["Effect"], others["Principal"], others["Action"]) == ("Deny", "*", "sns:Publish")
    steps = (
        *("record", "close-recording", "check-posture", "check-consistent", "conclude-content", "conclude-complete"),
        *("ask-approval", "verify-prune", "extend-retention", "conclude-drill", "watch"),
    )
    assert others["Condition"] == {
        "ArnNotEquals": {"aws:PrincipalArn": [f"arn:aws:iam::{ACCOUNT}:role/rwm-{step}" for step in steps]},
        # IfExists: a request that does not say what it is, is denied.
        "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
    }


def test_of_the_services_only_this_deployments_alarms_publish(shipped: Assembly) -> None:
    statements = _statements(shipped)
    assert [sid for sid, each in statements.items() if each["Effect"] == "Allow"] == ["AllowAlarms"]
    assert statements["AllowAlarms"]["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert statements["AllowAlarms"]["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {
            "aws:SourceArn": [
                f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{stack}-*" for stack in ("rwm-flows", "rwm-watch")
            ]
        },
    }
    assert {each["Resource"] for each in statements.values()} == {TOPIC}
    for _, alarm in shipped.of_type("AWS::CloudWatch::Alarm"):
        # Then CloudFormation begins its name with the stack's.
        assert "AlarmName" not in alarm


def test_each_alarm_names_the_page_and_the_heading_that_say_what_to_do(shipped: Assembly, root: Path) -> None:
    alarms = [alarm for _, alarm in shipped.of_type("AWS::CloudWatch::Alarm")]
    assert len(alarms) >= 13
    there = anchors((root / "docs" / "operations.md").read_text())
    for alarm in alarms:
        named = re.search(r"What to do: docs/operations\.md#([a-z0-9-]+)$", alarm["AlarmDescription"])
        assert named is not None, alarm["AlarmDescription"]
        assert named[1] in there, f"docs/operations.md has no heading #{named[1]}"


def test_the_topic_is_in_the_stack_that_no_deployment_of_code_replaces(shipped: Assembly) -> None:
    assert [topic["TopicName"] for topic in shipped.data.of_type("AWS::SNS::Topic").values()] == ["rwm-alerts"]
    assert shipped.flows.of_type("AWS::SNS::Topic") == {} == shipped.watch.of_type("AWS::SNS::Topic")


def test_each_address_of_the_configuration_is_subscribed(tmp_path: Path) -> None:
    people = ("backups@example.org", "owner@example.org")
    configuration = read_toml(EXAMPLE).model_copy(update={"alert_emails": people})
    unpacked: dict[str, Any] = {"aws:cdk:bundling-stacks": []}
    compose(configuration, account=ACCOUNT, region=REGION, context=unpacked, outdir=str(tmp_path)).synth()
    subscriptions = Assembly.read(tmp_path).data.of_type("AWS::SNS::Subscription").values()
    assert [(each["Protocol"], each["Endpoint"], each["TopicArn"]) for each in subscriptions] == [
        ("email", person, "rwm-alerts") for person in people
    ]
