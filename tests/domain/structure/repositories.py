"""Small repositories that the real restic made, what can be done to them, and restic's own verdict."""

import base64
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

from functions.domain.structure.check import check_structure
from functions.domain.structure.crypto import Key
from functions.domain.structure.formats import parse_key_file, parse_master_key
from functions.domain.structure.reading import Limits
from functions.domain.structure.report import Level, StructureReport
from functions.domain.values import ObjectKey, ObjectVersion, VersionGone, VersionId
from tests.builders import version
from tests.fakes.restic import BINARY, MISSING

PASSWORD = "a test's password"
READ_DATA = "--read-data"
_DECIDED = re.compile(
    r"^pack [0-9a-f]{64}: (does not exist|unexpected file size)"
    r"|retrying after .*: The specified (version|key) does not exist"
)


def restic(repository: Path, *arguments: str, password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
    """Run restic on a local repository, without locks and caches."""
    assert BINARY is not None, MISSING
    return subprocess.run(
        [BINARY, "--no-cache", "--repo", str(repository), *arguments],
        env=_environment(password),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def restic_finds_no_errors(repository: str, level: Level, *, password: str = PASSWORD, **environment: str) -> bool:
    """restic's own verdict: its exit code, or an error after which it exits with 1 in any case.

    It is not waited for then, since it tries for 45 s to read a file that is not there.
    """
    assert BINARY is not None, MISSING
    arguments = ["check", "--no-lock", *([READ_DATA] if level is Level.READ_DATA else [])]
    with subprocess.Popen(
        [BINARY, "--no-cache", "--repo", repository, *arguments],
        env=_environment(password) | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if _DECIDED.search(line):
                running.kill()
                return False
    return running.returncode == 0


def _environment(password: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "RESTIC_PASSWORD": password}


class FolderReader:
    """RangedReader over a folder; counts what it refused."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.refusals = 0
        self.gone: set[str] = set()

    def read_range(self, key: ObjectKey, version_id: VersionId, offset: int, length: int) -> bytes:
        if key in self.gone:
            self.refusals += 1
            raise VersionGone(key)
        with (self.root / key).open("rb") as file:
            file.seek(offset)
            return file.read(length)


def seal(key: Key, plain: bytes) -> bytes:
    """What restic's crypto.Seal makes."""
    initial = os.urandom(16)
    ciphertext = Cipher(algorithms.AES(key.encrypt), modes.CTR(initial)).encryptor().update(plain)
    nonce = Cipher(algorithms.AES(key.mac_k), modes.ECB()).encryptor().update(initial)  # noqa: S305 - one block
    return initial + ciphertext + Poly1305.generate_tag(key.mac_r + nonce, ciphertext)


@dataclass(frozen=True)
class MadeByRestic:
    """A repository in a folder, with its master key at hand: what an attacker on the host has as well."""

    root: Path
    version: int
    key: Key
    password: str = PASSWORD

    # --- looking -----------------------------------------------------------------------------------

    def entries(self) -> list[ObjectVersion]:
        """Its state: all files but locks, as S3 would list them."""
        keys = sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())
        return [version(key, size=self.path(key).stat().st_size) for key in keys if not key.startswith("locks/")]

    def path(self, key: str) -> Path:
        return self.root / key

    def keys(self, folder: str) -> list[str]:
        return [entry.key for entry in self.entries() if entry.key.startswith(f"{folder}/")]

    def json(self, key: str) -> Any:
        """What an index or a snapshot holds."""
        plain = self.key.open(self.path(key).read_bytes())
        if plain[:1] == b"\x02":
            plain = zstandard.ZstdDecompressor().decompress(plain[1:], max_output_size=1 << 24)
        return json.loads(plain)

    def packs(self, kind: str) -> list[tuple[str, list[dict[str, Any]]]]:
        """The packs of one kind of blob, the largest first, with what the indexes say of them."""
        found = []
        for index in self.keys("index"):
            for pack in self.json(index)["packs"]:
                if pack["blobs"][0]["type"] == kind:
                    blobs = sorted(pack["blobs"], key=lambda blob: blob["offset"])
                    found.append((f"data/{pack['id'][:2]}/{pack['id']}", blobs))
        return sorted(found, key=lambda each: -len(each[1]))

    # --- touching ----------------------------------------------------------------------------------

    def write(self, key: str, content: bytes) -> str:
        path = self.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        return key

    def add(self, folder: str, content: bytes) -> str:
        """A file named by its bytes, as restic names it."""
        name = hashlib.sha256(content).hexdigest()
        return self.write(f"{folder}/{name[:2]}/{name}" if folder == "data" else f"{folder}/{name}", content)

    def seal(self, folder: str, document: Any) -> str:
        """A file that verifies."""
        return self.add(folder, seal(self.key, json.dumps(document).encode()))

    def flip(self, key: str, at: int) -> None:
        content = bytearray(self.path(key).read_bytes())
        content[at] ^= 1
        self.write(key, bytes(content))

    def remove(self, key: str) -> None:
        self.path(key).unlink()

    def forge(self, tree: bytes, *, uncompressed: int = 0) -> str:
        """A pack with one tree, an index and a snapshot of it: all of it verifies. Returns the pack's key."""
        name = hashlib.sha256(tree if not uncompressed else b"").digest()
        sealed = seal(self.key, tree)
        entry = bytes([3 if uncompressed else 1]) + len(sealed).to_bytes(4, "little")
        entry += (uncompressed.to_bytes(4, "little") if uncompressed else b"") + name
        header = seal(self.key, entry)
        pack = self.add("data", sealed + header + len(header).to_bytes(4, "little"))
        blob = {"id": name.hex(), "type": "tree", "offset": 0, "length": len(sealed)}
        if uncompressed:
            blob["uncompressed_length"] = uncompressed
        self.seal("index", {"packs": [{"id": pack[-64:], "blobs": [blob]}]})
        self.seal("snapshots", {"time": "2026-11-21T12:00:00Z", "tree": name.hex(), "paths": ["/"]})
        return pack

    # --- judging -----------------------------------------------------------------------------------

    def restic_finds_no_errors(self, level: Level) -> bool:
        return restic_finds_no_errors(str(self.root), level, password=self.password)

    def check(self, level: Level = Level.STRUCTURE, limits: Limits | None = None) -> StructureReport:
        """Ours."""
        with ThreadPoolExecutor(2) as executor:
            reader = FolderReader(self.root)
            return check_structure(self.entries(), reader, self.password, executor, level=level, limits=limits)


def cheap_key_file(key: Key, password: str = PASSWORD, **changed: Any) -> bytes:
    """A key file whose scrypt costs next to nothing; restic takes it like its own."""
    salt = os.urandom(64)
    fields = {"created": "2026-11-21T12:00:00Z", "username": "u", "hostname": "h", "kdf": "scrypt"}
    master = {
        "mac": {"k": base64.b64encode(key.mac_k).decode(), "r": base64.b64encode(key.mac_r).decode()},
        "encrypt": base64.b64encode(key.encrypt).decode(),
    }
    derived = hashlib.scrypt(password.encode(), salt=salt, n=16, r=8, p=1, dklen=64)
    sealed = seal(Key(derived[:32], derived[32:48], derived[48:]), json.dumps(master).encode())
    costs = {"N": 16, "r": 8, "p": 1}
    encoded = {"salt": base64.b64encode(salt).decode(), "data": base64.b64encode(sealed).decode()}
    return json.dumps({**fields, **costs, **encoded, **changed}).encode()


def make(folder: Path, repository_version: int, *, backups: int = 2) -> MadeByRestic:
    """restic's init, and some backups of a small source. Its key file is replaced by a cheap one."""
    folder.mkdir(parents=True)
    root, source = folder / "repository", folder / "source"
    made = restic(root, "init", "--repository-version", str(repository_version))
    assert made.returncode == 0, made.stderr
    key = _replace_key_file(root)
    chance = random.Random(repository_version)
    for backup in range(backups):
        for name in _files(chance):
            path = source / f"backup {backup}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(chance.randbytes(chance.randrange(40_000)) + name.encode() * 200)
        done = restic(root, "backup", "--quiet", str(source))
        assert done.returncode == 0, done.stderr
    return MadeByRestic(root, repository_version, key)


def copied(made: MadeByRestic, folder: Path) -> MadeByRestic:
    """A copy to do anything to."""
    shutil.copytree(made.root, folder / "repository")
    return MadeByRestic(folder / "repository", made.version, made.key)


def _files(chance: random.Random) -> Iterator[str]:
    for directory in ("a", "a/b", "a/b/c", "d", "ünï çode"):
        yield from (f"{directory}/{chance.randrange(1_000_000)}" for _ in range(3))


def _replace_key_file(root: Path) -> Key:
    (original,) = (root / "keys").iterdir()
    key_file = parse_key_file(original.read_bytes())
    key = parse_master_key(key_file.scrypted.derive(PASSWORD, Limits()).open(key_file.data))
    cheap = cheap_key_file(key)
    (root / "keys" / hashlib.sha256(cheap).hexdigest()).write_bytes(cheap)
    original.rename(root.parent / "original key file")
    return key
