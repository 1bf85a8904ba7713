"""What `make bench` measures, smaller and with a generous margin: whoever makes it several times worse is told by CI.

Ratios within one process only. CPU time of a busy machine grows for both alike.
"""

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from bench import read_once, restoring_copy, write_once
from bench.buckets import repository
from bench.canned_s3 import canned_s3
from bench.ledger import FolderLedger
from bench.part import Skipped
from bench.processes import measured
from bench.record_once import REPOSITORY
from bench.recording import ROOT, tree_before
from bench.restoring_figures import LATENCY
from bench.restoring_source import Shape, keys_of, record_put, truth, upload
from bench.synthetic import Synthetic
from functions.domain.ranges import KeyRange
from functions.domain.state import StateHeader
from functions.storage.aws import CLIENT
from functions.storage.listing import S3VersionLister

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SIZE = 20_000
WHOLE = [KeyRange(None, None)]
"""One range: one request after the other."""


@pytest.fixture(scope="module")
def canned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("canned")


def client(environment: dict[str, str], **settings: object) -> "S3Client":
    return boto3.client(  # type: ignore[call-overload, no-any-return]
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
        aws_access_key_id="any",
        aws_secret_access_key="any",
        region_name="us-east-1",
        verify=environment.get("AWS_CA_BUNDLE"),
        **settings,
    )


def cpu(work: Callable[[], object], times: int = 3) -> float:
    """The median."""
    taken = []
    for _ in range(times):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return median(taken)


def test_listing_takes_a_fifth_of_what_boto3s_paginator_takes(canned: Path) -> None:
    with canned_s3(canned) as environment:
        theirs, ours = client(environment), client(environment, config=CLIENT)
        paginator = theirs.get_paginator("list_object_versions")

        def listed(size: int) -> int:
            return sum(map(len, S3VersionLister(ours, str(size), "", threads=1).within(WHOLE)))

        def paginated(size: int) -> int:
            return sum(len(page["Versions"]) for page in paginator.paginate(Bucket=str(size)))

        assert listed(100) - paginated(100) == 1, "a marker; and both have connected by now"
        assert cpu(lambda: paginated(SIZE), times=1) / cpu(lambda: listed(SIZE)) > 5


def test_where_each_page_takes_a_while_ranges_are_listed_side_by_side(canned: Path) -> None:
    size = 2 * SIZE
    with canned_s3(canned, delay=0.08, tls=True) as environment:
        lister = S3VersionLister(client(environment, config=CLIENT), str(size), "")
        began = time.perf_counter()
        one_after_the_other = sum(map(len, lister.within(WHOLE)))
        sequential = time.perf_counter() - began
        side_by_side = sum(map(len, lister.blocks(Synthetic(size).by_type())))
        parallel = time.perf_counter() - began - sequential
    assert one_after_the_other == side_by_side
    assert sequential / parallel > 1.8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench") / "state"


@pytest.fixture(scope="module")
def recorded(folder: Path) -> dict[str, Any]:
    """What was counted, by the kind of the state."""
    return write_once.counted(Synthetic(SIZE), folder)


def test_a_state_takes_85_bytes_an_entry_at_most(recorded: dict[str, Any]) -> None:
    assert recorded["base"]["chunk_bytes"] / recorded["base"]["objects"] < 85


def test_a_backup_that_adds_a_thousand_objects_takes_130_write_units_at_most(recorded: dict[str, Any]) -> None:
    assert list(recorded) == ["base", "delta", "same"]
    assert recorded["delta"]["objects"] - recorded["base"]["objects"] == 1_000
    assert 70 < sum(recorded["delta"]["write_units"].values()) <= 130
    assert sum(recorded["same"]["write_units"].values()) <= 30


@pytest.mark.usefixtures("recorded")
def test_a_state_is_packed_and_read_faster_than_json_and_gzip(folder: Path) -> None:
    ledger = FolderLedger(folder)
    headers: list[StateHeader] = list(ledger.headers(REPOSITORY.repository, oldest_first=True))
    ours = [read_once.ours(ledger, headers)["taken"] for _ in range(3)]
    theirs = [read_once.peers(ledger, headers)["taken"] for _ in range(3)]

    def taken(runs: list[dict[str, float]], what: str) -> float:
        return median(run[what] for run in runs)

    # Counting what is covered slows our code down, and not theirs, which is C.
    assert taken(theirs, "encode") / taken(ours, "encode") > 3
    assert taken(theirs, "decode") / taken(ours, "decode") > 1
    assert taken(ours, "read") / taken(theirs, "decode") < 5, "proven, too"
    assert taken(ours, "diff") / taken(theirs, "decode") < 12, "two states, both read and proven"


def test_where_each_call_takes_30_ms_a_restore_is_many_times_as_fast_as_one_copy_after_the_other(
    canned: Path, tmp_path: Path
) -> None:
    files = truth(tmp_path, Shape(200, smallest=100, largest=1_000))
    with canned_s3(canned, latency=LATENCY) as environment:
        put = upload(client(environment), "source", files)
        recorded = record_put(repository("source"), keys_of(files), put, datetime.now(UTC))
        ours = restoring_copy.ours(client(environment), recorded, "ours", "records", environment, 0)
        theirs = restoring_copy.serial(recorded, "theirs", environment)
    assert ours.said["proven"] == theirs.said["copied"] == 200
    assert theirs.seconds / ours.seconds > 5


def test_the_plan_of_a_restore_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    def peak(size: int) -> int:
        folder = tmp_path / str(size)
        write_once.counted(Synthetic(size), folder)
        return measured([sys.executable, "-m", "bench.restoring_plan", str(folder)], ROOT, {}).max_rss

    # 8 MB; with all entries at once it was 26.
    assert peak(50_000) - peak(1_000) < 17_000_000


def test_a_small_bucket_is_recorded_about_as_fast_as_before_issue_5(canned: Path, tmp_path: Path) -> None:
    try:
        trees = {"before": tree_before(tmp_path / "before"), "now": ROOT}
    except Skipped as reason:
        pytest.skip(str(reason))
    bucket = Synthetic(100)
    taken: dict[str, list[float]] = {"before": [], "now": []}
    with canned_s3(canned) as environment:
        for sample in range(3):
            for subject, tree in trees.items():
                instants = [at.isoformat() for at in (bucket.before, bucket.after)]
                folder = str(tmp_path / f"{subject}-{sample}")
                command = [sys.executable, "-P", "bench/record_once.py", folder, "100", *instants]
                run = measured(command, ROOT, {**environment, "PYTHONPATH": str(tree)})
                recorded = [json.loads(line) for line in run.output.splitlines()]
                assert [each["kind"] for each in recorded] == ["base", "delta"]
                taken[subject].append(sum(each["cpu_seconds"] for each in recorded))
    assert median(taken["before"]) / median(taken["now"]) > 0.5
