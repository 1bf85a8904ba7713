"""The handlers that ask nothing but S3, on the strict fake over HTTP: what moto does not model, and without boto3."""

from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from functions.domain.restore.plan import Wishes
from functions.domain.restore.request import RestoreRefused
from functions.restore import copy, thaw
from functions.restore.plan import WrittenPlan
from functions.restore.settling import StillFrozen
from functions.storage.direct import Direct
from tests.fakes.s3_model import LockMode
from tests.fakes.s3_server import S3Server
from tests.restore.world import PROTECTED, RECORDS, TARGET, World, a_backup, a_pack

PACK = a_pack(b"pack 1")
CONTEXT: Any = SimpleNamespace(
    function_name="f", memory_limit_in_mb=1024, invoked_function_arn="arn:f", aws_request_id="1"
)


@pytest.fixture
def served(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with S3Server(world.s3) as server:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "copy-batch",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": server.endpoint,
            "NO_PROXY": "127.0.0.1",
            "RWM_LEDGER": "rwm-ledger",
            "RWM_OPERATIONS": "rwm-operations",
            "RWM_RECORDS": RECORDS,
            "RWM_ALERTS": "arn:aws:sns:us-east-1:123456789012:rwm-alerts",
            "RWM_RESTORE_THREADS": "4",
        }.items():
            monkeypatch.setenv(name, value)
        # Somebody else's session and clients know another server, or sign with another key.
        monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
        for cached in (copy._client, thaw._client, copy._target_client):
            cached.cache_clear()
        made: list[Direct] = []

        def direct(bucket: str) -> Direct:
            made.append(Direct(copy._target_client(bucket), bucket))
            return made[-1]

        monkeypatch.setattr(copy, "_direct", direct)
        yield world
        for each in made:
            each.close()
        for client in (copy._client, thaw._client):
            if client.cache_info().currsize:
                client().close()
            client.cache_clear()
        copy._target_client.cache_clear()


def event(world: World, written: WrittenPlan) -> dict[str, Any]:
    [request] = world.requests(written)
    return request.model_dump(mode="json")


def without_a_batch(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "batch"}


def test_a_batch_is_tried_copied_and_locked(served: World) -> None:
    written = served.plan(served.record().id, wishes=Wishes(lock_days=30))
    given = event(served, written)
    assert copy.handler(without_a_batch(given), CONTEXT) == {}
    assert served.writes_in(TARGET) == 0, "S3 judges, and writes nothing"
    for copied, skipped in ((7, 0), (0, 7)):
        counts = copy.handler(given, CONTEXT)
        assert (counts["proven"], counts["copied"], counts["skipped"]) == (7, copied, skipped)
    assert served.restored() == a_backup()
    for entry in served.s3.everything(TARGET):
        held = entry.version.retention
        assert held is not None
        assert held.mode is LockMode.GOVERNANCE
        assert held.until > served.s3.clock.now() + timedelta(days=29)


def test_what_copies_may_not_is_refused_by_name(served: World) -> None:
    given = event(served, served.plan(served.record().id))
    served.s3.access.deny("copy-batch", ["s3:PutObject"], TARGET)
    with pytest.raises(RestoreRefused, match=f"^S3 denies s3:PutObject on {TARGET}; nothing was written; "):
        copy.handler(without_a_batch(given), CONTEXT)
    assert served.writes_in(TARGET) == 0


def test_a_batch_is_asked_for_waited_for_and_copied(served: World, capsys: pytest.CaptureFixture[str]) -> None:
    served.s3.thaw_takes = timedelta(hours=4)
    served.s3.transition(PROTECTED, served.source.key_prefix + PACK, "GLACIER")
    given = event(served, served.plan(served.record().id, wishes=Wishes(thaw="Bulk")))
    counts = thaw.handler(given, CONTEXT)
    assert counts == {"under way": 1, "back": 0, "not archived": 0, "refused": 0}
    with pytest.raises(StillFrozen):
        copy.handler(given, CONTEXT)
    assert '"BatchesStillFrozen"' in capsys.readouterr().out
    served.s3.clock.advance(5 * 3600)
    assert thaw.handler(given, CONTEXT)["back"] == 1
    assert copy.handler(given, CONTEXT)["proven"] == 7


def test_a_plan_that_thaws_nothing_asks_for_nothing(served: World) -> None:
    given = event(served, served.plan(served.record().id))
    served.s3.transition(PROTECTED, served.source.key_prefix + PACK, "GLACIER")
    assert thaw.handler(given, CONTEXT) == {}
    counts = copy.handler(given, CONTEXT)
    assert (counts["proven"], counts["failed"]) == (6, 1)
