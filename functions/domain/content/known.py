"""Which versions are verified already, by the sets that are remembered.

Security rules:
- Whatever cannot be read, a state, a plan or a batch, is not believed: its versions are read again.
- A set is asked about a version only by exact key and version id.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from functions.domain.content.files import NotThePlan, read_batch, read_plan
from functions.domain.content.plan import VersionName, name_of
from functions.domain.content.sets import VerifiedSet
from functions.domain.documents import UnreadableDocument
from functions.domain.ledger import StateDamaged, stream_state
from functions.domain.ports import LedgerReader, RecordReader, VerifiedSets
from functions.domain.restic import promised_sha256
from functions.domain.state import ChunkSet, StateHeader
from functions.domain.values import ObjectVersion, VersionGone

MOST_STATES = 12
"""How many other states are read at most to find what is verified already. What a state shares with none of the
nearest ones is read again, which costs less than reading the ledger of years."""


@dataclass(slots=True)
class Memory:
    """What was verified before, and where to look it up."""

    sets: VerifiedSets
    ledger: LedgerReader
    records: RecordReader | None = None
    """Where plans and batches are. Without, a set that leans on them is not believed."""
    _entries: dict[ChunkSet, frozenset[VersionName]] = field(default_factory=dict)
    """Of the states that were read, by their chunks: a repository that did not change is read once."""

    def verified_among(self, versions: Sequence[ObjectVersion], header: StateHeader) -> frozenset[VersionName]:
        """Those of `versions` that remembered sets speak for. `header` is of the state to which they are near, whose
        entries need not be `versions`.

        Raises UnreadableDocument where what is remembered is not what RWM wrote.
        """
        damaged = self.sets.damaged(header.repository)
        open_ = {name_of(each): each.last_modified for each in versions if name_of(each) not in damaged}
        oldest = min(open_.values(), default=None)
        found: set[VersionName] = set()
        self._entries.clear()
        for one in _nearest_first(self.sets.sets(header.repository), header.generation):
            if oldest is None:
                break
            # No state has a version that was written after its cut.
            if oldest <= one.cut_time and (proven := self._spoken_for(one, open_)):
                found |= proven
                open_ = {name: written for name, written in open_.items() if name not in proven}
                oldest = min(open_.values(), default=None)
        return frozenset(found)

    def proven_among(self, versions: Sequence[ObjectVersion], header: StateHeader) -> frozenset[VersionName]:
        """Those of `versions` whose bytes were read and hash to their names: two of one key have the same bytes."""
        named = [version for version in versions if promised_sha256(version.key) is not None]
        return self.verified_among(named, header)

    def _spoken_for(self, one: VerifiedSet, names: Iterable[VersionName]) -> set[VersionName]:
        """Those of `names` for which the set speaks; none, if what it leans on cannot be read."""
        try:
            entries = self._state(one)
            spoken_for = {name for name in names if name in entries}
            return spoken_for.difference(one.but, self._unread(one)) if spoken_for else spoken_for
        except (StateDamaged, UnreadableDocument, NotThePlan, VersionGone):
            return set()

    def _state(self, one: VerifiedSet) -> frozenset[VersionName]:
        header = self.ledger.header(one.repository, one.generation)
        if header is None or header.id != one.state:
            return frozenset()
        known = self._entries.get(header.chunks)
        if known is None:
            if len(self._entries) == MOST_STATES:
                return frozenset()
            named = (zip(run.keys, run.version_ids, strict=True) for run in stream_state(self.ledger, header))
            known = self._entries[header.chunks] = frozenset(chain.from_iterable(named))
        return known

    def _unread(self, one: VerifiedSet) -> Iterator[VersionName]:
        if not one.unread:
            return
        if self.records is None:
            raise NotThePlan("nobody may read the plan here")
        plan = read_plan(self.records, one.repository, one.execution, one.plan, one.plan_version)
        for number in one.unread:
            yield from map(name_of, read_batch(self.records, plan, number))


def _nearest_first(sets: Iterable[VerifiedSet], generation: int) -> list[VerifiedSet]:
    return sorted(sets, key=lambda one: (abs(one.generation - generation), one.generation))
