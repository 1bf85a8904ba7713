"""Deploying again, over what is deployed and after a part was removed: data, keys and chains stay. Runs last."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.configuration import read_toml
from local.credentials import issue_profiles
from local.deploy import deploy
from tests.system.conftest import BUILD, REPOSITORIES, Begun
from tests.system.system import System, done, refusal

pytestmark = pytest.mark.system

NAMES = ("alpha", "attacked", "beta", "opened", "pestered", "wide")
PRUNES = ("plan", "plan-token", "approval", "hold", "prune-lease")


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that no deployment may touch."""

    ledger: dict[str, list[dict[str, Any]]]
    verdicts: dict[str, list[dict[str, Any]]]
    prunes: dict[str, list[dict[str, Any]]]
    """What was planned, decided, held and dropped of `pruned`."""
    states: dict[str, list[dict[str, Any]]]
    versions: dict[str, set[tuple[str, str]]]
    anchors: set[str]
    protections: dict[str, Any]


def _evidence(system: System) -> Evidence:
    s3, dynamodb = system.client("s3"), system.client("dynamodb")
    buckets = sorted({system.repository(name).bucket for name in NAMES} | {system.records})
    protections: dict[str, Any] = {
        bucket: (
            s3.get_bucket_versioning(Bucket=bucket)["Status"],
            s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"],
            s3.get_bucket_policy(Bucket=bucket)["Policy"],
        )
        for bucket in buckets
    }
    for table in (system.names.ledger, system.names.operations):
        protections[table] = dynamodb.describe_table(TableName=table)["Table"]["DeletionProtectionEnabled"]
        recovery = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
        protections[f"{table}'s recovery"] = recovery["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    return Evidence(
        ledger={name: system.items(system.names.ledger, name) for name in NAMES},
        verdicts={name: system.items(system.names.operations, name) for name in NAMES},
        prunes={
            f"{kind}#pruned": system.items(table, f"{kind}#pruned")
            for table, kinds in ((system.names.operations, PRUNES), (system.names.ledger, ("dropped",)))
            for kind in kinds
        },
        states={name: system.states(name) for name in NAMES},
        versions={name: system.versions(name) for name in NAMES},
        anchors={key for key in system.keys(system.records) if key.startswith("heads/")},
        protections=protections,
    )


def _event_makes_next_state(system: System, name: str, key: str) -> None:
    """Its host, with the key it has had all along, writes and publishes; the chain goes on."""
    before = system.states(name)
    system.put(name, {key: b"x"})
    system.send(name, done())
    after = system.eventually(f"the next state of {name}", lambda: _newer(system, name, before))
    assert after[1:] == before
    assert [state["parent"] for state in after[:1]] == [state["id"] for state in before[:1] or [{"id": None}]]


def _newer(system: System, name: str, before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    states = system.states(name)
    return states if len(states) > len(before) else []


@pytest.fixture(scope="module")
def recorded(system: System) -> None:
    """Something in every one of them, whichever tests ran before."""
    for name in NAMES:
        if not system.states(name):
            system.put(name, {"config": b"x"})
            system.record(name)


@pytest.fixture(scope="module")
def updated(system: System, begun: Begun, recorded: None) -> Iterator[tuple[Evidence, Evidence]]:
    """What there was before and after one repository was changed and one added."""
    for scene in (begun.burst, begun.schedule, begun.forget, begun.opened, begun.attacked, begun.pruned):
        scene.result()
    for attack in begun.campaign.values():
        attack.result()
    before = _evidence(system)
    deploy(system.aws, begun.changed_assembly.result())
    system.configuration = read_toml(BUILD / "changed.toml")
    issue_profiles(system.aws, system.names)
    system.forget_sessions()
    yield before, _evidence(system)
    system.configuration = read_toml(REPOSITORIES)


def test_an_update_changes_nothing_that_was_recorded_or_protected(updated: tuple[Evidence, Evidence]) -> None:
    before, after = updated
    assert after == before
    assert all(before.prunes.values())


@pytest.mark.usefixtures("updated")
def test_the_command_learns_of_an_added_repository_and_a_changed_setting(system: System) -> None:
    answer = system.rwm("repositories")
    assert answer.exit_code in (0, 4)
    assert "added" in [repository["name"] for repository in answer.document["repositories"]]
    parameter = system.client("ssm").get_parameter(Name=system.names.repository_parameter("noisy"))
    assert '"min_interval":"2s"' in parameter["Parameter"]["Value"].replace(" ", "")


@pytest.mark.usefixtures("updated")
def test_an_added_repository_is_recorded_by_the_events_of_its_host(system: System) -> None:
    _event_makes_next_state(system, "added", "config")


@pytest.mark.usefixtures("updated")
def test_a_chain_goes_on_after_an_update_with_the_keys_of_before(system: System) -> None:
    _event_makes_next_state(system, "pestered", "data/after-the-update")


def test_the_data_stack_is_protected_from_termination(system: System) -> None:
    with pytest.raises(ClientError, match="TerminationProtection"):
        system.client("cloudformation").delete_stack(StackName=system.names.data_stack)
    assert _status(system, system.names.data_stack).endswith("_COMPLETE")


@pytest.fixture(scope="module")
def without_flows(system: System, updated: tuple[Evidence, Evidence]) -> Evidence:
    """What there was before the stack of flows was deleted."""
    before = _evidence(system)
    system.client("cloudformation").delete_stack(StackName=system.names.flows_stack)
    system.eventually("the deletion of the flows", lambda: _status(system, system.names.flows_stack) == "gone")
    return before


def _status(system: System, stack: str) -> str:
    try:
        found = system.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return "gone"
        raise
    status = str(found["StackStatus"])
    assert not status.endswith("_FAILED"), found
    return "gone" if status == "DELETE_COMPLETE" else status


WATCHERS = {"rwm-watch", "rwm-publish-pages"}
"""Functions of the stack that watches the others: theirs are the only roles of steps that are left."""


def test_without_its_flows_nothing_of_rwm_runs_but_what_watches_it(system: System, without_flows: Evidence) -> None:
    assert without_flows.states["pestered"]
    functions = {each["FunctionName"] for each in system.client("lambda").list_functions()["Functions"]}
    assert functions == WATCHERS
    assert system.client("stepfunctions").list_state_machines()["stateMachines"] == []
    pages = system.client("iam").get_paginator("list_roles").paginate()
    roles = {role["RoleName"] for page in pages for role in page["Roles"] if role["RoleName"].startswith("rwm-")}
    assert roles == WATCHERS | {f"{each}-schedule" for each in WATCHERS}


def test_without_its_flows_a_host_backs_up_and_its_walls_stand(system: System, without_flows: Evidence) -> None:
    system.put("pestered", {"data/without-flows": b"x"})
    s3, bucket = system.client("s3", "host-pestered"), system.repository("pestered").bucket
    key, version = min(without_flows.versions["pestered"])
    assert refusal(s3.delete_object, Bucket=bucket, Key=key) == "AccessDenied"
    assert refusal(s3.delete_object, Bucket=bucket, Key=key, VersionId=version) == "AccessDenied"


def test_flows_deployed_again_find_everything_as_it_was_and_go_on(
    system: System, begun: Begun, without_flows: Evidence
) -> None:
    deploy(system.aws, begun.changed_assembly.result())
    issue_profiles(system.aws, system.names)
    system.forget_sessions()
    after = _evidence(system)
    assert after.ledger == without_flows.ledger
    assert after.verdicts == without_flows.verdicts
    assert after.states == without_flows.states
    assert after.anchors == without_flows.anchors
    assert after.protections == without_flows.protections
    assert all(after.versions[name] >= without_flows.versions[name] for name in NAMES)
    _event_makes_next_state(system, "pestered", "data/with-flows-again")


@pytest.mark.usefixtures("without_flows")
def test_what_was_verified_is_not_read_again_by_flows_deployed_again(system: System) -> None:
    state = system.states("opened")[0]
    answer = system.rwm("check", "opened", state["id"], "--level", "content")
    assert (answer.exit_code, answer.document["claim"]) == (0, "content verified")
    (figures,) = (each["figures"] for each in answer.document["levels"] if each["level"] == "content")
    assert (figures["read"], figures["verified_before"]) == (0, state["objects"])


@pytest.mark.usefixtures("without_flows")
def test_a_repository_that_is_removed_from_the_file_keeps_its_bucket_and_its_states(
    system: System, begun: Begun
) -> None:
    bucket, states = system.repository("added").bucket, system.states("added")
    before, ledger = system.versions("added"), system.items(system.names.ledger, "added")
    assert states
    deploy(system.aws, begun.plain_assembly)
    assert system.versions("added") == before
    assert system.items(system.names.ledger, "added") == ledger
    s3 = system.client("s3")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert "DenyVersionDeletes" in s3.get_bucket_policy(Bucket=bucket)["Policy"]
    assert system.rwm("states", "added").exit_code == 2
