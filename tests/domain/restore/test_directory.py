"""Which keys can be files of a directory, what it may hold before, and what is called restored."""

from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from functions.domain.columns import Columns
from functions.domain.restore.directory import (
    FOLDERS,
    DirectoryReport,
    FileNames,
    OnDisk,
    Room,
    Tally,
    Wanted,
    conclude,
    differences,
    held_of,
    partial_name,
    refuse_strangers,
    refuse_what_does_not_fit,
    root_on_disk,
    shown,
    sizes_on_disk,
)
from functions.domain.restore.proof import Kind, trouble
from functions.domain.restore.request import RestoreRefused
from functions.domain.roots import content_root
from functions.domain.values import Digest, ObjectKey, RepositoryName, StateId
from tests.builders import at, pack, version

PARTS = st.one_of(
    st.sampled_from(["a", "b", "A", "é", "e\u0301", ".", "..", "", "a.b", "ab", "data", "locks", "config"]),
    st.text(st.characters(codec="utf-8"), max_size=4),
    st.just("x" * 256),
)
KEYS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
SOME_KEYS = st.lists(KEYS, max_size=12, unique=True).map(lambda keys: sorted(keys, key=str.encode))


def refusal(keys: Sequence[str], *, folds: bool = False, cut: int = 1000) -> str | None:
    """What is said of these keys, given in runs of `cut`; None: nothing."""
    names = FileNames(folds=folds)
    ordered = [ObjectKey(key) for key in sorted(keys, key=str.encode)]
    for start in range(0, len(ordered), cut):
        names.feed(ordered[start : start + cut])
    try:
        names.refuse()
    except RestoreRefused as error:
        return str(error)
    return None


class TestKeys:
    @pytest.mark.parametrize(
        ("key", "why"),
        [
            ("../outside", "has a part that is . or .."),
            ("data/../../outside", "has a part that is . or .."),
            ("data/./x", "has a part that is . or .."),
            ("..", "has a part that is . or .."),
            ("/etc/passwd", "is absolute, or has an empty part"),
            ("data//x", "is absolute, or has an empty part"),
            ("data/x/", "is absolute, or has an empty part"),
            ("", "is absolute, or has an empty part"),
            ("data/x\0y", "holds a NUL"),
            ("x" * 256, "has a part of over 255 bytes"),
            ("data/" + "é" * 128, "has a part of over 255 bytes"),
            (partial_name("0123456789abcdef"), "is named like a file that is not whole yet"),
            (f"data/{partial_name('0123456789abcdef')}", "is named like a file that is not whole yet"),
            *((folder, "is the name of one of restic's folders") for folder in FOLDERS),
        ],
    )
    def test_a_key_that_would_leave_the_directory_or_cannot_be_a_file_is_refused_and_named(
        self, key: str, why: str
    ) -> None:
        said = refusal(["config", key])
        assert said is not None
        assert f"{key!r} {why}" in said
        assert "nothing was written" in said

    @pytest.mark.parametrize(
        "key", ["config", "x" * 255, "é" * 127, "a b+c%41", "…", "data/xx/..x", "...", "-rf", "a\\b", "data/\n", ".x"]
    )
    def test_whatever_else_can_be_a_file_is_none_of_our_business(self, key: str) -> None:
        assert refusal([key]) is None

    def test_a_key_that_is_the_folder_of_another_is_refused(self) -> None:
        for keys in (["a", "a/b"], ["a", "a!", "a!b", "a-", "a/b"]):
            said = refusal(keys)
            assert said is not None
            assert "'a' is a folder of 'a/b'" in said

    def test_a_key_that_is_the_folder_of_packs_is_refused(self) -> None:
        below = pack("a")
        folder = below.rpartition("/")[0]
        for cut in (1, 2, 1000):
            said = refusal([folder, below], cut=cut)
            assert said is not None
            assert f"{folder!r} is a folder of {below!r}" in said

    def test_keys_that_a_filesystem_takes_for_one_are_refused_there_and_only_there(self) -> None:
        for keys in (["Alien", "alien"], ["é", "e\u0301"], ["A/one", "a/two"], ["straße", "STRASSE"]):
            assert refusal(keys) is None
            said = refusal(keys, folds=True)
            assert said is not None
            assert "on this filesystem, the same as" in said
        assert refusal(["A/one", "A/two", pack("a"), pack("b"), "config"], folds=True) is None

    def test_the_first_of_many_are_named_and_all_are_counted(self) -> None:
        said = refusal([f"{number:03}//" for number in range(200)])
        assert said is not None
        assert said.startswith("200 key(s) of the state cannot be files of a directory: '000//' is absolute")
        assert "and 195 more" in said

    @given(SOME_KEYS, st.integers(1, 5))
    @example(["a", "a!", "a/b"], 1)
    @example(["a/b", "a/b/c"], 2)
    def test_what_is_not_refused_are_files_that_all_fit_beside_one_another(self, keys: list[str], cut: int) -> None:
        """Judged by what a path means, without any of the code's shortcuts."""
        parts = [key.split("/") for key in keys]
        alone = all(
            each
            and all(0 < len(part.encode()) <= 255 and part not in (".", "..") and "\0" not in part for part in each)
            for each in parts
        )
        apart = all(one[: len(other)] != other and other[: len(one)] != one for one, other in combinations(parts, 2))
        free = not any(key in FOLDERS for key in keys)
        assert (refusal(keys, cut=cut) is None) is (alone and apart and free)

    @given(SOME_KEYS, st.integers(1, 5))
    def test_however_they_are_cut_into_runs_the_same_is_said(self, keys: list[str], cut: int) -> None:
        for folds in (False, True):
            assert refusal(keys, folds=folds, cut=cut) == refusal(keys, folds=folds)


# --- what the directory holds ------------------------------------------------------------------------------


def on_disk(**files: int | None) -> list[OnDisk]:
    return sorted((OnDisk(name.encode(), size) for name, size in files.items()), key=lambda each: each.path)


def entries(**files: int) -> list[Columns]:
    return [Columns.of([version(key, size=size) for key, size in sorted(files.items())])]


class TestHeld:
    def test_files_of_the_state_are_there_and_the_others_are_missing(self) -> None:
        held = held_of(on_disk(a=1, c=3), entries(a=1, b=2, c=3))
        assert (list(held.there), held.files, held.bytes, held.missing_bytes) == ([1, 0, 1], 2, 4, 2)
        assert held.strange.count == 0

    @pytest.mark.parametrize(
        ("found", "said"),
        [
            (OnDisk(b"b", 3), "'b' (3 bytes, in the state 2)"),
            (OnDisk(b"b", None), "'b' (a link or a special file)"),
            (OnDisk(b"b", None, folder=True), "'b' (a folder, in the state a file)"),
            (OnDisk(b"bb", 2), "'bb'"),
            (OnDisk(b"0", 2), "'0'"),
            (OnDisk(b"z/\xff", 2), r"'z/\\xff'"),
            (OnDisk(b"z", None), "'z' (a link or a special file)"),
        ],
    )
    def test_whatever_else_lies_there_is_strange_and_named(self, found: OnDisk, said: str) -> None:
        held = held_of([found], entries(a=1, b=2))
        assert (list(held.there), held.strange.count) == ([0, 0], 1)
        with pytest.raises(RestoreRefused, match="1 file\\(s\\) that are not part of this state") as refused:
            refuse_strangers(held.strange, "/restored")
        assert said in str(refused.value)

    def test_an_empty_folder_is_nothing(self) -> None:
        held = held_of([OnDisk(b"data", None, folder=True), OnDisk(b"zz", None, folder=True)], entries(a=1))
        assert held.strange.count == 0
        refuse_strangers(held.strange, "/restored")

    @given(
        st.dictionaries(st.text("ab/é", min_size=1, max_size=4), st.integers(0, 3), max_size=10),
        st.dictionaries(st.text("ab/é", min_size=1, max_size=4), st.integers(0, 3), max_size=10),
        st.integers(1, 4),
    )
    def test_it_agrees_with_two_dictionaries(self, found: dict[str, int], state: dict[str, int], cut: int) -> None:
        listed = sorted((OnDisk(name.encode(), size) for name, size in found.items()), key=lambda each: each.path)
        ordered = sorted(state.items(), key=lambda each: each[0].encode())
        runs = [ordered[start : start + cut] for start in range(0, len(ordered), cut)]
        held = held_of(listed, [Columns.of([version(key, size=size) for key, size in run]) for run in runs])
        assert list(held.there) == [int(found.get(key) == size) for key, size in ordered]
        assert held.strange.count == sum(state.get(name) != size for name, size in found.items())
        assert held.missing_bytes == sum(size for key, size in ordered if found.get(key) != size)

    def test_what_does_not_fit_is_refused_with_both_figures(self) -> None:
        room = Room(bytes=10_000, files=3, block=4096)
        refuse_what_does_not_fit(room, "/restored", size=3856, files=3)
        with pytest.raises(RestoreRefused, match=r"room for 10000 bytes, and what is missing takes 10001; nothing"):
            refuse_what_does_not_fit(room, "/restored", size=3857, files=3)
        with pytest.raises(RestoreRefused, match="takes 3 more files, and 4 are missing"):
            refuse_what_does_not_fit(room, "/restored", size=0, files=4)
        refuse_what_does_not_fit(Room(10_000, None, 0), "/restored", size=0, files=10**9)


# --- how it ended ------------------------------------------------------------------------------------------

FILES = {"a": 1, "b": 2}
ROOT = content_root((ObjectKey(key), size) for key, size in FILES.items())
WANTED = Wanted(
    repository=RepositoryName("alpha"),
    state=StateId("1" * 64),
    cut_time=at(0),
    objects=2,
    bytes=3,
    content_root=ROOT,
    revoked=(),
)


def report(tally: Tally, root: Digest = ROOT, wanted: Wanted = WANTED) -> DirectoryReport:
    return conclude(
        wanted,
        tally,
        directory="/restored",
        execution="to-directory-1",
        held=True,
        began_at=at(0),
        ended_at=at(60),
        found_root=root,
    )


class TestReport:
    def test_restored_is_what_is_proven_all_of_it_and_has_the_states_content_root(self) -> None:
        done = report(Tally(proven=2, downloaded=1, downloaded_bytes=1, skipped=1))
        assert (done.outcome, done.proven, done.failed, done.directory) == ("restored", 2, 0, "/restored")

    def test_nothing_is_restored_whose_directory_holds_anything_else(self) -> None:
        assert report(Tally(proven=2), Digest("f" * 64)).outcome == "incomplete"

    @pytest.mark.parametrize("kind", [Kind.MISSING, Kind.FAILED, Kind.UNPROVEN, Kind.UNEXPECTED])
    def test_nothing_is_restored_that_has_trouble_even_if_the_root_is_right(self, kind: Kind) -> None:
        tally = Tally(proven=2 if kind is Kind.UNEXPECTED else 1)
        tally.add(trouble(ObjectKey("a"), kind, "why"))
        assert report(tally).outcome == "incomplete"

    def test_what_was_damaged_before_is_restored_and_told(self) -> None:
        tally = Tally(proven=1)
        tally.add(trouble(ObjectKey("b"), Kind.DAMAGED, "why"))
        done = report(tally)
        assert (done.outcome, done.damaged, done.failed) == ("restored-damaged", 1, 0)

    def test_what_was_stopped_is_incomplete_and_what_was_not_tried_counts_as_failed(self) -> None:
        done = report(Tally(proven=1, stopped="the disk failed: No space left on device"))
        assert (done.outcome, done.failed) == ("incomplete", 1)
        assert report(Tally(proven=2, stopped="it was interrupted")).outcome == "incomplete"

    def test_what_the_walk_finds_is_taken_from_what_was_thought_to_be_proven(self) -> None:
        tally = Tally(proven=2)
        tally.saw(differences({ObjectKey("a"): 1, ObjectKey("c"): 1}, entries(a=1, b=2)))
        assert {key: each.kind for key, each in tally.troubles.items()} == {"b": Kind.FAILED, "c": Kind.UNEXPECTED}
        done = report(tally, Digest("f" * 64))
        assert (done.outcome, done.proven, done.failed, done.unexpected) == ("incomplete", 1, 1, 1)

    def test_a_file_of_another_size_is_a_difference_and_one_that_is_told_of_is_not_told_twice(self) -> None:
        tally = Tally(proven=1)
        tally.add(trouble(ObjectKey("b"), Kind.MISSING, "gone"))
        tally.saw(differences({ObjectKey("a"): 7}, entries(a=1, b=2)))
        assert [each.why for each in tally.troubles.values()] == [
            "gone",
            "it has 7 bytes in the directory, in the state 1",
        ]
        assert tally.proven == 0

    def test_troubles_beyond_what_a_report_names_are_counted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("functions.domain.restore.directory.NAMED", 1)
        tally = Tally()
        for key in FILES:
            tally.add(trouble(ObjectKey(key), Kind.FAILED, "why"))
        done = report(tally)
        assert ([each.key for each in done.troubles], done.left_out, done.failed) == (["a"], 1, 2)

    def test_nobody_can_write_a_report_that_calls_restored_what_is_not_proven(self) -> None:
        good = report(Tally(proven=2))
        for change in (
            {"proven": 1},
            {"found_content_root": "f" * 64},
            {"missing": 1},
            {"failed": 1},
            {"unproven": 1},
            {"unexpected": 1},
            {"stopped": "why"},
            {"damaged": 1},
            {"proven": 1, "damaged": 1},
        ):
            with pytest.raises(ValidationError, match="of what was not proven"):
                type(good).model_validate({**good.model_dump(), **change})
        assert type(good).parse(good.canonical()) == good


def test_the_root_on_disk_is_that_of_the_state_and_no_link_or_folder_passes_for_a_file() -> None:
    assert root_on_disk([OnDisk(b"a", 1), OnDisk(b"b", 2), OnDisk(b"c", None, folder=True)]) == ROOT
    assert root_on_disk([OnDisk(b"a", 1), OnDisk(b"b", None)]) != ROOT
    assert root_on_disk([OnDisk(b"a", 1), OnDisk(b"b", 2), OnDisk(b"c", None)]) != ROOT
    assert sizes_on_disk([OnDisk(b"\xff", 1)]) == {shown(b"\xff"): 1}
