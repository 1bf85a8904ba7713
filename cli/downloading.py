"""`rwm restore --to-directory`: a state as a directory on this machine, for `restic -r DIRECTORY`.

gather: announce the restore, read the state to its proof, look at what the directory holds  ->  decide: is it a part of
this state, and does the rest fit  ->  apply: compare what is there, download what is not, walk through it, report.

Security rules:
- Nothing is downloaded before all of the state's entries are proven against its header.
- Nothing is called restored unless each object was compared, and the content root of what lies in the directory at the
  end is the state's (without the key files that are left out because they were removed since).
- Key files that were removed since the state come back only for who says so.
- Nothing but objects lies in the directory: the report lies beside it, as DIRECTORY.rwm-report.json.
"""

import shlex
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import compress, islice
from pathlib import Path
from typing import Protocol, TypeVar

from botocore.exceptions import ClientError

from cli.deployment import Aws, Deployment
from cli.directory_hold import DirectoryHold, hold
from cli.exits import ExitCode, Failed, Refused
from cli.fetching import Fetcher, Pacing, Progress
from cli.restore_options import UNDONE, Asked
from cli.restoring import what_is_gone
from cli.states import in_chain
from functions.domain.documents import UnreadableDocument
from functions.domain.entries import Entries, EntriesBuilder
from functions.domain.ledger import StateDamaged, stream_state
from functions.domain.ports import NotRead
from functions.domain.repositories import Repository
from functions.domain.restore.directory import (
    DirectoryReport,
    FileNames,
    Held,
    Room,
    Wanted,
    conclude,
    differences,
    held_of,
    refuse_strangers,
    refuse_what_does_not_fit,
    root_on_disk,
    sizes_on_disk,
)
from functions.domain.restore.forecast import NAMED_KEY_FILES, Amount, Forecast, classes_of
from functions.domain.restore.gone import Gone
from functions.domain.restore.plan import Choice
from functions.domain.restore.rate import RateLimit, parse_rate
from functions.domain.restore.request import RestoreRefused
from functions.domain.restore.revoked import check_known, check_openable, keys_of_today
from functions.domain.restore.target import Survey
from functions.domain.values import Digest, ObjectVersion, VersionGone
from functions.storage.aws import error_code
from functions.storage.content import DynamoSeenContent
from functions.storage.directory import DirectoryInUse, DiskFailed, NoDirectory, RestoredDirectory, room_for
from functions.storage.downloads import ReadRefused, S3Downloads

Result = TypeVar("Result")

THREADS = 16
"""Downloads at once, each over a connection of its own."""
_TRIED = 3
"""Objects that are asked for before all others, so that a missing permission is told at once."""
_ARCHIVED = (
    "a directory cannot wait for what lies in an archive class: restore to a bucket with --thaw TIER, which does, and "
    "use or copy the result there"
)


class Download(DirectoryReport):
    """A restore to a directory that has ended, as `--json` prints it."""

    gone: Gone | None = None
    """Of what is missing: since when, and which states do without it. None: nothing is, or `gone_unknown` says why."""
    gone_unknown: str | None = None
    report: str | None
    """Path of the file beside the directory that says the same; None: it could not be written."""
    environment: dict[str, str]
    """For restic to use the result."""

    @property
    def exit_code(self) -> ExitCode:
        return {
            "restored": ExitCode.DONE,
            "restored-damaged": ExitCode.FAIL,
            "incomplete": ExitCode.FAILED,
        }[self.outcome]


class Watcher(Protocol):
    """Who shows a person how it goes."""

    def announce(self, asked: Asked, hold: DirectoryHold | None) -> None: ...

    def watch(self, steps: Iterator[Progress]) -> None:
        """Takes all of `steps`."""
        ...


@dataclass(frozen=True, slots=True)
class Proven:
    """What of a state is to be restored, proven against its header."""

    entries: Entries
    survey: Survey
    choice: Choice


def restore(
    deployment: Deployment,
    asked: Asked,
    watcher: Watcher,
    *,
    with_hold: bool = True,
    threads: int = THREADS,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Download:
    """Restore to the directory, or go on with it. Raises Refused, StateDamaged: nothing was downloaded; and Failed."""
    began_at = now()
    limit = _limit(asked)
    _check_asked(asked)
    with _opened(asked) as directory:
        held = hold(deployment, asked, directory.path) if with_hold else None
        why = "the download was refused, or broke"
        try:
            watcher.announce(asked, held)
            proven = _refusals(lambda: read_proven(deployment, asked))
            there = _look(directory, proven)
            with _fetcher(deployment, asked, directory, Pacing(threads, limit)) as fetcher:
                _download(deployment, fetcher, proven, there, watcher)
                report = _conclude(asked, fetcher, proven, held, began_at, now)
            why = f"the download has ended: {report.outcome}"
        finally:
            if held is not None:
                held.end(why)
        return _written(deployment, directory, report)


def foresee(deployment: Deployment, asked: Asked) -> Forecast:
    """What `restore` would do. Raises Refused, StateDamaged. Nothing is written, and nobody is told."""
    _limit(asked)
    _check_asked(asked)
    path = _path(asked)
    proven = _refusals(lambda: read_proven(deployment, asked))
    if path.exists():
        with _opened(asked, make=False) as directory:
            there = _look(directory, proven, write=False)
    else:
        there = held_of((), proven.entries.blocks())
        with _translated():
            _refusals(lambda: _check_room(room_for(path), str(path), proven, there))
    survey, choice = proven.survey, proven.choice
    return Forecast(
        repository=asked.header.repository,
        state=asked.header.id,
        cut_time=asked.header.cut_time,
        to="directory",
        where=str(path),
        objects=survey.objects,
        bytes=survey.bytes,
        there=there.files,
        classes=classes_of(survey),
        # What no name promises the bytes of is read twice, or once more, if it is there.
        requests={"GetObject": survey.objects - there.files + survey.unnamed.objects},
        revoked=len(choice.revoked),
        revoked_first=tuple(choice.revoked[:NAMED_KEY_FILES]),
        with_revoked_keys=choice.with_revoked_keys,
        archived=Amount(objects=survey.archived.count, bytes=survey.archived_bytes),
    )


# --- before the first download -----------------------------------------------------------------------------


def read_proven(deployment: Deployment, asked: Asked) -> Proven:
    """All entries that are to be restored. Raises StateDamaged, RestoreRefused, UnreadableDocument."""
    ledger, header = deployment.ledger, asked.header
    try:
        today = keys_of_today(ledger, header, next(in_chain(ledger, header.repository), None))
    except (StateDamaged, UnreadableDocument) as error:
        check_known(error, with_revoked_keys=asked.request.with_revoked_keys)
        today = None
    choice, survey, builder = Choice(today, asked.request.with_revoked_keys), Survey(), EntriesBuilder()
    for block in stream_state(ledger, header):
        chosen = choice.of(block)
        survey.add(chosen)
        builder.add(chosen)
    # Only now is it proven that these are the state's entries.
    check_openable(choice.left_out, choice.key_files)
    if survey.archived.count:
        raise RestoreRefused(
            f"{survey.archived.count} object(s) of the state are in an archive class, which cannot be read before it "
            f"is thawed: {survey.archived}; nothing was written; {_ARCHIVED}"
        )
    proven = Proven(builder.build(), survey, choice)
    _check_names(proven, folds=False)
    return proven


def _look(directory: RestoredDirectory, proven: Proven, *, write: bool = True) -> Held:
    """What of the state the directory holds, by name and size, after what an earlier try left unfinished is removed.

    Raises Refused.
    """
    where = str(directory.path)
    with _translated():
        there = held_of(directory.found(), proven.entries.blocks())
        _refusals(lambda: refuse_strangers(there.strange, where))
        if write:
            directory.prepare()
            if directory.folds_names():
                _refusals(lambda: _check_names(proven, folds=True))
        _refusals(lambda: _check_room(directory.room(), where, proven, there))
    return there


def _check_names(proven: Proven, *, folds: bool) -> None:
    names = FileNames(folds=folds)
    for block in proven.entries.blocks():
        names.feed(block.keys)
    names.refuse()


def _check_room(room: Room, where: str, proven: Proven, there: Held) -> None:
    refuse_what_does_not_fit(room, where, size=there.missing_bytes, files=proven.survey.objects - there.files)


def _limit(asked: Asked) -> RateLimit | None:
    if asked.limit_rate is None:
        return None
    try:
        return RateLimit(parse_rate(asked.limit_rate), time.monotonic)
    except ValueError as error:
        raise Refused(f"--limit-rate: {error}; {UNDONE}") from error


def _check_asked(asked: Asked) -> None:
    if asked.request.thaw is not None:
        raise Refused(f"--thaw is not for --to-directory; {UNDONE}; {_ARCHIVED}")


def _path(asked: Asked) -> Path:
    if asked.directory is None:
        raise Refused(f"which directory? {UNDONE}; name it with --to-directory")
    return asked.directory.absolute()


@contextmanager
def _opened(asked: Asked, *, make: bool = True) -> Iterator[RestoredDirectory]:
    path = _path(asked)
    with _translated():
        directory = RestoredDirectory(path, make=make)
    with closing(directory):
        yield directory


def _refusals(decide: Callable[[], Result]) -> Result:
    """What `decide` returns; what the domain refuses, the command does."""
    try:
        return decide()
    except RestoreRefused as error:
        raise Refused(str(error)) from error
    except UnreadableDocument as error:
        raise Failed(f"{error}; {UNDONE}") from error


@contextmanager
def _translated() -> Iterator[None]:
    """What the disk says, for a person, before anything was downloaded."""
    try:
        yield
    except NoDirectory as error:
        raise Refused(
            f"{error}; {UNDONE}; name a directory that can be made or written to, in one that is there"
        ) from error
    except DirectoryInUse as error:
        raise Refused(f"{error}; {UNDONE}; wait for it, or end it") from error
    except DiskFailed as error:
        raise Failed(f"the directory cannot be used: {error}; {UNDONE}") from error


# --- comparing, downloading --------------------------------------------------------------------------------


@contextmanager
def _fetcher(deployment: Deployment, asked: Asked, directory: RestoredDirectory, pacing: Pacing) -> Iterator[Fetcher]:
    repository = asked.repository
    aws = deployment.aws
    sights = DynamoSeenContent(aws.dynamodb, deployment.names.operations)

    def sighted(version: ObjectVersion) -> Digest | None:
        try:
            return sights.sha256(repository.repository, version)
        except ClientError as error:
            # Who may not read it compares with what was read twice, alone.
            if error_code(error) in ("AccessDeniedException", "AccessDenied"):
                return None
            raise

    with closing(_source(aws, repository, pacing.threads)) as source:
        yield Fetcher(directory, source, sighted, pacing)


def _source(aws: Aws, repository: Repository, threads: int) -> S3Downloads:
    return S3Downloads(aws.s3_over(threads), repository.bucket, repository.key_prefix)


def _check_readable(deployment: Deployment, fetcher: Fetcher, versions: Iterable[ObjectVersion]) -> None:
    """Raises Refused where none of the first of `versions` may be read: then hardly any other may."""
    tried = [_denied(fetcher, version) for version in islice(versions, _TRIED)]
    if tried and all(tried):
        raise Refused(
            f"{deployment.aws.profile} may not read what the state names ({tried[0]}); nothing was downloaded. "
            f"The role {deployment.names.role('downloader')} may (s3:GetObjectVersion, and kms:Decrypt where a key "
            "encrypts): set AWS_PROFILE to a profile that assumes it"
        )


def _denied(fetcher: Fetcher, version: ObjectVersion) -> str | None:
    """What S3 says where a version may not be read."""
    try:
        next(fetcher.source.read(version, 1), None)
    except ReadRefused as error:
        return f"{version.key}: {error}" if error.is_denied else None
    except (VersionGone, NotRead):
        # That is for the download to tell, of this object alone.
        return None
    return None


def _download(deployment: Deployment, fetcher: Fetcher, proven: Proven, there: Held, watcher: Watcher) -> None:
    """Compare what is there, then fetch the rest; what ended it early is in the tally. Raises Refused, Failed."""
    survey = proven.survey
    if there.files:
        comparing = Progress("comparing", there.files, there.bytes)
        with _translated(), closing(fetcher.compare(_chosen(proven, there, 1), comparing)) as steps:
            try:
                watcher.watch(steps)
            except KeyboardInterrupt:
                raise Failed(f"it was interrupted while it compared what is there; {UNDONE}; run it again") from None
        _refusals(lambda: refuse_strangers(fetcher.strange, str(fetcher.directory.path)))
    _check_readable(deployment, fetcher, _chosen(proven, there, 0))
    files, size = survey.objects - there.files, there.missing_bytes
    downloading = fetcher.fetch(_chosen(proven, there, 0), Progress("downloading", files, size))
    # Interrupted, the tally says so, and the report says what there is by then.
    with suppress(KeyboardInterrupt), closing(downloading) as steps:
        watcher.watch(steps)


def _chosen(proven: Proven, there: Held, mark: int) -> Iterator[ObjectVersion]:
    """The entries that are there (1), or are not (0)."""
    marks = there.there if mark else there.there.translate(_TURNED)
    return compress(proven.entries, marks)


_TURNED = bytes((1, 0)) + bytes(range(2, 256))


def _conclude(
    asked: Asked,
    fetcher: Fetcher,
    proven: Proven,
    held: DirectoryHold | None,
    began_at: datetime,
    now: Callable[[], datetime],
) -> DirectoryReport:
    tally, directory, survey = fetcher.tally, fetcher.directory, proven.survey
    root = Digest("")
    try:
        directory.sync()
        found = directory.found()
        root = root_on_disk(found)
        if root != survey.content_root and tally.stopped is None:
            tally.saw(differences(sizes_on_disk(found), proven.entries.blocks()))
    except DiskFailed as error:
        tally.stopped = tally.stopped or f"the disk failed: {error}"
    wanted = Wanted(
        repository=asked.header.repository,
        state=asked.header.id,
        cut_time=asked.header.cut_time,
        objects=survey.objects,
        bytes=survey.bytes,
        content_root=survey.content_root,
        revoked=proven.choice.left_out,
    )
    return conclude(
        wanted,
        tally,
        directory=str(directory.path),
        execution=held.name if held else None,
        held=held is not None and held.still_runs(),
        began_at=began_at,
        ended_at=now(),
        found_root=root,
    )


def _written(deployment: Deployment, directory: RestoredDirectory, report: DirectoryReport) -> Download:
    gone, gone_unknown = what_is_gone(deployment, report)
    where: Path | None = None
    # A directory that is a filesystem of its own may lie in one that nobody can write to.
    with suppress(DiskFailed):
        where = directory.write_report(report.canonical())
    return Download(
        **report.model_dump(),
        gone=gone,
        gone_unknown=gone_unknown,
        report=str(where) if where else None,
        environment={"RESTIC_REPOSITORY": report.directory},
    )


def commands(download: Download) -> tuple[str, ...]:
    """How to use the result."""
    repository = shlex.quote(download.directory)
    return (
        f"restic -r {repository} check --read-data --no-lock",
        f"restic -r {repository} restore latest --target TARGET --no-lock",
    )
