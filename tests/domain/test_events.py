"""What a message may say, and that a refusal never repeats it."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.events import LARGEST_BODY, BackupDone, BadEvent, read_event
from functions.domain.values import RepositoryName

ALPHA = RepositoryName("alpha")
SNAPSHOT = "0123abcd" * 8


def test_the_one_line_body_is_an_event() -> None:
    assert read_event('{"event":"backup done"}', ALPHA) == BackupDone()


def test_a_flat_body_may_name_repository_snapshot_and_outcome() -> None:
    body = json.dumps({"event": "backup done", "repository": "alpha", "snapshot": SNAPSHOT, "outcome": "incomplete"})
    assert read_event(body, ALPHA) == BackupDone(repository="alpha", snapshot=SNAPSHOT, outcome="incomplete")


def test_a_cloud_event_is_an_event_and_its_extensions_are_ignored() -> None:
    body = json.dumps(
        {
            "specversion": "1.0",
            "type": "dev.rwm.backup.done",
            "source": "urn:host:web1",
            "id": "7",
            "time": "2026-11-21T12:00:00Z",
            "traceparent": "00-aa-bb-01",
            "data": {"snapshot": SNAPSHOT},
        }
    )
    assert read_event(body, ALPHA).snapshot == SNAPSHOT


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "not JSON"),
        ("backup done", "not JSON"),
        ("[" * 4000, "not JSON"),
        ('"backup done"', "not a JSON object"),
        ("{}", "event: Field required"),
        ('{"event":"backup failed"}', "Input should be 'backup done'"),
        ('{"event":"backup done","snapshotid":"x"}', "snapshotid: Extra inputs"),
        ('{"event":"backup done","snapshot":"latest"}', "snapshot: String should match"),
        ('{"specversion":"0.3","type":"dev.rwm.backup.done","source":"s","id":"1"}', "specversion"),
        ('{"specversion":"1.0","type":"other","source":"s","id":"1"}', "type"),
        ('{"specversion":"1.0","type":"dev.rwm.backup.done","source":"","id":"1"}', "source"),
        (
            '{"event":"backup done","repository":"beta"}',
            "names repository 'beta' and came through the queue of 'alpha'",
        ),
        ('{"event":"backup done"}' + " " * LARGEST_BODY, f"may have {LARGEST_BODY}"),
        (json.dumps({"event": "backup done", "outcome": "x" * LARGEST_BODY}), f"may have {LARGEST_BODY}"),
    ],
)
def test_anything_else_is_refused_with_its_reason(body: str, why: str) -> None:
    with pytest.raises(BadEvent, match=re.escape(why)):
        read_event(body, ALPHA)


def test_a_refusal_does_not_repeat_values_of_the_body() -> None:
    secret = "/home/alice/.restic-password"
    with pytest.raises(BadEvent) as refused:
        read_event(json.dumps({"event": secret, "snapshot": secret, "outcome": secret}), ALPHA)
    assert "alice" not in str(refused.value)


@given(st.one_of(st.text(), st.dictionaries(st.text(), st.text() | st.integers() | st.none()).map(json.dumps)))
def test_any_body_is_an_event_or_refused(body: str) -> None:
    try:
        read_event(body, ALPHA)
    except BadEvent:
        return
