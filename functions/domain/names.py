"""The names of everything RWM deploys, in one place.

They are chosen here instead of by CloudFormation so that a policy can name a role of another stack, an
operator can find a table without a look-up, and a name in a log says what it is.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one deployment, all of which start with its `prefix`."""

    prefix: str = "rwm"

    @property
    def data_stack(self) -> str:
        """Stateful: buckets, tables, identities. Protected against termination."""
        return f"{self.prefix}-data"

    @property
    def flows_stack(self) -> str:
        """Stateless: queues, functions, workflows, schedules. Can be deleted and deployed again."""
        return f"{self.prefix}-flows"

    @property
    def watch_stack(self) -> str:
        """Stateless: what watches the others, and tells people. It stands when the flows are gone."""
        return f"{self.prefix}-watch"

    @property
    def ledger(self) -> str:
        return f"{self.prefix}-ledger"

    @property
    def operations(self) -> str:
        return f"{self.prefix}-operations"

    def records_bucket(self, account: str, region: str) -> str:
        """Bucket names are global, so this one carries the account and the region."""
        return f"{self.prefix}-records-{account}-{region}"

    def drill_bucket(self, account: str, region: str) -> str:
        """Where drills restore to; empties itself."""
        return f"{self.prefix}-drill-{account}-{region}"

    def drill_bucket_beside(self, records_bucket: str) -> str:
        """The same, for who knows the records bucket's name only."""
        return f"{self.prefix}-drill-{records_bucket.removeprefix(f'{self.prefix}-records-')}"

    def queue(self, repository: str) -> str:
        return f"{self.prefix}-{repository}"

    @property
    def dead_letters(self) -> str:
        # No repository can take this name: names are validated against RESERVED.
        return f"{self.prefix}-dead-letters"

    def role(self, step: str) -> str:
        """The role of a step or a person, e.g. `record`, `copy-batch`, `operator`."""
        return f"{self.prefix}-{step}"

    def function(self, step: str) -> str:
        return f"{self.prefix}-{step}"

    @property
    def restore_workflow(self) -> str:
        return f"{self.prefix}-restore"

    @property
    def directory_workflow(self) -> str:
        """Of restores to a directory: a workflow of their own, since IAM tells workflows apart, and no inputs."""
        return f"{self.prefix}-restore-to-directory"

    @property
    def check_workflow(self) -> str:
        return f"{self.prefix}-check"

    @property
    def prune_workflow(self) -> str:
        return f"{self.prefix}-prune"

    @property
    def drill_workflow(self) -> str:
        return f"{self.prefix}-drill"

    @property
    def ranges_workflow(self) -> str:
        return f"{self.prefix}-record-ranges"

    @property
    def alerts(self) -> str:
        """The SNS topic that tells people of findings."""
        return f"{self.prefix}-alerts"

    @property
    def schedule_group(self) -> str:
        return self.prefix

    @property
    def watch_schedule_group(self) -> str:
        """Of the watch stack, so that it does not fall with the flows."""
        return f"{self.prefix}-watch"

    def host(self, repository: str) -> str:
        """The IAM user and the managed policy of a backup host."""
        return f"{self.prefix}-{repository}-host"

    def maintenance(self, repository: str) -> str:
        """The IAM user and the managed policy of whoever runs `restic forget --prune`."""
        return f"{self.prefix}-{repository}-maintenance"

    def quarantine(self, repository: str) -> str:
        """The managed policy that denies the principals of a repository to write, while it is attached to them."""
        return f"{self.prefix}-{repository}-quarantine"

    def repository_parameter(self, repository: str) -> str:
        """The SSM parameter that tells the `rwm` command what is deployed."""
        return f"{self.repository_parameters}/{repository}"

    @property
    def repository_parameters(self) -> str:
        return f"/{self.prefix}/repositories"


RESERVED = frozenset({"alerts", "dead-letters", "records", "ledger", "operations", "data", "flows", "watch"})
"""Repository names that would collide with one of the names above."""
