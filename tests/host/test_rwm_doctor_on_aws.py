"""The doctor with real keys, of hosts as RWM makes them and of hosts that may too much, on the embedded AWS.

The aws cli, the bucket's policy and the host's permissions are the real ones; nothing else of RWM is deployed.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.domain.bucket_policy import bucket_policy
from functions.domain.consistent.case import Case
from functions.domain.consistent.check import judge
from functions.domain.consistent.fold import observe
from functions.domain.cut import Cut
from functions.domain.repositories import Configuration, Repository
from functions.domain.restic import is_under_locks
from functions.domain.values import ListedVersion
from functions.storage.listing import S3VersionLister
from infra.arns import Arns
from infra.identities import _daily_work
from local.embedded import ACCOUNT, REGION, EmbeddedAws
from tests.cuts import in_small_blocks
from tests.fakes.restic import BINARY, MISSING
from tests.host.quick_aws import quick_aws
from tests.local.conftest import Account, Statement, allow, deny, policy

SCRIPT = Path(__file__).parents[2] / "host" / "rwm-doctor"
GUARDED, OPEN, PLAIN = "guarded-backups", "open-backups", "plain-backups"
CONFIGURATION = Configuration.model_validate(
    {
        "repositories": [
            {"name": "alpha", "bucket": GUARDED, "prefix": "restic/alpha"},
            {"name": "maintained", "bucket": GUARDED, "prefix": "restic/maintained", "maintenance": "create"},
            {"name": "beta", "bucket": OPEN, "prefix": "restic/beta"},
            {"name": "gamma", "bucket": PLAIN},
        ]
    }
)
ARNS = Arns("aws", REGION, ACCOUNT, CONFIGURATION)
NO_MULTIPART = deny(
    "s3:PutObject", f"arn:aws:s3:::{OPEN}/*", Principal="*", Condition={"Bool": {"s3:ObjectCreationOperation": "false"}}
)

Found = Mapping[str, tuple[str, str]]
"""State and text by what was tried."""


@dataclass
class Lab:
    """Buckets, hosts, and a doctor."""

    account: Account
    folder: Path
    url: str

    def host(self, name: str, *more: Statement, hides: bool = False) -> dict[str, str]:
        """The environment of a new host of the repository, with its daily permissions and more."""
        repository = named(name)
        daily = [each.statement for each in _daily_work(repository, ARNS, hides_everywhere=hides)]
        iam = self.account.client("iam")
        # The guarded bucket's policy knows its host and its maintenance identity by their names.
        names = CONFIGURATION.names
        own = names.maintenance(name) if hides else names.host(name)
        user = own if repository.bucket == GUARDED else self.account.name("host")
        iam.create_user(UserName=user)
        iam.put_user_policy(UserName=user, PolicyName="own", PolicyDocument=policy(*daily, *more))
        key = iam.create_access_key(UserName=user)["AccessKey"]
        return {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.account.aws.endpoint_url,
            "RESTIC_REPOSITORY": f"s3:{self.account.aws.endpoint_url}/{repository.bucket}/{repository.prefix}",
            "RESTIC_PASSWORD": "a password for tests",
            "RWM_QUEUE_URL": self.url.replace("rwm-alpha", names.queue(name)),
        }

    def run(self, *command: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        where = {"PATH": f"{self.folder}:{os.environ['PATH']}", "HOME": str(self.folder)}
        return subprocess.run(
            command, env={**where, **environment}, capture_output=True, text=True, check=False, timeout=150
        )

    def doctor(self, environment: Mapping[str, str], *arguments: str) -> tuple[int, Found]:
        shell = shutil.which("dash") or "sh"
        ended = self.run(shell, str(SCRIPT), "--json", *arguments, environment=environment)
        assert ended.stderr == ""
        assert environment["AWS_SECRET_ACCESS_KEY"] not in ended.stdout
        document: dict[str, Any] = json.loads(ended.stdout)
        assert document["exit_code"] == ended.returncode
        return ended.returncode, {each["id"]: (each["state"], each["text"]) for each in document["checks"]}

    def entries(self, name: str) -> list[ListedVersion]:
        repository = named(name)
        return list(S3VersionLister(self.account.client("s3"), repository.bucket, repository.key_prefix).versions())

    def judged(self, name: str) -> tuple[set[str], Cut]:
        """What a check says of the repository now, by its listing, and what a state of now would be."""
        fresh = observe(in_small_blocks(self.entries(name)), datetime.now(UTC) + timedelta(seconds=1))
        return {finding.id for finding in judge(Case(repository=named(name), fresh=fresh))}, fresh.cut


def named(name: str) -> Repository:
    found = CONFIGURATION.find(name)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    directory = tmp_path_factory.mktemp("doctor")
    with EmbeddedAws.start(tmp_path_factory.mktemp("aws")) as aws, quick_aws(directory) as folder:
        account = Account(aws)
        s3 = account.client("s3")
        for bucket, locked in ((GUARDED, True), (OPEN, True), (PLAIN, False)):
            s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=locked)
            if locked:
                _lock(s3, bucket)
        account.bucket_policy(GUARDED, *bucket_policy(GUARDED, CONFIGURATION.buckets[GUARDED], ARNS.surroundings))
        account.bucket_policy(OPEN, NO_MULTIPART)
        # Where ACLs are switched off, nobody needs to be kept from setting them.
        s3.put_bucket_ownership_controls(
            Bucket=OPEN, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
        )
        sqs, names = account.client("sqs"), CONFIGURATION.names
        queues = [sqs.create_queue(QueueName=names.queue(each.name)) for each in CONFIGURATION.repositories]
        yield Lab(account, folder, queues[0]["QueueUrl"])


def _lock(s3: Any, bucket: str) -> None:
    """As infra/protected_bucket.py has it."""
    default = {"Mode": "GOVERNANCE", "Days": 1}
    s3.put_object_lock_configuration(
        Bucket=bucket,
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": default}},
    )
    s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [
                {
                    "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
                    "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
                }
            ]
        },
    )


def states(found: Found) -> set[str]:
    return {state for state, _ in found.values()}


def bad(found: Found) -> set[str]:
    return {tried for tried, (state, _) in found.items() if state not in {"ok", "--"}}


needs_restic = pytest.mark.skipif(BINARY is None, reason=MISSING)

# --- keys as RWM makes them ------------------------------------------------------------------------


@needs_restic
def test_a_hosts_key_is_as_weak_as_it_must_be_and_rwm_notices_nothing_of_it(lab: Lab, tmp_path: Path) -> None:
    host = lab.host("alpha")
    (tmp_path / "file").write_text("what is backed up")
    for command in (("init",), ("backup", str(tmp_path / "file"))):
        ended = lab.run("restic", "--no-cache", *command, environment=host)
        assert ended.returncode == 0, ended.stderr
    said, before = lab.judged("alpha")
    assert said == set()
    code, found = lab.doctor(host)
    assert (code, states(found)) == (0, {"ok", "--"}), found
    tried = {tried for tried, (state, _) in found.items() if state == "ok"}
    assert tried >= {"delete-unlocked", "delete-locked", "bypass", "hide", "retention", "legal-hold", "list-versions"}
    said, after = lab.judged("alpha")
    assert said == set()
    assert [*after.versions] == [*before.versions]
    assert (after.busy, after.locks, after.hidden, after.noncurrent) == (False, 0, 0, before.noncurrent)
    canaries = {entry.key for entry in lab.entries("alpha") if "rwm-doctor" in entry.key}
    assert canaries
    assert all(is_under_locks(key) for key in canaries)


def test_a_maintenance_key_hides_everywhere_and_is_not_tried_at_it(lab: Lab) -> None:
    code, found = lab.doctor(lab.host("maintained", hides=True), "--may-hide")
    assert (code, states(found), found["hide"][0]) == (0, {"ok", "--"}, "--")


@needs_restic
def test_restic_takes_no_canary_for_a_lock(lab: Lab) -> None:
    """While a canary is current, restic goes on: a lock file that it cannot read would stop it."""
    environment = lab.host("beta")
    lab.account.client("s3").put_object(
        Bucket=OPEN,
        Key=f"{named('beta').key_prefix}locks/rwm-doctor-0123456789abcdef-main",
        Body=b"rwm-doctor wrote this. Harmless.",
    )
    for command in (("init",), ("backup", str(SCRIPT)), ("check",), ("unlock",)):
        ended = lab.run("restic", "--no-cache", *command, environment=environment)
        assert ended.returncode == 0, ended.stderr
    assert "rwm-doctor" not in lab.run("restic", "--no-cache", "list", "locks", environment=environment).stdout


# --- keys that may too much ------------------------------------------------------------------------

INSIDE, BUCKET = f"arn:aws:s3:::{OPEN}/*", f"arn:aws:s3:::{OPEN}"


@pytest.mark.parametrize(
    ("more", "weaknesses"),
    [
        ((), set()),
        (
            (allow(["s3:DeleteObjectVersion", "s3:PutObjectTagging"], INSIDE), allow("lambda:ListFunctions")),
            {"delete-unlocked", "tagging", "lambda"},
        ),
        (
            (allow(["s3:DeleteObjectVersion", "s3:BypassGovernanceRetention", "s3:PutObjectLegalHold"], INSIDE),),
            {"delete-unlocked", "bypass", "legal-hold"},
        ),
        (
            (allow(["s3:GetObjectVersion", "s3:PutObjectAcl"], INSIDE), allow("s3:PutBucketVersioning", BUCKET)),
            {"get-version", "acl", "put-versioning"},
        ),
        (
            (allow(["s3:PutObjectRetention", "s3:DeleteObject"], INSIDE), allow("iam:ListUsers")),
            {"retention", "hide", "iam"},
        ),
        ((allow("s3:ListBucketVersions", BUCKET),), {"list-versions"}),
    ],
    ids=lambda each: "-".join(sorted(each)) or "none" if isinstance(each, set) else "",
)
def test_permissions_too_many_are_found_each_of_them_and_no_other(
    lab: Lab, more: tuple[Statement, ...], weaknesses: set[str]
) -> None:
    code, found = lab.doctor(lab.host("beta", *more))
    assert (code, bad(found)) == (4 if weaknesses else 0, weaknesses), found
    if "delete-unlocked" in weaknesses:
        assert found["delete-locked"] == ("ok", "may not delete what was just written: its lock refused, no policy did")


def test_a_try_that_succeeds_leaves_nothing_that_a_check_would_notice(lab: Lab) -> None:
    administrator = lab.host("beta", allow("*"))
    code, found = lab.doctor(administrator)
    assert code == 4
    assert {"delete-unlocked", "bypass", "hide", "iam", "lambda", "retention", "put-versioning"} <= bad(found)
    said, cut = lab.judged("beta")
    assert "host-hid-objects" not in said
    assert "alien-key" not in said
    assert not any("rwm-doctor" in version.key for version in cut.versions)


def test_a_bucket_without_versions_lock_and_policy_is_found(lab: Lab) -> None:
    code, found = lab.doctor(lab.host("gamma"))
    assert code == 4
    assert {"versioning", "multipart", "customer-key"} <= bad(found)


def test_a_versioned_bucket_without_a_lock_keeps_nothing_from_a_key_that_may_delete(lab: Lab) -> None:
    lab.account.client("s3").put_bucket_versioning(Bucket=PLAIN, VersioningConfiguration={"Status": "Enabled"})
    code, found = lab.doctor(lab.host("gamma", allow("s3:DeleteObjectVersion")))
    assert code == 4
    assert {"delete-unlocked", "delete-locked"} <= bad(found)
    assert found["versioning"][0] == "ok"


# --- keys that may too little ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("less", "lacks"),
    [
        (deny("s3:PutObject", "*"), {"put"}),
        (deny(["s3:GetObject", "sqs:SendMessage"], "*"), {"get", "clock", "send"}),
        (deny(["s3:ListBucket", "s3:DeleteObject"], "*"), {"list", "hide-locks", "delete-locked"}),
    ],
    ids=lambda each: "-".join(sorted(each)) if isinstance(each, set) else "",
)
def test_what_a_host_needs_and_lacks_is_found_and_is_no_danger(lab: Lab, less: Statement, lacks: set[str]) -> None:
    environment = lab.host("beta", less)
    shell = shutil.which("dash") or "sh"
    ended = lab.run(shell, str(SCRIPT), "--json", environment=environment)
    found = {each["id"]: each["state"] for each in json.loads(ended.stdout)["checks"]}
    assert (ended.returncode, {tried for tried, state in found.items() if state not in {"ok", "--"}}) == (1, lacks)
    # A canary that may not be hidden is named: whoever may hide can do it.
    assert ("was left there" in ended.stderr) == ("hide-locks" in lacks)


def test_a_key_that_is_gone_is_told_from_a_key_that_may_not(lab: Lab) -> None:
    environment = {**lab.host("beta"), "AWS_ACCESS_KEY_ID": "AKIANOBODYSKEY000000"}
    code, found = lab.doctor(environment)
    assert code == 1
    assert "S3 does not know this key (InvalidAccessKeyId)" in found["put"][1]
