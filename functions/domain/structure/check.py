"""Whether a state of a repository is complete: as `restic check` judges it, and as `--read-data` does.

Security rules:
- Only what the state pins is read: its versions, and of key files only those recorded in it. A key file that
  no restic wrote is refused before its scrypt is paid for, and never keeps a good one from being found.
- Every trouble is reported with its key, and the reading goes on: one damaged index hides no other damage.
- Nothing that the password protects leaves here: names of blobs and keys, sizes and counts are all that does.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from functions.domain.restic import FileType, file_type, promised_sha256
from functions.domain.structure.blobs import BlobIndex
from functions.domain.structure.crypto import Key, WrongKey
from functions.domain.structure.formats import (
    KeyFile,
    RepositoryConfig,
    inflate_file,
    parse_config,
    parse_index,
    parse_key_file,
    parse_master_key,
    parse_snapshot,
)
from functions.domain.structure.packs import READING, PackVerdict, read_header, verify_pack
from functions.domain.structure.reading import Limits, RangedReader, Unreadable, read_ahead, read_exactly
from functions.domain.structure.report import ConfigFields, KeyFiles, Level, StructureReport, Tally
from functions.domain.structure.walk import TreeWalk, Walked
from functions.domain.values import ObjectKey, ObjectVersion

_LEGACY = re.compile(r"(key|lock|snapshot)/[0-9a-f]{64}|data/[0-9a-f]{64}")
_ID = re.compile(r"[0-9a-f]{64}")
_HEADERS_READ = 1000
"""Of packs that no index names: each costs a request, and a flood of them is known by the first thousand."""


def check_structure(
    entries: Iterable[ObjectVersion],
    reader: RangedReader,
    password: str,
    executor: Executor,
    *,
    level: Level = Level.STRUCTURE,
    limits: Limits | None = None,
) -> StructureReport:
    """Check the state made of `entries`, reading through `reader` in the threads of `executor`.

    Whatever the objects hold, the result is a report; only the reader's own failures other than VersionGone raise.
    """
    return _Check(_Files.of(entries), reader, executor, limits or Limits()).run(password, level)


@dataclass(slots=True)
class _Files:
    """The state's objects, by what restic takes them for."""

    config: ObjectVersion | None = None
    keys: list[ObjectVersion] = field(default_factory=list)
    snapshots: list[ObjectVersion] = field(default_factory=list)
    indexes: list[ObjectVersion] = field(default_factory=list)
    packs: dict[bytes, ObjectVersion] = field(default_factory=dict)
    legacy: bool = False

    @classmethod
    def of(cls, entries: Iterable[ObjectVersion]) -> "_Files":
        files = cls()
        lists = {FileType.KEY: files.keys, FileType.SNAPSHOT: files.snapshots, FileType.INDEX: files.indexes}
        for entry in entries:
            match file_type(entry.key):
                case FileType.PACK:
                    files.packs[bytes.fromhex(entry.key[-64:])] = entry
                case FileType.CONFIG:
                    files.config = entry
                case FileType.ALIEN:
                    files.legacy = files.legacy or _LEGACY.fullmatch(entry.key) is not None
                case FileType.LOCK:
                    pass
                case named:
                    lists[named].append(entry)
        return files

    def why_unjudged(self) -> str | None:
        """Why this is no repository that can be read."""
        if self.legacy and not self.keys:
            return "it has restic's legacy layout; `restic migrate s3_layout` brings it up to date"
        if self.config is None and not self.keys:
            return "it is no restic repository: it has neither a config nor a key file"
        return None


class _Check:
    def __init__(self, files: _Files, reader: RangedReader, executor: Executor, limits: Limits) -> None:
        self._files = files
        self._reader = reader
        self._executor = executor
        self._limits = limits
        self._damaged = Tally()
        self._index = BlobIndex()

    def run(self, password: str, level: Level) -> StructureReport:
        if (unjudged := self._files.why_unjudged()) is not None:
            return StructureReport(level=level, unjudged=unjudged)
        opened = _KeyRing(self._files, self._reader, self._limits, self._damaged).open(password)
        if opened.key is None or opened.config is None:
            return StructureReport(
                level=level, key_files=opened.key_files, damaged=self._damaged.total(), unjudged=opened.unjudged
            )
        return self._judge(opened.key, opened.config, opened.key_files, level)

    def _judge(self, key: Key, config: RepositoryConfig, key_files: KeyFiles, level: Level) -> StructureReport:
        indexes = self._load_indexes(key, config)
        packs = [self._files.packs.get(name) for name in self._index.packs]
        missing_packs, wrong_size = self._compare_packs(packs)
        roots = self._load_snapshots(key, config)
        walk = TreeWalk(self._index, packs, self._reader, key, limits=self._limits, damaged=self._damaged)
        walked: Walked = walk.walk(roots, self._executor)
        verified = self._read_data(key, packs) if level is Level.READ_DATA else 0
        unindexed, foreign, orphaned_bytes = self._unindexed(key)
        lost = missing_packs.total().count + wrong_size.total().count
        return StructureReport(
            level=level,
            key_files=key_files,
            config=_config_fields(config),
            indexes=indexes,
            packs=len(packs) - lost,
            snapshots=len(roots),
            trees=walked.trees,
            blobs=walked.blobs,
            verified_blobs=verified,
            damaged=self._damaged.total(),
            missing_packs=missing_packs.total(),
            wrong_size=wrong_size.total(),
            missing_trees=walked.missing_trees.total(),
            missing_blobs=walked.missing_blobs.total(),
            unindexed=unindexed.total(),
            foreign=foreign.total(),
            orphaned_bytes=orphaned_bytes,
            unneeded_bytes=self._index.unneeded_bytes(),
        )

    # --- small files -------------------------------------------------------------------------------

    def _load_indexes(self, key: Key, config: RepositoryConfig) -> int:
        """How many could be read."""
        loaded = 0
        for version, pieces in self._opened(self._files.indexes, key, config, self._limits.index):
            try:
                self._index.add(parse_index(pieces))
                loaded += 1
            except Unreadable as fault:
                self._damaged.note(version.key, fault)
        self._index.close()
        return loaded

    def _load_snapshots(self, key: Key, config: RepositoryConfig) -> list[tuple[bytes, str]]:
        """The trees of those that could be read, with the snapshots' keys."""
        roots: list[tuple[bytes, str]] = []
        for version, pieces in self._opened(self._files.snapshots, key, config, self._limits.snapshot):
            try:
                roots.append((parse_snapshot(b"".join(pieces)), version.key))
            except Unreadable as fault:
                self._damaged.note(version.key, fault)
        return roots

    def _opened(
        self, versions: Sequence[ObjectVersion], key: Key, config: RepositoryConfig, limit: int
    ) -> Iterator[tuple[ObjectVersion, Iterator[bytes]]]:
        """Each that opens, in pieces, which may turn out Unreadable; the others are noted."""
        source = iter(versions)

        def next_version() -> tuple[int, ObjectVersion] | None:
            return None if (version := next(source, None)) is None else (min(version.size, limit), version)

        def read(version: ObjectVersion) -> bytes:
            return _read_file(self._reader, version, limit)

        for version, sealed in read_ahead(self._executor, self._limits, next_version, read):
            try:
                if isinstance(sealed, Unreadable):
                    raise sealed
                plain = key.begin(sealed)
            except Unreadable as fault:
                self._damaged.note(version.key, fault)
            else:
                inflated = config.version > 1
                yield version, inflate_file(plain, limit, self._limits.ratio) if inflated else plain.pieces()

    # --- packs -------------------------------------------------------------------------------------

    def _compare_packs(self, packs: Sequence[ObjectVersion | None]) -> tuple[Tally, Tally]:
        missing, wrong_size = Tally(), Tally()
        for number, (name, pack) in enumerate(zip(self._index.packs, packs, strict=True)):
            expected = self._index.pack_size(number)
            if pack is None:
                missing.note(_pack_key(name), "an index names it and the state lacks it")
            elif pack.size != expected:
                wrong_size.note(pack.key, f"it has {pack.size} bytes; the indexes say {expected}")
        return missing, wrong_size

    def _read_data(self, key: Key, packs: Sequence[ObjectVersion | None]) -> int:
        """How many blobs are what the indexes say."""
        source = self._index.by_pack()

        def next_pack() -> "tuple[int, tuple[int, ObjectVersion, Sequence[int]]] | None":
            for number, rows in source:
                if (pack := packs[number]) is not None:
                    return min(pack.size, READING), (number, pack, rows)
            return None

        def read(asked: "tuple[int, ObjectVersion, Sequence[int]]") -> PackVerdict:
            number, pack, rows = asked
            blobs = (self._index.row(row)[1] for row in rows)
            return verify_pack(self._reader, pack, key, self._limits, blobs, self._index.pack_size(number))

        verified = 0
        for (_, pack, _), verdict in read_ahead(self._executor, self._limits, next_pack, read):
            if isinstance(verdict, Unreadable):
                raise verdict
            verified += verdict.verified
            if verdict.faults:
                self._damaged.note(pack.key, "; ".join(verdict.faults))
        return verified

    def _unindexed(self, key: Key) -> tuple[Tally, Tally, int]:
        """Packs that no index names; those of them that are foreign; and the bytes of all."""
        unindexed, foreign = Tally(), Tally()
        packs = [pack for name, pack in self._files.packs.items() if not self._index.names(name)]
        for pack in packs:
            unindexed.note(pack.key, "no index names it")
        source = iter(packs[:_HEADERS_READ])

        def next_pack() -> tuple[int, ObjectVersion] | None:
            return None if (pack := next(source, None)) is None else (1 << 16, pack)

        def read(pack: ObjectVersion) -> int:
            return len(read_header(self._reader, pack, key, self._limits))

        for pack, blobs in read_ahead(self._executor, self._limits, next_pack, read):
            if isinstance(blobs, Unreadable):
                foreign.note(pack.key, f"no index names it, and its header does not open: {blobs}")
        return unindexed, foreign, sum(pack.size for pack in packs)


@dataclass(frozen=True, slots=True)
class _Opened:
    key_files: KeyFiles
    key: Key | None = None
    config: RepositoryConfig | None = None
    unjudged: str | None = None


class _KeyRing:
    """The key files of a state, tried in the order of their names."""

    def __init__(self, files: _Files, reader: RangedReader, limits: Limits, damaged: Tally) -> None:
        self._files = files
        self._reader = reader
        self._limits = limits
        self._damaged = damaged
        self._refused = Tally()
        self._wrong = 0

    def open(self, password: str) -> _Opened:
        """The config, and the master key that opened it."""
        sound = [(version, key_file) for version in self._files.keys if (key_file := self._sound(version))]
        if not self._files.keys:
            self._damaged.note("keys/", "the state has no key file: nothing can be read without one")
        if (sealed := self._sealed_config()) is None:
            return self._unjudged("the config cannot be read", len(sound))
        strangers: list[ObjectVersion] = []
        for tried, (version, key_file) in enumerate(sound[: self._limits.key_files], start=1):
            if (master := self._master_key(version, key_file, password)) is None:
                continue
            try:
                config = parse_config(master.open(sealed))
            except WrongKey:
                strangers.append(version)
                continue
            except Unreadable as fault:
                self._damaged.note("config", fault)
                return self._unjudged("the config cannot be read", len(sound) - tried)
            for stranger in strangers:
                self._refused.note(stranger.key, "it opens, but its master key is not this repository's")
            return _Opened(self._key_files(len(sound) - tried, version), master, config)
        not_tried = len(sound[self._limits.key_files :])
        if strangers:
            self._damaged.note("config", "the master key does not open it")
            return self._unjudged("the config cannot be read", not_tried)
        if not self._files.keys:
            return self._unjudged("the state has no key file: no password opens it", not_tried)
        return self._unjudged("the password opens no key file of the state", not_tried)

    def _sound(self, version: ObjectVersion) -> KeyFile | None:
        """A key file that restic could have written; others are refused."""
        try:
            key_file = parse_key_file(_read_file(self._reader, version, self._limits.small_file))
            key_file.scrypted.check(self._limits)
        except Unreadable as fault:
            self._refused.note(version.key, fault)
            return None
        return key_file

    def _sealed_config(self) -> bytes | None:
        if self._files.config is None:
            self._damaged.note("config", "the state has no config")
            return None
        try:
            return _read_file(self._reader, self._files.config, self._limits.small_file)
        except Unreadable as fault:
            self._damaged.note("config", fault)
            return None

    def _master_key(self, version: ObjectVersion, key_file: KeyFile, password: str) -> Key | None:
        derived = key_file.scrypted.derive(password, self._limits)
        try:
            return parse_master_key(derived.open(key_file.data))
        except WrongKey:
            self._wrong += 1
        except Unreadable as fault:
            self._refused.note(version.key, fault)
        return None

    def _key_files(self, not_tried: int, opened: ObjectVersion | None = None) -> KeyFiles:
        return KeyFiles(
            opened=opened and opened.key,
            wrong_password=self._wrong,
            not_tried=not_tried,
            refused=self._refused.total(),
        )

    def _unjudged(self, why: str, not_tried: int) -> _Opened:
        return _Opened(self._key_files(not_tried), unjudged=why)


def _config_fields(config: RepositoryConfig) -> ConfigFields:
    # The id may be any text, and a report is shown on terminals.
    name = config.id if _ID.fullmatch(config.id) else "not an id"
    return ConfigFields(version=config.version, id=name, chunker_polynomial=f"{config.chunker_polynomial:x}")


def _read_file(reader: RangedReader, version: ObjectVersion, limit: int) -> bytes:
    """A whole object of at most `limit` bytes, proven by its name where that promises its SHA-256."""
    if version.size > limit:
        raise Unreadable(f"it has {version.size} bytes, and {limit} are read; it was not tried")
    content = read_exactly(reader, version, 0, version.size)
    promised = promised_sha256(version.key)
    if promised is not None and hashlib.sha256(content).hexdigest() != promised:
        raise Unreadable("its bytes do not hash to its name")
    return content


def _pack_key(name: bytes) -> ObjectKey:
    digits = name.hex()
    return ObjectKey(f"data/{digits[:2]}/{digits}")
