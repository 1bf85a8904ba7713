"""`rwm report`: all that is known of a repository as one page, written to a file that opens anywhere.

Security rules:
- A file counts when it is whole: it is written beside its place, and then moved there.
- The page has no script and asks nothing of any network (functions/domain/page/rendering.py); it names no object's key.
- A ledger that cannot be believed is told on the page, and by the exit code.
"""

import os
import tempfile
from datetime import datetime
from pathlib import Path

from cli.deployment import Deployment
from cli.exits import ExitCode, Refused
from functions.domain.cost import Prices
from functions.domain.documents import Part
from functions.domain.page.document import Health, Page, Pages
from functions.domain.page.gather import PagePorts, gather
from functions.domain.page.making import page_of
from functions.domain.page.rendering import render
from functions.domain.values import RepositoryName

UNDONE = "no page was written"
ONE, EACH_OF_ALL = 400, 60
"""States that the timeline of one page has, and that of each repository where all are on one."""


class Told(Part):
    """One repository on the page that was written."""

    repository: RepositoryName
    health: Health


class Written(Part):
    """The file that was written."""

    file: str
    bytes: int
    repositories: tuple[Told, ...]


def pages(
    deployment: Deployment, name: str | None, prices: Prices, now: datetime, *, limit: int | None = None
) -> Pages:
    """The page of one repository, or of all. `limit`: states of each timeline. Raises Refused, UnreadableDocument."""
    deployed = deployment.repositories()
    chosen = (deployment.repository(name),) if name is not None else deployed
    shown = limit or (ONE if name is not None else EACH_OF_ALL)
    ports = ports_of(deployment)
    return Pages(pages=tuple(page_of(gather(each, ports), now, shown, prices, len(deployed)) for each in chosen))


def ports_of(deployment: Deployment) -> PagePorts:
    return PagePorts(
        ledger=deployment.ledger,
        verdicts=deployment.verdicts,
        holds=deployment.holds,
        plans=deployment.plans,
        approvals=deployment.approvals,
        prunes=deployment.prunes,
        locks=deployment.locks,
        drills=deployment.drills,
    )


def write(found: Pages, file: Path) -> Written:
    """Put the page into `file`, over what is there. Raises Refused."""
    content = render(found.pages).encode()
    if not file.parent.is_dir():
        raise Refused(f"{file.parent} is no directory; {UNDONE}")
    if file.is_dir():
        raise Refused(f"{file} is a directory; {UNDONE}; name a file, like {file / 'rwm.html'}")
    try:
        _put(content, file)
    except OSError as error:
        raise Refused(f"{file} could not be written ({error.strerror}); {UNDONE}") from error
    told = tuple(Told(repository=each.repository, health=each.health) for each in found.pages)
    return Written(file=str(file), bytes=len(content), repositories=told)


def _put(content: bytes, file: Path) -> None:
    # Only the owner may read it: it tells how an organisation backs up.
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as beside:
        try:
            beside.write(content)
            beside.flush()
            os.fsync(beside.fileno())
            Path(beside.name).replace(file)
        except BaseException:
            Path(beside.name).unlink(missing_ok=True)
            raise


def exit_code(found: Pages) -> ExitCode:
    """Whether every ledger could be believed. What else is wrong is on the page, and `rwm check` says it, too."""
    return ExitCode.FAIL if any(page.trouble for page in found.pages) else ExitCode.DONE


def document(found: Pages, *, one: bool) -> Page | Pages:
    """What `--json` prints."""
    return found.pages[0] if one else found
