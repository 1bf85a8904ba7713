"""A connection that breaks now and then is asked again; what the reader says of an object is not."""

from dataclasses import dataclass, field

import pytest
from botocore.exceptions import (
    ClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from functions.domain.values import ObjectKey, VersionGone, VersionId
from functions.storage.patience import PatientReader

BROKEN: list[Exception] = [
    ResponseStreamingError(error="broken"),
    ReadTimeoutError(endpoint_url="s3"),
    IncompleteReadError(actual_bytes=1, expected_bytes=2),
]


@dataclass
class Failing:
    """RangedReader that fails with each of `errors` and then answers."""

    errors: list[Exception]
    asked: list[tuple[str, str, int, int]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def read_range(self, key: ObjectKey, version_id: VersionId, offset: int, length: int) -> bytes:
        self.asked.append((key, version_id, offset, length))
        if self.errors:
            raise self.errors.pop(0)
        return b"bytes"

    def read(self) -> bytes:
        return PatientReader(self, self.pauses.append).read_range(ObjectKey("key"), VersionId("id"), 7, 5)


@pytest.mark.parametrize("error", BROKEN, ids=lambda error: type(error).__name__)
def test_a_connection_that_breaks_twice_is_asked_a_third_time(error: Exception) -> None:
    reader = Failing([error, error])
    assert reader.read() == b"bytes"
    assert reader.asked == [("key", "id", 7, 5)] * 3
    assert reader.pauses == [1.0, 4.0]


def test_one_that_breaks_again_is_an_error() -> None:
    reader = Failing([*BROKEN, BROKEN[0]])
    with pytest.raises(IncompleteReadError):
        reader.read()
    assert len(reader.asked) == 3


@pytest.mark.parametrize("error", [VersionGone("gone"), ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject")])
def test_what_the_reader_says_is_believed_at_once(error: Exception) -> None:
    reader = Failing([error])
    with pytest.raises(type(error)):
        reader.read()
    assert (len(reader.asked), reader.pauses) == (1, [])
