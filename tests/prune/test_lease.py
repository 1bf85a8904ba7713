"""One prune at a time drops and deletes, and a lease is taken over only from one that can do nothing any more; none
does while a restore is under way, or may be."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.domain.keeping import RestoreUnderWay, Restoring
from functions.domain.ports import LeaseTaken, NotAnswered, UnknownExecution
from functions.domain.prune.lease import FUNCTION_TIMEOUT, Lease, LeaseHeld
from functions.domain.prune.plan import VALID_FOR
from functions.domain.prune.request import PruneRequest
from functions.domain.prune.validity import PruneRefused
from functions.domain.repositories import Configuration, Repository
from functions.domain.values import RepositoryName, StateId
from functions.prune import lease as step
from functions.prune.lease import LeaseEnvironment, LeaseFunction, LeasePorts, take_lease
from functions.storage.holds import DynamoHolds, DynamoLeaseReader, RestoresStatus
from tests.builders import at
from tests.fakes.faults import Call, Crash, Hook, KillAt, Moment, nothing
from tests.fakes.holds import FakeExecutions, FakeHolds, FakeLease
from tests.fakes.ledger import FakeLedger
from tests.tables import create_table

ALPHA = RepositoryName("alpha")
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
CONFIGURATION = Configuration(repositories=(Repository(name="alpha", bucket="alpha-bucket"),))


class World:
    """The lease of alpha, restores of it, and executions of prunes and of restores."""

    def __init__(self) -> None:
        self.lease = FakeLease()
        self.executions = FakeExecutions()
        self.holds = FakeHolds(FakeLedger())
        self.restores = FakeExecutions()
        self.ports = LeasePorts(self.lease, self.executions, self.holds, self.restores)

    def watch(self, hook: Hook) -> None:
        self.lease.hook = self.executions.hook = self.holds.hook = self.restores.hook = hook

    def announce(self, execution: str, ended: datetime | None, repository: RepositoryName = ALPHA) -> None:
        """A restore that ended then, or runs; what it announced is still there."""
        self.holds.announce(repository, 1, Restoring(execution, StateId("1" * 64), at(-60)))
        self.restores.ends[execution] = ended

    @property
    def under_way(self) -> frozenset[str]:
        return self.holds.of(ALPHA).restores

    def take(self, execution: str, token: str = "", now: datetime | None = None) -> Lease:
        self.executions.ends.setdefault(execution, None)
        return take_lease(ALPHA, execution, token or f"token of {execution}", self.ports, now or at(0))

    def end(self, execution: str, when: datetime | None = None) -> None:
        self.executions.ends[execution] = when or at(60)

    @property
    def owner(self) -> str | None:
        lease = self.lease.current(ALPHA)
        return lease.execution if lease else None


@pytest.fixture
def world() -> World:
    return World()


def test_a_free_lease_is_taken(world: World) -> None:
    assert world.take("monday") == Lease("token of monday", "monday", at(0))
    assert world.owner == "monday"


def test_taking_it_again_in_the_same_execution_gives_the_same_token(world: World) -> None:
    first = world.take("monday")
    assert world.take("monday", "another token", at(999)) == first
    assert world.lease.current(ALPHA) == first


def test_a_released_lease_is_free(world: World) -> None:
    world.take("monday")
    world.lease.release(ALPHA, "monday")
    assert world.take("tuesday").token == "token of tuesday"


def test_each_time_it_is_taken_it_has_another_token(world: World) -> None:
    """What an earlier owner may still have in hand, must not be good again."""
    world.take("monday", "first")
    world.lease.release(ALPHA, "monday")
    assert world.take("monday", "second").token == "second"


def refused(world: World, why: str, now: datetime) -> None:
    with pytest.raises(LeaseHeld, match=why):
        world.take("tuesday", now=now)
    assert world.owner == "monday"


def test_one_that_runs_keeps_it_however_long(world: World) -> None:
    world.take("monday")
    refused(
        world, "prune monday has the lease of alpha since .* and is not over; nothing was deleted", at(0) + 9999 * HOUR
    )


def test_one_that_ended_keeps_it_until_no_function_of_it_can_run(world: World) -> None:
    world.take("monday")
    world.end("monday", at(0) + HOUR)
    over = at(0) + HOUR + FUNCTION_TIMEOUT
    refused(world, r"functions that it called may run until 2026-11-21T13:15:00Z; nothing was deleted", over - SECOND)
    assert world.take("tuesday", now=over).execution == "tuesday"
    assert world.owner == "tuesday"


def test_one_that_step_functions_forgot_keeps_it_until_its_plan_expired(world: World) -> None:
    world.take("monday")
    del world.executions.ends["monday"]
    over = at(0) + VALID_FOR + FUNCTION_TIMEOUT
    refused(world, "may run until", over - SECOND)
    world.take("tuesday", now=over)
    assert world.owner == "tuesday"


def test_a_prune_of_another_repository_is_not_in_the_way(world: World) -> None:
    world.take("monday")
    take_lease(RepositoryName("beta"), "tuesday", "token", world.ports, at(0))
    assert world.owner == "monday"


def meanwhile(world: World, act: Any) -> None:
    """Somebody acts between reading the lease and taking it."""
    pending = [act]

    def hook(call: Call) -> None:
        if call.operation == "TakeLease" and call.moment is Moment.BEFORE and pending:
            pending.pop()()

    world.lease.hook = hook


def test_of_two_at_once_one_gets_it(world: World) -> None:
    meanwhile(world, lambda: world.take("monday"))
    refused(world, "another prune took the lease of alpha just now; nothing was deleted", at(0))


def test_of_two_who_take_it_over_one_gets_it(world: World) -> None:
    world.take("sunday")
    world.end("sunday")
    later = at(0) + HOUR
    meanwhile(world, lambda: world.take("monday", now=later))
    refused(world, "just now", later)


def test_the_same_step_twice_at_once_has_one_token(world: World) -> None:
    meanwhile(world, lambda: world.take("monday", "first"))
    assert world.take("monday", "second").token == "first"


def test_killed_at_any_call_and_run_again_the_owner_has_one_token() -> None:
    for number in range(1, 20):
        world = World()
        world.take("sunday")
        world.end("sunday")
        world.announce("aborted", at(0))
        kill = KillAt(number)
        world.watch(kill)
        try:
            world.take("monday", f"token {number}", at(0) + HOUR)
        except Crash:
            world.watch(nothing)
            taken = world.take("monday", "another", at(0) + HOUR)
            assert world.lease.current(ALPHA) == taken
        if not kill.dead:
            break
        assert (world.owner, world.under_way) == ("monday", frozenset())
    assert number == 13


# --- restores ------------------------------------------------------------------------------------------------


def stopped(world: World, *said: str) -> None:
    with pytest.raises(RestoreUnderWay) as stop:
        world.take("monday")
    for words in (*said, "nothing was deleted"):
        assert words in str(stop.value)
    assert world.lease.last(ALPHA) is None


def test_a_restore_that_runs_stops_the_prune_before_it_has_the_lease(world: World) -> None:
    world.announce("friday", None)
    stopped(world, "restore friday of alpha, under way since 2026-11-21T11:59:00Z, is not over", "`rwm restores alpha`")
    assert world.under_way == {"friday"}


def test_what_a_restore_announced_that_ended_without_its_last_step_is_taken_away(world: World) -> None:
    """Aborted, or out of time: the workflow ran no step that could have done it."""
    world.announce("aborted", at(-30))
    world.announce("out of time", at(-10))
    assert world.take("monday").execution == "monday"
    assert world.under_way == frozenset()


def test_of_two_restores_the_one_that_runs_stays_and_stops_the_prune(world: World) -> None:
    world.announce("aborted", at(-30))
    world.announce("friday", None)
    stopped(world, "restore friday")
    assert world.under_way == {"friday"}


def test_a_restore_that_step_functions_does_not_know_stays_and_stops_the_prune(world: World) -> None:
    world.announce("planted", None)
    del world.restores.ends["planted"]
    stopped(
        world,
        "restore planted of alpha",
        "is none that Step Functions knows, so it may run",
        "let an administrator delete the item restoring#alpha, planted of the operations table",
    )
    assert world.under_way == {"planted"}


def test_a_restore_that_cannot_be_asked_about_stays_and_stops_the_prune(world: World) -> None:
    world.announce("friday", at(-30))

    def silent(call: Call) -> None:
        raise NotAnswered("Step Functions did not say (AccessDeniedException)")

    world.restores.hook = silent
    stopped(world, "restore friday of alpha", "may run: Step Functions did not say (AccessDeniedException)")
    assert world.under_way == {"friday"}


def test_a_restore_is_asked_about_in_its_own_workflow(world: World) -> None:
    """A prune of the same name has ended; the restore has not."""
    world.announce("friday", None)
    world.end("friday")
    stopped(world, "restore friday")


def test_what_was_announced_anew_meanwhile_stays(world: World) -> None:
    world.announce("friday", at(-30))
    anew = Restoring("friday", StateId("2" * 64), at(-1))

    def exchange(call: Call) -> None:
        if (call.operation, call.moment) == ("ForgetRestore", Moment.BEFORE):
            world.holds.restores[ALPHA, "friday"] = anew

    world.holds.hook = exchange
    world.take("monday")
    assert world.holds.under_way(ALPHA) == (anew,)


def test_a_restore_of_another_repository_is_not_in_the_way(world: World) -> None:
    world.announce("friday", None, RepositoryName("beta"))
    world.take("monday")
    assert world.holds.of(RepositoryName("beta")).restores == {"friday"}


def test_the_step_tried_again_keeps_the_lease_that_it_has_though_a_restore_began(world: World) -> None:
    """Else nobody would release it: whoever deletes looks at restores before each call."""
    first = world.take("monday")
    world.announce("friday", None)
    assert world.take("monday", "another") == first


# --- the function --------------------------------------------------------------------------------------------


@pytest.fixture
def function(world: World) -> LeaseFunction:
    tokens = iter(["one", "two", "three"])
    return LeaseFunction(CONFIGURATION, world.ports, lambda: at(0), lambda: next(tokens))


def asked(action: str = "take", **changes: str) -> dict[str, str]:
    return {"repository": "alpha", "execution": "monday", "action": action, **changes}


def test_the_function_takes_and_releases(function: LeaseFunction) -> None:
    assert function.on_request(asked()) == {"token": "one"}
    assert function.on_request(asked()) == {"token": "one"}
    assert function.on_request(asked("release", execution="tuesday")) == {"released": False}
    assert function.on_request(asked("release")) == {"released": True}
    assert function.on_request(asked("release")) == {"released": True}
    assert function.on_request(asked(execution="tuesday")) == {"token": "three"}


@pytest.mark.parametrize("wrong", [{"action": "steal"}, {"execution": ""}, {"repository": "gamma"}, {"more": "x"}])
def test_the_function_refuses_what_it_does_not_understand(
    function: LeaseFunction, world: World, wrong: dict[str, str]
) -> None:
    with pytest.raises(PruneRefused, match="nothing was deleted"):
        function.on_request({**asked(), **wrong})
    assert world.owner is None


def test_the_port_tells_who_took_it_meanwhile(world: World) -> None:
    world.take("monday")
    with pytest.raises(LeaseTaken):
        world.lease.take(ALPHA, Lease("token", "tuesday", at(0)), None)


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[DynamoLeaseReader]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("RWM_LEDGER", "RWM_RECORDS", "RWM_ALERTS"):
        monkeypatch.setenv(name, "not asked")
    monkeypatch.setenv("RWM_OPERATIONS", "operations")
    for name, workflow in (("PRUNE", "prune"), ("RESTORE", "restore"), ("DIRECTORY", "restore-to-directory")):
        machine = f"arn:aws:states:us-east-1:123456789012:stateMachine:rwm-{workflow}"
        monkeypatch.setenv(f"RWM_{name}_WORKFLOW", machine)
    monkeypatch.setattr(step, "read_bundled", lambda: CONFIGURATION)
    with mock_aws():
        client = boto3.client("dynamodb")
        create_table(client, "operations")
        step._function.cache_clear()
        yield DynamoLeaseReader(client, "operations")
        step._function.cache_clear()


def test_the_handler_is_wired_to_the_deployed_table(deployed: DynamoLeaseReader) -> None:
    lambda_handler: Any = step.handler
    token = lambda_handler(asked(), _context())["token"]
    lease = deployed.current(ALPHA)
    assert lease is not None
    assert (lease.token, lease.execution, len(token)) == (token, "monday", 32)
    # It is another's, of whom Step Functions knows nothing, and it is young.
    with pytest.raises(LeaseHeld, match="functions that it called may run until"):
        lambda_handler(asked(execution="tuesday"), _context())
    assert lambda_handler(asked("release"), _context()) == {"released": True}
    assert deployed.current(ALPHA) is None
    # And a restore of whom it knows nothing, too.
    item = {"pk": {"S": "restoring#alpha"}, "sk": {"S": "friday"}, "format": {"N": "1"}, "state": {"S": "1" * 64}}
    boto3.client("dynamodb").put_item(TableName="operations", Item={**item, "at": {"S": "2026-11-21T12:00:00Z"}})
    with pytest.raises(RestoreUnderWay, match="restore friday of alpha, under way since 2026-11-21T12:00:00Z, is none"):
        lambda_handler(asked(execution="tuesday"), _context())
    assert DynamoHolds(boto3.client("dynamodb"), "operations").of(ALPHA).restores == {"friday"}


def test_each_announced_restore_is_asked_of_the_workflow_that_its_name_tells() -> None:
    """A name that the other workflow has too says nothing of this one: there it may be over."""
    others, to_directory = FakeExecutions(), FakeExecutions()
    status = RestoresStatus(others, to_directory)
    download = "to-directory-alpha-1"
    others.ends, to_directory.ends = {"alpha-1": None, download: at(1)}, {"alpha-1": at(1), download: None}
    assert (status.ended("alpha-1"), status.ended(download)) == (None, None)
    others.ends, to_directory.ends = {download: at(1)}, {"alpha-1": at(1)}
    for name in ("alpha-1", download):
        with pytest.raises(UnknownExecution):
            status.ended(name)


def test_a_download_that_goes_on_stops_a_prune_and_one_that_ended_is_forgotten(world: World) -> None:
    """Through the step's own decision, with both workflows behind it."""
    others, to_directory = FakeExecutions(), FakeExecutions()
    ports = replace(world.ports, restores=RestoresStatus(others, to_directory))
    download = "to-directory-alpha-1"
    world.announce(download, None)
    others.ends, to_directory.ends = {download: at(1)}, {download: None}
    with pytest.raises(RestoreUnderWay, match="is not over"):
        take_lease(ALPHA, "monday", "token", ports, at(2))
    to_directory.ends = {}
    with pytest.raises(RestoreUnderWay, match="none that Step Functions knows, so it may run"):
        take_lease(ALPHA, "monday", "token", ports, at(2))
    to_directory.ends = {download: at(1)}
    assert take_lease(ALPHA, "monday", "token", ports, at(2)).execution == "monday"


WORKFLOWS = ("RWM_PRUNE_WORKFLOW", "RWM_RESTORE_WORKFLOW", "RWM_DIRECTORY_WORKFLOW")


@pytest.mark.parametrize("missing", WORKFLOWS)
def test_without_a_workflows_arn_the_function_stops_by_name(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in ("RWM_LEDGER", "RWM_RECORDS", "RWM_ALERTS", "RWM_OPERATIONS"):
        monkeypatch.setenv(name, "a name")
    for name in {*WORKFLOWS} - {missing}:
        monkeypatch.setenv(name, "arn:aws:states:us-east-1:123456789012:stateMachine:a-workflow")
    monkeypatch.delenv(missing, raising=False)
    with pytest.raises(ValueError, match=missing):
        LeaseEnvironment.read()


def _context() -> Any:
    class Context:
        function_name = "rwm-lease-prune"
        memory_limit_in_mb = 256
        invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:rwm-lease-prune"
        aws_request_id = "request"

    return Context()


def test_no_prune_can_have_the_name_under_which_record_judges() -> None:
    """Its verdicts would pass for those of the prune's own check."""
    with pytest.raises(PruneRefused, match=r"execution: .*cannot have this name"):
        PruneRequest.read({"repository": "beta", "execution": "record"})
