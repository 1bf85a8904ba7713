"""What the keys of hosts can and cannot do, with the real restic: default rights, one bucket shared by two."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.system.conftest import Begun
from tests.system.scenes import Backups
from tests.system.system import DENIED, System, refusal

pytestmark = pytest.mark.system

BUCKET = "rwm-system-shared"


@pytest.fixture(scope="module")
def backups(begun: Begun) -> Backups:
    return begun.backups.result()


def test_restic_works_with_the_default_rights_of_a_host(backups: Backups) -> None:
    # init, two backups and a check ended well, and left no lock file that could not be removed.
    assert len(backups.snapshots) == 2


def test_maintenance_forgets_and_prunes_and_every_version_stays(backups: Backups) -> None:
    assert backups.left == backups.snapshots[1:]
    assert backups.after >= backups.before
    assert backups.hidden > 0


CallOfHost = Callable[[Any], tuple[Callable[..., Any], dict[str, Any]]]
FORBIDDEN: dict[str, CallOfHost] = {
    "write into the other repository": lambda s3: (s3.put_object, {"Key": "restic/gamma/data/x", "Body": b"x"}),
    "write beside its prefix": lambda s3: (s3.put_object, {"Key": "restic/beta2/x", "Body": b"x"}),
    "write to the top": lambda s3: (s3.put_object, {"Key": "config", "Body": b"x"}),
    "read the other repository": lambda s3: (s3.get_object, {"Key": "restic/gamma/config"}),
    "list the other repository": lambda s3: (s3.list_objects_v2, {"Prefix": "restic/gamma/"}),
    "list versions": lambda s3: (s3.list_object_versions, {"Prefix": "restic/beta/"}),
    "hide in the other repository": lambda s3: (s3.delete_object, {"Key": "restic/gamma/config"}),
    "hide the other repository's locks": lambda s3: (s3.delete_object, {"Key": "restic/gamma/locks/x"}),
    "copy from the other repository": lambda s3: (
        s3.copy_object,
        {"Key": "restic/beta/data/x", "CopySource": {"Bucket": BUCKET, "Key": "restic/gamma/config"}},
    ),
}


@pytest.mark.parametrize("identity", ["host-beta", "maintenance-beta"])
@pytest.mark.parametrize("what", FORBIDDEN)
def test_nobody_of_a_repository_gets_out_of_its_prefix(system: System, identity: str, what: str) -> None:
    system.eventually("something to be read in gamma", lambda: "restic/gamma/config" in system.keys(BUCKET))
    call, arguments = FORBIDDEN[what](system.client("s3", identity))
    assert refusal(call, Bucket=BUCKET, **arguments) in DENIED


def test_a_host_hides_nothing_but_its_own_locks(system: System, backups: Backups) -> None:
    s3 = system.client("s3", "host-beta")
    kept = sorted(key for key, _ in backups.after if "/locks/" not in key)
    for key in kept:
        assert refusal(s3.delete_object, Bucket=BUCKET, Key=key) in DENIED, key
    s3.put_object(Bucket=BUCKET, Key="restic/beta/locks/own", Body=b"x")
    assert s3.delete_object(Bucket=BUCKET, Key="restic/beta/locks/own")["DeleteMarker"]


def test_maintenance_deletes_no_version(system: System, backups: Backups) -> None:
    s3 = system.client("s3", "maintenance-beta")
    for key, version in sorted(backups.after)[:5]:
        assert refusal(s3.delete_object, Bucket=BUCKET, Key=key, VersionId=version) in DENIED


def test_the_one_who_breaks_the_glass_deletes_versions_and_no_other_administrator_does(system: System) -> None:
    system.put("pestered", {"data/unwanted": b"x"})
    bucket = system.repository("pestered").bucket
    (version,) = [each for key, each in system.versions("pestered") if key == "data/unwanted"]
    which = {"Bucket": bucket, "Key": "data/unwanted", "VersionId": version, "BypassGovernanceRetention": True}
    administrator = system.user("another-administrator", "*")("s3")
    assert refusal(administrator.delete_object, **which) in DENIED
    assert refusal(administrator.delete_bucket_policy, Bucket=bucket) in DENIED
    system.user("break-glass", "s3:*")("s3").delete_object(**which)
    assert "data/unwanted" not in {key for key, _ in system.versions("pestered")}


def test_restic_forget_fails_with_the_hosts_key_and_removes_nothing(system: System, begun: Begun) -> None:
    forgotten = begun.forget.result()
    assert forgotten.exit_code != 0
    assert forgotten.snapshot in forgotten.snapshots
    assert system.versions("gamma") >= forgotten.before
