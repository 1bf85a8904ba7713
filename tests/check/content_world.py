"""A repository with states, and the three steps of the check of content over it, all in memory.

Each step runs as a principal of its own with the permissions of its role and no others.
"""

import json
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field

from functions.check.conclude_content import ConcludeRequest, ConclusionPorts, conclude_content
from functions.check.hash_content import HashRequest, ObjectHasher, hash_content, read_announced
from functions.check.plan_content import WrittenPlan, plan_content
from functions.domain.checking import VerdictPorts
from functions.domain.content.files import manifest_file, read_batch, read_plan
from functions.domain.content.known import Memory
from functions.domain.content.plan import ContentPlan
from functions.domain.content.results import ContentResult
from functions.domain.ports import PinnedReader
from functions.domain.repositories import Repository
from functions.domain.state import StateHeader
from functions.domain.values import Finding, ObjectKey, StateId, VersionId
from functions.domain.verdict import Judged
from tests.fakes.content import FakeFirstSights, FakeVerifiedSets, rot
from tests.fakes.faults import Call, Hook, Moment
from tests.fakes.operations import FakeAcknowledgements, FakeNotifier, FakeVerdicts
from tests.fakes.ports import FakePinnedReader, FakeRecordReader, FakeRecordWriter
from tests.restore import world as backed_up
from tests.restore.world import PREFIX, PROTECTED, RECORDS, REPOSITORY


@dataclass(slots=True)
class Reads:
    """A hook that remembers which versions of the repository were read."""

    keys: list[str] = field(default_factory=list)
    then: Hook = lambda _: None

    def __call__(self, call: Call) -> None:
        if call.operation == "GetObject" and call.moment is Moment.BEFORE and call.resource.startswith(PROTECTED):
            self.keys.append(call.resource.removeprefix(f"{PROTECTED}/{PREFIX}/"))
        self.then(call)


class World(backed_up.World):
    """One repository of one deployment, and what is remembered of it."""

    def __init__(self, *, scrub_percent: float = 0.0) -> None:
        super().__init__()
        self.repository = Repository(name=REPOSITORY, bucket=PROTECTED, prefix=PREFIX, scrub_percent=scrub_percent)
        self.memory = FakeVerifiedSets()
        self.sights = FakeFirstSights()
        self.verdicts = FakeVerdicts()
        self.acknowledgements = FakeAcknowledgements()
        self.notifier = FakeNotifier()
        pinned = ["s3:GetObject", "s3:GetObjectVersion"]
        for step in ("plan-content", "hash-content", "conclude-content"):
            self.s3.access.allow(step, pinned, RECORDS, "checks/")
            self.s3.access.allow(step, ["s3:ListBucket"], RECORDS)
        self.s3.access.allow("plan-content", ["s3:PutObject"], RECORDS, "checks/")
        self.s3.access.allow("hash-content", ["s3:PutObject"], RECORDS, "checks/")
        self.s3.access.allow("hash-content", ["s3:GetObjectVersion", "s3:ListBucket"], PROTECTED)

    # --- the steps -------------------------------------------------------------------------------------

    def plan_content(self, state: str, execution: str = "monday", *, everything: bool = False) -> WrittenPlan:
        return plan_content(
            self.repository,
            state,
            execution,
            everything=everything,
            ledger=self.ledger,
            memory=Memory(self.memory, self.ledger, FakeRecordReader(self.s3, RECORDS, "plan-content")),
            records=FakeRecordWriter(self.s3, RECORDS, "plan-content"),
        )

    def hash_requests(self, written: WrittenPlan, execution: str = "monday") -> list[HashRequest]:
        """What the Distributed Map would give to its children."""
        name = manifest_file(REPOSITORY, execution)
        given = {
            "repository": REPOSITORY,
            "plan": written.plan,
            "plan_version": written.plan_version,
            "execution": execution,
        }
        items = json.loads(FakeRecordReader(self.s3, RECORDS).get(name, written.manifest_version))
        return [HashRequest.model_validate({**given, "batch": item}) for item in items]

    def hash(
        self,
        request: HashRequest,
        *,
        reader: PinnedReader | None = None,
        time_left: Callable[[], float] = lambda: 900.0,
        threads: int = 4,
    ) -> ContentResult:
        me = "hash-content"
        plan, versions = read_announced(request, FakeRecordReader(self.s3, RECORDS, me))
        return hash_content(
            plan,
            request.batch.number,
            versions,
            hasher=ObjectHasher(reader or FakePinnedReader(self.s3, PROTECTED, f"{PREFIX}/", me), time_left),
            records=FakeRecordWriter(self.s3, RECORDS, me),
            threads=threads,
        )

    def conclude(self, written: WrittenPlan, state: StateId, execution: str = "monday") -> Judged:
        request = ConcludeRequest(
            repository=REPOSITORY,
            state=state,
            plan=written.plan,
            plan_version=written.plan_version,
            execution=execution,
        )
        ports = ConclusionPorts(
            ledger=self.ledger,
            stored=FakeRecordReader(self.s3, RECORDS, "conclude-content"),
            memory=self.memory,
            sights=self.sights,
            verdict=VerdictPorts(self.verdicts, self.acknowledgements, self.notifier, self.verdicts),
        )
        return conclude_content(request, ports, now=self.s3.clock.second())

    def check(
        self,
        header: StateHeader,
        execution: str = "monday",
        *,
        everything: bool = False,
        without: Container[int] = (),
    ) -> Judged:
        """All three steps, as the workflow runs them; the batches in `without` die without a result."""
        written = self.plan_content(header.id, execution, everything=everything)
        for request in self.hash_requests(written, execution):
            if request.batch.number not in without:
                self.hash(request)
        judged = self.conclude(written, header.id, execution)
        self.s3.clock.advance(60)
        return judged

    # --- looking, and what happens behind everybody's back ---------------------------------------------

    def planned(self, written: WrittenPlan, execution: str = "monday") -> ContentPlan:
        stored = FakeRecordReader(self.s3, RECORDS)
        return read_plan(stored, REPOSITORY, execution, written.plan, written.plan_version)

    def planned_keys(self, written: WrittenPlan, execution: str = "monday") -> list[ObjectKey]:
        plan = self.planned(written, execution)
        stored = FakeRecordReader(self.s3, RECORDS)
        return [each.key for batch in plan.batches for each in read_batch(stored, plan, batch.number)]

    def reads_of(self, check: Callable[[], object]) -> list[str]:
        """The keys whose bytes `check` reads, in key order."""
        reads = Reads(then=self.s3.hook)
        before, self.s3.hook = self.s3.hook, reads
        try:
            check()
        finally:
            self.s3.hook = before
        return sorted(reads.keys)

    def rot(self, key: str, body: bytes) -> None:
        rot(self.s3, PROTECTED, f"{PREFIX}/{key}", body)

    def body(self, key: str) -> bytes:
        return self.s3.get(PROTECTED, f"{PREFIX}/{key}").body

    def destroy(self, key: str) -> None:
        """A version that nobody may delete is gone all the same."""
        bucket = self.s3._bucket(PROTECTED)
        current = bucket.current(f"{PREFIX}/{key}")
        assert current is not None
        bucket.remove(current)

    def watch(self, hook: Hook) -> None:
        """Let `hook` see every call to S3 and to every table."""
        super().watch(hook)
        self.memory.hook = self.sights.hook = self.verdicts.hook = hook
        self.acknowledgements.hook = self.notifier.hook = hook


@dataclass(frozen=True, slots=True)
class Bodies:
    """A PinnedReader of given pieces."""

    pieces: dict[str, list[bytes | Exception]]

    def read(self, key: ObjectKey, version_id: VersionId) -> Iterator[bytes]:
        for piece in self.pieces[key]:
            if isinstance(piece, Exception):
                raise piece
            yield piece


def found(judged: Judged) -> dict[str, Finding]:
    return {finding.id: finding for finding in judged.findings}


def keys_of(finding: Finding) -> list[str]:
    return [each.key for each in finding.evidence]
