"""`rwm repositories`: what is protected, and how old the newest state of each is."""

from datetime import datetime, timedelta

from cli.deployment import Deployment
from functions.domain.documents import Instant, Part
from functions.domain.values import RepositoryName, StateId


class Newest(Part):
    """The end of a repository's chain."""

    state: StateId
    generation: int
    cut_time: Instant
    late: bool
    """Older than the repository's `max_state_age`, by this machine's clock."""


class DeployedRepository(Part):
    name: RepositoryName
    bucket: str
    prefix: str
    adopted: bool
    hosts: tuple[str, ...]
    maintenance: str | None
    host_may_hide: bool
    newest: Newest | None
    """None: nothing was recorded yet."""


class Repositories(Part):
    deployment: str
    repositories: tuple[DeployedRepository, ...]


def deployed_repositories(deployment: Deployment, now: datetime) -> Repositories:
    """What is deployed, by name."""
    return Repositories(
        deployment=deployment.names.prefix,
        repositories=tuple(
            DeployedRepository(
                name=repository.repository,
                bucket=repository.bucket,
                prefix=repository.prefix,
                adopted=repository.adopt,
                hosts=repository.hosts,
                maintenance=repository.maintenance,
                host_may_hide=repository.host_may_hide,
                newest=_newest(deployment, repository.repository, now, repository.max_state_age),
            )
            for repository in deployment.repositories()
        ),
    )


def _newest(deployment: Deployment, name: RepositoryName, now: datetime, max_age: timedelta) -> Newest | None:
    head = deployment.ledger.head(name)
    if head is None:
        return None
    return Newest(
        state=head.state, generation=head.generation, cut_time=head.cut_time, late=now - head.cut_time > max_age
    )
