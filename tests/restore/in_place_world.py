"""The same repository, put back where it is: each step as a principal of its own, and a recording before and after."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from functions.domain.ledger import read_state
from functions.domain.names import Names
from functions.domain.quarantine import Quarantine
from functions.domain.repositories import Repository
from functions.domain.restore.forecast import Forecast
from functions.domain.restore.in_place import InPlacePlan, PutBackResult, read_plan
from functions.domain.restore.report import RestoreReport
from functions.domain.state import StateHeader
from functions.domain.values import ObjectVersion
from functions.restore.announce import announce
from functions.restore.plan_in_place import InPlaceRequest, PlanPorts, WrittenPlan, plan_in_place
from functions.restore.put_back import PutBackRequest, PuttingBack, Turns, put_back, read_announced
from functions.restore.verify_in_place import VerifyRequest, verify_in_place
from tests.fakes.faults import Call, Moment, nothing
from tests.fakes.in_place import (
    FakeAttachedPolicies,
    FakeBucketStatements,
    FakeCurrentReader,
    FakeObjectHider,
    FakeVersionReturner,
)
from tests.fakes.ports import FakePinnedReader, FakeRecordReader, FakeRecordWriter, FakeThawedReader, FakeThawer
from tests.fakes.s3_errors import SlowDown
from tests.restore.world import CONFIGURATION, EXECUTION, PREFIX, PROTECTED, RECORDS, REPOSITORY, DieAt, World

ACCOUNT = "123456789012"


@dataclass(slots=True)
class Writes:
    """A hook that remembers what was written to the repository, by operation and key."""

    made: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, call: Call) -> None:
        written = call.operation in ("CopyObject", "PutObject", "DeleteObject", "DeleteObjects")
        if written and call.resource.startswith(PROTECTED) and call.moment is Moment.AFTER:
            self.made.append((call.operation, call.resource.removeprefix(f"{PROTECTED}/{PREFIX}/")))


class InPlaceWorld(World):
    """One repository, which an attacker changes and a restore in place puts right."""

    def __init__(self) -> None:
        super().__init__()
        found = CONFIGURATION.find(REPOSITORY)
        assert found is not None
        self.repository: Repository = found
        self.quarantine = Quarantine.of(found, Names(), "aws", ACCOUNT)
        self.attached = FakeAttachedPolicies()
        self.pauses: list[float] = []
        self.quarantined()
        allow = self.s3.access.allow
        pinned = ["s3:GetObject", "s3:GetObjectVersion"]
        allow("plan-in-place", ["s3:PutObject"], RECORDS, "restores/")
        allow("put-back", [*pinned, "s3:ListBucket", "s3:PutObject", "s3:DeleteObject", "s3:RestoreObject"], PROTECTED)
        allow("put-back", [*pinned, "s3:PutObject"], RECORDS, "restores/")
        allow("verify-in-place", [*pinned, "s3:PutObject"], RECORDS, "restores/")
        # The fake compares no prefix here.
        allow("verify-in-place", ["s3:ListBucket"], RECORDS)

    def quarantined(self, *, really: bool = True) -> None:
        policies = frozenset([self.quarantine.policy]) if really else frozenset[str]()
        self.attached.policies = {each.arn: policies for each in self.quarantine.principals}

    # --- the attacker ----------------------------------------------------------------------------------

    def hide(self, *keys: str) -> None:
        for key in keys:
            self.s3.delete(PROTECTED, self.source.key_prefix + key)

    def write(self, objects: Mapping[str, bytes]) -> None:
        self.back_up(objects)

    # --- the steps -------------------------------------------------------------------------------------

    def asked(self, state: str, execution: str = EXECUTION, **changes: Any) -> InPlaceRequest:
        since = changes.pop("since", None) or self.s3.clock.second()
        asked = {"repository": REPOSITORY, "state": state, "to": "in-place", "execution": execution, "since": since}
        return InPlaceRequest.model_validate({**asked, **changes})

    def plan_in_place(self, request: InPlaceRequest) -> WrittenPlan | Forecast:
        ports = PlanPorts(
            ledger=self.ledger,
            attached=self.attached,
            bucket=FakeBucketStatements(),
            records=FakeRecordWriter(self.s3, RECORDS, "plan-in-place"),
        )
        return plan_in_place(self.repository, request, self.quarantine, ports)

    def put_back_requests(self, written: WrittenPlan, execution: str = EXECUTION) -> list[PutBackRequest]:
        manifest = f"restores/{written.plan}/manifest.json"
        items = json.loads(FakeRecordReader(self.s3, RECORDS).get(manifest, written.manifest_version))
        given = {"plan": written.plan, "plan_version": written.plan_version, "execution": execution}
        return [PutBackRequest.model_validate({**given, "batch": item}) for item in items]

    def put_back(self, request: PutBackRequest, *, hashes: bool = True) -> PutBackResult:
        me, key_prefix = "put-back", self.source.key_prefix
        plan, changes = read_announced(request, FakeRecordReader(self.s3, RECORDS, me))
        return put_back(
            plan,
            request.batch.number,
            changes,
            request.execution,
            work=PuttingBack(
                reader=FakeCurrentReader(self.s3, PROTECTED, key_prefix, me),
                pinned=FakeThawedReader(FakePinnedReader(self.s3, PROTECTED, key_prefix, me)),
                returner=FakeVersionReturner(self.s3, PROTECTED, key_prefix, me, hashes),
                hider=FakeObjectHider(self.s3, PROTECTED, key_prefix, me),
                passes=lambda error: isinstance(error, SlowDown),
                thawer=FakeThawer(self.s3, PROTECTED, key_prefix, plan.thaw, me) if plan.thaw else None,
            ),
            records=FakeRecordWriter(self.s3, RECORDS, me),
            # One after another, so that a kill at a call is the same call each time.
            turns=Turns(threads=1, pause=self.pauses.append, chance=lambda: 1.0),
        )

    def verify_in_place(self, written: WrittenPlan, since: Any, execution: str = EXECUTION) -> RestoreReport:
        me = "verify-in-place"
        stored = FakeRecordReader(self.s3, RECORDS, me)
        request = VerifyRequest(
            plan=written.plan,
            plan_version=written.plan_version,
            execution=execution,
            since=since,
            repository=REPOSITORY,
        )
        return verify_in_place(
            read_plan(stored, written.plan, written.plan_version),
            request,
            self.s3.clock.now(),
            ledger=self.ledger,
            stored=stored,
            records=FakeRecordWriter(self.s3, RECORDS, me),
            reports=self.reports,
        )

    def restore_in_place(self, state: str, execution: str = EXECUTION, **changes: Any) -> RestoreReport:
        """All steps, as the workflow runs them."""
        announce(REPOSITORY, state, execution, self.s3.clock.now(), ledger=self.ledger, announcer=self.holds)
        request = self.asked(state, execution, **changes)
        self.record_undisturbed()
        written = self.plan_in_place(request)
        assert isinstance(written, WrittenPlan)
        self.put_back_all(written, execution)
        since = self.s3.clock.second()
        self.record_undisturbed()
        report = self.verify_in_place(written, since, execution)
        self.end(execution)
        return report

    def record_undisturbed(self) -> None:
        """What a recording does when it is killed is its own tests' matter."""
        hook = self.s3.hook
        if not (isinstance(hook, DieAt) and hook.dead):
            self.watch(nothing)
            self.record()
            self.watch(hook)

    def put_back_all(self, written: WrittenPlan, execution: str = EXECUTION) -> list[PutBackResult]:
        return [self.put_back(request) for request in self.put_back_requests(written, execution)]

    # --- looking ---------------------------------------------------------------------------------------

    def current(self) -> dict[str, bytes]:
        """The repository's current objects but its lock files, by key."""
        found = self._current(PROTECTED, self.source.key_prefix)
        return {key: content for key, content in found if not key.startswith("locks/")}

    def locks(self) -> dict[str, bytes]:
        return {key: content for key, content in self._current(PROTECTED, self.source.key_prefix) if "locks/" in key}

    def current_ids(self) -> dict[str, str]:
        """The version ids of the current objects, by key."""
        prefix = self.source.key_prefix
        return {
            each.version.key.removeprefix(prefix): each.version.version_id
            for each in self.s3.everything(PROTECTED)
            if each.is_latest and not each.version.is_delete_marker
        }

    def entries_of(self, header: StateHeader) -> tuple[ObjectVersion, ...]:
        return read_state(self.ledger, header)

    def versions(self) -> set[tuple[str, str]]:
        """Key and version id of everything that was ever written, markers too."""
        return {(each.version.key, each.version.version_id) for each in self.s3.everything(PROTECTED)}

    def in_place_plan(self, written: WrittenPlan) -> InPlacePlan:
        return read_plan(FakeRecordReader(self.s3, RECORDS), written.plan, written.plan_version)
