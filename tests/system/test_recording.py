"""Recording in the deployed system: without events, by two at once, and where nothing can be trusted."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.system.conftest import Begun
from tests.system.system import System, instant, refusal

pytestmark = pytest.mark.system


def _invoke(system: System, repository: str) -> dict[str, Any]:
    # A client each: they are called at the same time.
    client = system.aws.client("lambda")
    answer = client.invoke(
        FunctionName="rwm-record", Payload=json.dumps({"repository": repository, "reason": "operator"})
    )
    return {**json.loads(answer["Payload"].read()), "error": answer.get("FunctionError")}


def _wait_for_the_interval(states: list[dict[str, Any]]) -> None:
    if states:
        free = instant(states[0]["recorded_at"]) + timedelta(seconds=2)
        time.sleep(max(0.0, (free - datetime.now(UTC)).total_seconds()))


def test_an_adopted_bucket_without_versioning_gets_a_finding_and_no_state(begun: Begun) -> None:
    adopted = begun.adopted.result()
    answer = adopted.unversioned
    assert answer.exit_code == 4
    (finding,) = answer.document["findings"]
    assert (finding["id"], finding["severity"]) == ("versioning-not-enabled", "FAIL")
    assert "somebody-elses-bucket" in finding["what"]
    assert "no state was recorded" in answer.document["message"]
    assert adopted.states == []
    assert adopted.finding["sk"]["S"] == "finding#versioning-not-enabled#0000000000"
    assert adopted.finding["what"]["S"] == finding["what"]


def test_the_remedies_of_an_adopted_buckets_findings_lead_to_a_state(begun: Begun) -> None:
    adopted = begun.adopted.result()
    (finding,) = adopted.null_versions.document["findings"]
    assert (adopted.null_versions.exit_code, finding["id"]) == (4, "null-version")
    assert "copy these objects onto themselves" in finding["remedy"]
    assert (adopted.state["generation"], adopted.state["objects"]) == (1, 1)


def test_the_command_names_the_finding_of_a_bucket_that_cannot_be_trusted(system: System, begun: Begun) -> None:
    begun.adopted.result()
    s3, bucket = system.client("s3"), "somebody-elses-bucket"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    before = system.states("adopted")
    _wait_for_the_interval(before)
    answer = system.rwm("record", "adopted")
    assert (answer.exit_code, answer.document["findings"][0]["id"]) == (4, "versioning-not-enabled")
    assert system.states("adopted") == before


def test_the_schedule_records_without_any_event(begun: Begun) -> None:
    scheduled = begun.schedule.result()
    assert scheduled.schedule["ScheduleExpression"] == "rate(6 hours)"
    (state,) = scheduled.states
    assert state["cause"]["reason"] == "schedule"
    assert state["objects"] == 1


def test_the_schedules_role_invokes_record_and_nothing_else(system: System, begun: Begun) -> None:
    role = str(begun.schedule.result().schedule["Target"]["RoleArn"]).rpartition("/")[2]
    client = system.as_role(role)("lambda")
    # Record refuses what it does not know, which shows that it was reached.
    assert client.invoke(FunctionName="rwm-record", Payload=b"{}")["FunctionError"]
    restoring = ("announce-restore", "plan-restore", "thaw-batch", "copy-batch", "verify-restore", "end-restore")
    for other in ("collect-chunks", *restoring):
        assert refusal(client.invoke, FunctionName=f"rwm-{other}", Payload=b"{}") == "AccessDeniedException"


def test_recorders_at_the_same_time_make_one_chain(system: System) -> None:
    before = system.states("pestered")
    _wait_for_the_interval(before)
    system.put("pestered", {"data/contended": b"x"})
    with ThreadPoolExecutor(3) as pool:
        outcomes = [answer["outcome"] for answer in pool.map(lambda _: _invoke(system, "pestered"), range(3))]
    assert sorted(outcomes) == ["not-yet", "not-yet", "recorded"]
    after = system.states("pestered")
    assert after[1:] == before
    assert after[0]["parent"] == (before[0]["id"] if before else None)


def test_a_recorder_that_lost_its_lease_cannot_commit(system: System) -> None:
    before = system.states("pestered")
    _wait_for_the_interval(before)
    table, key = system.names.ledger, {"pk": {"S": "pestered"}, "sk": {"S": "recording"}}
    dynamodb = system.client("dynamodb")
    seen = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]["attempt"]
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(_invoke, system, "pestered")
        system.eventually(
            "the first recorder's lease",
            lambda: dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]["attempt"] != seen,
        )
        # As if 16 minutes had passed.
        dynamodb.update_item(
            TableName=table,
            Key=key,
            UpdateExpression="SET #until = :past",
            ExpressionAttributeNames={"#until": "until"},
            ExpressionAttributeValues={":past": {"S": "2020-01-01T00:00:00Z"}},
        )
        second = _invoke(system, "pestered")
    assert slow.result()["error"]
    assert slow.result()["errorType"] == "AttemptClosed"
    assert second["outcome"] == "recorded"
    after = system.states("pestered")
    assert [state["id"] for state in after] == [second["state"], *[state["id"] for state in before]]


def test_each_head_is_anchored_in_the_locked_records_bucket(system: System) -> None:
    states = system.states("pestered")
    assert system.keys(system.records) >= {
        f"heads/pestered/{state['generation']:010d}-{state['id']}.json" for state in states
    }
    newest = f"heads/pestered/{states[0]['generation']:010d}-{states[0]['id']}.json"
    held = system.client("s3").head_object(Bucket=system.records, Key=newest)
    assert held["ObjectLockRetainUntilDate"] > datetime.now(UTC) + timedelta(hours=1)


def test_recorded_states_are_metrics(system: System) -> None:
    now = datetime.now(UTC)
    answer = system.client("cloudwatch").get_metric_statistics(
        Namespace="RWM",
        MetricName="StatesRecorded",
        Dimensions=[{"Name": "repository", "Value": "pestered"}, {"Name": "service", "Value": "record"}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=1),
        Period=3600,
        Statistics=["Sum"],
    )
    assert sum(point["Sum"] for point in answer["Datapoints"]) == len(system.states("pestered"))


def test_a_burst_of_twenty_events_makes_no_more_states_than_calls_that_sent_it(begun: Begun) -> None:
    """SQS takes ten messages a call; of a busy machine, the second call may come a second after the first."""
    burst = begun.burst.result()
    assert burst.first["generation"] == 1
    assert len(burst.later) in (2, 3), "one for the twenty, or one for each ten, and one for the event after them"


def test_an_event_sent_too_early_is_answered_later_without_another(begun: Begun) -> None:
    burst = begun.burst.result()
    later = burst.later[0]
    earliest = instant(burst.first["recorded_at"]) + timedelta(seconds=20)
    assert burst.sent_too_early < earliest <= instant(later["recorded_at"])
    assert (later["objects"], burst.first["objects"]) == (2, 1)
