"""SQS for one dead-letter queue, strict where it matters: what is received is hidden, a handle is good only until the
message is received again, and a message is gone only when it was deleted by a good one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from tests.fakes.clock import FakeClock

ACCOUNT = "123456789012"


@dataclass
class _Message:
    id: str
    body: str
    attributes: Mapping[str, str]
    visible_at: datetime
    handle: str = ""


@dataclass
class FakeDeadLetterQueue:
    """Messages, oldest first; time passes only by `clock`."""

    url: str
    clock: FakeClock = field(default_factory=FakeClock)
    region: str = "eu-central-1"
    batch: int = 10
    """How many messages a call gives at most: SQS may give fewer than it was asked for."""
    undeletable: frozenset[str] = frozenset()
    """Ids of messages of which SQS says that they could not be deleted."""
    error: ClientError | None = None
    calls: list[str] = field(default_factory=list)
    messages: list[_Message] = field(default_factory=list)
    _handles: int = 0

    def __post_init__(self) -> None:
        self.meta = SimpleNamespace(endpoint_url=self.url.split("/1234")[0])

    def add(self, message_id: str, body: str, *, queue: str | None, sent: datetime, sender: str = "AIDA:host") -> None:
        attributes = {"SentTimestamp": str(round(sent.timestamp() * 1000)), "SenderId": sender}
        if queue is not None:
            attributes["DeadLetterQueueSourceArn"] = f"arn:aws:sqs:{self.region}:{ACCOUNT}:{queue}"
        self.messages.append(_Message(message_id, body, attributes, self.clock.now()))

    @property
    def visible(self) -> list[str]:
        """Ids of what anybody would be given now."""
        return [each.id for each in self.messages if each.visible_at <= self.clock.now()]

    def receive_message(self, **asked: Any) -> dict[str, Any]:
        self._called("receive", asked)
        assert asked["MaxNumberOfMessages"] <= 10
        assert asked["MessageSystemAttributeNames"] == ["All"]
        given = [each for each in self.messages if each.visible_at <= self.clock.now()][
            : min(self.batch, asked["MaxNumberOfMessages"])
        ]
        for each in given:
            self._handles += 1
            each.handle = f"handle-{self._handles}"
            each.visible_at = self._in(asked["VisibilityTimeout"])
        if not given:
            return {}
        return {
            "Messages": [
                {"MessageId": each.id, "ReceiptHandle": each.handle, "Body": each.body, "Attributes": each.attributes}
                for each in given
            ]
        }

    def delete_message_batch(self, **asked: Any) -> dict[str, Any]:
        self._called("delete", asked)
        done, failed = [], []
        for entry in self._entries(asked):
            found = next((each for each in self.messages if each.handle == entry["ReceiptHandle"]), None)
            if found is None or found.id in self.undeletable:
                failed.append({"Id": entry["Id"], "SenderFault": True, "Code": "ReceiptHandleIsInvalid"})
                continue
            self.messages.remove(found)
            done.append({"Id": entry["Id"]})
        return {"Successful": done, "Failed": failed}

    def change_message_visibility_batch(self, **asked: Any) -> dict[str, Any]:
        self._called("visibility", asked)
        for entry in self._entries(asked):
            for each in self.messages:
                if each.handle == entry["ReceiptHandle"]:
                    each.visible_at = self._in(entry["VisibilityTimeout"])
        return {"Successful": [{"Id": entry["Id"]} for entry in asked["Entries"]], "Failed": []}

    def get_queue_attributes(self, **asked: Any) -> dict[str, Any]:
        self._called("attributes", asked)
        visible = len(self.visible)
        told = {
            "ApproximateNumberOfMessages": str(visible),
            "ApproximateNumberOfMessagesNotVisible": str(len(self.messages) - visible),
        }
        return {"Attributes": {name: told[name] for name in asked["AttributeNames"]}}

    def _in(self, seconds: int) -> datetime:
        return self.clock.now() + timedelta(seconds=seconds)

    def _called(self, call: str, asked: Mapping[str, Any]) -> None:
        assert asked["QueueUrl"] == self.url
        self.calls.append(call)
        if self.error is not None:
            raise self.error

    @staticmethod
    def _entries(asked: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        entries: Sequence[Mapping[str, Any]] = asked["Entries"]
        assert 1 <= len(entries) <= 10, "SQS takes 1 to 10 entries at once"
        assert len({entry["Id"] for entry in entries}) == len(entries)
        return entries
