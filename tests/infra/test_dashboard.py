"""The dashboard asks for metrics that functions write, under exactly the dimensions under which they write them."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from functions.configuration import read_toml
from functions.domain.cost import ALARMS
from functions.domain.locks.report import LockReport
from functions.domain.prune.validity import PruneRefused
from functions.locks import extend_retention
from functions.prune import plan as plan_prune
from functions.prune import verify as verify_prune
from infra.dashboard import QUESTIONS, Lines
from infra.deployment import compose
from infra.permissions_page import EXAMPLE
from tests.infra.templates import Assembly
from tests.page.world import known

ROOT = Path(__file__).parents[2]
LINES = [lines for question in QUESTIONS for _, group in question.charts for lines in group]
SERVICE = re.compile(r'Metrics\(namespace="RWM", service="([a-z-]+)"\)')


def sources() -> Mapping[str, str]:
    """The module of each step that writes metrics, by the step."""
    found = {}
    for path in (ROOT / "functions").rglob("*.py"):
        text = path.read_text()
        if named := SERVICE.search(text):
            found[named[1]] = text
    return found


@pytest.mark.parametrize("lines", LINES, ids=lambda lines: f"{lines.service}-{lines.metric}")
def test_each_metric_is_named_by_the_step_that_is_said_to_write_it_with_its_dimensions(lines: Lines) -> None:
    source = sources()[lines.service]
    assert f'"{lines.metric}"' in source
    for dimension in lines.dimensions:
        assert f'"{dimension}"' in source


def written(output: str) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """(metric, its dimensions, the service) of what was printed in CloudWatch's embedded format."""
    for line in output.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        for told in found.get("_aws", {}).get("CloudWatchMetrics", ()) if isinstance(found, dict) else ():
            assert told["Namespace"] == "RWM"
            for metric in told["Metrics"]:
                for dimensions in told["Dimensions"]:
                    yield metric["Name"], tuple(sorted(dimensions)), found["service"]


def asked(service: str) -> set[tuple[str, tuple[str, ...], str]]:
    return {
        (each.metric, tuple(sorted(("service", *each.dimensions))), service)
        for each in LINES
        if each.service == service
    }


def test_what_verify_prune_really_writes_is_what_is_asked_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    report = known(60).prunes[0].model_copy(update={"unfinished": 1})
    verify_prune._measure(report)
    verify_prune.metrics.flush_metrics()
    assert asked("verify-prune") <= set(written(capsys.readouterr().out))


def test_what_plan_prune_really_writes_is_what_is_asked_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> None:
        raise PruneRefused("nothing was planned")

    class Refusing:
        def on_request(self, _: Any) -> None:
            refuse()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_prune, "_function", Refusing)
        with pytest.raises(PruneRefused):
            plan_prune.handler({}, _context())
    assert asked("plan-prune") <= set(written(capsys.readouterr().out))


def test_what_lock_upkeep_really_writes_is_what_is_asked_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    report = known(60).locks
    assert isinstance(report, LockReport)
    extend_retention._tell(report, {})
    assert asked("extend-retention") <= set(written(capsys.readouterr().out))


def _context() -> Any:
    class Context:
        function_name = "plan-prune"
        memory_limit_in_mb = 1
        invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:rwm-plan-prune"
        aws_request_id = "1"

    return Context()


@pytest.fixture
def body(shipped: Assembly) -> Any:
    (dashboard,) = shipped.watch.of_type("AWS::CloudWatch::Dashboard").values()
    assert dashboard["DashboardName"] == "rwm"
    return json.loads(dashboard["DashboardBody"])


def test_each_question_has_a_row_with_what_to_read(body: Any) -> None:
    words = [each["properties"]["markdown"] for each in body["widgets"] if each["type"] == "text"]
    assert [each.splitlines()[0] for each in words] == [
        "## Are backups coming?",
        "## Is anything wrong?",
        "## Are prunes and drills well?",
        "## What do the functions cost?",
    ]
    named = {page for each in words for page in re.findall(r"docs/[a-z-]+\.md", each)}
    assert [page for page in sorted(named) if not (ROOT / page).exists()] == []


def test_widgets_lie_side_by_side_and_none_on_another(body: Any) -> None:
    taken: set[tuple[int, int]] = set()
    for each in body["widgets"]:
        cells = {
            (x, y)
            for x in range(each["x"], each["x"] + each["width"])
            for y in range(each["y"], each["y"] + each["height"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_its_searches_name_the_schema_and_its_region(body: Any) -> None:
    charts = [each["properties"] for each in body["widgets"] if each["type"] == "metric"]
    searches = [metric[0]["expression"] for each in charts for metric in each["metrics"]]
    assert {each["region"] for each in charts} == {"eu-central-1"}
    assert len(searches) == len(LINES) + 2
    assert searches[0] == (
        "SEARCH('{RWM,service,repository} MetricName=\"NewestBackupAge\" service=\"watch\"', 'Maximum', 3600)"
    )
    for each in charts:
        ids = [metric[0]["id"] for metric in each["metrics"]]
        assert len(set(ids)) == len(ids)


def test_a_dashboard_of_the_largest_deployment_is_no_larger(body: Any) -> None:
    """CloudWatch takes 500 widgets, and searches grow by themselves."""
    assert len(body["widgets"]) < 20
    assert len(json.dumps(body)) < 10_000


def test_the_estimate_of_costs_counts_about_the_alarms_that_there_are(shipped: Assembly) -> None:
    alarms = len(list(shipped.of_type("AWS::CloudWatch::Alarm")))
    assert alarms <= ALARMS <= alarms + 10


def test_without_a_report_schedule_no_page_is_published(shipped: Assembly, tmp_path: Path) -> None:
    def publishing(assembly: Assembly) -> list[str]:
        functions = [each["FunctionName"] for _, each in assembly.of_type("AWS::Lambda::Function")]
        schedules = [each["Name"] for _, each in assembly.of_type("AWS::Scheduler::Schedule")]
        return [name for name in (*functions, *schedules) if "publish-pages" in name]

    assert publishing(shipped) == ["rwm-publish-pages", "_publish-pages"]
    configuration = read_toml(EXAMPLE).model_copy(update={"report_schedule": None})
    compose(configuration, context={"aws:cdk:bundling-stacks": []}, outdir=str(tmp_path)).synth()
    assert publishing(Assembly.read(tmp_path)) == []
