"""What S3 is asked to delete, what it answers of each entry, and what that means.

Security rules:
- An answer is a hint. What is listed afterwards decides what is gone, whatever S3 said of it.
- What S3 refuses is never asked for in another way, but for one: governance, where the repository says so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from functions.domain.values import ObjectKey, VersionId

MOST_IN_A_CALL = 1_000
"""Entries that one DeleteObjects takes."""


class Doomed(NamedTuple):
    """One version or marker, exactly."""

    key: ObjectKey
    version_id: VersionId


class Answer(StrEnum):
    """What a refusal means for the entry."""

    WAITS = "waits"
    """Retention or a legal hold protects it."""
    AGAIN = "again"
    """S3 was in trouble, or did not answer; the same may be asked again."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One entry that S3 did not delete, in its own words."""

    entry: Doomed
    code: str
    message: str

    @property
    def answer(self) -> Answer:
        if self.code in DENIED:
            # S3 has one code for both. A role that may not delete waits for nothing: somebody has to let it.
            return Answer.FAILED if _NO_PERMISSION in self.message.lower() else Answer.WAITS
        return Answer.AGAIN if self.code in _TRANSIENT else Answer.FAILED


@dataclass(frozen=True, slots=True)
class DeleteOutcome:
    """What S3 answered; each entry that was asked for is in exactly one of the two."""

    deleted: tuple[Doomed, ...]
    """Also what had not been there: S3 does not tell the difference."""
    refused: tuple[Refusal, ...]


UNANSWERED = "Unanswered"
"""The code of an entry of which nothing is known: the call broke, or its answer does not speak of it."""
_NO_PERMISSION = "is not authorized to perform"
"""What S3 says where a policy denies; of a lock it says that the object is protected."""
DENIED = frozenset({"AccessDenied", "403", "ObjectLocked"})
_TRANSIENT = frozenset(
    {
        UNANSWERED,
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "500",
        "502",
        "503",
        "504",
    }
)


def unanswered(entries: Iterable[Doomed], why: str) -> DeleteOutcome:
    """The outcome of a call that broke: it may have done all, or nothing."""
    return DeleteOutcome((), tuple(Refusal(entry, UNANSWERED, why) for entry in entries))


def outcome_of(asked: Sequence[Doomed], deleted: Iterable[Doomed], errors: Iterable[Refusal]) -> DeleteOutcome:
    """What an answer says of each entry that was `asked`: an error counts before a success, and silence is none."""
    refused = {error.entry: error for error in errors}
    done = set(deleted)
    return DeleteOutcome(
        tuple(entry for entry in asked if entry in done and entry not in refused),
        tuple(
            refused.get(entry, Refusal(entry, UNANSWERED, "the answer does not name it"))
            for entry in asked
            if entry in refused or entry not in done
        ),
    )
