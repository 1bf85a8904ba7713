"""The check of posture in the deployed system: what we make is good, and what is changed behind our back is named."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from local.embedded import ACCOUNT
from tests.system.conftest import Begun
from tests.system.system import Answer, System, refusal

pytestmark = pytest.mark.system

HOST = f"arn:aws:iam::{ACCOUNT}:user/rwm-silent-host"
UNREAD = {"access-analyzer": "access-analyzer:CheckAccessNotGranted could not be asked: 400"}
"""The embedded AWS has no such service, and every check says so."""


def _posture(system: System, name: str) -> Answer:
    return system.rwm("check", name, "--level", "posture")


def _found(answer: Answer) -> dict[str, dict[str, Any]]:
    return {finding["id"]: finding for finding in answer.document["findings"]}


@pytest.fixture(scope="module")
def first(system: System) -> Answer:
    """The first check of a bucket as RWM made it."""
    return _posture(system, "silent")


def test_a_repository_as_deployed_passes_and_all_but_a_second_opinion_could_be_had(first: Answer) -> None:
    said = first.document
    assert (first.exit_code, said["level"], said["outcome"], said["findings"]) == (0, "posture", "pass", [])
    assert said["unread"] == UNREAD
    # It judges the bucket, and no state: so it claims nothing of one.
    assert [said[name] for name in ("state", "execution", "claim")] == [None, None, None]


def test_repositories_that_share_a_bucket_pass_with_a_host_and_a_maintenance_identity(system: System) -> None:
    for name in ("beta", "gamma"):
        answer = _posture(system, name)
        assert (answer.exit_code, answer.document["findings"]) == (0, [])


def test_a_host_that_may_hide_is_none_that_may_destroy(system: System) -> None:
    answer = _posture(system, "alpha")
    assert (answer.exit_code, answer.document["findings"]) == (0, [])


def test_an_adopted_bucket_without_protection_fails_by_name(system: System, begun: Begun) -> None:
    begun.adopted.result()
    answer = _posture(system, "adopted")
    assert (answer.exit_code, answer.document["outcome"]) == (4, "fail")
    found = _found(answer)
    assert found["bucket-policy-missing"]["severity"] == "FAIL"
    assert "somebody-elses-bucket" in found["bucket-policy-missing"]["what"]
    assert found["object-lock-off"]["severity"] == "NOTE"


def test_a_lifecycle_set_behind_our_back_is_named_and_is_drift_once(system: System, first: Answer) -> None:
    assert first.exit_code == 0
    s3, bucket = system.client("s3"), system.repository("silent").bucket
    deployed = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    rule = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [*deployed, rule]})
    try:
        answer, again = _posture(system, "silent"), _posture(system, "silent")
    finally:
        s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": deployed})
    assert answer.exit_code == again.exit_code == 4
    found = _found(answer)
    assert set(found) == {"lifecycle-expires", "drift"}
    assert "'tidy'" in found["lifecycle-expires"]["what"]
    assert found["drift"]["what"].endswith(": lifecycle")
    assert set(_found(again)) == {"lifecycle-expires"}
    kept = [item for item in system.items(system.names.operations, "silent") if "lifecycle" in item["sk"]["S"]]
    assert len({item["sk"]["S"].rpartition("#")[2] for item in kept}) == 1


@contextmanager
def _without(system: System, sid: str) -> Iterator[None]:
    """For a while the policy of silent's bucket lacks a statement, which only the account's root can bring about."""
    s3, bucket = system.client("s3"), system.repository("silent").bucket
    deployed = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    document = json.loads(deployed)
    document["Statement"] = [each for each in document["Statement"] if each["Sid"] != sid]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
    try:
        yield
    finally:
        s3.put_bucket_policy(Bucket=bucket, Policy=deployed)


def test_a_policy_weakened_by_an_administrator_is_named_and_is_drift(system: System, first: Answer) -> None:
    assert first.exit_code == 0
    _posture(system, "silent")
    with _without(system, "DenyVersionDeletes"):
        answer = _posture(system, "silent")
    assert answer.exit_code == 4
    found = _found(answer)
    assert set(found) == {"bucket-policy-weaker-than-ours", "drift"}
    assert "DenyVersionDeletes" in found["bucket-policy-weaker-than-ours"]["what"]
    assert found["drift"]["what"].endswith(": policy")


def test_a_host_is_judged_by_its_own_policies_and_the_buckets_together(system: System) -> None:
    iam, too_much = system.client("iam"), ("s3:DeleteObjectVersion", "s3:CreateJob")
    statement = {"Effect": "Allow", "Action": list(too_much), "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="rwm-silent-host", PolicyName="too-much", PolicyDocument=document)
    try:
        behind_the_policy = _found(_posture(system, "silent"))
        with _without(system, "DenyVersionDeletes"), _without(system, "HostOnlyBacksUp"):
            in_the_open = _found(_posture(system, "silent"))
    finally:
        iam.delete_user_policy(UserName="rwm-silent-host", PolicyName="too-much")
    assert HOST in behind_the_policy["host-may-s3-createjob"]["what"]
    assert "host-may-s3-deleteobjectversion" not in behind_the_policy
    assert {"host-may-s3-createjob", "host-may-s3-deleteobjectversion"} <= set(in_the_open)


def test_what_the_check_may_not_read_is_held_and_the_reason_told(system: System) -> None:
    _posture(system, "silent")
    denied = ["s3:GetLifecycleConfiguration", "iam:SimulatePrincipalPolicy"]
    # Of this repository alone: others are checked meanwhile.
    bucket = f"arn:aws:s3:::{system.repository('silent').bucket}"
    with system.denying("rwm-check-posture", denied, bucket, HOST):
        answer = _posture(system, "silent")
    assert (answer.exit_code, set(_found(answer))) == (3, {"posture-not-readable", "host-rights-not-judged"})
    assert answer.document["unread"] == {
        **UNREAD,
        "lifecycle": "S3 denies s3:GetLifecycleConfiguration",
        HOST: f"iam:SimulatePrincipalPolicy of {HOST}: AccessDenied",
    }


def test_each_verdict_is_kept_in_the_table_and_counted(system: System, first: Answer) -> None:
    assert first.exit_code == 0
    postures = [
        item for item in system.items(system.names.operations, "silent") if item["sk"]["S"].startswith("posture#")
    ]
    assert postures[0]["outcome"]["S"] == "pass"
    assert len(postures[0]["facts"]["M"]) == 9


def test_the_check_itself_may_not_read_an_object_or_write_a_state(system: System) -> None:
    clients = system.as_role("rwm-check-posture")
    bucket = system.repository("silent").bucket
    assert refusal(clients("s3").list_objects_v2, Bucket=bucket) == "AccessDenied"
    assert refusal(clients("s3").put_bucket_policy, Bucket=bucket, Policy="{}") == "AccessDenied"
    item = {"pk": {"S": "by-hand"}, "sk": {"S": "head"}}
    assert refusal(clients("dynamodb").put_item, TableName=system.names.ledger, Item=item) == "AccessDeniedException"


def test_the_level_complete_needs_a_password_and_is_refused_without(system: System) -> None:
    answer = system.rwm("check", "silent", "--level", "complete")
    assert answer.exit_code == 2
    assert "silent has no restic_password_secret; nothing was checked" in answer.message
    assert "ask for --level content" in answer.message


def test_a_schedule_checks_as_deep_as_repositories_toml_says(system: System, begun: Begun) -> None:
    scheduled = begun.schedule.result()
    assert scheduled.check_schedule["ScheduleExpression"] == "rate(1 day)"
    assert scheduled.check["status"] == "SUCCEEDED", scheduled.check
    said = json.loads(scheduled.check["output"])
    assert (said["repository"], said["level"], set(said["outcomes"])) == (
        "gamma",
        "consistent",
        {"posture", "consistent"},
    )
    (state,) = (state for state in system.states("gamma") if state["id"] == said["state"])
    assert state["cause"]["reason"] == "schedule"
    assert state["checked"]["consistent"] == said["outcomes"]["consistent"]
