"""The ARNs of everything that a permission names, built from names alone.

No resource of one stack refers to a resource of the other, so that the stateless one can be deleted and
deployed again, and no export ties the stateful one down.
"""

from dataclasses import dataclass

import aws_cdk as cdk

from functions.domain.bucket_policy import Surroundings
from functions.domain.names import Names
from functions.domain.repositories import Configuration, Repository


@dataclass(frozen=True, slots=True)
class Arns:
    """ARNs of one deployment. Account, region and partition may be CloudFormation's pseudo parameters."""

    partition: str
    region: str
    account: str
    configuration: Configuration

    @classmethod
    def of(cls, stack: cdk.Stack, configuration: Configuration) -> "Arns":
        return cls(stack.partition, stack.region, stack.account, configuration)

    @property
    def names(self) -> Names:
        return self.configuration.names

    @property
    def surroundings(self) -> Surroundings:
        return Surroundings(self.partition, self.account, self.configuration)

    def bucket(self, name: str) -> str:
        return f"arn:{self.partition}:s3:::{name}"

    def objects(self, repository: Repository, beneath: str = "") -> str:
        """Every object of a repository, or those whose relative key begins with `beneath`."""
        return f"{self.bucket(repository.bucket)}/{repository.key_prefix}{beneath}*"

    @property
    def records_name(self) -> str:
        return self.names.records_bucket(self.account, self.region)

    def records(self, beneath: str) -> str:
        """Objects of the records bucket."""
        return f"{self.bucket(self.records_name)}/{beneath}"

    @property
    def drills_name(self) -> str:
        return self.names.drill_bucket(self.account, self.region)

    @property
    def restore_targets(self) -> list[str]:
        """Where copies may be written: those of people, and those of drills."""
        return [self.bucket(target) for target in (*self.configuration.restore_targets, self.drills_name)]

    @property
    def ledger(self) -> str:
        return self._regional("dynamodb", f"table/{self.names.ledger}")

    @property
    def operations(self) -> str:
        return self._regional("dynamodb", f"table/{self.names.operations}")

    def queue(self, repository: Repository) -> str:
        return self._regional("sqs", self.names.queue(repository.name))

    def function(self, step: str) -> str:
        return self._regional("lambda", f"function:{self.names.function(step)}")

    def log_group(self, name: str) -> str:
        return self._regional("logs", f"log-group:{name}")

    def state_machine(self, workflow: str) -> str:
        return self._regional("states", f"stateMachine:{workflow}")

    def executions(self, workflow: str) -> str:
        """Executions that somebody started."""
        return self._regional("states", f"execution:{workflow}:*")

    def map_children(self, workflow: str) -> str:
        """Executions that a Distributed Map started: `<workflow>/<map label>:<id>`."""
        return self._regional("states", f"execution:{workflow}/*")

    def map_runs(self, workflow: str) -> str:
        return self._regional("states", f"mapRun:{workflow}/*")

    @property
    def end_of_executions(self) -> str:
        """The managed rule by which Step Functions learns that an execution, which another one started, has ended."""
        return self._regional("events", "rule/StepFunctionsGetEventsForStepFunctionsExecutionRule")

    @property
    def alerts(self) -> str:
        return self._regional("sns", self.names.alerts)

    @property
    def alarms(self) -> list[str]:
        """Those of the stateless stacks: CloudFormation begins their names with its own."""
        return [
            self._regional("cloudwatch", f"alarm:{stack}-*")
            for stack in (self.names.flows_stack, self.names.watch_stack)
        ]

    @property
    def schedule_group(self) -> str:
        return self._regional("scheduler", f"schedule-group/{self.names.schedule_group}")

    @property
    def watch_schedule_group(self) -> str:
        return self._regional("scheduler", f"schedule-group/{self.names.watch_schedule_group}")

    @property
    def dead_letters(self) -> str:
        return self._regional("sqs", self.names.dead_letters)

    @property
    def repository_parameters(self) -> str:
        return self._regional("ssm", f"parameter{self.names.repository_parameters}")

    def _regional(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"
