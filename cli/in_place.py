"""`rwm restore --in-place`: put a repository back where it is. How it goes on and ends is as of any other restore."""

from dataclasses import replace

from cli import restore_options
from cli.deployment import Deployment
from cli.restore_options import Asked
from cli.restoring import Restore
from functions.domain.restore.request import Location


def foreseen(asked: Asked) -> Asked:
    """The same as a dry run."""
    return replace(asked, request=asked.request.model_copy(update={"dry_run": True}))


def begin(deployment: Deployment, asked: Asked) -> Restore:
    """Start it. What it writes to is the repository itself."""
    repository, header = asked.repository, asked.header
    return Restore(
        repository=repository.repository,
        state=header.id,
        cut_time=header.cut_time,
        execution=restore_options.start(deployment, asked),
        target=Location(bucket=repository.bucket, prefix=repository.prefix),
        outcome="running",
        environment={
            "AWS_DEFAULT_REGION": deployment.aws.region,
            "RESTIC_REPOSITORY": deployment.restic_url(repository.bucket, repository.prefix),
        },
        objects=header.objects,
        bytes=header.bytes,
        content_root=header.content_root,
    )
