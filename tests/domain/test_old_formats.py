"""States that were written by the first release are read, and keep their ids."""

import base64

import pytest

from functions.domain import chunks
from functions.domain.documents import UnreadableDocument
from functions.domain.ledger import StateDamaged, read_state
from functions.domain.state import Head, StateHeader, describe
from functions.domain.values import AttemptId
from tests.builders import in_key_order, named, pack, version
from tests.fakes.ledger import FakeLedger
from tests.strands import cut_of, write

ENTRIES = in_key_order(
    [
        version("config", version_id="1"),
        version(pack("a"), version_id="2", size=5_000_000_000),
        version("notes ü.txt", version_id="null", etag="multi-2", storage_class="GLACIER"),
        version(named("snapshots", "s"), version_id="3Z"),
    ]
)
CHUNK = base64.b64decode(
    "eyJieXRlcyI6MjUzLCJjbGFzc2VzIjpbIlNUQU5EQVJEIiwiR0xBQ0lFUiJdLCJlbnRyaWVzIjo0LCJmb3JtYXQiOjF9Cii1L/0g/aUGACQMAAEA"
    "BMqXgRLKG73K+sIxs5oj3E2nhu/4FHxOcrmAd4Wv7ki7BDpxh3TFcr2KJa2+sb/NXAJWrhHOz5+cP5JdDlK+r4kGAAAADAAAAGNvbmZpZ25vdGVz"
    "IMO8LnR4dAEAAAAEAAAAAgAAADEybnVsbDNaZADyBSqweQFrAQEAASJFAjJlrkz4fQLItrqZETlACxd5X4GZ9sWWKpqwcC6gn8wDWjYdUQbZA2te"
    "RPNaaAcAAABtdWx0aS0yAAAAAAEAAAAGAIDRCoGZBIYKAy6DuOWi"
)
HEADER = (
    b'{"busy":false,"by_type":{"alien":{"bytes":100,"objects":1},"config":{"bytes":100,"objects":1},'
    b'"pack":{"bytes":5000000000,"objects":1},"snapshot":{"bytes":100,"objects":1}},"bytes":5000000300,'
    b'"cause":{"outcome":null,"reason":"event","sender":null,"sent":"2026-11-21T12:00:00Z","snapshot":null},'
    b'"chunks":{"attempt":"attempt","count":1,"digest":"9284434077dc8fe81f1a67b222e054f3a9c304c31d8ba5cf94ea18815b567a50"},'
    b'"content_root":"3643422329639943acd58000fd5f207421c9add9e7c1e5c40e911c47a7518eb9","cut_time":"2026-11-21T12:00:00Z",'
    b'"edge":false,"format":1,"generation":1,"hidden":0,"kind":"base","locks":0,'
    b'"manifest_root":"bdde07258d2711092f4030a4b4afe7fc0cd886de06db83c0129f56f7a39f72be","noncurrent":0,"objects":4,'
    b'"parent":null,"recorded_at":"2026-11-21T12:00:05Z","repository":"alpha","stale_locks":0}'
)
ID = "108ca1adb54adeb3ab84ce0b58262d30c4c9b8c1c4c207d1b450b44ed6316511"


def stored() -> tuple[FakeLedger, StateHeader]:
    ledger = FakeLedger()
    header = StateHeader.parse(HEADER)
    ledger.chunks[AttemptId("attempt"), 0] = CHUNK
    ledger.stored_headers[header.repository, 1] = (header.id, HEADER)
    ledger.heads[header.repository] = Head.of(header).canonical()
    return ledger, header


def test_a_state_of_the_first_format_reads_back_and_keeps_its_id() -> None:
    ledger, header = stored()
    assert (header.id, header.canonical(), header.format) == (ID, HEADER, 1)
    assert list(read_state(ledger, header)) == ENTRIES
    assert chunks.decode_names(CHUNK).keys == [entry.key for entry in ENTRIES]


def test_a_delta_can_lie_on_it_and_a_state_that_is_the_same_stays_in_its_format() -> None:
    ledger, _ = stored()
    same = write(ledger, ENTRIES)
    assert (same.kind, same.format) == ("same", 1)
    delta = write(ledger, ENTRIES[1:])
    assert (delta.kind, delta.format) == ("delta", 2)
    assert list(read_state(ledger, delta)) == ENTRIES[1:]


def test_a_header_is_written_in_one_format_only() -> None:
    _, header = stored()
    new = describe(
        cut_of(ENTRIES),
        repository=header.repository,
        parent=None,
        own_chunks=header.chunks,
        recorded_at=header.recorded_at,
        cause=header.cause,
    )
    assert (new.format, header.format) == (2, 1)
    assert StateHeader.parse(new.canonical()) == new
    for wrong in (
        HEADER.replace(b'"format":1', b'"format":2'),
        HEADER.replace(b'"format":1', b'"format":true'),
        new.canonical().replace(b'"format":2', b'"format":1'),
        new.canonical().replace(b'"kind":"base"', b'"kind":"delta"'),
    ):
        with pytest.raises(UnreadableDocument):
            StateHeader.parse(wrong)


def test_its_roots_count_as_they_did() -> None:
    ledger, header = stored()
    with pytest.raises(StateDamaged, match="manifest root is"):
        read_state(ledger, header.model_copy(update={"manifest_root": header.content_root}))
