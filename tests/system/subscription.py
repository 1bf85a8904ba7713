"""Somebody who subscribed to what is told."""

import json
from typing import Any

from functions.domain.notices import EVERY_REPOSITORY
from local.embedded import ACCOUNT, REGION
from tests.system.system import System


class Subscription:
    """To all that is told of one repository, or of all together."""

    def __init__(self, system: System, name: str, reader: str) -> None:
        """`reader`: who reads it, each with a queue of its own."""
        self._sqs = system.client("sqs")
        queue = f"{reader}-{'all' if name == EVERY_REPOSITORY else name}"
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"
        topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:{system.names.alerts}"
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self._url = self._sqs.create_queue(QueueName=queue, Attributes={"Policy": policy})["QueueUrl"]
        wanted = {"FilterPolicy": json.dumps({"repository": [name]})}
        system.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=wanted)

    def arrived(self) -> list[dict[str, Any]]:
        """SNS's documents that came since the last time."""
        found: list[dict[str, Any]] = []
        while messages := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return found
