"""The stateful stack: whatever must outlast every deployment of code. Protected against termination."""

from typing import Any

import aws_cdk as cdk
from constructs import Construct

from functions.domain.repositories import Configuration
from infra import identities
from infra.alerts import Alerts
from infra.arns import Arns
from infra.drill_bucket import DrillBucket
from infra.protected_bucket import ProtectedBucket
from infra.records import Records
from infra.tables import Tables


class DataStack(cdk.Stack):
    """Protected buckets, those of records and drills, the tables, the topic of alerts, the identities of hosts."""

    def __init__(self, scope: Construct, configuration: Configuration, **stack: Any) -> None:
        names = configuration.names
        super().__init__(
            scope,
            names.data_stack,
            termination_protection=True,
            description="RWM: protected buckets, ledger, records, alerts, identities of hosts; outlives all code",
            **stack,
        )
        arns = Arns.of(self, configuration)
        Tables(self, "Tables", names=names)
        Alerts(self, "Alerts", arns=arns)
        Records(self, "Records", arns=arns)
        DrillBucket(self, "Drills", arns=arns)
        for bucket, repositories in configuration.buckets.items():
            if not repositories[0].adopt:
                ProtectedBucket(self, f"Bucket-{bucket}", repositories=repositories, where=arns.surroundings)
        for repository in configuration.repositories:
            identities.host(self, repository, arns)
            if repository.maintenance:
                identities.maintenance(self, repository, arns)
            identities.quarantine(self, repository, arns)
