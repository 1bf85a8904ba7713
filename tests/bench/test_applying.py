"""What the bench lets run side by side does the same work, on two buckets of the fake alike."""

from pathlib import Path

import pytest

from bench.apply import RECORDS, apply, delete, draw
from bench.buckets import client, create, hide, listed
from bench.part import CannotMeasure
from bench.waiting import Waiting
from functions.domain.prune.plan import Phase
from tests.fakes.s3_server import S3Server

CURRENT, HIDDEN = 30, 20


def test_both_delete_all_that_was_hidden_and_nothing_else(tmp_path: Path) -> None:
    with S3Server() as server:
        environment = {
            "AWS_ENDPOINT_URL_S3": server.endpoint,
            "AWS_ACCESS_KEY_ID": "owner",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        s3 = client(environment)
        s3.create_bucket(Bucket=RECORDS)
        s3.put_bucket_versioning(Bucket=RECORDS, VersioningConfiguration={"Status": "Enabled"})
        for bucket in ("ours", "theirs"):
            create(s3, bucket, CURRENT)
            hide(s3, bucket, "sample", HIDDEN)
            assert listed(s3, bucket) == (CURRENT + HIDDEN, HIDDEN)
        server.fake.clock.advance(60)
        requests = draw(s3, "ours", RECORDS, tmp_path)
        assert {phase: len(batches) for phase, batches in requests.items()} == {Phase.VERSIONS: 1, Phase.MARKERS: 1}
        ours, theirs = apply(requests, tmp_path, "ours", environment), delete("theirs", environment)
        assert ours.said["deleted"] == theirs.said["deleted"] == 2 * HIDDEN
        assert listed(s3, "ours") == listed(s3, "theirs") == (CURRENT, 0)


def test_the_peer_is_as_short_as_it_was_promised() -> None:
    peer = Path(__file__).parents[2] / "bench" / "peers" / "serial_delete.py"
    assert len(peer.read_text().splitlines()) <= 30


def test_work_goes_to_whoever_is_free_and_a_failure_is_no_measurement(tmp_path: Path) -> None:
    answer = "print('ready', flush=True)\nfor line in open(0): print(int(line) * 2, flush=True)"
    with Waiting(["python3", "-c", answer], 2, tmp_path, {}) as several:
        assert sorted(map(int, several.answers(map(str, range(10))))) == [2 * each for each in range(10)]
    assert several.cpu_seconds > 0
    assert several.max_rss > 1 << 20
    with pytest.raises(CannotMeasure, match="ended before its time"), Waiting(["true"], 1, tmp_path, {}):
        pass
