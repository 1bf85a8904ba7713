"""One dashboard of CloudWatch: a row for each question that an operator has, and what to read when the answer is no.

The lines of all repositories are found by a search, so that the template does not grow with them. What a search names
is what a function writes: tests/infra/test_dashboard.py compares them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.arns import Arns

_ROW = 6
"""Height of a row; a dashboard is 24 wide."""
_SIX_HOURS = 21_600
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Lines:
    """A metric of RWM, a line for each of what its dimensions tell apart."""

    metric: str
    service: str
    """The step that writes it."""
    dimensions: tuple[str, ...]
    """Beside the service."""
    statistic: str
    period: int = _SIX_HOURS
    """Seconds."""

    @property
    def search(self) -> str:
        schema = ",".join(["RWM", "service", *self.dimensions])
        return (
            f'SEARCH(\'{{{schema}}} MetricName="{self.metric}" service="{self.service}"\', '
            f"'{self.statistic}', {self.period})"
        )


@dataclass(frozen=True, slots=True)
class Question:
    """One row."""

    asks: str
    read: str
    """What to read in docs/, and which command tells more."""
    charts: tuple[tuple[str, tuple[Lines, ...]], ...]


BY_REPOSITORY = ("repository",)
QUESTIONS = (
    Question(
        "Are backups coming?",
        "`rwm repositories`, `rwm timeline REPO`; docs/connecting-a-host.md",
        (
            (
                "Age of the newest snapshot, in seconds",
                (Lines("NewestBackupAge", "watch", BY_REPOSITORY, "Maximum", 3_600),),
            ),
            (
                "Age of the newest state, in seconds",
                (Lines("NewestStateAge", "watch", BY_REPOSITORY, "Maximum", 3_600),),
            ),
            ("Bytes of the newest state", (Lines("Bytes", "record", BY_REPOSITORY, "Maximum"),)),
        ),
    ),
    Question(
        "Is anything wrong?",
        "`rwm check REPO`, `rwm dead-letters`; docs/findings.md, docs/messages.md, docs/worst-day.md",
        (
            (
                "What the watch holds open, by severity",
                (Lines("OpenConditions", "watch", ("repository", "severity"), "Maximum", 3_600),),
            ),
            ("Events that nobody could answer", (Lines("DeadLetters", "watch", (), "Maximum", 3_600),)),
            ("Versions without a lock", (Lines("LocksMissing", "extend-retention", BY_REPOSITORY, "Maximum"),)),
        ),
    ),
    Question(
        "Are prunes and drills well?",
        "`rwm prunes REPO`, `rwm drill REPO --list`; docs/pruning.md, docs/restoring.md",
        (
            ("Reclaimed bytes", (Lines("ReclaimedBytes", "verify-prune", BY_REPOSITORY, "Sum", _DAY),)),
            (
                "Prunes: kept states that are not whole, and what was not carried out",
                (
                    Lines("HarmedStates", "verify-prune", BY_REPOSITORY, "Maximum", _DAY),
                    Lines("PrunesIncomplete", "verify-prune", BY_REPOSITORY, "Sum", _DAY),
                    Lines("PrunesRefused", "plan-prune", (), "Sum", _DAY),
                ),
            ),
            (
                "Drills: seconds that they took, and those that failed",
                (
                    Lines("DrillSeconds", "conclude-drill", BY_REPOSITORY, "Maximum", _DAY),
                    Lines("DrillFailed", "conclude-drill", BY_REPOSITORY, "Maximum", _DAY),
                ),
            ),
        ),
    ),
)


class Dashboard(Construct):
    """`rwm`."""

    def __init__(self, scope: Construct, construct_id: str, *, arns: Arns) -> None:
        super().__init__(scope, construct_id)
        cloudwatch.CfnDashboard(
            self,
            "Dashboard",
            dashboard_name=arns.names.prefix,
            dashboard_body=json.dumps({"start": "-P14D", "widgets": list(widgets(arns))}),
        )


def widgets(arns: Arns) -> Iterator[Mapping[str, Any]]:
    """Row by row: what is asked, then its charts."""
    row = 0
    for question in QUESTIONS:
        yield _words(row, question.asks, question.read)
        yield from _charts(
            row + 2, [(title, [each.search for each in lines]) for title, lines in question.charts], arns
        )
        row += 2 + _ROW
    yield _words(row, "What do the functions cost?", "`rwm cost REPO`; docs/cost.md")
    yield _charts_of_functions(row + 2, arns)


def _charts_of_functions(row: int, arns: Arns) -> Mapping[str, Any]:
    """AWS's own metrics: milliseconds and errors of each function of this deployment."""
    # Without quotation marks, so that it is part of the name.
    ours = f"{{AWS/Lambda,FunctionName}} FunctionName={arns.names.prefix}"
    return _chart(
        {"x": 0, "y": row, "width": 24, "height": _ROW},
        "Milliseconds that functions ran, and errors, in a day",
        [f"SEARCH('{ours} MetricName=\"{metric}\"', 'Sum', {_DAY})" for metric in ("Duration", "Errors")],
        arns,
    )


def _charts(row: int, charts: Sequence[tuple[str, Sequence[str]]], arns: Arns) -> Iterator[Mapping[str, Any]]:
    width = 24 // len(charts)
    for place, (title, searches) in enumerate(charts):
        yield _chart({"x": place * width, "y": row, "width": width, "height": _ROW}, title, searches, arns)


def _chart(where: Mapping[str, int], title: str, searches: Sequence[str], arns: Arns) -> Mapping[str, Any]:
    metrics = [[{"expression": search, "id": f"e{place}"}] for place, search in enumerate(searches, 1)]
    properties = {
        "title": title,
        "metrics": metrics,
        "region": arns.region,
        "view": "timeSeries",
        "yAxis": {"left": {"min": 0}},
    }
    return {"type": "metric", **where, "properties": properties}


def _words(row: int, asks: str, read: str) -> Mapping[str, Any]:
    where = {"x": 0, "y": row, "width": 24, "height": 2}
    return {"type": "text", **where, "properties": {"markdown": f"## {asks}\n{read}"}}
