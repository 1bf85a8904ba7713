"""The topic of alerts: what a subscriber gets."""

import json
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from functions.domain.notices import Notice
from functions.domain.ports import NotTold
from functions.storage.notices import SnsNotifier

NOTICE = Notice(
    "RWM: FAIL alpha: pack-overwritten",
    "Something is new about repository alpha.\n",
    {"repository": "alpha", "severity": "FAIL", "level": "consistent"},
)
REGION = "eu-central-1"


class Topic:
    """A topic with a queue that listens to it."""

    def __init__(self, attributes: dict[str, str]) -> None:
        self.client = boto3.client("sns", region_name=REGION)
        self.arn = self.client.create_topic(Name="rwm-alerts")["TopicArn"]
        self._sqs = boto3.client("sqs", region_name=REGION)
        self._queue = self._sqs.create_queue(QueueName="listens")["QueueUrl"]
        arn = f"arn:aws:sqs:{REGION}:123456789012:listens"
        self.client.subscribe(TopicArn=self.arn, Protocol="sqs", Endpoint=arn, Attributes=attributes)

    def heard(self) -> list[dict[str, object]]:
        messages = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in messages]


@pytest.fixture(autouse=True)
def aws() -> Iterator[None]:
    with mock_aws():
        yield


def test_a_notice_reaches_who_subscribed() -> None:
    topic = Topic({})
    SnsNotifier(topic.client, topic.arn).notify(NOTICE)
    (heard,) = topic.heard()
    assert (heard["Subject"], heard["Message"]) == (NOTICE.subject, NOTICE.body)
    assert heard["MessageAttributes"] == {
        "repository": {"Type": "String", "Value": "alpha"},
        "severity": {"Type": "String", "Value": "FAIL"},
        "level": {"Type": "String", "Value": "consistent"},
    }


def test_a_subscriber_can_choose_what_it_hears() -> None:
    topic = Topic({"FilterPolicy": json.dumps({"severity": ["HOLD"]})})
    SnsNotifier(topic.client, topic.arn).notify(NOTICE)
    assert topic.heard() == []


def test_a_topic_that_is_not_there_is_an_error_that_says_nothing_of_the_notice() -> None:
    topic = Topic({})
    with pytest.raises(NotTold, match="SNS did not take a notice") as refused:
        SnsNotifier(topic.client, f"{topic.arn}-gone").notify(NOTICE)
    assert NOTICE.body not in str(refused.value)
