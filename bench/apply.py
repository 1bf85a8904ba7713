"""Deleting what a plan names, beside a serial lister-and-deleter, on two buckets alike of a Ceph gateway.

RWM's side is the apply step's own code on the batches of a plan that `plan_prune` drew, in processes of their own as
the Distributed Map runs them, versions first, then markers. Starting a process is measured on neither side.
"""

import json
import os
import random
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.apply_child import LEDGER, SHELVED
from bench.buckets import client, create, hide, listed, repository
from bench.ceph import ROOT, ceph, ceph_version
from bench.ledger import FolderLedger, Spans, record_states
from bench.operations import EXECUTION, TOKEN, Operations
from bench.part import CannotMeasure
from bench.raw import Record, Recorder, versions_here
from bench.waiting import Waiting
from functions.domain.consistent.fold import observe
from functions.domain.prune.plan import Phase, manifest_file
from functions.prune.apply import CALL_ENTRIES, THREADS
from functions.prune.plan import PlanPorts, plan_prune
from functions.storage.bucket import S3BucketConfiguration
from functions.storage.listing import S3VersionLister
from functions.storage.records import S3RecordReader, S3RecordWriter

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHILDREN = 4
"""How many batches the workflow's maps apply at once."""
CURRENT, HIDDEN = 6_000, 4_000
"""Packs that stay, and that go with the markers that hide them: a batch of each phase for each child."""
STATES = 30
_DAILY = 0.004
_FOLDER = ROOT / "build" / "bench" / "apply"
OURS, THEIRS, RECORDS = "bench-rwm", "bench-serial", "bench-records"


def measure(recorder: Recorder, samples: int) -> None:
    """Raises Skipped where there is no Ceph."""
    with ceph(ROOT / "build" / "bench" / "ceph") as environment:
        s3 = client(environment)
        versions = _versions()
        print(f"filling two buckets with {CURRENT} packs each", flush=True)
        for bucket in (OURS, THEIRS):
            create(s3, bucket, CURRENT)
        s3.create_bucket(Bucket=RECORDS)
        s3.put_bucket_versioning(Bucket=RECORDS, VersioningConfiguration={"Status": "Enabled"})
        for sample in range(samples):
            print(f"hiding {HIDDEN} packs more in each", flush=True)
            for bucket in (OURS, THEIRS):
                hide(s3, bucket, f"sample {sample}", HIDDEN)
            begun = time.perf_counter()
            requests = draw(s3, OURS, RECORDS, _FOLDER)
            planned = time.perf_counter() - begun
            # Whoever comes second finds the server as the other left it.
            order: Sequence[str] = ("rwm", "serial") if sample % 2 == 0 else ("serial", "rwm")
            runs: list[Run] = []
            for subject in order:
                load = os.getloadavg()[0]
                run = apply(requests, _FOLDER, OURS, environment) if subject == "rwm" else delete(THEIRS, environment)
                runs.append(run)
                recorder.add(
                    Record(
                        subject=subject,
                        what={"current": CURRENT, "hidden": HIDDEN, "sample": sample},
                        command=run.command,
                        seconds=run.seconds,
                        cpu_seconds=run.cpu_seconds,
                        max_rss=run.max_rss,
                        versions=versions,
                        load=load,
                        said={**run.said, "plan_seconds": planned},
                    )
                )
            _check(s3, runs)


@dataclass(frozen=True, slots=True)
class Run:
    """All entries deleted once."""

    command: tuple[str, ...]
    seconds: float
    cpu_seconds: float
    max_rss: int
    said: Mapping[str, Any]


def draw(s3: "S3Client", bucket: str, records: str, folder: Path) -> Mapping[Phase, Sequence[str]]:
    """Record the bucket's states, plan a prune of it, and return the requests that the maps would make."""
    shutil.rmtree(folder, ignore_errors=True)
    ours = repository(bucket)
    configuration, lister = S3BucketConfiguration(s3, bucket), S3VersionLister(s3, bucket, "")
    now = configuration.now()
    entries = observe(lister.blocks(), now).cut.versions
    cut_times = [now - timedelta(days=age) for age in reversed(range(STATES))]

    first = _first_states(len(entries))

    def spans() -> Spans:
        return ((entry, state, STATES) for entry, state in zip(entries, first, strict=True))

    record_states(folder / LEDGER, ours.repository, cut_times, spans)
    ledger = FolderLedger(folder / LEDGER)
    operations = Operations(ledger.headers(ours.repository))
    ports = PlanPorts(
        bucket=configuration,
        lister=lister,
        ledger=ledger,
        verdicts=operations.verdicts,
        holds=operations.holds,
        approvals=operations.approvals,
        records=S3RecordWriter(s3, records),
        shelf=operations.shelf,
    )
    planned = plan_prune(ours, EXECUTION, "pass", ports)
    (folder / SHELVED).write_bytes(planned.shelved.canonical())
    shared = {
        "repository": ours.name,
        "execution": EXECUTION,
        "plan": planned.shelved.plan,
        "plan_version": planned.shelved.version_id,
        "token": TOKEN,
    }
    stored = S3RecordReader(s3, records)
    return {
        phase: [
            json.dumps({**shared, "phase": phase, "batch": item})
            for item in json.loads(stored.get(manifest_file(ours.repository, EXECUTION, phase), manifest))
        ]
        for phase, manifest in planned.manifests.items()
    }


def _first_states(entries: int) -> Sequence[int]:
    """For each entry the first state that names it: 0 for most, and each day a few are added."""
    daily = max(1, round(entries * _DAILY))
    first = [*(state for state in range(1, STATES) for _ in range(daily))]
    first = [*first, *[0] * max(0, entries - len(first))][-entries:]
    random.Random(1).shuffle(first)
    return first


def apply(requests: Mapping[Phase, Sequence[str]], folder: Path, bucket: str, environment: Mapping[str, str]) -> Run:
    """Both maps, one after the other."""
    command = _python("bench.apply_child", os.path.relpath(folder, ROOT), bucket, RECORDS)
    with Waiting(command, CHILDREN, ROOT, environment) as children:
        started = time.perf_counter()
        said = [json.loads(answer) for phase in Phase for answer in children.answers(requests.get(phase, ()))]
        seconds = time.perf_counter() - started
    counts = {name: sum(each[name] for each in said) for name in ("deleted", "waiting", "failed")}
    how = {"children": CHILDREN, "threads": THREADS, "call_entries": CALL_ENTRIES, "batches": len(said)}
    return Run(command, seconds, children.cpu_seconds, children.max_rss, {**counts, **how})


def delete(bucket: str, environment: Mapping[str, str]) -> Run:
    """The peer."""
    command = _python("bench.peers.serial_delete", bucket)
    with Waiting(command, 1, ROOT, environment) as peer:
        started = time.perf_counter()
        (deleted,) = peer.answers(["go"])
        seconds = time.perf_counter() - started
    return Run(command, seconds, peer.cpu_seconds, peer.max_rss, {"deleted": int(deleted)})


def _check(s3: "S3Client", runs: Sequence[Run]) -> None:
    """Raises CannotMeasure unless both deleted all that was hidden, and nothing else."""
    deleted = [run.said["deleted"] for run in runs]
    left = {bucket: listed(s3, bucket) for bucket in (OURS, THEIRS)}
    if set(deleted) != {2 * HIDDEN} or set(left.values()) != {(CURRENT, 0)}:
        raise CannotMeasure(f"not all that was hidden was deleted, or more: {deleted}, left (versions, markers) {left}")


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (os.path.relpath(sys.executable, ROOT), "-m", module, *arguments)


def _versions() -> Mapping[str, str]:
    return {
        "ceph": ceph_version(),
        **versions_here("boto3", "botocore"),
    }
