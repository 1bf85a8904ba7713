"""The topic of alerts."""

from typing import TYPE_CHECKING

from functions.domain.notices import Notice

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient


class SnsNotifier:
    """Notifier over boto3."""

    def __init__(self, client: "SNSClient", topic: str) -> None:
        self._client = client
        self._topic = topic

    def notify(self, notice: Notice) -> None:
        self._client.publish(
            TopicArn=self._topic,
            Subject=notice.subject,
            Message=notice.body,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in notice.attributes.items()
            },
        )
