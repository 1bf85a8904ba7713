"""Clause (e): just before each call, the batch's entries are looked at once more, as if nothing had been planned.

Between plan and call lie hours, an approval, and an attacker. What was noncurrent may have become current again, a
new state may name it, a state that was to be dropped may have been held. So `apply_prune` lists the keys of its
batch again, reads every state that is not dropped *now*, and asks here which entries still satisfy the clauses.

Security rules:
- An entry is deleted only if it was planned, and the rules, applied to what is so now, let it go.
- What is listed under a planned version id has to be what was planned: same key, size and date.
- Versions and markers are confirmed apart. A marker goes only when the key, listed again after the first phase, has
  no version beneath it, and no upload to the key is pending.
- Pending uploads have to be listed *before* the versions: one that was completed in between is then in the listing,
  and one that begins later lands above the marker.
- An entry that is not there any more is done; so running again after a crash finishes the work.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from functions.domain.key_history import KeyHistory
from functions.domain.prune.entries import PlannedEntry
from functions.domain.prune.histories import is_flooded
from functions.domain.prune.rules import Decision, PruneRules, Waits, decide_key, decide_markers
from functions.domain.values import ObjectKey, ObjectVersion, VersionId


class Pins(Protocol):
    """What the states that are not dropped now name: all of it (`PinnedVersions`), or of the batch's keys
    (`NamedVersions`)."""

    def named(self, key: ObjectKey) -> frozenset[VersionId]: ...

    def finish(self) -> None:
        """Raises PinsUnproven, and whatever reading them raises: then nothing it said counts."""
        ...


@dataclass(frozen=True, slots=True)
class Left:
    """A planned entry that stays after all. `why` None: it is current, or not what was planned."""

    entry: PlannedEntry
    why: Waits | None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A batch, told apart; each planned entry is in exactly one of the three."""

    go: tuple[PlannedEntry, ...]
    """Exactly these may be deleted now."""
    gone: tuple[PlannedEntry, ...]
    """Not there any more."""
    left: tuple[Left, ...]


def confirm(
    batch: Sequence[PlannedEntry],
    histories: Iterable[KeyHistory],
    pinned: Pins,
    rules: PruneRules,
    now: datetime,
) -> Confirmed:
    """Which versions of a first-phase batch may be deleted now.

    `histories`: every entry, just listed, of each key of the batch (a key without any is left out), in key order.
    `pinned`: all states that are not dropped now. Raises PinsUnproven.
    """
    seen = _Seen()
    for history in histories:
        seen.list(history)
        for decision in decide_key(history, pinned.named(history.key), rules, now):
            if isinstance(decision.entry, ObjectVersion):
                seen.decide(decision)
    # Only now has each state proved to be what its header says.
    pinned.finish()
    return seen.sort_out(batch)


def confirm_markers(
    batch: Sequence[PlannedEntry],
    histories: Iterable[KeyHistory],
    pending: Collection[ObjectKey],
    rules: PruneRules,
    now: datetime,
) -> Confirmed:
    """Which markers of a second-phase batch may be deleted now.

    `histories` as in `confirm`, listed after the first phase and after `pending`: the keys to which an upload was not
    completed.
    """
    seen = _Seen()
    for history in histories:
        seen.list(history)
        for decision in decide_markers(history, rules, now):
            waits = replace(decision, verdict=Waits.UPLOAD_PENDING, until=None)
            seen.decide(waits if history.key in pending else decision)
    return seen.sort_out(batch)


@dataclass(slots=True)
class _Seen:
    """What the keys of a batch hold now, and what the rules make of it."""

    decided: dict[tuple[ObjectKey, VersionId], Decision] = field(default_factory=dict)
    listed: set[tuple[ObjectKey, VersionId]] = field(default_factory=set)
    flooded: set[ObjectKey] = field(default_factory=set)

    def list(self, history: KeyHistory) -> None:
        self.listed.update((history.key, entry.version_id) for entry in history.entries)
        if is_flooded(history):
            self.flooded.add(history.key)

    def decide(self, decision: Decision) -> None:
        self.decided[decision.entry.key, decision.entry.version_id] = decision

    def sort_out(self, batch: Sequence[PlannedEntry]) -> Confirmed:
        go: list[PlannedEntry] = []
        gone: list[PlannedEntry] = []
        left: list[Left] = []
        for planned in batch:
            name = (planned.key, planned.version_id)
            decision = self.decided.get(name)
            if decision is not None and decision.goes and planned.is_still(decision.entry):
                go.append(planned)
            elif planned.key in self.flooded:
                # It may be among those of the key's entries that were not kept.
                left.append(Left(planned, Waits.FLOODED))
            elif name not in self.listed:
                gone.append(planned)
            else:
                left.append(_left(planned, decision))
        return Confirmed(tuple(go), tuple(gone), tuple(left))


def _left(planned: PlannedEntry, decision: Decision | None) -> Left:
    if decision is None or not isinstance(decision.verdict, Waits):
        return Left(planned, None)
    return Left(planned, decision.verdict, decision.until)
