"""The stateless stack: all that runs. It can be deleted and deployed again without touching data."""

from typing import Any

import aws_cdk as cdk
from constructs import Construct

from functions.domain.repositories import Configuration
from infra import functions
from infra.arns import Arns
from infra.catalog import Catalog
from infra.check import Check
from infra.drill import Drill
from infra.locks import Locks
from infra.people import People
from infra.prune import Prune
from infra.record import Recording
from infra.restore import Restore


class FlowsStack(cdk.Stack):
    """Recording, checking, lock upkeep, restoring, drills, who may start what, and what the `rwm` command learns."""

    def __init__(self, scope: Construct, configuration: Configuration, **stack: Any) -> None:
        super().__init__(
            scope,
            configuration.names.flows_stack,
            description="RWM: queues, functions, workflows and schedules; holds no data",
            **stack,
        )
        arns = Arns.of(self, configuration)
        code = functions.code(configuration)
        recording = Recording(self, "Recording", arns=arns, code=code)
        check = Check(self, "Check", arns=arns, code=code, record=recording.record, schedules=recording.schedules)
        Prune(self, "Prune", arns=arns, code=code, check=check.workflow, schedules=recording.schedules)
        Locks(self, "Locks", arns=arns, code=code, schedules=recording.schedules)
        restore = Restore(self, "Restore", arns=arns, code=code, record=recording.record)
        Drill(
            self,
            "Drill",
            arns=arns,
            code=code,
            restore=restore.workflow,
            check=check.workflow,
            schedules=recording.schedules,
        )
        People(self, "People", arns=arns)
        Catalog(self, "Catalog", arns=arns)
