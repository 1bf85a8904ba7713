"""Histories of one pack, dated in days before noon, and what a plan makes of the simplest of them."""

from datetime import timedelta

from functions.domain.key_history import KeyHistory
from functions.domain.prune.entries import PlannedEntry
from functions.domain.prune.plan import Phase
from functions.domain.values import DeleteMarker, ListedVersion, ObjectKey, ObjectVersion, VersionId
from tests.builders import NOON, pack, version
from tests.domain.prune.world import basis, draw, header_of, pins
from tests.strands import cut_of

KEY = pack("a")


def put(days: float, key: str = KEY, *, version_id: str = "", etag: str = "") -> ObjectVersion:
    """A version written `days` before noon."""
    return version(key, written=-86400 * days, version_id=version_id or f"v{days}", etag=etag)


def hide(days: float, key: str = KEY, *, version_id: str = "") -> DeleteMarker:
    return DeleteMarker(ObjectKey(key), VersionId(version_id or f"m{days}"), NOON - timedelta(days=days))


def history(*newest_first: ListedVersion, count: int | None = None) -> KeyHistory:
    return KeyHistory(newest_first[0].key, newest_first, count or len(newest_first))


PLANNED = (hide(10), put(20), put(30))
"""A key of which everything is planned."""


def planned(*entries: ListedVersion, phase: Phase = Phase.VERSIONS) -> list[PlannedEntry]:
    fresh = version("zzz")
    found = draw([*entries, fresh], pins([fresh]), basis(header_of(cut_of([fresh]))))
    return found.entries(phase)


VERSIONS = planned(*PLANNED)
MARKERS = planned(*PLANNED, phase=Phase.MARKERS)
