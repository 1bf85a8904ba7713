"""Both handlers of the level complete as Lambda calls them, on moto; a search for the password in what they leave."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from functions.check import complete, conclude_complete
from functions.domain import chunks
from functions.domain.checking import CheckRefused
from functions.domain.ports import PasswordUnavailable
from functions.domain.repositories import Configuration
from functions.domain.state import Cause, ChunkSet, StateHeader, describe
from functions.domain.values import AttemptId, RepositoryName
from functions.storage.bucket import S3BucketConfiguration
from functions.storage.ledger import DynamoRecordingLedger
from functions.storage.listing import S3VersionLister
from functions.storage.verdicts import DynamoVerdictReader
from tests.cuts import take_cut
from tests.domain.structure.conftest import originals  # noqa: F401 - a fixture
from tests.domain.structure.repositories import PASSWORD, MadeByRestic
from tests.fakes.restic import BINARY, MISSING
from tests.storage.test_secrets import everything_of
from tests.tables import create_table

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.skipif(BINARY is None, reason=MISSING)

ALPHA = RepositoryName("alpha")
BUCKET, PREFIX, TARGET = "backups", "restic", "rwm-restore-alpha"
SPELLED = json.dumps({"password": PASSWORD})
Event = dict[str, Any]


@dataclass(frozen=True)
class Deployed:
    """What a deployment has, and the state of a repository in it."""

    s3: "S3Client"
    secret: str
    state: StateHeader
    made: MadeByRestic

    def check(self, **changed: Any) -> Any:
        """As Lambda does: JSON in, JSON out."""
        event = {"repository": "alpha", "state": self.state.id, "read_data": True, "target": None, **changed}
        return invoke(complete, event)

    def conclude(self, **changed: Any) -> Any:
        event = {"repository": "alpha", "state": self.state.id, "target": None, "execution": "tuesday"}
        return invoke(conclude_complete, {**event, "report": None, "error": None, **changed})

    def change_secret(self, content: str) -> None:
        boto3.client("secretsmanager").put_secret_value(SecretId=self.secret, SecretString=content)


def invoke(step: Any, event: Event) -> Any:
    context = SimpleNamespace(
        function_name="f",
        memory_limit_in_mb=1024,
        invoked_function_arn="arn:aws:lambda:us-east-1:000000000000:function:f",
        aws_request_id="1",
    )
    return json.loads(json.dumps(step.handler(json.loads(json.dumps(event)), context)))


def record() -> StateHeader:
    s3 = boto3.client("s3")  # its own: whoever shares a client with the lister sees no listing
    now = S3BucketConfiguration(s3, BUCKET).now() + timedelta(seconds=5)
    cut = take_cut(S3VersionLister(s3, BUCKET, f"{PREFIX}/").versions(), now)
    attempt, encoded = AttemptId("attempt-1"), list(chunks.encode(cut.versions))
    own = ChunkSet(attempt=attempt, count=len(encoded), digest=chunks.digest(encoded))
    cause = Cause(reason="operator")
    header = describe(cut, repository=ALPHA, parent=None, own_chunks=own, recorded_at=now, cause=cause)
    ledger = DynamoRecordingLedger(boto3.client("dynamodb"), "rwm-ledger")
    ledger.begin(ALPHA, attempt, now, now + timedelta(minutes=1))
    ledger.reserve(ALPHA, attempt, len(encoded))
    for number, chunk in enumerate(encoded):
        ledger.put_chunk(attempt, number, chunk)
    ledger.commit(header, attempt, None)
    return header


@pytest.fixture
def deployed(originals: dict[int, MadeByRestic], monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:  # noqa: F811
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    made = originals[2]
    with mock_aws():
        s3, sns = boto3.client("s3"), boto3.client("sns")
        for name in ("ledger", "operations"):
            monkeypatch.setenv(f"RWM_{name.upper()}", f"rwm-{name}")
            create_table(boto3.client("dynamodb"), f"rwm-{name}")
        monkeypatch.setenv("RWM_RECORDS", "records")
        monkeypatch.setenv("RWM_ALERTS", sns.create_topic(Name="rwm-alerts")["TopicArn"])
        for bucket in (BUCKET, TARGET):
            s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
        for entry in made.entries():
            content = made.path(entry.key).read_bytes()
            s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{entry.key}", Body=content)
            s3.put_object(Bucket=TARGET, Key=f"copy/{entry.key}", Body=content)
        secret = boto3.client("secretsmanager").create_secret(Name="restic", SecretString=SPELLED)["ARN"]
        alpha = {"name": "alpha", "bucket": BUCKET, "prefix": PREFIX, "restic_password_secret": secret}
        configuration = Configuration.model_validate({"repositories": [alpha, {"name": "beta", "bucket": "elsewhere"}]})
        monkeypatch.setattr(complete, "read_bundled", lambda: configuration)
        yield Deployed(s3, secret, record(), made)
        complete._clients.cache_clear()
        conclude_complete._ports.cache_clear()


def overwrite_everything(deployed: Deployed) -> None:
    for entry in deployed.made.entries():
        deployed.s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{entry.key}", Body=b"overwritten")
        deployed.s3.delete_object(Bucket=BUCKET, Key=f"{PREFIX}/{entry.key}")


def test_the_steps_make_a_verdict_of_the_pinned_versions(deployed: Deployed) -> None:
    overwrite_everything(deployed)
    answer = deployed.check()
    assert (answer["state"], answer["generation"]) == (deployed.state.id, 1)
    assert deployed.conclude(report=answer["report"]) == {"outcome": "pass", "findings": []}
    (verdict,) = DynamoVerdictReader(boto3.client("dynamodb"), "rwm-operations").verdicts(ALPHA)
    assert (verdict.level, verdict.by, verdict.figures["snapshots"]) == ("complete", "tuesday", 2)
    assert verdict.figures["verified_blobs"] > 0


def test_without_read_data_only_the_structure_is_read(deployed: Deployed) -> None:
    assert deployed.check(read_data=False)["report"]["structure"]["level"] == "structure"


def test_the_newest_state_is_read_when_none_is_named(deployed: Deployed) -> None:
    assert deployed.check(state="")["state"] == deployed.state.id


def test_a_copy_is_read_where_it_is_and_its_verdict_is_its_own(deployed: Deployed) -> None:
    overwrite_everything(deployed)
    place = {"bucket": TARGET, "prefix": "copy"}
    answer = deployed.check(target=place)
    assert deployed.conclude(target=place, report=answer["report"])["outcome"] == "pass"
    reader = DynamoVerdictReader(boto3.client("dynamodb"), "rwm-operations")
    assert list(reader.verdicts(ALPHA)) == []
    (verdict,) = reader.copy_verdicts(ALPHA)
    assert verdict.target == f"{TARGET}/copy/"


def test_damage_is_answered_by_id_and_number_of_keys(deployed: Deployed) -> None:
    entry = next(each for each in deployed.made.entries() if each.key.startswith("snapshots/"))
    place = {"bucket": TARGET, "prefix": "copy"}
    deployed.s3.put_object(Bucket=TARGET, Key=f"copy/{entry.key}", Body=b"x" * entry.size)
    answer = deployed.conclude(target=place, report=deployed.check(target=place)["report"])
    finding = {"severity": "FAIL", "id": "deep-check-failed", "keys": 1}
    assert answer == {"outcome": "fail", "findings": [finding]}


def test_a_failed_reading_is_a_verdict_too(deployed: Deployed) -> None:
    answer = deployed.conclude(error="Sandbox.Timedout")
    finding = {"severity": "HOLD", "id": "complete-not-judged", "keys": 0}
    assert answer == {"outcome": "hold", "findings": [finding]}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"repository": "beta"}, "needs restic_password_secret"),
        ({"repository": "gamma"}, "there is no repository 'gamma'"),
        ({"state": "0" * 64}, "has no state"),
        ({"target": {"bucket": BUCKET, "prefix": ""}}, "is a protected bucket"),
        ({"target": {"bucket": "rwm-restore-nowhere", "prefix": ""}}, "there is no bucket"),
        ({"target": {"bucket": "records", "prefix": ""}}, "RWM's own records"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_what_cannot_be_judged_is_refused(deployed: Deployed, changed: Event, why: str) -> None:
    with pytest.raises(CheckRefused, match=f"{why}.*nothing was judged"):
        deployed.check(**changed)


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What both functions log, down to DEBUG."""
    lines = io.StringIO()
    loggers = [complete.logger, conclude_complete.logger]
    levels = [each.log_level for each in loggers]
    handlers = [each.registered_handler for each in loggers]
    streams = [handler.setStream(lines) for handler in handlers if isinstance(handler, logging.StreamHandler)]
    for each in loggers:
        each.setLevel(logging.DEBUG)
    yield lines
    for each, handler, level, stream in zip(loggers, handlers, levels, streams, strict=True):
        each.setLevel(level)
        if isinstance(handler, logging.StreamHandler) and stream is not None:
            handler.setStream(stream)


# --- the password ----------------------------------------------------------------------------------


def nothing_wrong(_: Deployed) -> Event:
    return {}


def a_copy(_: Deployed) -> Event:
    return {"target": {"bucket": TARGET, "prefix": "copy"}}


def no_secret(deployed: Deployed) -> Event:
    boto3.client("secretsmanager").delete_secret(SecretId=deployed.secret, ForceDeleteWithoutRecovery=True)
    return {}


def no_password_in_it(deployed: Deployed) -> Event:
    deployed.change_secret(json.dumps({"passphrase": PASSWORD}))
    return {}


def half_a_character(deployed: Deployed) -> Event:
    deployed.change_secret(f'{{"password": "{PASSWORD}\\ud83d"}}')
    return {}


def a_wrong_password(deployed: Deployed) -> Event:
    deployed.change_secret(f"{PASSWORD} and more")
    return {}


def no_bucket(deployed: Deployed) -> Event:
    for entry in deployed.s3.list_object_versions(Bucket=BUCKET)["Versions"]:
        deployed.s3.delete_object(Bucket=BUCKET, Key=entry["Key"], VersionId=entry["VersionId"])
    deployed.s3.delete_bucket(Bucket=BUCKET)
    return {}


def no_ledger(_: Deployed) -> Event:
    boto3.client("dynamodb").delete_table(TableName="rwm-ledger")
    return {}


def versions_gone(deployed: Deployed) -> Event:
    for entry in deployed.s3.list_object_versions(Bucket=BUCKET)["Versions"]:
        if "/keys/" not in entry["Key"] and not entry["Key"].endswith("/config"):
            deployed.s3.delete_object(Bucket=BUCKET, Key=entry["Key"], VersionId=entry["VersionId"])
    return {}


def a_wrong_request(_: Deployed) -> Event:
    return {"read_data": "what?"}


WAYS: list[Callable[[Deployed], Event]] = [
    nothing_wrong,
    a_copy,
    no_secret,
    no_password_in_it,
    half_a_character,
    a_wrong_password,
    no_bucket,
    no_ledger,
    versions_gone,
    a_wrong_request,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_however_it_ends_the_password_is_in_no_log_error_or_answer(
    deployed: Deployed,
    way: Callable[[Deployed], Event],
    logged: io.StringIO,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    event = way(deployed)
    caplog.set_level(logging.DEBUG)
    caplog.clear()
    capfd.readouterr()
    try:
        left = json.dumps(deployed.check(**event))
    except Exception as error:  # noqa: BLE001 - whatever leaves the handler, Lambda's runtime writes down
        complete.logger.exception("left the handler")
        left = everything_of(error)
    printed = capfd.readouterr()
    everything = left + logged.getvalue() + printed.out + printed.err + caplog.text
    assert '"service":"check-complete"' in logged.getvalue()
    for spelling in (PASSWORD, PASSWORD[2:-2], json.dumps(PASSWORD)[1:-1]):
        assert spelling not in everything


def test_an_error_of_the_secret_names_it(deployed: Deployed) -> None:
    no_secret(deployed)
    with pytest.raises(PasswordUnavailable, match=deployed.secret):
        deployed.check()


def test_the_secret_is_read_at_each_call(deployed: Deployed) -> None:
    assert deployed.check()["report"]["structure"]["unjudged"] is None
    a_wrong_password(deployed)
    answer = deployed.conclude(report=deployed.check()["report"])
    assert [finding["id"] for finding in answer["findings"]] == ["password-opens-nothing"]


def test_nothing_of_what_is_kept_holds_the_password(deployed: Deployed) -> None:
    a_wrong_password(deployed)
    deployed.conclude(report=deployed.check()["report"])
    for name in ("rwm-ledger", "rwm-operations"):
        assert PASSWORD.encode() not in repr(boto3.client("dynamodb").scan(TableName=name)["Items"]).encode()


def test_no_key_of_an_object_is_logged(deployed: Deployed, logged: io.StringIO) -> None:
    versions_gone(deployed)
    deployed.conclude(report=deployed.check()["report"])
    told = logged.getvalue()
    assert "deep-check-failed" in told
    for entry in deployed.made.entries():
        assert entry.key == "config" or entry.key[-64:] not in told
