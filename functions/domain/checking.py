"""What every step of a check does alike: read what it is asked, find the state, and pronounce a verdict.

Security rules:
- A malformed request, or one for a state that is not there, is refused before anything is judged.
- People are told before the verdict that makes the news old is appended: killed in between, they are told twice,
  and never not at all.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from pydantic import ValidationError

from functions.domain.documents import Part, UnreadableDocument, wrong_fields
from functions.domain.keeping import DroppedState
from functions.domain.ledger import NoSuchState, choose_state
from functions.domain.notices import notice_of
from functions.domain.ports import AcknowledgementReader, LedgerReader, Notifier, VerdictLog, VerdictReader
from functions.domain.state import StateHeader
from functions.domain.values import Finding, RepositoryName
from functions.domain.verdict import CheckLevel, Judged, Verdict, conclude, news


class CheckRefused(Exception):
    """A check must not begin; nothing was judged. The message says why, and what would do.

    The workflow knows it by this name, and ends by it.
    """


class CheckRequest(Part):
    """What a step is asked for."""

    @classmethod
    def read(cls, event: object) -> Self:
        """Raises CheckRefused naming each wrong field, and quoting none."""
        try:
            return cls.model_validate(event)
        except ValidationError as error:
            wrong = wrong_fields(error)
        raise CheckRefused(f"the request is malformed ({wrong}); nothing was judged")


def state_to_judge(ledger: LedgerReader, repository: RepositoryName, wanted: str) -> StateHeader:
    """The state of the id `wanted`, or the newest one if that is empty. Raises CheckRefused, for a dropped one, too."""
    try:
        header = choose_state(ledger.headers(repository), wanted or "latest", repository)
        drops = ledger.drops(repository)
    except (NoSuchState, UnreadableDocument) as error:
        raise CheckRefused(f"{error}; nothing was judged") from error
    if header.repository != repository:
        raise CheckRefused(f"state {header.id} is of repository {header.repository}; nothing was judged")
    refuse_dropped(header, drops)
    return header


def refuse_dropped(header: StateHeader, drops: Iterable[DroppedState]) -> None:
    """Raises CheckRefused for a state that is kept no longer: what is gone of it, a prune may have taken."""
    for dropped in drops:
        if dropped.state == header.id:
            raise CheckRefused(f"{dropped}, and its versions may be gone; nothing was judged")


@dataclass(frozen=True, slots=True)
class VerdictPorts:
    """All that pronouncing a verdict touches."""

    verdicts: VerdictReader
    acknowledgements: AcknowledgementReader
    notifier: Notifier
    log: VerdictLog


def pronounce(
    header: StateHeader,
    level: CheckLevel,
    findings: Sequence[Finding],
    ports: VerdictPorts,
    *,
    judged_at: datetime,
    by: str,
    target: str | None = None,
    figures: Mapping[str, int] | None = None,
) -> Judged:
    """Conclude from `findings` what is to be said of a state, tell what of it is news, and append the verdict.

    Raises NotTold: then nothing was appended.
    """
    judged = conclude(
        header,
        level,
        findings,
        ports.acknowledgements.acknowledgements(header.repository),
        judged_at=judged_at,
        by=by,
        target=target,
        figures=figures,
    )
    if new := news(judged.verdict, previous(judged.verdict, ports.verdicts)):
        ports.notifier.notify(notice_of(header.repository, level, new, header.id))
    ports.log.append(judged)
    return judged


def previous(verdict: Verdict, verdicts: VerdictReader) -> Verdict | None:
    """The last verdict at the same level, on the repository, or on this same restored copy."""
    before: Iterable[Verdict] = (
        verdicts.verdicts(verdict.repository) if verdict.target is None else verdicts.copy_verdicts(verdict.repository)
    )
    return next((each for each in before if _is_of_the_same(each, verdict)), None)


def _is_of_the_same(one: Verdict, other: Verdict) -> bool:
    """A copy of another state is another copy."""
    same = (one.level, one.target) == (other.level, other.target)
    return same and (one.target is None or one.state == other.state)
