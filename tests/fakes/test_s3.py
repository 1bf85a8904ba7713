"""What only the fake has: its clock, its hook, its quotas. S3's rules are in tests/contract."""

from collections import Counter
from datetime import timedelta

import pytest

from tests.fakes.faults import Call, CallLog, Crash, FailOnce, Moment
from tests.fakes.s3 import FakeS3, Integrity, paged
from tests.fakes.s3_errors import (
    AccessDenied,
    BadDigest,
    InvalidObjectState,
    InvalidRequest,
    ObjectProtected,
    SlowDown,
)
from tests.fakes.s3_model import Attributes, DefaultRetention, Limits, LockMode, Retention, VersioningStatus


@pytest.fixture
def fake() -> FakeS3:
    fake = FakeS3()
    fake.create_bucket("vault", object_lock=True)
    return fake


def test_a_default_retention_ends_when_the_fakes_clock_says_so(fake: FakeS3) -> None:
    fake.put_lock_configuration("vault", DefaultRetention(LockMode.COMPLIANCE, days=90))
    version = fake.put("vault", "config", b"1")
    fake.clock.advance(timedelta(days=90) - timedelta(seconds=1))
    with pytest.raises(ObjectProtected):
        fake.delete_version("vault", "config", version.version_id, bypass_governance=True)
    fake.clock.advance(1)
    fake.delete_version("vault", "config", version.version_id)
    assert fake.everything("vault") == []


def test_a_crash_before_an_operation_leaves_nothing_and_one_after_it_leaves_everything(fake: FakeS3) -> None:
    fake.hook = FailOnce(at=1, moment=Moment.BEFORE)
    with pytest.raises(Crash, match="before PutObject of vault/config"):
        fake.put("vault", "config")
    assert fake.everything("vault") == []
    fake.hook = FailOnce(at=1, moment=Moment.AFTER)
    with pytest.raises(Crash, match="after PutObject of vault/config"):
        fake.put("vault", "config")
    assert len(fake.everything("vault")) == 1


def test_the_hook_can_throttle_count_and_act_as_another_process(fake: FakeS3) -> None:
    def rival(call: Call) -> None:
        if call.principal == "owner" and call.moment is Moment.BEFORE:
            fake.put("vault", "config", b"the rival's", by="rival")

    fake.access.allow("rival", ["s3:PutObject"])
    log = fake.hook = CallLog(then=rival)
    fake.put("vault", "config", b"mine")
    assert [entry.version.body for entry in fake.everything("vault")] == [b"mine", b"the rival's"]
    assert log.count() == Counter(PutObject=2)
    fake.hook = FailOnce(at=2, moment=Moment.BEFORE, raising=SlowDown, operations=["ListObjectVersions"])
    fake.list_versions("vault")
    with pytest.raises(SlowDown):
        fake.list_versions("vault")


def test_quotas_can_be_lowered_to_be_reached(fake: FakeS3) -> None:
    fake.limits = Limits(copy_bytes=10, page=2)
    fake.put("vault", "large", b"eleven byte")
    with pytest.raises(InvalidRequest, match="larger than the maximum"):
        fake.copy(("vault", "large", ""), "vault", "copy")
    for number in range(5):
        fake.put("vault", f"key-{number}")
    assert len(fake.list_versions("vault").entries) == 2
    assert len(list(paged(fake, "vault"))) == 6


def test_archived_bytes_are_read_and_copied_only_after_a_thaw(fake: FakeS3) -> None:
    version = fake.put("vault", "old", b"bytes", Attributes(storage_class="DEEP_ARCHIVE"))
    with pytest.raises(InvalidObjectState):
        fake.get("vault", "old")
    with pytest.raises(InvalidObjectState):
        fake.copy(("vault", "old", version.version_id), "vault", "copy")
    fake.thaw("vault", "old", version.version_id, days=2)
    assert fake.copy(("vault", "old", version.version_id), "vault", "copy").body == b"bytes"
    fake.clock.advance(timedelta(days=3))
    with pytest.raises(InvalidObjectState):
        fake.get("vault", "old")


def test_under_kms_equal_bytes_have_different_etags(fake: FakeS3) -> None:
    fake.put_encryption("vault", kms_key_id="key-1")
    first, second = fake.put("vault", "a", b"same"), fake.put("vault", "b", b"same")
    assert first.etag != second.etag


def test_blocked_customer_keys_are_refused(fake: FakeS3) -> None:
    fake.put_encryption("vault", blocks_customer_keys=True)
    with pytest.raises(AccessDenied, match="SSE-C"):
        fake.put("vault", "ransom", b"", Attributes(customer_key_md5="a digest"))


def test_what_nobody_allowed_is_denied_and_a_missing_key_is_not_admitted(fake: FakeS3) -> None:
    fake.access.allow("host", ["s3:GetObject"], "vault", "alpha/")
    with pytest.raises(AccessDenied):
        fake.get("vault", "alpha/missing", by="host")
    version = fake.put("vault", "alpha/there")
    assert fake.get("vault", "alpha/there", by="host") == version
    with pytest.raises(AccessDenied, match="s3:GetObjectVersion"):
        fake.get("vault", "alpha/there", version.version_id, by="host")
    with pytest.raises(AccessDenied, match="s3:PutObject"):
        fake.put("vault", "alpha/there", by="host")


def test_a_deny_wins_over_an_allow(fake: FakeS3) -> None:
    fake.access.deny("owner", ["s3:DeleteObjectVersion"], "vault")
    version = fake.put("vault", "config")
    outcome = fake.delete_objects("vault", [("config", version.version_id), ("config", "")])
    assert [(error.key, error.code) for error in outcome.errors] == [("config", "AccessDenied")]
    assert [done.is_delete_marker for done in outcome.deleted] == [True]


def test_a_denied_batch_can_fail_whole_as_on_some_servers() -> None:
    fake = FakeS3(denied_batches_fail_whole=True)
    fake.create_bucket("vault")
    fake.access.allow("host", ["s3:DeleteObject"], "vault", "locks/")
    with pytest.raises(AccessDenied):
        fake.delete_objects("vault", [("locks/1", ""), ("config", "")], by="host")


def test_setting_a_retention_at_upload_takes_its_own_permission(fake: FakeS3) -> None:
    fake.access.allow("host", ["s3:PutObject"], "vault")
    forever = Retention(LockMode.COMPLIANCE, fake.clock.now() + timedelta(days=36500))
    with pytest.raises(AccessDenied, match="s3:PutObjectRetention"):
        fake.put("vault", "bomb", b"", Attributes(retention=forever), by="host")


def test_bytes_that_are_not_those_announced_are_refused(fake: FakeS3) -> None:
    with pytest.raises(BadDigest):
        fake.put(
            "vault", "config", b"changed on the way", integrity=Integrity(algorithm="SHA256", value="A" * 43 + "=")
        )
    assert fake.everything("vault") == []


def test_the_clock_never_runs_backwards(fake: FakeS3) -> None:
    with pytest.raises(ValueError, match="backwards"):
        fake.clock.advance(-1)


def test_a_listing_continues_where_a_version_was_that_is_deleted_by_then(fake: FakeS3) -> None:
    versions = [fake.put("vault", "key", str(number).encode()) for number in range(4)]
    page = fake.list_versions("vault", max_keys=2)
    assert page.next_version_id_marker == versions[2].version_id
    fake.delete_version("vault", "key", versions[2].version_id)
    rest = fake.list_versions("vault", key_marker="key", version_id_marker=versions[2].version_id)
    assert [entry.version for entry in rest.entries] == [versions[1], versions[0]]


def test_a_bucket_whose_versioning_was_suspended_forgets_bytes_that_a_lock_bucket_would_keep() -> None:
    fake = FakeS3()
    fake.create_bucket("loose")
    fake.put_versioning("loose", VersioningStatus.SUSPENDED)
    fake.put("loose", "config", b"first")
    fake.put("loose", "config", b"second")
    assert [entry.version.body for entry in fake.everything("loose")] == [b"second"]
