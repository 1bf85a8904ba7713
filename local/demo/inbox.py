"""The operator's and the approvers' letter box: a queue that is subscribed to the alerts, as a person is by e-mail."""

import json
from dataclasses import dataclass
from typing import Any, Self

from functions.domain.names import Names
from local.embedded import ACCOUNT, REGION, EmbeddedAws


@dataclass(frozen=True, slots=True)
class Letter:
    """One message."""

    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class Inbox:
    """What was told to people since it was opened."""

    sqs: Any
    url: str

    @classmethod
    def open(cls, aws: EmbeddedAws, names: Names) -> Self:
        """Subscribe to the alerts of a deployment."""
        sqs = aws.client("sqs")
        url = str(sqs.create_queue(QueueName="inbox-of-the-operator")["QueueUrl"])
        queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:{names.alerts}"
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
        return cls(sqs, url)

    def take(self) -> list[Letter]:
        """What has come since the last time; waits two seconds for the first."""
        answer = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=2)
        letters = []
        for message in answer.get("Messages", []):
            told = json.loads(message["Body"])
            letters.append(Letter(str(told["Subject"]), str(told["Message"])))
            # Else it would come again when its visibility timeout ends.
            self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return letters
