"""Fetching into a directory: what counts as proven, what is tried again, and what stops all."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cli.fetching import IN_A_ROW, ROUNDS, Fetcher, Pacing, Progress
from functions.domain.ports import NotRead
from functions.domain.restore.proof import Kind
from functions.domain.restore.rate import RateLimit
from functions.domain.values import Digest, ObjectKey, ObjectVersion, VersionGone
from functions.storage.directory import DiskFailed, RestoredDirectory
from functions.storage.downloads import ReadRefused
from tests.builders import named, pack, sha256, version


@dataclass
class Source:
    """Versions by key; what each read of one gives, the last one for good."""

    reads: Mapping[str, list[bytes | Exception]]
    asked: list[str] = field(default_factory=list)
    pieces: list[int] = field(default_factory=list)

    def read(self, of: ObjectVersion, piece: int) -> Iterator[bytes]:
        self.asked.append(of.key)
        self.pieces.append(piece)
        answers = self.reads[of.key]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            yield b"some"
            raise answer
        for start in range(0, len(answer), piece):
            yield answer[start : start + piece]


@dataclass
class World:
    directory: RestoredDirectory
    paused: list[float] = field(default_factory=list)
    sights: dict[str, str] = field(default_factory=dict)

    def fetcher(self, source: Source, threads: int = 1, limit: RateLimit | None = None) -> Fetcher:
        def sighted(of: ObjectVersion) -> Digest | None:
            return Digest(self.sights[of.key]) if of.key in self.sights else None

        return Fetcher(self.directory, source, sighted, Pacing(threads, limit, self.paused.append, lambda: 0.5))

    def fetch(self, reads: Mapping[str, Any], threads: int = 1) -> Fetcher:
        """`reads`: by key what each read gives, or what all do."""
        named_reads = {key: each if isinstance(each, list) else [each] for key, each in reads.items()}
        fetcher = self.fetcher(Source(named_reads), threads)
        self.run(fetcher.fetch, [entry(key, named_reads[key]) for key in named_reads])
        return fetcher

    def run(self, what: object, versions: Iterable[ObjectVersion]) -> Progress:
        assert callable(what)
        progress = Progress("at work", 0, 0)
        assert list(what(versions, progress))
        return progress

    def file(self, key: str) -> bytes | None:
        path = self.directory.path / key
        return path.read_bytes() if path.exists() else None

    def put(self, key: str, content: bytes) -> None:
        path = self.directory.path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def entry(key: str, reads: list[bytes | Exception]) -> ObjectVersion:
    size = next((len(each) for each in reads if isinstance(each, bytes)), 5)
    return version(key, size=size)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with closing(RestoredDirectory(tmp_path / "restored")) as directory:
        directory.prepare()
        yield World(directory)


PACK, GOOD = pack("bytes"), b"bytes"


class TestProof:
    def test_what_has_the_hash_that_its_name_promises_is_proven_by_one_read(self, world: World) -> None:
        done = world.fetch({PACK: GOOD})
        assert (done.tally.proven, done.tally.downloaded, done.tally.downloaded_bytes) == (1, 1, 5)
        assert done.source.asked == [PACK]  # type: ignore[attr-defined]
        assert world.file(PACK) == GOOD

    def test_what_promises_nothing_is_read_twice_and_proven_by_being_the_same(self, world: World) -> None:
        done = world.fetch({"config": b"the config"})
        assert (done.tally.proven, done.source.asked) == (1, ["config", "config"])  # type: ignore[attr-defined]

    def test_what_is_read_differently_each_time_never_gets_its_name(self, world: World) -> None:
        done = world.fetch({"config": [bytes([each]) * 5 for each in range(20)]})
        assert (done.tally.proven, world.file("config")) == (0, None)
        (told,) = done.tally.troubles.values()
        assert (told.kind, told.why) == (Kind.FAILED, "not downloaded: it was read twice, and its bytes differed")

    def test_what_was_read_wrongly_once_is_right_the_next_time(self, world: World) -> None:
        done = world.fetch({PACK: [b"bytez", GOOD]})
        assert (done.tally.proven, world.file(PACK), done.tally.troubles) == (1, GOOD, {})

    def test_what_is_damaged_in_the_state_is_written_exactly_and_told(self, world: World) -> None:
        done = world.fetch({PACK: b"bytez"})
        assert (done.tally.proven, done.tally.downloaded, world.file(PACK)) == (0, 1, b"bytez")
        (told,) = done.tally.troubles.values()
        assert (told.key, told.kind) == (PACK, Kind.DAMAGED)
        assert told.why == "its bytes are not what its name promises, in the state already"

    def test_other_bytes_than_a_check_of_content_saw_first_are_damage(self, world: World) -> None:
        world.sights["config"] = sha256("another config")
        done = world.fetch({"config": b"the config", "alien": b"an alien"})
        assert [(each.key, each.kind) for each in done.tally.troubles.values()] == [("config", Kind.DAMAGED)]
        assert (done.tally.proven, world.file("config")) == (1, b"the config")
        world.sights["config"] = sha256("the config")
        assert world.fetch({"config": b"the config"}).tally.proven == 1

    def test_fewer_or_more_bytes_than_the_state_says_never_get_a_name(self, world: World) -> None:
        fetcher = world.fetcher(Source({"config": [b"the config"]}))
        world.run(fetcher.fetch, [version("config", size=9)])
        (told,) = fetcher.tally.troubles.values()
        assert (told.kind, told.why) == (Kind.FAILED, "not downloaded: 10 bytes came, and the state says 9")
        assert world.file("config") is None

    def test_an_object_without_bytes_is_a_file_without_bytes(self, world: World) -> None:
        empty = named("data/e3", "")
        assert world.fetch({"config": b"", empty: b""}).tally.proven == 2
        assert world.file("config") == b""


class TestFailures:
    def test_what_may_pass_is_tried_again_after_longer_and_longer_pauses(self, world: World) -> None:
        done = world.fetch({PACK: [NotRead("SlowDown"), NotRead("ReadTimeoutError"), GOOD]})
        assert (done.tally.proven, world.paused) == (1, [1.0, 5.0])

    def test_what_does_not_pass_is_told_under_its_own_key_and_the_others_go_on(self, world: World) -> None:
        done = world.fetch({"a": NotRead("SlowDown"), PACK: GOOD}, threads=2)
        (told,) = done.tally.troubles.values()
        assert (told.key, told.kind, told.why) == ("a", Kind.FAILED, "not downloaded: SlowDown")
        assert (len(world.paused), done.tally.proven, done.tally.stopped) == (ROUNDS, 1, None)
        assert world.file("a") is None

    def test_a_version_that_is_gone_is_missing_and_not_asked_for_again(self, world: World) -> None:
        done = world.fetch({"a": VersionGone("the version of a is gone"), PACK: GOOD})
        (told,) = done.tally.troubles.values()
        assert (told.key, told.kind, told.why) == ("a", Kind.MISSING, "the version of a is gone")
        assert (done.source.asked, done.tally.proven) == (["a", PACK], 1)  # type: ignore[attr-defined]

    def test_what_is_refused_is_not_asked_for_again(self, world: World) -> None:
        done = world.fetch({"a": ReadRefused("AccessDenied", "no"), PACK: GOOD})
        assert [each.why for each in done.tally.troubles.values()] == ["not downloaded: AccessDenied: no"]
        assert (done.source.asked, world.paused) == (["a", PACK], [])  # type: ignore[attr-defined]

    def test_when_nothing_can_be_read_any_more_it_stops_and_names_what_was_not_tried(self, world: World) -> None:
        done = world.fetch({f"{number:03}": ReadRefused("ExpiredToken") for number in range(IN_A_ROW + 7)})
        assert done.tally.stopped == (
            f"{IN_A_ROW} objects in a row were not read, the last one because of ExpiredToken"
        )
        whys = [each.why for each in done.tally.troubles.values()]
        assert whys.count("not downloaded: ExpiredToken") == IN_A_ROW
        assert whys.count("not downloaded: it was stopped before its turn") == 7
        assert done.tally.counts[Kind.FAILED] == IN_A_ROW + 7

    def test_failures_here_and_there_stop_nothing(self, world: World) -> None:
        reads: dict[str, Any] = {}
        for number in range(IN_A_ROW + 7):
            reads[f"a{number:03}"] = ReadRefused("AccessDenied")
            reads[pack(str(number))] = str(number).encode()
        done = world.fetch(reads)
        assert (done.tally.stopped, done.tally.proven) == (None, IN_A_ROW + 7)

    def test_a_disk_that_fails_stops_all_at_once(self, world: World) -> None:
        (world.directory.path / "data").rmdir()
        (world.directory.path / "data").write_bytes(b"in the way")
        keys = [pack(str(number)) for number in range(30)]
        done = world.fetch(dict.fromkeys(keys, b"0"))
        assert done.tally.stopped is not None
        assert done.tally.stopped.startswith("the disk failed: ")
        assert (done.source.asked, len(done.tally.troubles)) == ([], 30)  # type: ignore[attr-defined]

    def test_an_error_of_our_own_is_not_swallowed(self, world: World) -> None:
        with pytest.raises(ZeroDivisionError):
            world.fetch({"config": ZeroDivisionError("a bug")})

    def test_who_has_enough_gets_an_end_and_all_that_is_left_is_named(self, world: World) -> None:
        waiting, may_go_on = threading.Event(), threading.Event()

        class Slow(Source):
            def read(self, of: ObjectVersion, piece: int) -> Iterator[bytes]:
                waiting.set()
                may_go_on.wait(30)
                yield from super().read(of, piece)

        fetcher = world.fetcher(Slow({key: [b"x"] for key in "abc"}))
        steps = fetcher.fetch([version(key, size=1) for key in "abc"], Progress("at work", 3, 3))
        next(steps)
        assert waiting.wait(30)
        may_go_on.set()
        steps.close()
        assert fetcher.tally.stopped == "it was interrupted"
        assert fetcher.tally.proven + fetcher.tally.counts[Kind.FAILED] == 3


class TestWhatIsThere:
    def compare(self, world: World, reads: Mapping[str, list[bytes | Exception]], *keys: str) -> Fetcher:
        fetcher = world.fetcher(Source(reads))
        world.run(fetcher.compare, [version(key, size=5) for key in keys])
        return fetcher

    def test_a_file_with_the_bytes_that_its_name_promises_is_proven_without_a_request(self, world: World) -> None:
        world.put(PACK, GOOD)
        done = self.compare(world, {}, PACK)
        assert (done.tally.skipped, done.tally.proven, done.source.asked) == (1, 1, [])  # type: ignore[attr-defined]

    def test_a_file_that_its_name_does_not_prove_is_compared_with_the_pinned_version(self, world: World) -> None:
        world.put("config", GOOD)
        assert self.compare(world, {"config": [GOOD]}, "config").tally.proven == 1
        strange = self.compare(world, {"config": [b"bytez"]}, "config")
        assert (strange.tally.proven, str(strange.strange)) == (0, "'config' (other bytes)")

    def test_a_file_of_the_right_size_with_other_bytes_is_strange(self, world: World) -> None:
        world.put(PACK, b"bytez")
        done = self.compare(world, {PACK: [GOOD]}, PACK)
        assert (done.tally.skipped, str(done.strange)) == (0, f"'{PACK}' (other bytes)")

    def test_a_file_that_was_damaged_in_the_state_and_is_exactly_that_is_told_again(self, world: World) -> None:
        world.put(PACK, b"bytez")
        done = self.compare(world, {PACK: [b"bytez"]}, PACK)
        assert (done.tally.skipped, done.strange.count) == (1, 0)
        assert [each.kind for each in done.tally.troubles.values()] == [Kind.DAMAGED]

    def test_where_the_pinned_version_is_gone_a_name_still_proves_and_what_has_none_is_missing(
        self, world: World
    ) -> None:
        gone = VersionGone("it is gone")
        world.put("config", GOOD)
        world.put(PACK, b"bytez")
        done = self.compare(world, {"config": [gone], PACK: [gone]}, "config", PACK)
        assert [(each.key, each.kind) for each in done.tally.troubles.values()] == [("config", Kind.MISSING)]
        assert str(done.strange) == f"'{PACK}' (other bytes)"

    def test_where_the_pinned_version_cannot_be_read_nothing_is_proven(self, world: World) -> None:
        world.put("config", GOOD)
        done = self.compare(world, {"config": [NotRead("SlowDown")]}, "config")
        assert [(each.key, each.kind) for each in done.tally.troubles.values()] == [("config", Kind.UNPROVEN)]

    def test_a_file_that_cannot_be_read_is_an_error(self, world: World) -> None:
        with pytest.raises(DiskFailed):
            self.compare(world, {}, "config")


def test_a_limit_makes_pieces_small_and_is_kept_by_all_threads_together(world: World) -> None:
    now = 0.0
    source = Source({pack(str(number) * 1000): [str(number).encode() * 1000] for number in range(8)})
    fetcher = world.fetcher(source, 4, RateLimit(4000, lambda: now))
    world.run(fetcher.fetch, [version(key, size=1000) for key in source.reads])
    assert set(source.pieces) == {1000}
    # 8,000 bytes; the first 1,000 at once. Of a clock that stands still each waits for all before it.
    assert max(world.paused) == pytest.approx(7000 / 4000)


def test_how_far_it_is_is_counted_in_objects_and_bytes(world: World) -> None:
    fetcher = world.fetcher(Source({PACK: [GOOD], "a": [VersionGone("gone")], ObjectKey("b"): [b"12"]}))
    progress = world.run(fetcher.fetch, [version(PACK, size=5), version("a", size=7), version("b", size=2)])
    assert (progress.done_objects, progress.done_bytes, progress.failed) == (2, 7, 1)
