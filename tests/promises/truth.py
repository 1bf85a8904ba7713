"""What is true, kept beside the system and never asked of it: what each state was, what each person decided, when each
version really ceased to be current; and what may be deleted, judged anew by docs/design.md at the moment of each call.

Nothing here uses the rules of functions/domain/prune or functions/domain/retention. It is slow and simple on purpose.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.domain.keeping import DroppedState
from functions.domain.ledger import read_state
from functions.domain.prune.approval import ShelvedPlan
from functions.domain.prune.deleting import Doomed
from functions.domain.prune.lease import Lease
from functions.domain.state import StateHeader
from functions.domain.values import Digest, RepositoryName, Severity, StateId
from tests.fakes.faults import Call, Moment
from tests.fakes.s3_model import Version
from tests.promises.world import CHANGES, GRACE, HOST, LOCKS_GRACE, MAINTENANCE, PROTECTED, RECORDS, World

DAY = timedelta(days=1)
FLOOD = 200
"""More entries of one key than these, and nothing is planned for it."""
VALID = timedelta(hours=24)
History = Sequence[Version]
"""Of one key, the oldest entry first."""


class PromiseBroken(AssertionError):
    """Something happened that docs/design.md says never does."""


@dataclass(frozen=True, slots=True)
class State:
    """A recorded state as it was when it was recorded."""

    header: StateHeader
    id: StateId
    entries: Mapping[str, Version]
    """By the bucket's key."""

    @property
    def content(self) -> dict[str, bytes]:
        """What a restore of it yields, by the repository's key."""
        prefix = f"restic/{self.header.repository}/"
        return {key.removeprefix(prefix): version.body for key, version in self.entries.items()}


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as it was when it was shelved, read as plain JSON."""

    digest: Digest
    version_id: str
    repository: RepositoryName
    execution: str
    state: StateId
    generation: int
    drawn_at: datetime
    holds: frozenset[str]
    drops: frozenset[str]
    needs_approval: bool
    dry_run: bool
    batches: Mapping[int, tuple[str, tuple[tuple[str, str], ...]]]
    """By number: phase, and entries as (the bucket's key, version id)."""

    def entries(self, phase: str) -> set[tuple[str, str]]:
        return {entry for of, entries in self.batches.values() if of == phase for entry in entries}


@dataclass(slots=True)
class Applying:
    """One run of apply, from its beginning."""

    truth: "Truth"
    plan: Plan | None
    """The approved one that the request names by its digest."""
    repository: RepositoryName
    execution: str
    token: str
    phase: str
    began: int = 0
    against: tuple[str, ...] = ()
    """What speaks against any deletion from the beginning."""
    uploads: frozenset[str] = frozenset()
    calls: int = 0

    def __post_init__(self) -> None:
        self.began = self.truth.tick
        self.uploads = frozenset(self.truth.bucket.uploads)
        self.against = tuple(self.truth.speaks_against(self.plan, self.repository, self.execution))

    def before(self, doomed: Sequence[Doomed], bypass: bool) -> None:
        self.calls += 1
        truth = self.truth
        for why in (*self.against, *truth.unguarded(self), *([] if not bypass else truth.no_bypass())):
            truth.say(f"{self.execution} asked for a deletion though {why}")
        for entry in doomed:
            key = f"restic/{self.repository}/{entry.key}"
            for why in truth.why_not(self, key, entry.version_id):
                truth.say(f"{self.phase} {entry.key} {entry.version_id} was to be deleted though {why}")
            truth.asked.add((key, entry.version_id))
        truth.last_delete = truth.tick

    def after(self, doomed: Sequence[Doomed]) -> None:
        for entry in doomed:
            self.truth.sync(f"restic/{self.repository}/{entry.key}")


class Truth:
    """Sees every call, and keeps its own books."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.bucket = world.s3._bucket(PROTECTED)
        self.tick = 0
        self.entries: dict[str, list[Version]] = {}
        self.covered: dict[tuple[str, str], datetime] = {}
        """Since when a version or marker is really not the newest any more."""
        self.touched: dict[str, int] = {}
        self.first_body: dict[str, bytes] = {}
        self.states: dict[StateId, State] = {}
        self.chain: dict[RepositoryName, list[State]] = defaultdict(list)
        """Oldest first."""
        self.marks: dict[tuple[RepositoryName, int], DroppedState] = {}
        self.dropped: set[StateId] = set()
        self.names: dict[tuple[str, str], set[StateId]] = defaultdict(set)
        """Kept states by what they name."""
        self.plans: dict[Digest, Plan] = {}
        self.asked: set[tuple[str, str]] = set()
        self.deleted: Counter[str] = Counter()
        self.broken: list[str] = []
        self.last_delete = 0
        self.meanwhile = 0
        """When somebody else last acted in the middle of a step."""
        self._headers: dict[tuple[RepositoryName, int], object] = {}
        self._chunks: dict[object, bytes] = {}
        self._listed: dict[RepositoryName, dict[str, list[Version]]] = {}
        """What the last recording was shown."""
        self._lease_read: tuple[int, dict[RepositoryName, Lease]] = (0, {})
        self._holds_read: tuple[int, dict[RepositoryName, frozenset[str]]] = (0, {})
        self._restores_read: tuple[int, dict[RepositoryName, frozenset[str]]] = (0, {})
        self._on_drop: Callable[[], None] = lambda: None
        world.seen = self._see

    @property
    def now(self) -> datetime:
        return self.world.clock.second()

    def say(self, what: str) -> None:
        self.broken.append(what)

    # --- seeing ----------------------------------------------------------------------------------------

    def _see(self, call: Call) -> None:
        self.tick += 1
        if call.moment is Moment.BEFORE:
            return
        if call.operation == "Drop":
            self._on_drop()
        if call.operation in CHANGES and call.resource.startswith(f"{PROTECTED}/"):
            if not call.principal.startswith((HOST, MAINTENANCE)):
                self.say(f"{call.principal} called {call.operation} on a protected repository")
            self.sync(call.resource.removeprefix(f"{PROTECTED}/"))
        elif call.operation == "ListObjectVersions" and call.principal == "record":
            self._listed[RepositoryName(call.resource.split("/")[2])] = dict(self.entries)
        elif call.operation == "QueryLease":
            self._lease_read = (self.tick, dict(self.world.lease.leases))
        elif call.operation == "QueryHolds":
            self._holds_read = (self.tick, {name: self._held(name) for name in self.world.repositories})
        elif call.operation == "QueryRestores":
            self._restores_read = (self.tick, {name: self._restored(name) for name in self.world.repositories})

    def _held(self, repository: RepositoryName) -> frozenset[str]:
        return frozenset(str(state) for name, state in self.world.holds.holds if name == repository)

    def _restored(self, repository: RepositoryName) -> frozenset[str]:
        return self.world.holds.restoring(repository)

    def sync(self, key: str) -> None:
        """Take note of what became of `key`, and judge what vanished."""
        old, new = self.entries.get(key, []), list(self.bucket._histories.get(key, ()))
        ids = {entry.version_id for entry in new}
        left = [entry for entry in old if entry.version_id in ids]
        if len(left) < len(old):
            self._judge_loss(key, old, left)
        known = {entry.version_id: entry for entry in left}
        added = [entry for entry in new if entry.version_id not in known]
        if any(entry.body != known[entry.version_id].body for entry in new if entry.version_id in known):
            self.say(f"the bytes of a version of {key} changed")
        for entry in added:
            self.first_body.setdefault(key, entry.body)
            if entry is not new[-1]:
                # Nobody ever saw it as current.
                self.covered[key, entry.version_id] = entry.last_modified
            elif left:
                self.covered[key, left[-1].version_id] = self.now
        if added:
            self.touched[key] = self.tick
        if new:
            self.entries[key] = new
        else:
            self.entries.pop(key, None)

    def _judge_loss(self, key: str, old: History, left: History) -> None:
        """`left` is what is left of `old`."""
        ids = {entry.version_id for entry in left}
        for entry in old:
            if entry.version_id in ids:
                continue
            self.deleted["markers" if entry.is_delete_marker else "versions"] += 1
            if (key, entry.version_id) not in self.asked:
                self.say(f"{entry.version_id} of {key} vanished, and apply never asked for it")
            if self.names.get((key, entry.version_id)):
                self.say(f"{entry.version_id} of {key}, which a kept state names, was deleted")
        if old[-1].version_id not in ids:
            if not old[-1].is_delete_marker:
                self.say(f"the current version of {key} was deleted")
            elif left and not left[-1].is_delete_marker:
                self.say(f"{key} was hidden and came back")
        if "/locks/" in key:
            return
        for state in self.kept(_repository_of(key)):
            was, is_now = _at(old, state.header.cut_time), _at(left, state.header.cut_time)
            # Uploads that came later than they are dated spoil the picture themselves: the state knows nothing of them.
            if _id(was) == _id(state.entries.get(key)) != _id(is_now):
                self.say(f"{key} looks another at the cut of kept state {state.header.generation} than it was")

    def is_there(self, key: str, version_id: str) -> bool:
        return self.bucket.find(key, version_id) is not None

    # --- what is kept ----------------------------------------------------------------------------------

    def kept(self, repository: RepositoryName) -> list[State]:
        """Oldest first."""
        return [state for state in self.chain[repository] if state.id not in self.dropped]

    def look(self) -> None:
        """After every step: nothing recorded changed, nothing vanished unseen. Raises PromiseBroken."""
        self.learn()
        if self.bucket._histories != self.entries:
            for key in self.bucket._histories.keys() | self.entries.keys():
                if self.entries.get(key, []) != self.bucket._histories.get(key, []):
                    self.say(f"{key} changed, and nobody was seen to do it")
        self.complain()

    def complain(self) -> None:
        if self.broken:
            raise PromiseBroken("; ".join(self.broken))

    def learn(self) -> None:
        """Take note of what was recorded, and that nothing that was changed since."""
        ledger = self.world.ledger
        for place, stored in ledger.stored_headers.items():
            known = self._headers.get(place)
            if known is None:
                self._learn(place)
                self._headers[place] = stored
            elif known is not stored:
                self.say(f"header {place} was written again")
        if len(self._headers) != len(ledger.stored_headers):
            self.say("a header vanished")
        for mark, dropped in self.marks.items():
            if ledger.marks.get(mark) != dropped:
                self.say(f"the mark on {mark} changed")
        if len(self.marks) != len(ledger.marks):
            self.say("a state was dropped, and nobody was seen to do it")

    def _learn(self, place: tuple[RepositoryName, int]) -> None:
        name, generation = place
        with self.world.undisturbed():
            header = self.world.ledger.header(name, generation)
            assert header is not None
            entries = read_state(self.world.ledger, header)
        parent = self.chain[name][-1] if self.chain[name] else None
        if (header.generation, header.parent) != ((parent.header.generation + 1, parent.id) if parent else (1, None)):
            self.say(f"state {generation} of {name} does not follow the one before it")
        prefix = f"restic/{name}/"
        shown = {
            key: newest
            for key, history in self._listed[name].items()
            if key.startswith(prefix) and not key.startswith(f"{prefix}locks/")
            if (newest := _at(history, header.cut_time)) is not None
        }
        if {prefix + entry.key: entry.version_id for entry in entries} != {
            key: version.version_id for key, version in shown.items()
        }:
            self.say(f"state {generation} of {name} is not the repository at its cut time")
        state = State(header, header.id, shown)
        self.states[state.id] = state
        self.chain[name].append(state)
        for key, version in shown.items():
            self.names[key, version.version_id].add(state.id)
        for number in range(header.chunks.count):
            chunk = (header.chunks.attempt, number)
            self._chunks[chunk] = self.world.ledger.chunks[chunk]

    def look_at_everything(self) -> None:
        """Now and then: each kept state is there to the last byte, in the ledger and in the bucket."""
        for chunk, content in self._chunks.items():
            if self.world.ledger.chunks.get(chunk) != content:  # type: ignore[call-overload]
                self.say(f"chunk {chunk} of a state changed")
        for chain in self.chain.values():
            for state in chain:
                if state.id in self.dropped:
                    continue
                for key, version in state.entries.items():
                    found = self.bucket.find(key, version.version_id)
                    if found is None or found.body != version.body:
                        self.say(f"kept state {state.header.generation} lost {key}")
        self.complain()

    # --- plans and people ------------------------------------------------------------------------------

    def shelve(self, shelved: ShelvedPlan, execution: str, posture: str) -> None:
        """Read a plan that was just put on the shelf, and judge whether it could be drawn at all."""
        s3, name = self.world.s3, shelved.repository
        repository = self.world.repositories[name]
        with self.world.undisturbed():
            plan = json.loads(s3.get(RECORDS, shelved.file, shelved.version_id).body)
            batches = {
                each["number"]: (
                    each["phase"],
                    tuple(
                        (f"{repository.key_prefix}{line['key']}", line["version_id"])
                        for line in map(json.loads, self._batch(name, execution, each["number"]).splitlines())
                    ),
                )
                for each in plan["batches"]
            }
        if "fail" in (posture, outcome := self.outcome(name, plan["state"], by=execution)):
            self.say(f"a prune was planned though posture is {posture} and the check {outcome}")
        odd = "hold" in (posture, outcome) or any(each["severity"] != "NOTE" for each in plan["findings"])
        self.plans[shelved.plan] = Plan(
            digest=shelved.plan,
            version_id=shelved.version_id,
            repository=name,
            execution=execution,
            state=plan["state"],
            generation=plan["generation"],
            drawn_at=shelved.drawn_at,
            holds=frozenset(plan["holds"]),
            drops=frozenset(plan["dropped"]),
            needs_approval=repository.approval == "always" or (repository.approval == "hold" and odd),
            dry_run=shelved.dry_run,
            batches=batches,
        )

    def _batch(self, name: RepositoryName, execution: str, number: int) -> bytes:
        return self.world.s3.get(RECORDS, f"prunes/{name}/{execution}/batches/{number:05d}.jsonl").body

    def outcome(self, repository: RepositoryName, state: str, by: str = "") -> str:
        """What the newest verdict of each level adds up to, by severities alone; `fail` where `by` did not judge."""
        newest: dict[str, tuple[datetime, int]] = {}
        seen = False
        for verdict in self.world.verdicts.of(repository):
            if verdict.state != state:
                continue
            seen = seen or not by or verdict.by == by
            severities = {finding.severity for finding in verdict.findings}
            worst = 2 if Severity.FAIL in severities else 1 if Severity.HOLD in severities else 0
            judged = (verdict.judged_at, worst)
            newest[verdict.level] = max(newest.get(verdict.level, judged), judged)
        if not seen:
            return "fail"
        return ("pass", "hold", "fail")[max(worst for _, worst in newest.values())]

    def decided(self, plan: Plan) -> str | None:
        stored = self.world.approvals.stored.get((plan.repository, plan.digest))
        return json.loads(stored)["decision"] if stored is not None else None

    # --- what may be deleted ---------------------------------------------------------------------------

    def speaks_against(
        self, plan: Plan | None, repository: RepositoryName, execution: str, at: datetime | None = None
    ) -> Iterable[str]:
        """Why nothing at all may be dropped or deleted by a plan, for a step that began `at` (now)."""
        if plan is None:
            yield "nobody ever shelved a plan of that digest"
            return
        if (plan.repository, plan.execution) != (repository, execution):
            yield "the plan is another prune's"
        if plan.dry_run:
            yield "the plan is a dry run"
        decision = self.decided(plan)
        if decision == "rejected" or (plan.needs_approval and decision != "approved"):
            yield f"the plan is {decision or 'not approved'}"
        if not plan.drawn_at <= (at or self.now) < plan.drawn_at + VALID:
            yield "the plan has expired"
        for state in self.kept(repository):
            if state.header.generation >= plan.generation and self.outcome(repository, state.id) == "fail":
                yield f"state {state.header.generation}, recorded since, has a FAIL"

    def unguarded(self, applying: Applying) -> Iterable[str]:
        """Of lease, holds and restores: as they are, or, where they changed since apply read them, as it read them."""
        name = applying.repository
        lease = self.world.lease.leases.get(name)
        held, restores = self._held(name), self._restored(name)
        if self.meanwhile > self.last_delete:
            if self.meanwhile > self._lease_read[0]:
                lease = self._lease_read[1].get(name)
            if self.meanwhile > self._holds_read[0]:
                held = self._holds_read[1].get(name, held)
            if self.meanwhile > self._restores_read[0]:
                restores = self._restores_read[1].get(name, restores)
        mine = (applying.execution, applying.token, False)
        if lease is None or (lease.execution, lease.token, lease.released) != mine:
            yield "it does not have the lease"
        if restores:
            yield "a restore is under way"
        if applying.plan is not None and held != applying.plan.holds:
            yield "a state was held or released since the plan"

    def no_bypass(self) -> Iterable[str]:
        if not self.world.settings.bypass:
            yield "governance is not to be bypassed here"

    def why_not(self, applying: Applying, key: str, version_id: str) -> Iterable[str]:
        """Why this one entry may not be deleted now."""
        if applying.plan is None or (key, version_id) not in applying.plan.entries(applying.phase):
            yield "the approved plan does not name it"
        # What somebody wrote since apply listed the key, it cannot know; what was so before still counts.
        changed = self.touched.get(key, 0) > applying.began
        yield from self.rules_against(key, version_id, written_since=changed, uploads=applying.uploads)

    def rules_against(
        self, key: str, version_id: str, *, written_since: bool = False, uploads: Iterable[str] | None = None
    ) -> Iterable[str]:
        """Clauses (a), (b) and those on markers."""
        history = self.bucket._histories.get(key, [])
        index = next((at for at, entry in enumerate(history) if entry.version_id == version_id), None)
        if index is None:
            return
        entry, successor = history[index], history[index + 1] if index + 1 < len(history) else None
        grace = LOCKS_GRACE if "/locks/" in key else GRACE
        if self.names.get((key, version_id)):
            yield "a kept state names it (a)"
        if not entry.is_delete_marker and successor is None:
            yield "it is current (b)"
        if len(history) > FLOOD and not written_since:
            yield "its key is flooded"
        since = successor.last_modified if successor is not None else entry.last_modified
        if self.now - since < grace and not (written_since and successor is not None):
            yield f"it is noncurrent only since {since} (b)"
        if successor is not None and successor.parts and not written_since:
            yield "its successor is multipart (b)"
        covered_at = self.covered.get((key, version_id), entry.last_modified)
        # A marker with nothing beneath it may go also while it is current: nobody sees whether it is there.
        written_on_top = written_since and entry.is_delete_marker
        if successor is not None and self.now - covered_at < grace and not written_on_top:
            yield "it was current until less than the grace ago (b)"
        if entry.is_delete_marker:
            yield from self._marker_hides(key, index, written_since, uploads)

    def _marker_hides(self, key: str, index: int, written_since: bool, uploads: Iterable[str] | None) -> Iterable[str]:
        history = self.bucket._histories[key]
        if not written_since and any(not each.is_delete_marker for each in history[:index]):
            yield "a version lies beneath the marker"
        listed = self.bucket.uploads.keys() if uploads is None else self.bucket.uploads.keys() & set(uploads)
        if any(self.bucket.uploads[each].key == key for each in listed):
            yield "an upload to the key is pending"

    def could_go(self, repository: RepositoryName) -> set[tuple[str, str]]:
        """Everything that nothing speaks against, and that S3 does not lock."""
        prefix = f"restic/{repository}/"
        now = self.world.clock.now()
        return {
            (key, entry.version_id)
            for key, history in self.bucket._histories.items()
            if key.startswith(prefix)
            for entry in history
            if not any(self.rules_against(key, entry.version_id)) and entry.locked_by(now) is None
            if entry.is_delete_marker or not _tells_the_true_bytes(entry, history)
        }

    # --- which states may be dropped -------------------------------------------------------------------

    def dropping(self, plan: Plan | None) -> Callable[[Sequence[DroppedState]], None]:
        """Who watches a run of drop-states: what each of its transactions really marks, is judged at that moment."""
        began = self.now

        def before(marks: Sequence[DroppedState]) -> None:
            self._on_drop = lambda: self._judge_drop(plan, marks, began)

        return before

    def _judge_drop(self, plan: Plan | None, marks: Sequence[DroppedState], began: datetime) -> None:
        if plan is None:
            self.say("a plan that nobody shelved dropped states")
            return
        name = plan.repository
        complaints = list(self.speaks_against(plan, name, plan.execution, at=began))
        lease = self.world.lease.leases.get(name)
        if lease is None or lease.released or lease.execution != plan.execution:
            complaints.append("the prune does not have the lease")
        droppable = self.droppable(name)
        for mark in marks:
            if mark.state not in plan.drops:
                complaints.append(f"the plan does not drop state {mark.generation}")
            if mark.state not in droppable:
                complaints.append(f"retention keeps state {mark.generation}")
        for what in complaints:
            self.say(f"states were dropped though {what}")
        for mark in marks:
            self._drop((name, mark.generation), self.world.ledger.marks[name, mark.generation])

    def _drop(self, place: tuple[RepositoryName, int], mark: DroppedState) -> None:
        self.marks[place] = mark
        self.dropped.add(mark.state)
        self.deleted["states"] += 1
        for key, version in self.states[mark.state].entries.items():
            self.names[key, version.version_id].discard(mark.state)

    def droppable(self, repository: RepositoryName) -> set[StateId]:
        """States that nothing keeps."""
        retention = self.world.repositories[repository].retention
        kept = self.kept(repository)
        good = {state.id for state in kept if not state.header.busy and self.outcome(repository, state.id) == "pass"}
        keep = {state for name, state in self.world.holds.holds if name == repository}
        keep |= {state.id for state in kept[-1:]}
        within = max(retention.keep_within, GRACE)
        older = [state for state in kept if self.now - state.header.cut_time > within]
        keep |= {state.id for state in kept if state not in older}
        for state in kept:
            if not self._has_three_newer(state, [each for each in kept if each.id in good]):
                keep.add(state.id)
        for many, period in (
            (retention.days, "%Y-%m-%d"),
            (retention.weeks, "%G-%V"),
            (retention.months, "%Y-%m"),
            (retention.years, "%Y"),
        ):
            for group in (older, [state for state in older if state.id in good]):
                last = {f"{state.header.cut_time:{period}}": state.id for state in group}
                keep |= {last[each] for each in sorted(last)[-many:]} if many else set()
        return {state.id for state in kept} - keep

    @staticmethod
    def _has_three_newer(state: State, good: Iterable[State]) -> bool:
        """Clean, quiet, at least the grace apart from it, and not all of one day."""
        found: list[datetime] = []
        for each in good:
            cut = each.header.cut_time
            if cut >= state.header.cut_time + GRACE and all(abs(cut - other) >= DAY for other in found):
                found.append(cut)
        return len(found) >= 3


def _at(history: History, cut: datetime) -> Version | None:
    """The key's object at `cut`, as S3's order and dates tell it."""
    for entry in reversed(history):
        if entry.last_modified <= cut:
            return None if entry.is_delete_marker else entry
    return None


def _tells_the_true_bytes(version: Version, history: History) -> bool:
    """Whether it is the oldest of a name, and those above it are not all alike, as far as a listing tells."""
    versions = [entry for entry in history if not entry.is_delete_marker]
    return version is versions[0] and len({(entry.size, entry.etag) for entry in versions[1:]}) > 1


def _id(version: Version | None) -> str:
    return version.version_id if version is not None else ""


def _repository_of(key: str) -> RepositoryName:
    return RepositoryName(key.split("/")[1])
