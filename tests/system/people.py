"""The people of one repository of the real restic that is pruned: its host, its maintenance, its operator, its
approver, and whoever looks at what is left of it."""

import json
import random
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from cli import deciding, plans, pruning, restore_options, restoring, workflow
from cli.deciding import Decided
from cli.plans import PlanDetails
from cli.restore_options import Options
from cli.restoring import Restore
from cli.states import StateDetails, states
from functions.domain.ledger import read_state
from functions.domain.prune.approval import Decision
from functions.domain.values import ObjectVersion, StateId
from tests.system.judged import Notices
from tests.system.system import System

Found = TypeVar("Found")

MOMENT = 0.03
"""Seconds between two looks of somebody who waits for his moment."""
BACKUP_BYTES = 60_000


@dataclass(frozen=True, slots=True)
class Ended:
    """How an execution of the prune's workflow ended."""

    execution: str
    """Its name."""
    status: str
    error: str
    cause: str
    output: Mapping[str, Any]

    @property
    def report(self) -> Mapping[str, Any]:
        """What verify said of a prune that deleted something."""
        found: Mapping[str, Any] = self.output["report"]
        return found


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left when a scene is over, looked at from outside."""

    states: tuple[StateDetails, ...]
    """All of them, the newest first; those that were dropped, too."""
    missing: Mapping[StateId, int]
    """Of each kept state, how many of the versions that it names are not there."""
    restored: Mapping[StateId, str]
    """How `rwm restore --to-bucket` of each kept state ended; of those that name exactly the same, one was restored."""
    checked: Mapping[StateId, str]
    """What `restic check --read-data` says of the copies; empty: all is well."""

    @property
    def dropped(self) -> list[StateId]:
        return [state.id for state in self.states if state.dropped is not None]


@dataclass
class People:
    """All of them. Each method may be called in any thread."""

    system: System
    name: str
    sources: Path
    """Where what is backed up lies."""
    _backups: int = 0

    def __post_init__(self) -> None:
        repository = self.system.repository(self.name)
        self.bucket, self.prefix = repository.bucket, repository.key_prefix
        self.patience = repository.grace_days + timedelta(seconds=1)
        self.workflows = self.system.client("stepfunctions", "operator")

    # --- host and maintenance ---------------------------------------------------------------------

    def restic(self, who: str, *arguments: str) -> str:
        """`who`: host or maintenance. What it said."""
        did = self.system.restic(f"{who}-{self.name}", self.name, *arguments)
        assert did.returncode == 0, f"restic {' '.join(arguments)}: {did.stderr}"
        return did.stdout

    def back_up(self, size: int = BACKUP_BYTES) -> None:
        """A file that nothing is alike."""
        self._backups += 1
        source = self.sources / f"{self.name}-{self._backups}"
        source.write_bytes(random.Random(source.name).randbytes(size))
        self.restic("host", "backup", "--quiet", str(source))

    def forget_but_the_newest(self, who: str = "maintenance") -> None:
        self.restic(who, "forget", "--quiet", "--group-by", "", "--keep-last", "1", "--prune")

    def live(self) -> tuple[StateId, StateId]:
        """Two backups, a state after each. Then maintenance forgets the first, and time passes until nobody needs it:
        what follows may be pruned."""
        old = self.two_backups()
        self.forget_but_the_newest()
        self.state()
        self.wait()
        self.state()
        self.wait()
        return old

    def two_backups(self) -> tuple[StateId, StateId]:
        self.restic("host", "init")
        self.back_up()
        first = self.state()
        self.back_up()
        return first, self.state()

    def client(self, who: str) -> Any:
        """S3, as the host or as maintenance."""
        return self.system.client("s3", f"{who}-{self.name}")

    def current(self, kind: str = "") -> list[str]:
        """Keys of the repository that are current, beneath its prefix and `kind`."""
        pages = self.system.client("s3").get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.bucket, Prefix=self.prefix + kind)
        return [entry["Key"] for page in found for entry in page.get("Contents", [])]

    def hidden(self, kind: str = "") -> dict[str, tuple[str, str]]:
        """Of each key with a current delete marker: version ids of the marker, and of the version beneath it."""
        pages = self.system.client("s3").get_paginator("list_object_versions")
        markers: dict[str, str] = {}
        newest: dict[str, str] = {}
        for page in pages.paginate(Bucket=self.bucket, Prefix=self.prefix + kind):
            markers |= {each["Key"]: each["VersionId"] for each in page.get("DeleteMarkers", []) if each["IsLatest"]}
            for each in page.get("Versions", []):
                newest.setdefault(each["Key"], each["VersionId"])
        return {key: (marker, newest[key]) for key, marker in markers.items() if key in newest}

    def markers(self) -> int:
        """How many delete markers are current."""
        pages = self.system.client("s3").get_paginator("list_object_versions")
        listed = pages.paginate(Bucket=self.bucket, Prefix=self.prefix)
        return sum(each["IsLatest"] for page in listed for each in page.get("DeleteMarkers", []))

    def snapshot_uploads(self) -> list[datetime]:
        """When snapshots were written, hidden ones too, in time order."""
        listed = self.system.client("s3").list_object_versions(Bucket=self.bucket, Prefix=f"{self.prefix}snapshots/")
        return sorted(each["LastModified"] for each in listed["Versions"])

    # --- operator and approver --------------------------------------------------------------------

    def state(self) -> StateId:
        return StateId(self.system.record(self.name)["id"])

    def wait(self) -> None:
        """Until what is there now is older than the grace."""
        time.sleep(self.patience.total_seconds())

    def begin(self, *, dry_run: bool = False) -> str:
        """Start a prune; the ARN of its execution."""
        return pruning.begin(self.system.deployment(), self.name, dry_run=dry_run).execution

    def prune(self) -> Ended:
        """A prune that waits for nobody."""
        return self.ended(self.begin())

    def asked(self, execution: str) -> PlanDetails:
        """The plan of that execution, which waits for an approver."""
        deployment, name = self.system.deployment(), workflow.name_of(execution)
        tokens = f"plan-token#{self.name}"

        def waiting() -> PlanDetails | None:
            over = workflow.describe(deployment, execution)
            assert over["status"] == "RUNNING", f"nobody was asked: {over.get('error')}: {over.get('cause')}"
            kept = {item["sk"]["S"] for item in self.system.items(self.system.names.operations, tokens)}
            shelved = deployment.plans.plans(deployment.repository(self.name).repository)
            found = [each for each in shelved if each.execution == name and each.plan in kept]
            return plans.details(deployment, found[0], datetime.now(UTC)) if found else None

        found: PlanDetails = self.system.eventually(f"a plan of {name} that waits", waiting)
        return found

    def decide(self, plan: PlanDetails, decision: Decision = "approved") -> Decided:
        return deciding.decide(self.system.deployment("approver"), plan, decision)

    def ended(self, execution: str) -> Ended:
        """That execution, when it has ended."""
        deployment = self.system.deployment()

        def over() -> Ended | None:
            found = workflow.describe(deployment, execution)
            if found["status"] == "RUNNING":
                return None
            return Ended(
                execution=workflow.name_of(execution),
                status=found["status"],
                error=found.get("error", ""),
                cause=workflow.message(found.get("cause", "")),
                output=json.loads(found.get("output") or "{}"),
            )

        found: Ended = self.system.eventually(f"an end of {execution}", over, 150)
        return found

    def lease(self) -> Mapping[str, Any] | None:
        """Who has the lease, or had it last."""
        found = self.system.items(self.system.names.operations, f"prune-lease#{self.name}")
        return {field: next(iter(value.values())) for field, value in found[0].items()} if found else None

    def has_the_lease(self, execution: str) -> bool:
        lease = self.lease()
        return lease is not None and (lease["execution"], lease["released"]) == (workflow.name_of(execution), False)

    def notices(self) -> Notices:
        return Notices(self.system, self.name)

    # --- whoever looks from outside ---------------------------------------------------------------

    def moment(self, look: Callable[[], Found]) -> Found:
        """What `look` finds, within a moment after there is something."""
        deadline = time.monotonic() + 90
        while not (found := look()):
            assert time.monotonic() < deadline, f"the moment never came; the log:\n{self.system.aws.log_tail()}"
            time.sleep(MOMENT)
        return found

    def results(self, execution: str) -> list[str]:
        """What batches of a prune have written down, as far as they are."""
        pages = self.system.client("s3").get_paginator("list_objects_v2")
        beneath = f"prunes/{self.name}/{workflow.name_of(execution)}/results/"
        listed = pages.paginate(Bucket=self.system.records, Prefix=beneath)
        return [entry["Key"] for page in listed for entry in page.get("Contents", [])]

    def entries(self, state: StateId) -> tuple[ObjectVersion, ...]:
        """What a state names."""
        ledger = self.system.deployment().ledger
        headers = ledger.headers(self.system.repository(self.name).repository)
        return read_state(ledger, next(header for header in headers if header.id == state))

    def under_way(self) -> set[str]:
        """Restores that announced themselves, by their executions."""
        return {item["sk"]["S"] for item in self.system.items(self.system.names.operations, f"restoring#{self.name}")}

    def look(self, sound: Collection[StateId] = ()) -> Kept:
        """Restore every kept state, and let restic open the copies of those of `sound` that are kept.

        States of the same manifest root name exactly the same versions: one of them is restored.
        """
        deployment = self.system.deployment()
        shown = states(deployment, self.name, 100, datetime.now(UTC)).states
        kept = [state for state in shown if state.dropped is None]
        headers = {header.id: header for header in deployment.ledger.headers(shown[0].repository)}
        there = self.system.versions(self.name)
        missing = {
            state.id: sum(
                (self.prefix + each.key, each.version_id) not in there
                for each in read_state(deployment.ledger, headers[state.id])
            )
            for state in kept
        }
        roots = {state.manifest_root: state for state in reversed(kept)}
        with ThreadPoolExecutor(3) as pool:
            copies = pool.map(lambda state: self.restore(state.id, self._target(state)), roots.values())
            outcomes = dict(zip(roots, copies, strict=True))
            whole = {headers[each].manifest_root for each in sound}
            opened = [state for state in roots.values() if state.manifest_root in whole]
            said = dict(zip((state.manifest_root for state in opened), pool.map(self._open, opened), strict=True))
        return Kept(
            states=shown,
            missing=missing,
            restored={state.id: outcomes[state.manifest_root] for state in kept},
            checked={state.id: said[state.manifest_root] for state in kept if state.manifest_root in said},
        )

    def begin_restore(self, state: StateId, bucket: str) -> Restore:
        """Whoever attacked may have hidden key files."""
        deployment = self.system.deployment()
        asked = Options(repository=self.name, state=state, to_bucket=bucket, with_revoked_keys=True)
        return restoring.begin(deployment, restore_options.read(deployment, asked))

    def restore(self, state: StateId, target: str) -> str:
        """How `rwm restore` of a state into a new bucket ends."""
        deployment, bucket = self.system.deployment(), self.system.target(target)
        begun = self.begin_restore(state, bucket)
        self.system.eventually(
            f"an end of {begun.execution}",
            lambda: workflow.describe(deployment, begun.execution)["status"] != "RUNNING",
            150,
        )
        return restoring.finish(deployment, begun).outcome

    def _open(self, state: StateDetails) -> str:
        place = f"rwm-restore-{self._target(state)}"
        did = self.system.restic_in("admin", place, "check", "--no-lock", "--read-data")
        return "" if did.returncode == 0 else did.stderr

    def _target(self, state: StateDetails) -> str:
        return f"{self.name}-{state.generation}"
