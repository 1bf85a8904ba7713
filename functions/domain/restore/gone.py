"""Where versions went that a state pins and nobody finds: since when, and which other states do without them.

What the ledger can say: which states name a version, and the first that does not. That S3 no longer has it, only asking
S3 shows; when it was deleted, nobody wrote down.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence

from functions.domain.documents import Instant, Part
from functions.domain.ledger import StatesInTurn, StoredStates
from functions.domain.state import StateHeader
from functions.domain.values import ObjectKey, ObjectVersion, StateId, VersionId

NAMED = 20
"""Versions that are told of one by one."""


class StateAt(Part):
    """A state, and what moment it describes."""

    state: StateId
    cut_time: Instant


class GoneVersion(Part):
    """A version that is gone, and which kept states speak of it."""

    key: ObjectKey
    version_id: VersionId
    last_named: StateAt
    """The newest state that names it: it was there then."""
    first_without: StateAt | None
    """The state after that, for which it was hidden or replaced; None: the newest state of all names it."""


class Gone(Part):
    """What is gone from a state, and which states are not touched by it, as far as this restore has shown."""

    versions: tuple[GoneVersion, ...]
    """The first NAMED, in key order."""
    more: int
    before: StateAt | None
    """The newest kept state before the chosen one that names nothing of what is gone."""
    after: StateAt | None
    """The oldest kept state after it that names nothing of what is gone."""


def trace(
    ledger: StoredStates, headers: Iterable[StateHeader], chosen: StateHeader, keys: Collection[ObjectKey]
) -> Gone:
    """`headers` are those of the kept states, the oldest first, `chosen` among them; `keys` are those of it whose
    versions are gone. Memory holds one state. Raises StateDamaged."""
    kept = list(headers)
    pinned = _pinned(ledger, chosen, keys)
    last: dict[ObjectKey, StateHeader] = {}
    without: dict[ObjectKey, StateHeader] = {}
    whole: list[StateHeader] = []
    states = StatesInTurn(ledger)
    for header in kept:
        entries = states.read(header).entries
        names_any = False
        for key, version_id in pinned.items():
            if _names(entries, key, version_id):
                names_any = True
                last[key] = header
                without.pop(key, None)
            elif key in last:
                without.setdefault(key, header)
        if not names_any:
            whole.append(header)
    return Gone(
        versions=tuple(
            GoneVersion(
                key=key,
                version_id=pinned[key],
                last_named=_at(last[key]),
                first_without=_at(without[key]) if key in without else None,
            )
            for key in sorted(pinned, key=str.encode)[:NAMED]
        ),
        more=max(0, len(pinned) - NAMED),
        before=_last([each for each in whole if each.generation < chosen.generation]),
        after=_last([each for each in reversed(whole) if each.generation > chosen.generation]),
    )


def _pinned(ledger: StoredStates, chosen: StateHeader, keys: Collection[ObjectKey]) -> Mapping[ObjectKey, VersionId]:
    wanted = frozenset(keys)
    entries = StatesInTurn(ledger).read(chosen).entries
    return {each.key: each.version_id for each in entries if each.key in wanted}


def _names(entries: Sequence[ObjectVersion], key: ObjectKey, version_id: VersionId) -> bool:
    place = bisect_left(entries, key, key=lambda each: each.key)
    return place < len(entries) and (entries[place].key, entries[place].version_id) == (key, version_id)


def _last(headers: Sequence[StateHeader]) -> StateAt | None:
    return _at(headers[-1]) if headers else None


def _at(header: StateHeader) -> StateAt:
    return StateAt(state=header.id, cut_time=header.cut_time)
