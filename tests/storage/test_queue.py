"""A message that is given back becomes visible when it was asked to."""

import json
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws
from mypy_boto3_sqs import SQSClient

from functions.storage.queue import SqsMessageDelay


@pytest.fixture
def sqs() -> Iterator[SQSClient]:
    with mock_aws():
        yield boto3.client("sqs", region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s")


def received(sqs: SQSClient, url: str) -> list[str]:
    return [each["ReceiptHandle"] for each in sqs.receive_message(QueueUrl=url).get("Messages", [])]


def test_a_message_comes_back_at_once_or_later(sqs: SQSClient) -> None:
    url = sqs.create_queue(QueueName="rwm-alpha", Attributes={"VisibilityTimeout": "600"})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({}))
    (receipt,) = received(sqs, url)
    delay = SqsMessageDelay(sqs)
    assert received(sqs, url) == []
    delay.delay(arn, receipt, 0)
    (receipt,) = received(sqs, url)
    delay.delay(arn, receipt, 300)
    assert received(sqs, url) == []


def test_a_delay_longer_than_sqs_allows_is_the_longest_that_it_does(sqs: SQSClient) -> None:
    url = sqs.create_queue(QueueName="rwm-alpha")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({}))
    (receipt,) = received(sqs, url)
    SqsMessageDelay(sqs).delay(arn, receipt, 100_000)
