"""A repository's queue, as far as a message that is given back needs it."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

LONGEST_DELAY = 11 * 3600
"""Seconds. SQS refuses what goes beyond 12 hours from when the message was received; the hour is for the function."""


class SqsMessageDelay:
    """MessageDelay over boto3."""

    def __init__(self, client: "SQSClient") -> None:
        self._client = client
        self._url = cache(self._look_up)

    def delay(self, queue_arn: str, receipt_handle: str, seconds: int) -> None:
        self._client.change_message_visibility(
            QueueUrl=self._url(queue_arn),
            ReceiptHandle=receipt_handle,
            VisibilityTimeout=max(0, min(seconds, LONGEST_DELAY)),
        )

    def _look_up(self, queue_arn: str) -> str:
        account, name = queue_arn.split(":")[4:6]
        return self._client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]
