"""`rwm dead-letters`: the messages that nobody could answer; and laying them to rest.

Security rules:
- A message is a hint. Its repository is that of the queue it came through, as SQS tells it; nothing in a body chooses
  what is done. Replaying is recording, as `rwm record` does: it can make RWM look, and nothing else. No message is
  ever sent again.
- A message is deleted only if it was shown, by its id; as replayed only if a state shows all that it could speak of,
  and as discarded only if nobody could ever have answered it.
- A body is the host's to choose, and may hold a path or a secret of its own. Its beginning is shown to the person who
  asked, as text, and it is kept nowhere.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from cli.deployment import Deployment
from cli.exits import ExitCode, Failed, Refused
from cli.recording import Recording, record
from functions.domain.documents import Instant, Part
from functions.domain.events import BadEvent, read_event
from functions.domain.recording import Answered, decide
from functions.domain.state import Head
from functions.domain.values import RepositoryName, StateId

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

UNDONE = "nothing is known to have been deleted"
SHOWN_BODY = 500
"""Characters of a body that are shown."""
HIDDEN_FOR = 120
"""Seconds that a message which was looked at stays hidden from others at most, should this command be killed: they
are all given back at once when it ends."""
MOST_READ = 10_000
"""Messages that are looked through for those of one repository, or for those that were shown."""
_AT_ONCE = 10
"""SQS's limit of a batch."""
_NOBODYS = "it came through no queue of a deployed repository"

Became = Literal["left", "replayed", "discarded"]


class DeadLetter(Part):
    """One message that ended in the dead-letter queue."""

    id: str
    repository: RepositoryName | None
    """Whose queue it came through; null: of no repository that is deployed."""
    queue: str | None
    """The queue it came through, by name; null where SQS does not say."""
    sent: Instant
    sender: str
    """Who sent it, by SQS's word: an id of IAM's."""
    bytes: int
    body: str
    """Its first 500 characters."""
    refused: str | None
    """Why nobody can ever answer it; null: it is an event, and recording failed on it time and again."""
    answered_by: StateId | None
    """The newest state, where that shows all that the event can speak of."""
    became: Became = "left"


class Replay(Part):
    """A recording that was asked for in place of messages."""

    repository: RepositoryName
    outcome: Literal["recorded", "answered", "not-yet", "refused", "failed"]
    state: StateId | None = None
    until: Instant | None = None
    """When it can be recorded, if not yet."""
    message: str = ""


class DeadLetters(Part):
    """What lies in the dead-letter queue, the oldest first, and what was done about it."""

    queue: str
    messages: tuple[DeadLetter, ...]
    more: bool
    """There may be others that are not shown."""
    replays: tuple[Replay, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        came_to = {each.outcome for each in self.replays}
        if "refused" in came_to:
            return ExitCode.FAIL
        if "failed" in came_to:
            return ExitCode.FAILED
        # A state that was cut too soon after the event answers it no more than none at all.
        waits = self.replays and any(each.became == "left" for each in self.to_replay)
        return ExitCode.WAITING if waits else ExitCode.DONE

    @property
    def to_replay(self) -> tuple[DeadLetter, ...]:
        return tuple(each for each in self.messages if each.refused is None)

    @property
    def to_discard(self) -> tuple[DeadLetter, ...]:
        return tuple(each for each in self.messages if each.refused is not None)


@dataclass(frozen=True, slots=True)
class DeadLetterQueue:
    """The queue itself. Needs sqs:ReceiveMessage, DeleteMessage, ChangeMessageVisibility and GetQueueAttributes on
    it."""

    sqs: "SQSClient"
    url: str

    def look_through(self, take: "Callable[[MessageTypeDef], bool]", limit: int) -> "list[MessageTypeDef]":
        """Up to `limit` messages that `take` says yes to, and all are given back."""
        seen: dict[str, MessageTypeDef] = {}
        try:
            return [found for _, found in zip(range(limit), filter(take, self._receive(seen)), strict=False)]
        finally:
            self._give_back(seen.values())

    def delete(self, ids: frozenset[str]) -> frozenset[str]:
        """Delete the messages of these ids that are still there, and say which."""
        seen: dict[str, MessageTypeDef] = {}
        doomed: list[MessageTypeDef] = []
        try:
            for message in self._receive(seen):
                if message["MessageId"] in ids:
                    doomed.append(message)
                if len(doomed) == len(ids):
                    break
            gone: set[str] = set()
            for some in _batches(doomed):
                # Received a moment ago: SQS deletes by the handle of the last time that a message was received.
                answer = self.sqs.delete_message_batch(
                    QueueUrl=self.url,
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                        for number, message in enumerate(some)
                    ],
                )
                gone |= {some[int(each["Id"])]["MessageId"] for each in answer.get("Successful", [])}
            for each in gone:
                del seen[each]
            return frozenset(gone)
        finally:
            self._give_back(seen.values())

    def count(self) -> int:
        """About how many there are, those included that somebody looks at."""
        names: Sequence[Literal["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]] = (
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
        )
        told = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(told[name]) for name in names)

    def _receive(self, seen: "dict[str, MessageTypeDef]") -> "Iterator[MessageTypeDef]":
        """Each message once, up to MOST_READ; it is in `seen` before it is given."""
        while len(seen) < MOST_READ:
            answer = self.sqs.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=_AT_ONCE,
                VisibilityTimeout=HIDDEN_FOR,
                # A short poll asks only some of SQS's servers, and may find nothing where there is something.
                WaitTimeSeconds=1,
                MessageSystemAttributeNames=["All"],
            )
            # One that is delivered twice is one.
            new = [each for each in answer.get("Messages", []) if each["MessageId"] not in seen]
            seen.update((each["MessageId"], each) for each in answer.get("Messages", []))
            if not new:
                return
            yield from new

    def _give_back(self, messages: "Iterable[MessageTypeDef]") -> None:
        for some in _batches(list(messages)):
            # What fails here is seen again after HIDDEN_FOR.
            self.sqs.change_message_visibility_batch(
                QueueUrl=self.url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
                    for number, message in enumerate(some)
                ],
            )


def dead_letters(deployment: Deployment, name: str | None, limit: int) -> DeadLetters:
    """Up to `limit` messages of one repository, or of all. Raises Refused for an unknown repository."""
    chosen = deployment.repository(name).repository if name is not None else None
    whose = {deployment.names.queue(each.name): each.repository for each in deployment.repositories()}
    answers = _Answers(deployment)
    queue = _queue(deployment)

    def wanted(message: "MessageTypeDef") -> bool:
        return chosen is None or whose.get(_came_through(message) or "") == chosen

    found = [_told(each, whose, answers) for each in queue.look_through(wanted, limit)]
    return DeadLetters(
        queue=deployment.names.dead_letters,
        messages=tuple(sorted(found, key=lambda each: (each.sent, each.id))),
        more=len(found) == limit and queue.count() > limit,
    )


def replay(deployment: Deployment, shown: DeadLetters) -> DeadLetters:
    """Record each repository that an event of `shown` came from, where no state answers it yet, and delete what is
    answered then."""
    unanswered = {each.repository for each in shown.to_replay if each.repository and each.answered_by is None}
    replays = tuple(_record(deployment, name) for name in sorted(unanswered))
    answers = _Answers(deployment)
    messages = {
        each.id: each.model_copy(update={"answered_by": answers.by(each.repository, each.sent)})
        for each in shown.to_replay
        if each.repository
    }
    done = [each.id for each in messages.values() if each.answered_by is not None]
    updated = tuple(messages.get(each.id, each) for each in shown.messages)
    return _deleted(deployment, shown.model_copy(update={"messages": updated, "replays": replays}), done, "replayed")


def discard(deployment: Deployment, shown: DeadLetters) -> DeadLetters:
    """Delete those of `shown` that nobody can ever answer. Raises Failed where some were not there any more."""
    done = _deleted(deployment, shown, [each.id for each in shown.to_discard], "discarded")
    if left := sum(each.became == "left" for each in done.to_discard):
        raise Failed(
            f"{left} of {len(done.to_discard)} messages were not deleted: they were not seen again, or SQS refused; "
            "`rwm dead-letters` shows what is left"
        )
    return done


class _Answers:
    """Which state shows all that an event can speak of, by the rule of the function `record`."""

    def __init__(self, deployment: Deployment) -> None:
        self._ledger = deployment.ledger
        self._heads: dict[RepositoryName, Head | None] = {}

    def by(self, repository: RepositoryName, sent: datetime) -> StateId | None:
        if repository not in self._heads:
            self._heads[repository] = self._ledger.head(repository)
        decision = decide(
            sent=sent,
            head=self._heads[repository],
            now=sent,
            min_interval=timedelta(0),
            # It has come back often enough for a state with restic at work to answer it.
            wants_quiet=False,
        )
        return decision.by.state if isinstance(decision, Answered) else None


def _told(message: "MessageTypeDef", whose: Mapping[str, RepositoryName], answers: _Answers) -> DeadLetter:
    attributes, body = message.get("Attributes", {}), message.get("Body", "")
    queue = _came_through(message)
    repository = whose.get(queue or "")
    sent = datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC)
    refused = _refused(body, repository)
    return DeadLetter(
        id=message["MessageId"],
        repository=repository,
        queue=queue,
        sent=sent,
        sender=attributes.get("SenderId", "")[:128],
        bytes=len(body.encode()),
        body=body[:SHOWN_BODY],
        refused=refused,
        answered_by=answers.by(repository, sent) if repository and refused is None else None,
    )


def _came_through(message: "MessageTypeDef") -> str | None:
    """SQS writes it down as it moves a message here; no sender can."""
    arn = message.get("Attributes", {}).get("DeadLetterQueueSourceArn")
    return arn.rpartition(":")[2] if arn else None


def _refused(body: str, repository: RepositoryName | None) -> str | None:
    if repository is None:
        return _NOBODYS
    try:
        read_event(body, repository)
    except BadEvent as error:
        return str(error)
    return None


def _record(deployment: Deployment, name: RepositoryName) -> Replay:
    try:
        came_to: Recording = record(deployment, name)
    except (Failed, Refused) as stop:
        # One repository that cannot be recorded does not keep the others' messages.
        return Replay(repository=name, outcome="failed", message=str(stop))
    return Replay(
        repository=name,
        outcome=came_to.outcome,
        state=came_to.state,
        until=came_to.until,
        message=came_to.message,
    )


def _deleted(deployment: Deployment, shown: DeadLetters, ids: Sequence[str], became: Became) -> DeadLetters:
    gone = _queue(deployment).delete(frozenset(ids)) if ids else frozenset[str]()
    messages = tuple(each.model_copy(update={"became": became}) if each.id in gone else each for each in shown.messages)
    return shown.model_copy(update={"messages": messages})


def _queue(deployment: Deployment) -> DeadLetterQueue:
    return DeadLetterQueue(deployment.aws.sqs, deployment.dead_letters_url)


def _batches(messages: "Sequence[MessageTypeDef]") -> "Iterator[Sequence[MessageTypeDef]]":
    for start in range(0, len(messages), _AT_ONCE):
        yield messages[start : start + _AT_ONCE]
