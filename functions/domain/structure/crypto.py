"""restic's cryptography: scrypt for a key file, then AES-256-CTR with Poly1305-AES for everything.

Source: restic's doc/design.rst ("Keys, Encryption and MAC") and internal/crypto. A sealed message is a
16-byte IV, the ciphertext, and a 16-byte MAC over the ciphertext alone, whose one-time key is `r` followed
by AES-128 of the IV under `k`.

Security rules:
- scrypt's cost comes from the key file, so from whoever wrote it: it is bounded before a derivation begins.
- The MAC is verified before a byte is decrypted.
- Keys and passwords have no representation, and no error carries one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.poly1305 import Poly1305

from functions.domain.structure.reading import Limits, Unreadable

OVERHEAD = 32
"""Bytes that sealing adds: the IV and the MAC."""
_IV = 16
_ZERO_IV = bytes(_IV)
_MAC = 16
_SALT = 64
_PIECE = 1 << 20


class WrongKey(Unreadable):
    """The MAC does not verify: another key sealed this, or it was changed."""


@dataclass(frozen=True, slots=True)
class Key:
    """An encryption key and the two halves of a MAC key."""

    encrypt: bytes = field(repr=False)
    mac_k: bytes = field(repr=False)
    mac_r: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if (len(self.encrypt), len(self.mac_k), len(self.mac_r)) != (32, 16, 16):
            raise Unreadable("a key has parts of the wrong length")

    def open(self, sealed: bytes | memoryview) -> bytes:
        """What was sealed. Raises Unreadable; WrongKey when the MAC does not verify."""
        opened = self.begin(sealed)
        return opened.read(opened.length)

    def begin(self, sealed: bytes | memoryview) -> "Opened":
        """What was sealed, to be decrypted as it is read. Raises Unreadable; WrongKey as `open` does."""
        initial, ciphertext = _verified(self, self.nonces(), sealed)
        return Opened(Cipher(algorithms.AES(self.encrypt), modes.CTR(initial)).decryptor(), ciphertext)

    def nonces(self) -> CipherContext:
        """What makes each IV into a nonce of the MAC."""
        return Cipher(algorithms.AES(self.mac_k), modes.ECB()).encryptor()  # noqa: S305 - one block


class Unsealer:
    """Opens many short messages, and prepares the ciphers once for all; not for several threads at once."""

    def __init__(self, key: Key) -> None:
        self._key = key
        self._nonces = key.nonces()
        self._decryptor = Cipher(algorithms.AES(key.encrypt), modes.CTR(bytes(_IV))).decryptor()

    def open(self, sealed: bytes | memoryview) -> bytes:
        """As `Key.open` does."""
        initial, ciphertext = _verified(self._key, self._nonces, sealed)
        self._decryptor.reset_nonce(initial)
        return self._decryptor.update(ciphertext)


class Opened:
    """What was sealed and verified, decrypted a piece at a time, so that it need not be held twice."""

    def __init__(self, decryptor: CipherContext, ciphertext: bytes | memoryview) -> None:
        self.length = len(ciphertext)
        self._decryptor = decryptor
        self._ciphertext = memoryview(ciphertext)

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; none at the end."""
        piece, self._ciphertext = self._ciphertext[:size], self._ciphertext[size:]
        return self._decryptor.update(piece)

    def pieces(self) -> Iterator[bytes]:
        """All that is left."""
        while piece := self.read(_PIECE):
            yield piece


@dataclass(frozen=True, slots=True)
class Scrypted:
    """How a key file says its own key follows from a password."""

    n: int
    r: int
    p: int
    salt: bytes

    def check(self, limits: Limits) -> None:
        """Raises Unreadable for parameters that are none, or that cost too much."""
        if min(self.n, self.r, self.p) < 1 or self.n < 2 or self.n & (self.n - 1) or self.r * self.p >= 1 << 30:
            raise Unreadable("its scrypt parameters are invalid")
        if len(self.salt) != _SALT:
            raise Unreadable(f"its salt has {len(self.salt)} bytes, and restic takes {_SALT}")
        if 128 * self.n * self.r > limits.scrypt_memory or self.n * self.r * self.p > limits.scrypt_work:
            raise Unreadable(f"its scrypt would cost too much (N={self.n}, r={self.r}, p={self.p}); it was not tried")

    def derive(self, password: str, limits: Limits) -> Key:
        """The key that seals the key file's `data`. Raises Unreadable without deriving for what `check` refuses."""
        self.check(limits)
        derived = Scrypt(salt=self.salt, length=64, n=self.n, r=self.r, p=self.p).derive(password.encode())
        return Key(encrypt=derived[:32], mac_k=derived[32:48], mac_r=derived[48:])


def _verified(key: Key, nonces: CipherContext, sealed: bytes | memoryview) -> tuple[bytes, memoryview]:
    """The IV and the ciphertext of what `key` sealed. Raises Unreadable."""
    if len(sealed) < OVERHEAD:
        raise Unreadable(f"{len(sealed)} bytes are too few to be sealed")
    initial, ciphertext, tag = bytes(sealed[:_IV]), memoryview(sealed)[_IV:-_MAC], bytes(sealed[-_MAC:])
    if initial == _ZERO_IV:
        raise Unreadable("its IV is zero")
    if not _verifies(key.mac_r + nonces.update(initial), ciphertext, tag):
        raise WrongKey("its MAC does not verify")
    return initial, ciphertext


def _verifies(key: bytes, ciphertext: bytes | memoryview, tag: bytes) -> bool:
    try:
        Poly1305.verify_tag(key, ciphertext, tag)
    except InvalidSignature:
        return False
    return True
