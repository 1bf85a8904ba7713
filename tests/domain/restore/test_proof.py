"""The proof of one object: its bytes are compared with its name, or with the pinned version."""

import pytest

from functions.domain.batches import sha256_of
from functions.domain.restore.proof import Comparison, compare
from functions.domain.values import Digest, ObjectKey
from tests import builders
from tests.builders import pack


def never() -> Digest:
    raise AssertionError("the name settles it; the source must not be read")


@pytest.mark.parametrize(
    ("key", "found", "pinned", "comparison"),
    [
        (pack("good"), b"good", None, Comparison.PROVEN),
        (pack("good"), b"rot", b"rot", Comparison.DAMAGED),
        (pack("good"), b"rot", b"good", Comparison.DIFFERENT),
        (pack("good"), b"rot", b"another rot", Comparison.DIFFERENT),
        ("config", b"same", b"same", Comparison.PROVEN),
        ("config", b"one", b"other", Comparison.DIFFERENT),
        ("alien", b"", b"", Comparison.PROVEN),
        ("data/00/" + builders.sha256("good"), b"good", b"good", Comparison.PROVEN),
    ],
)
def test_bytes_are_compared_with_the_name_or_with_the_pinned_version(
    key: str, found: bytes, pinned: bytes | None, comparison: Comparison
) -> None:
    asked = never if pinned is None else (lambda: sha256_of([pinned]))
    assert compare(ObjectKey(key), sha256_of([found]), asked) is comparison
