"""Somebody who subscribed to what is told."""

import json
from typing import Any

from functions.domain.notices import EVERY_REPOSITORY
from local.subscribing import subscribe
from tests.system.system import System


class Subscription:
    """To all that is told of one repository, or of all together."""

    def __init__(self, system: System, name: str, reader: str) -> None:
        """`reader`: who reads it, each with a queue of its own."""
        self._sqs = system.client("sqs")
        queue = f"{reader}-{'all' if name == EVERY_REPOSITORY else name}"
        self._url = subscribe(system.client, system.names, queue, only=name)

    def arrived(self) -> list[dict[str, Any]]:
        """SNS's documents that came since the last time."""
        found: list[dict[str, Any]] = []
        while messages := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return found
