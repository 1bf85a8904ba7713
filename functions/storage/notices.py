"""The topic of alerts."""

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from functions.domain.notices import Notice
from functions.domain.ports import NotTold

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient


class SnsNotifier:
    """Notifier over boto3."""

    def __init__(self, client: "SNSClient", topic: str) -> None:
        self._client = client
        self._topic = topic

    def notify(self, notice: Notice) -> None:
        try:
            self._client.publish(
                TopicArn=self._topic,
                Subject=notice.subject,
                Message=notice.body,
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value} for name, value in notice.attributes.items()
                },
            )
        except (ClientError, BotoCoreError) as error:
            raise NotTold(f"SNS did not take a notice for {self._topic}: {type(error).__name__}") from error
