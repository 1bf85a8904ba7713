"""How people hear that something is wrong: one topic, and the alarms that speak through it.

The topic belongs to the stateful stack. Whoever gets e-mail from it confirmed that once, by hand: a deployment of
code must not silence it.
"""

from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.arns import Arns

TELLERS = (
    *("record", "close-recording", "check-posture", "check-consistent", "conclude-content", "conclude-complete"),
    *("ask-approval", "verify-prune", "extend-retention", "conclude-drill", "watch"),
)
"""The steps that tell people of findings, ask approvers, tell of drills that failed, and of what is over."""


class Alerts(Construct):
    """The topic, who may publish to it, and who is told by e-mail.

    Not encrypted with a key of KMS: a notice counts and names findings, never a key or a path, goes out as plain
    e-mail anyway, and CloudWatch's alarms cannot use the key that costs nothing.
    """

    def __init__(self, scope: Construct, construct_id: str, *, arns: Arns) -> None:
        super().__init__(scope, construct_id)
        topic = sns.CfnTopic(self, "Topic", topic_name=arns.names.alerts)
        sns.CfnTopicPolicy(self, "Policy", topics=[topic.ref], policy_document=topic_policy(arns))
        for address in arns.configuration.alert_emails:
            sns.CfnSubscription(self, f"Email-{address}", topic_arn=topic.ref, protocol="email", endpoint=address)


def topic_policy(arns: Arns) -> dict[str, Any]:
    """Steps that judge, and this deployment's alarms, publish; nobody else does, and nobody without TLS.

    A forged "all is well", or a flood of alarms, would hide a true one.
    """
    where = arns.surroundings
    tellers = [where.role(arns.names.role(step)) for step in TELLERS]
    publish = {"Action": "sns:Publish", "Resource": arns.alerts}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "DenyPlainHttp",
                "Effect": "Deny",
                "Principal": "*",
                **publish,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
            {
                "Sid": "DenyOthers",
                "Effect": "Deny",
                "Principal": "*",
                **publish,
                "Condition": {
                    "ArnNotEquals": {"aws:PrincipalArn": tellers},
                    # CloudWatch comes as a service, which has no such ARN; the next statement limits it.
                    "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
                },
            },
            {
                "Sid": "AllowAlarms",
                "Effect": "Allow",
                "Principal": {"Service": "cloudwatch.amazonaws.com"},
                **publish,
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": arns.account},
                    "ArnLike": {"aws:SourceArn": arns.alarms},
                },
            },
        ],
    }


def alarm(
    scope: Construct,
    construct_id: str,
    *,
    metric: cloudwatch.IMetric,
    description: str,
    arns: Arns,
    threshold: int = 0,
    comparison: cloudwatch.ComparisonOperator = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
    missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
) -> cloudwatch.Alarm:
    """Tell people as soon as `metric` is above nothing, or what else is asked for.

    `description` ends with the page and the heading that say what to do (tests/infra/test_alerts.py).
    """
    made = cloudwatch.Alarm(
        scope,
        construct_id,
        alarm_description=description,
        metric=metric,
        threshold=threshold,
        comparison_operator=comparison,
        evaluation_periods=1,
        treat_missing_data=missing,
    )
    made.add_alarm_action(actions.SnsAction(sns.Topic.from_topic_arn(made, "Topic", arns.alerts)))
    return made


def alarm_without_end(
    scope: Construct, name: str, workflow: sfn.IStateMachine, description: Callable[[str], str], arns: Arns
) -> None:
    """Alarms for executions of `workflow` that failed or timed out, which `description` is told."""
    for how, metric in (
        ("failed", workflow.metric_failed(period=EVERY, statistic="Sum")),
        ("timed out", workflow.metric_timed_out(period=EVERY, statistic="Sum")),
    ):
        construct_id = f"{name}{how.title().replace(' ', '')}Alarm"
        alarm(scope, construct_id, metric=metric, description=description(how), arns=arns)


EVERY = cdk.Duration.minutes(5)
"""How often an alarm looks."""
