"""The directory on the disk: whole files or none, nothing through a link, restic's own layout."""

import hashlib
import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from functions.domain.restore.directory import FOLDERS, OnDisk, partial_name
from functions.domain.values import ObjectKey
from functions.storage.directory import (
    DirectoryInUse,
    DiskFailed,
    DiskFull,
    NoDirectory,
    RestoredDirectory,
    room_for,
)
from tests.builders import pack
from tests.fakes.small_disk import small_disk

ROOT = Path(__file__).parents[2]
PACK = pack("bytes")
LEFT_OVER = partial_name("0123456789abcdef")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "restored"


@pytest.fixture
def directory(place: Path) -> Iterator[RestoredDirectory]:
    with closing(RestoredDirectory(place)) as opened:
        opened.prepare()
        yield opened


def write(directory: RestoredDirectory, key: str, *pieces: bytes, keep: bool = True) -> str:
    """The hash of what was written."""
    hasher = hashlib.sha256()
    with directory.partial(ObjectKey(key)) as file:
        assert file.write(pieces, hasher) == sum(map(len, pieces))
        if keep:
            file.keep()
    return hasher.hexdigest()


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


def files(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


# --- what is written ---------------------------------------------------------------------------------------


def test_files_and_folders_have_the_modes_that_restic_gives_them(directory: RestoredDirectory, place: Path) -> None:
    write(directory, PACK, b"bytes")
    write(directory, "config", b"x")
    assert {mode(place / folder) for folder in ("", *FOLDERS, PACK.rpartition("/")[0])} == {"0o700"}
    assert {mode(place / "config"), mode(place / PACK)} == {"0o400"}


def test_what_is_written_is_hashed_and_read_back_the_same(directory: RestoredDirectory, place: Path) -> None:
    pieces = (b"a" * 3_000_000, b"", memoryview(b"b"))
    hashed = write(directory, "deep/er/é x", *(bytes(piece) for piece in pieces))
    assert (place / "deep/er/é x").read_bytes() == b"".join(bytes(piece) for piece in pieces)
    assert directory.sha256(ObjectKey("deep/er/é x")) == hashed
    directory.sync()


def test_what_is_not_kept_leaves_nothing(directory: RestoredDirectory, place: Path) -> None:
    write(directory, PACK, b"bytes", keep=False)

    def break_off() -> Iterator[bytes]:
        yield b"some bytes"
        raise ValueError("the connection broke")

    with pytest.raises(ValueError, match="broke"), directory.partial(PACK) as file:
        file.write(break_off(), hashlib.sha256())
    assert files(place) == {}


def test_a_file_has_no_name_before_all_of_it_is_written(directory: RestoredDirectory, place: Path) -> None:
    with directory.partial(PACK) as file:
        file.write([b"byt"], hashlib.sha256())
        assert not (place / PACK).exists()
        file.write([b"es"], hashlib.sha256())
        assert not (place / PACK).exists()
        file.keep()
        assert (place / PACK).read_bytes() == b"bytes"


def test_the_bytes_are_on_the_disk_before_the_name_is_and_all_folders_at_the_end(
    directory: RestoredDirectory, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a crash of the machine leaves cannot be tried here; the order in which the system is asked can be seen."""
    done: list[str] = []
    fsync, rename = os.fsync, os.rename

    def name_of(descriptor: int) -> str:
        return str(Path(f"/proc/self/fd/{descriptor}").readlink()).removeprefix(str(place.parent.resolve()))

    def seen_fsync(descriptor: int) -> None:
        fsync(descriptor)
        done.append(f"sync {name_of(descriptor)}")

    def seen_rename(old: str, new: bytes, **where: int) -> None:
        rename(old, new, **where)
        done.append(f"rename {old} {new.decode()}")

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(os, "rename", seen_rename)
    write(directory, "keys/k", b"x")
    synced, renamed = done
    assert synced.startswith("sync /restored/keys/.rwm-partial-")
    assert renamed == f"rename {synced.rpartition('/')[2]} k"
    done.clear()
    directory.sync()
    # Each before the one that it lies in; then that of the directory itself.
    assert done == [f"sync /restored/{folder}" for folder in sorted(FOLDERS, reverse=True)] + [
        "sync /restored",
        "sync ",
    ]


def test_a_report_lies_beside_the_directory_and_takes_the_place_of_an_earlier_one(
    directory: RestoredDirectory, place: Path
) -> None:
    directory.write_report(b"first")
    where = directory.write_report(b"second")
    assert where == place.with_name("restored.rwm-report.json")
    assert (where.read_bytes(), mode(where)) == (b"second", "0o600")
    assert sorted(each.name for each in place.parent.iterdir()) == ["restored", "restored.rwm-report.json"]
    assert files(place) == {}


# --- what is there -----------------------------------------------------------------------------------------


def test_all_that_lies_there_is_found_in_the_order_of_its_bytes(directory: RestoredDirectory, place: Path) -> None:
    write(directory, "a/b", b"12")
    write(directory, "a!", b"1")
    write(directory, "é", b"")
    (place / "link").symlink_to("a!")
    os.mkfifo(place / "pipe")
    (place.joinpath(os.fsdecode(b"\xff"))).write_bytes(b"x")
    found = [each for each in directory.found() if each.path.decode(errors="replace") not in FOLDERS]
    assert found == [
        OnDisk(b"a", None, folder=True),
        OnDisk(b"a!", 1),
        OnDisk(b"a/b", 2),
        OnDisk(b"link", None),
        OnDisk(b"pipe", None),
        OnDisk("é".encode(), 0),
        OnDisk(b"\xff", 1),
    ]


def test_what_a_restore_that_died_left_unfinished_is_removed_and_nothing_else(place: Path) -> None:
    for name in (f"data/{LEFT_OVER}", LEFT_OVER, f"{LEFT_OVER}x", f"x{LEFT_OVER}", "data/whole"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(b"x")
    (place / "keys" / LEFT_OVER).mkdir(parents=True)
    with closing(RestoredDirectory(place)) as directory:
        assert LEFT_OVER.encode() not in {each.path for each in directory.found()}
        directory.prepare()
    assert set(files(place)) == {f"{LEFT_OVER}x", f"x{LEFT_OVER}", "data/whole"}
    assert (place / "keys" / LEFT_OVER).is_dir()


def test_an_old_directory_is_taken_as_it_is(place: Path) -> None:
    place.mkdir(0o750)
    with closing(RestoredDirectory(place)):
        pass
    assert mode(place) == "0o750"
    assert files(place) == {}


def test_whether_names_are_folded_is_found_out_and_leaves_nothing(directory: RestoredDirectory, place: Path) -> None:
    assert directory.folds_names() is (place / "KEYS").exists()
    assert files(place) == {}


def test_how_much_room_there_is(directory: RestoredDirectory, place: Path, tmp_path: Path) -> None:
    free = os.statvfs(tmp_path)
    assert directory.room().bytes == pytest.approx(free.f_bavail * free.f_frsize, rel=0.05)
    assert room_for(tmp_path / "not there").block == directory.room().block
    with pytest.raises(NoDirectory, match="No such file or directory"):
        room_for(tmp_path / "not" / "there")


# --- links -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["data/ab/x", "data/x"])
def test_nothing_is_written_or_read_through_a_planted_link(
    directory: RestoredDirectory, place: Path, tmp_path: Path, key: str
) -> None:
    outside = tmp_path / "outside"
    (outside / "ab").mkdir(parents=True)
    (outside / "x").write_bytes(b"precious")
    (place / "data").rmdir()
    (place / "data").symlink_to(outside)
    with pytest.raises(DiskFailed), directory.partial(ObjectKey(key)):
        pass
    with pytest.raises(DiskFailed):
        directory.sha256(ObjectKey(key))
    assert files(outside) == {"x": b"precious"}


def test_a_link_in_the_place_of_a_file_is_not_followed(
    directory: RestoredDirectory, place: Path, tmp_path: Path
) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (place / "config").symlink_to(tmp_path / "precious")
    with pytest.raises(DiskFailed):
        directory.sha256(ObjectKey("config"))
    # Planted after the directory was looked at, it is replaced: what it led to stays what it was.
    write(directory, "config", b"the config")
    assert (place / "config").read_bytes() == b"the config"
    assert not (place / "config").is_symlink()
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_a_pipe_in_the_place_of_a_file_is_an_error_and_nobody_waits(directory: RestoredDirectory, place: Path) -> None:
    os.mkfifo(place / "config")
    with pytest.raises(DiskFailed, match="is no regular file"):
        directory.sha256(ObjectKey("config"))
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        os.chdir(place)
        try:
            listening.bind("socket")
        finally:
            os.chdir(ROOT)
    with pytest.raises(DiskFailed):
        directory.sha256(ObjectKey("socket"))


def test_a_link_that_a_person_names_is_their_choice(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with closing(RestoredDirectory(tmp_path / "link")) as directory:
        directory.prepare()
        write(directory, "config", b"x")
        assert directory.write_report(b"{}") == tmp_path / "real.rwm-report.json"
    assert (tmp_path / "real" / "config").read_bytes() == b"x"


# --- what cannot be ----------------------------------------------------------------------------------------


def test_two_restores_do_not_write_to_one_directory(directory: RestoredDirectory, place: Path) -> None:
    with pytest.raises(DirectoryInUse, match="another restore writes to"):
        RestoredDirectory(place)


def test_what_is_no_directory_or_lies_in_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    for path in (tmp_path / "file", tmp_path / "not" / "there"):
        with pytest.raises(NoDirectory):
            RestoredDirectory(path)
    with pytest.raises(NoDirectory):
        RestoredDirectory(tmp_path / "new", make=False)
    assert not (tmp_path / "new").exists()


SCENE = textwrap.dedent(
    """
    import hashlib, sys
    from pathlib import Path
    from functions.storage.directory import RestoredDirectory
    directory = RestoredDirectory(Path(sys.argv[1]))
    directory.prepare()
    with directory.partial("config") as file:
        try:
            for _ in range(int(sys.argv[2])):
                file.write([b"x" * 100_000], hashlib.sha256())
            file.keep()
        except Exception as error:
            print(type(error).__name__, error)
    if sys.argv[3] == "wait":
        sys.stdout.flush()
        with directory.partial("keys/k") as file:
            file.write([b"half of it"], hashlib.sha256())
            print("writing", flush=True)
            sys.stdin.read()
    """
)


def test_a_process_that_is_killed_leaves_whole_files_and_what_the_next_one_removes(place: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", SCENE, str(place), "1", "wait"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "writing\n"
        with pytest.raises(DirectoryInUse):
            RestoredDirectory(place)
        child.send_signal(signal.SIGKILL)
    (left,) = (name for name in files(place) if name != "config")
    assert left.startswith("keys/.rwm-partial-")
    with closing(RestoredDirectory(place)) as directory:
        directory.prepare()
    assert files(place) == {"config": b"x" * 100_000}


def test_a_full_disk_is_told_and_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        said = subprocess.run(
            [sys.executable, "-c", SCENE, str(disk / "restored"), "20", "end"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stdout == "DiskFull No space left on device\n"
        assert files(disk) == {}


@pytest.mark.parametrize(("code", "kind"), [(28, DiskFull), (122, DiskFull), (5, DiskFailed), (30, DiskFailed)])
def test_what_the_disk_says_is_told_and_a_full_one_is_known(
    directory: RestoredDirectory, place: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[DiskFailed]
) -> None:
    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(kind, match=os.strerror(code)) as told:
        write(directory, "config", b"x")
    assert type(told.value) is kind
    monkeypatch.undo()
    assert files(place) == {}


def test_a_disk_that_does_not_take_the_bytes_at_the_end_gives_no_name(
    directory: RestoredDirectory, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DiskFailed, match="Input/output error"):
        write(directory, "config", b"x")
    with pytest.raises(DiskFailed):
        directory.sync()
    assert files(place) == {}


def test_a_write_that_takes_only_a_part_is_gone_on_with(
    directory: RestoredDirectory, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: whole(descriptor, content[:7]))
    write(directory, "config", b"twenty bytes, or so")
    assert (place / "config").read_bytes() == b"twenty bytes, or so"


def test_a_filesystem_that_is_read_only_is_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place.mkdir()
    with closing(RestoredDirectory(place)) as directory:

        def fail(*_: object, **__: object) -> None:
            raise OSError(30, "Read-only file system", "keys")

        monkeypatch.setattr(os, "mkdir", fail)
        with pytest.raises(DiskFailed, match=r"Read-only file system \(keys\)"):
            directory.prepare()
