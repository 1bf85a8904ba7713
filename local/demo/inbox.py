"""The operator's and the approvers' letter box: a queue that is subscribed to the alerts, as a person is by e-mail."""

import json
from dataclasses import dataclass
from typing import Any, Self

from functions.domain.names import Names
from local.embedded import EmbeddedAws
from local.subscribing import subscribe


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
        return cls(aws.client("sqs"), subscribe(aws.client, names, "inbox-of-the-operator"))

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
