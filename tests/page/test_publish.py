"""Pages are written for every repository that can be read, and nothing else is touched."""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from pydantic import ValidationError

from functions.domain.documents import UnreadableDocument
from functions.domain.locks.report import LockReport
from functions.domain.page.gather import PagePorts
from functions.domain.prune.report import PruneReport
from functions.domain.repositories import Configuration
from functions.domain.restore.drill import DrillReport
from functions.domain.values import RepositoryName
from functions.page.publish import ALL, PagesIncomplete, PublishFunction, publish
from tests.builders import NOON, pack, version
from tests.fakes.ledger import FakeLedger
from tests.fakes.plans import FakeApprovals, FakePlanShelf
from tests.strands import write

CONFIGURATION = Configuration.model_validate(
    {"repositories": [{"name": "alpha", "bucket": "alpha-bucket"}, {"name": "beta", "bucket": "beta-bucket"}]}
)


@dataclass
class FakeWriter:
    written: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, html: str) -> None:
        self.written[name] = html


@dataclass
class Nothing:
    """Readers of what has not happened yet; `broken`: of this repository an item cannot be read."""

    broken: str = ""

    def _known(self, repository: RepositoryName) -> None:
        if repository == self.broken:
            raise UnreadableDocument("a stored report is malformed")

    def verdicts(self, repository: RepositoryName) -> tuple[()]:
        return ()

    def held(self, repository: RepositoryName) -> tuple[()]:
        return ()

    def reports(self, repository: RepositoryName) -> tuple[PruneReport, ...]:
        self._known(repository)
        return ()

    def newest(self, repository: RepositoryName) -> LockReport | None:
        return None

    def last_restored(self, repository: RepositoryName) -> DrillReport | None:
        return None


def world(broken: str = "") -> tuple[PagePorts, FakeLedger]:
    ledger = FakeLedger()
    nothing = Nothing(broken)
    ports = PagePorts(
        ledger=ledger,
        verdicts=nothing,  # type: ignore[arg-type]
        holds=nothing,  # type: ignore[arg-type]
        plans=FakePlanShelf(),
        approvals=FakeApprovals(),
        prunes=nothing,
        locks=nothing,
        drills=nothing,  # type: ignore[arg-type]
    )
    for name in ("alpha", "beta"):
        write(ledger, [version("config"), version(pack(name), size=1 << 20)], repository=RepositoryName(name))
    return ports, ledger


def left(seconds: float = 900.0) -> float:
    return seconds


def test_each_repository_gets_its_page_and_all_get_one_together() -> None:
    ports, _ = world()
    writer = FakeWriter()
    done = publish(CONFIGURATION, ports, writer, NOON + timedelta(hours=1), left)
    assert (done.written, done.failed) == (("alpha", "beta"), {})
    assert set(writer.written) == {"alpha", "beta", ALL}
    assert "<h1" in writer.written["alpha"]
    assert "beta" not in writer.written["alpha"]
    assert all(name in writer.written[ALL] for name in ("alpha", "beta"))


def test_the_page_of_all_has_a_name_that_no_repository_can_take() -> None:
    with pytest.raises(ValidationError):
        Configuration.model_validate({"repositories": [{"name": ALL, "bucket": "a-bucket"}]})


def test_one_that_cannot_be_read_costs_the_others_nothing_and_the_function_fails() -> None:
    ports, _ = world(broken="alpha")
    writer = FakeWriter()
    function = PublishFunction(CONFIGURATION, ports, writer)
    with pytest.raises(PagesIncomplete, match="no page was written of alpha"):
        function.on_request({"reason": "schedule"}, NOON, left)
    assert set(writer.written) == {"beta", ALL}


def test_a_broken_chain_has_a_page_that_says_so() -> None:
    ports, ledger = world()
    ledger.stored_headers.pop((RepositoryName("alpha"), 1))
    writer = FakeWriter()
    publish(CONFIGURATION, ports, writer, NOON, left)
    assert "The ledger is damaged" in writer.written["alpha"]


def test_when_time_runs_short_what_each_state_needs_is_left_out_and_said() -> None:
    ports, ledger = world()
    read: list[int] = []
    chunk = ledger.chunk

    def counting(attempt: str, number: int) -> bytes | None:
        read.append(number)
        return chunk(attempt, number)  # type: ignore[arg-type]

    ledger.chunk = counting  # type: ignore[method-assign]
    writer = FakeWriter()
    publish(CONFIGURATION, ports, writer, NOON, lambda: 10.0)
    assert len(read) == 2, "the newest state of each, and no more"
    assert "What each needs alone is unknown" in writer.written["alpha"]


def test_a_request_that_nobody_defined_is_refused() -> None:
    ports, _ = world()
    with pytest.raises(ValidationError):
        PublishFunction(CONFIGURATION, ports, FakeWriter()).on_request({"reason": "host"}, NOON, left)
