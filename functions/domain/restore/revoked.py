"""Key files that were removed since a state: revoked passwords, which a restore must not bring back by itself.

Security rules:
- What the newest recorded state lacks counts as removed, whoever removed it: an attack looks the same.
- It comes back only for who says so, and is named either way.
- A repository whose every key file would be left out cannot be opened: that is refused.
"""

from collections.abc import Collection, Iterable, Iterator

from functions.domain.columns import Columns
from functions.domain.documents import UnreadableDocument
from functions.domain.ledger import StateDamaged, StoredStates, stream_state
from functions.domain.restic import FileType, file_type
from functions.domain.restore.request import RestoreRefused
from functions.domain.state import StateHeader
from functions.domain.values import ObjectKey

_FIRST, _AFTER = ObjectKey("keys/"), ObjectKey("keys0")
"""In key order, all key files lie between these."""


def key_files(blocks: Iterable[Columns]) -> Iterator[ObjectKey]:
    """Restic's key files among entries that come in key order; goes through all of them."""
    for block in blocks:
        if len(block) and block.keys[0] < _AFTER and block.keys[-1] > _FIRST:
            yield from (key for key in block.keys if file_type(key) is FileType.KEY)


def keys_of_today(ledger: StoredStates, header: StateHeader, newest: StateHeader | None) -> frozenset[ObjectKey] | None:
    """The key files of the newest state; None where nothing of `header`'s can have been removed since.

    Raises StateDamaged, UnreadableDocument.
    """
    if newest is None or newest.manifest_root == header.manifest_root:
        return None
    if not (tally := header.by_type.get(FileType.KEY)) or not tally.objects:
        return None
    return frozenset(key_files(stream_state(ledger, newest)))


def check_known(error: StateDamaged | UnreadableDocument, *, with_revoked_keys: bool) -> None:
    """What to do where the newest state cannot be read: raises RestoreRefused, unless no key file is left out."""
    if not with_revoked_keys:
        raise RestoreRefused(
            f"which key files were removed since that state is not known: {error}; nothing was written; to restore all "
            "of them, pass --with-revoked-keys"
        ) from error


def check_openable(revoked: Collection[ObjectKey], remaining: int) -> None:
    """Raises RestoreRefused where `revoked` are left out and none of the state's other key files remains."""
    if revoked and not remaining:
        raise RestoreRefused(
            f"each of the state's {len(revoked)} key files was removed since, and a repository without key files "
            "cannot be opened; nothing was written; if it was the attack that removed them, pass --with-revoked-keys"
        )
