"""`python -m bench.plan_once WHAT FOLDER VERSIONS STATES`: planning one prune of a `Life`, as one whole process.

WHAT is `record`: write the ledger into the folder, unless it is there; `plan`: `plan_prune` as it is, on that ledger,
with a listing, operations and a records bucket in memory; `list`: nothing but that listing, the bench's own work.
"""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bench.ledger import FolderLedger, record_states
from bench.life import Life
from bench.operations import EXECUTION, Operations
from functions.domain.columns import Columns, in_runs
from functions.domain.repositories import Repository
from functions.domain.restic import FileType
from functions.domain.values import Listing, VersionId, Versioning, VersioningSeen
from functions.prune.plan import PlanPorts, plan_prune

REPOSITORY = Repository.model_validate({"name": "large", "bucket": "large-bucket"})
_MADE = "made.json"


@dataclass(frozen=True, slots=True)
class LifeBucket:
    """BucketConfiguration and VersionLister."""

    life: Life

    def now(self) -> datetime:
        return self.life.now

    def versioning(self) -> VersioningSeen:
        return VersioningSeen(Versioning.ENABLED, self.life.now)

    def object_lock(self) -> bool:
        return True

    def blocks(self, expected: Mapping[FileType, int] | None = None) -> Iterator[Columns]:  # noqa: ARG002
        return in_runs(self.life.listing())

    def versions(self) -> Listing:
        return self.life.listing()


class Counting:
    """RecordWriter that only counts."""

    def __init__(self) -> None:
        self.files = self.size = 0

    def put(self, name: str, content: bytes) -> VersionId:  # noqa: ARG002
        self.files += 1
        self.size += len(content)
        return VersionId(f"{self.files}")


def recorded(folder: Path, life: Life) -> None:
    """The ledger of `life`, in `folder`; recorded now unless it is there already."""
    made, wanted = folder / _MADE, {"versions": life.versions, "states": life.states, "seed": life.seed}
    if made.exists() and json.loads(made.read_text()) == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    cut_times = [life.cut_time(state) for state in range(life.states)]
    record_states(folder, REPOSITORY.repository, cut_times, life.spans)
    made.write_text(json.dumps(wanted))


def plan(ledger: FolderLedger, life: Life) -> dict[str, object]:
    """What came of planning."""
    operations, written = Operations(ledger.headers(REPOSITORY.repository)), Counting()
    bucket = LifeBucket(life)
    ports = PlanPorts(
        bucket=bucket,
        lister=bucket,
        ledger=ledger,
        verdicts=operations.verdicts,
        holds=operations.holds,
        approvals=operations.approvals,
        records=written,
        shelf=operations.shelf,
    )
    shelved = plan_prune(REPOSITORY, EXECUTION, "pass", ports).shelved
    bases = sum(header.kind == "base" for header in ledger.headers(REPOSITORY.repository))
    return {
        "entries": shelved.entries,
        "markers": shelved.markers,
        "kept": shelved.kept,
        "bases": bases,
        "files": written.files,
        "bytes": written.size,
    }


def main(what: str, folder: str, versions: str, states: str) -> int:
    life = Life(int(versions), int(states))
    if what == "record":
        recorded(Path(folder), life)
        return 0
    if what == "list":
        print(json.dumps({"listed": sum(1 for _ in life.listing())}))
        return 0
    print(json.dumps(plan(FolderLedger(Path(folder)), life)))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
