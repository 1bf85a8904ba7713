"""Verifying what a million objects came to, in bounded memory, whatever went wrong; the long form has the million."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from functions.domain.batches import PlannedBatch, encode_batch
from functions.domain.restore.plan import BATCH_OBJECTS, RestorePlan, batch_digest
from functions.domain.restore.proof import BatchResult
from functions.domain.restore.report import NAMED, RestoreReport
from functions.domain.restore.request import Location
from functions.domain.roots import content_root
from functions.domain.values import (
    Digest,
    ObjectKey,
    ObjectVersion,
    RepositoryName,
    StateId,
    VersionGone,
    VersionId,
)
from functions.restore.verify import verify_restore

AT = datetime(2026, 11, 22, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
MIB = 1 << 20


def entries(batch: int) -> list[ObjectVersion]:
    """Batches follow one another in key order."""
    return [
        ObjectVersion(
            ObjectKey(f"data/{batch:05}/{hashlib.sha256(b'%d %d' % (batch, place)).hexdigest()[:56]}{place:08}"),
            VersionId(f"{batch:016}{place:016}"),
            1000 + place,
            AT,
            "0" * 32,
            "STANDARD",
        )
        for place in range(BATCH_OBJECTS)
    ]


def in_order(batch: int) -> list[ObjectVersion]:
    return sorted(entries(batch), key=lambda each: each.key)


@dataclass
class Stored:
    """RecordReader, RecordWriter, ReportLog and TargetLister of a restore that is made up as it is asked for."""

    batches: int
    well: bool
    """Whether each batch has a result, and the target every object."""
    written: dict[str, int] = field(default_factory=dict)

    def plan(self) -> RestorePlan:
        planned = tuple(
            PlannedBatch(
                number=number,
                digest=batch_digest(encode_batch(in_order(number))),
                objects=BATCH_OBJECTS,
                bytes=sum(each.size for each in entries(number)),
            )
            for number in range(self.batches)
        )
        return RestorePlan(
            repository=RepositoryName("alpha"),
            state=StateId("1" * 64),
            manifest_root=Digest("2" * 64),
            content_root=content_root(self.all()),
            source=Location(bucket="example-source"),
            target=Location(bucket="rwm-restore-here"),
            objects=self.batches * BATCH_OBJECTS,
            bytes=sum(each.bytes for each in planned),
            batches=planned,
        )

    def all(self) -> Iterator[tuple[ObjectKey, int]]:
        for number in range(self.batches):
            yield from ((each.key, each.size) for each in in_order(number))

    def objects(self, first: ObjectKey | None = None, last: ObjectKey | None = None) -> Iterator[tuple[ObjectKey, int]]:
        assert first is last is None
        return self.all() if self.well else iter(())

    def get(self, name: str, version_id: VersionId | None = None) -> bytes:
        assert version_id is None
        folder, _, file = name.rpartition("/")
        number = int(file.partition(".")[0])
        if folder.endswith("batches"):
            return encode_batch(in_order(number))
        if not self.well:
            raise VersionGone(f"the records bucket has no {name}")
        return BatchResult(
            plan=Digest(name.split("/")[1]),
            execution="tuesday",
            number=number,
            batch=batch_digest(encode_batch(in_order(number))),
            proven=BATCH_OBJECTS,
            copied=BATCH_OBJECTS,
            copied_bytes=1,
            skipped=0,
            troubles=(),
        ).canonical()

    def put(self, name: str, content: bytes) -> VersionId:
        self.written[name] = len(content)
        return VersionId("1")

    def append(self, repository: RepositoryName, execution: str, report: bytes) -> None:
        assert (repository, execution) == ("alpha", "tuesday")
        self.written["operations"] = len(report)


def verify(batches: int, *, well: bool) -> tuple[RestoreReport, Stored]:
    stored = Stored(batches, well)
    report = verify_restore(stored.plan(), "tuesday", AT, lister=stored, stored=stored, records=stored, reports=stored)
    return report, stored


def test_a_restore_that_went_well_is_told_so() -> None:
    report, _ = verify(4, well=True)
    assert (report.outcome, report.proven, report.copied) == ("restored", 4 * BATCH_OBJECTS, 4 * BATCH_OBJECTS)


def test_of_a_restore_of_which_nothing_went_well_all_is_counted_and_the_first_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("functions.domain.restore.report.NAMED", 700)
    report, stored = verify(4, well=False)
    assert (report.outcome, report.failed, report.proven) == ("incomplete", 4 * BATCH_OBJECTS, 0)
    assert (len(report.troubles), report.left_out) == (700, 4 * BATCH_OBJECTS - 700)
    assert [each.key for each in report.troubles] == [key for key, _ in stored.all()][:700]
    short = report.shortened()
    assert (len(short.troubles), short.left_out) == (100, 4 * BATCH_OBJECTS - 100)


@pytest.mark.parametrize("well", [True, False], ids=["all went well", "nothing went well"])
def test_memory_is_bounded_however_large_the_state_is(well: bool) -> None:
    """Of a million in the long form, in a process of its own."""
    batches = 2000 if os.environ.get("RWM_LONG") else 60
    program = f"from tests.restore.test_verify_large import run; run({batches}, {well})"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    peak, named = map(int, done.stdout.split())
    assert peak < (200 * MIB if well else 400 * MIB)
    assert named == (0 if well else min(NAMED, batches * BATCH_OBJECTS))


def run(batches: int, well: bool) -> None:
    """Bytes at the peak, and how many the report names."""
    report, _ = verify(batches, well=well)
    # Not ru_maxrss, which a process has from whoever started it.
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
    sys.stdout.write(f"{peak} {len(report.troubles)}")
