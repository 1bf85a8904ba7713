"""The function around the check of posture: who may be asked for, what is kept in the table, what is told."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.check.posture import PostureFunction, PosturePorts, UnknownRepository
from functions.domain.posture.facts import LifecycleRule
from functions.domain.posture.news import LastPosture, mark
from functions.domain.repositories import Repository
from functions.domain.values import RepositoryName
from functions.storage.drills import DynamoDrillReports
from functions.storage.ledger import DynamoLedgerReader
from functions.storage.operations import DynamoCheckFindingLog, DynamoPostureHistory, DynamoPostureLog
from tests.check.world import World
from tests.domain.posture.buckets import ACCOUNT
from tests.tables import create_table

ARN = f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:rwm-check-posture"
ALPHA = RepositoryName("alpha")
REQUEST = {"repository": "alpha", "reason": "schedule"}
TWO_RULES = (LifecycleRule(id="one", expire_days=1), LifecycleRule(id="two", expire_days=1))


class Function:
    """The function over a world of fakes, with real tables of moto."""

    def __init__(self) -> None:
        self.world = World()
        self.dynamodb = boto3.client("dynamodb", region_name="us-east-1")
        for name in ("ledger", "operations"):
            create_table(self.dynamodb, name)
        self.wired = PostureFunction(self.world.where.configuration, self.ports)

    def ports(self, repository: Repository) -> PosturePorts:
        return PosturePorts(
            bucket=self.world,
            simulator=self.world,
            analyzer=self.world,
            history=DynamoPostureHistory(self.dynamodb, "operations"),
            ledger=DynamoLedgerReader(self.dynamodb, "ledger"),
            findings=DynamoCheckFindingLog(self.dynamodb, "operations"),
            log=DynamoPostureLog(self.dynamodb, "operations"),
            notifier=self.world.notifier,
            drills=DynamoDrillReports(self.dynamodb, "operations"),
            attached=self.world.attached,
        )

    def last(self) -> LastPosture | None:
        return DynamoPostureHistory(self.dynamodb, "operations").last(ALPHA)

    def ask(self) -> dict[str, Any]:
        return self.wired.on_request(REQUEST, ARN)

    def items(self, prefix: str) -> list[dict[str, Any]]:
        found = self.dynamodb.scan(TableName="operations")["Items"]
        return [item for item in found if item["sk"]["S"].startswith(prefix)]


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Iterator[Function]:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield Function()


def test_a_good_repository_passes_and_its_posture_is_kept(function: Function) -> None:
    assert function.ask() == {"outcome": "pass", "level": "posture", "findings": [], "unread": {}}
    (kept,) = function.items("posture#")
    assert (kept["pk"]["S"], kept["sk"]["S"]) == ("alpha", "posture#2026-11-21T12:00:00Z#0000")
    assert kept["outcome"]["S"] == "pass"
    assert function.last() == LastPosture(function.world.now.digests, frozenset())


def test_a_finding_is_told_and_kept_as_record_keeps_its_own(function: Function) -> None:
    function.world.change(lifecycle=TWO_RULES[:1])
    answer = function.ask()
    told = answer["findings"][0]
    assert (answer["outcome"], told["id"], told["severity"]) == ("fail", "lifecycle-expires", "FAIL")
    assert told["since"] == "2026-11-22T12:00:00Z"
    (item,) = function.items("finding#lifecycle-expires#0000000000#")
    expected = {name: {"S": told[name]} for name in ("severity", "what", "remedy", "since")}
    assert item == expected | {
        "pk": {"S": "alpha"},
        "sk": item["sk"],
        "format": {"N": "1"},
        "finding": {"S": "lifecycle-expires"},
    }


def test_the_same_finding_is_kept_once_and_two_of_one_id_are_two(function: Function) -> None:
    function.world.change(lifecycle=TWO_RULES)
    function.ask()
    function.world.change()
    function.ask()
    items = function.items("finding#lifecycle-expires#")
    assert len(items) == 2
    assert {item["since"]["S"] for item in items} == {"2026-11-22T12:00:00Z"}, "since when it was first found"
    assert len(function.items("posture#")) == 2


def test_drift_is_told_against_the_posture_in_the_table(function: Function) -> None:
    function.ask()
    function.world.change(lifecycle=())
    assert [each["id"] for each in function.ask()["findings"]] == ["drift", "uploads-not-aborted"]
    function.world.change()
    assert [each["id"] for each in function.ask()["findings"]] == ["uploads-not-aborted"]


def test_the_table_remembers_which_findings_were_told(function: Function) -> None:
    assert function.last() is None
    function.world.change(lifecycle=TWO_RULES)
    told = function.world.check().findings
    function.ask()
    last = function.last()
    assert last is not None
    assert len(last.findings) == 3
    assert last.findings == {mark(finding) for finding in told if finding.id != "drift"}


def test_of_two_postures_in_one_second_the_later_counts(function: Function) -> None:
    function.ask()
    function.world.now = replace(function.world.now, lifecycle=())
    assert "drift" in {each["id"] for each in function.ask()["findings"]}
    assert "drift" not in {each["id"] for each in function.ask()["findings"]}
    assert len(function.items("posture#2026-11-21T12:00:00Z#")) == 3


def test_the_account_of_the_policys_principals_is_that_of_the_function(function: Function) -> None:
    elsewhere = function.wired.on_request(REQUEST, ARN.replace(ACCOUNT, "999999999999"))
    assert elsewhere["outcome"] == "fail"
    assert "bucket-policy-weaker-than-ours" in {each["id"] for each in elsewhere["findings"]}


def test_an_unknown_repository_is_an_error(function: Function) -> None:
    with pytest.raises(UnknownRepository, match="no repository 'gamma' is deployed; nothing was checked"):
        function.wired.on_request({**REQUEST, "repository": "gamma"}, ARN)


@pytest.mark.parametrize("request_", [{}, {"repository": "alpha"}, {**REQUEST, "reason": "whim"}, {**REQUEST, "x": 1}])
def test_a_request_that_is_none_is_an_error(function: Function, request_: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        function.wired.on_request(request_, ARN)
    assert function.items("") == []


def test_findings_are_metrics_of_their_repository(function: Function, capsys: pytest.CaptureFixture[str]) -> None:
    function.world.change(lifecycle=TWO_RULES)
    function.ask()
    (metric,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    counts = [metric[f"Posture{kind}s"] for kind in ("Fail", "Hold", "Note")]
    assert (metric["repository"], counts) == ("alpha", [[2.0], [0.0], [1.0]])


def test_a_posture_of_another_format_is_not_compared_with(function: Function) -> None:
    function.dynamodb.put_item(
        TableName="operations",
        Item={"pk": {"S": "alpha"}, "sk": {"S": "posture#2026-11-20T12:00:00Z#0000"}, "format": {"N": "2"}},
    )
    with pytest.raises(Exception, match=r"format .* nothing was judged"):
        function.ask()
