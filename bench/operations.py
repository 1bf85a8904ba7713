"""The operations table of a repository of the bench, in memory: clean verdicts, a lease, and nothing held."""

import time
from collections.abc import Iterable

from functions.domain.prune.lease import Lease
from functions.domain.state import StateHeader
from functions.domain.verdict import CheckLevel, conclude
from tests.fakes.faults import Call, Moment
from tests.fakes.holds import FakeHolds, FakeLease
from tests.fakes.ledger import FakeLedger
from tests.fakes.operations import FakeVerdicts
from tests.fakes.plans import FakeApprovals, FakePlanShelf

EXECUTION = "bench"
TOKEN = "of the bench"


class Operations:
    """What the steps of a prune read and write there."""

    def __init__(self, newest_first: Iterable[StateHeader], read_seconds: float = 0.0) -> None:
        """`newest_first`: the states, found clean, the newest one by this very prune. `read_seconds`: what each call
        takes."""
        self.verdicts = FakeVerdicts()
        self.holds = FakeHolds(FakeLedger())
        self.lease = FakeLease()
        self.shelf = FakePlanShelf()
        self.approvals = FakeApprovals()
        by = EXECUTION
        for header in newest_first:
            at = header.recorded_at
            self.verdicts.append(conclude(header, CheckLevel.CONSISTENT, (), (), judged_at=at, by=by))
            self.lease.leases.setdefault(header.repository, Lease(TOKEN, EXECUTION, at))
            by = "record"

        def wait(call: Call) -> None:
            if call.moment is Moment.BEFORE:
                time.sleep(read_seconds)

        if read_seconds:
            for table in (self.verdicts, self.holds, self.lease, self.shelf, self.approvals):
                table.hook = wait
