"""Who may do what on the fake: allowed and denied IAM actions per bucket and key prefix.

No policy language: the templates' policies are proven elsewhere. This is enough to deny a host what the
real one is denied. As on AWS a deny wins, and what nobody allowed is denied.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

OWNER = "owner"
"""The principal that may do everything, unless a statement denies it."""


@dataclass(frozen=True, slots=True)
class Statement:
    """Actions (with `s3:`, `*` as wildcard) on one bucket (`*`: all) below one key prefix.

    For listings the prefix is compared with the request's, as the condition `s3:prefix` does.
    """

    actions: frozenset[str]
    bucket: str
    prefix: str

    def covers(self, action: str, bucket: str, key: str) -> bool:
        return (
            self.bucket in ("*", bucket)
            and key.startswith(self.prefix)
            and any(fnmatchcase(action, pattern) for pattern in self.actions)
        )


@dataclass(slots=True)
class Access:
    """The principals and what each is allowed and denied."""

    allowed: dict[str, list[Statement]] = field(default_factory=dict)
    denied: dict[str, list[Statement]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.allow(OWNER, ["s3:*"])

    def allow(self, principal: str, actions: Iterable[str], bucket: str = "*", prefix: str = "") -> None:
        """Let `principal` do `actions`. A principal exists from its first statement on."""
        self._add(self.allowed, principal, actions, bucket, prefix)

    def deny(self, principal: str, actions: Iterable[str], bucket: str = "*", prefix: str = "") -> None:
        """Forbid `principal` the `actions`, whatever else allows them."""
        self._add(self.denied, principal, actions, bucket, prefix)

    def knows(self, principal: str) -> bool:
        return principal in self.allowed or principal in self.denied

    def permits(self, principal: str, action: str, bucket: str, key: str = "") -> bool:
        if any(statement.covers(action, bucket, key) for statement in self.denied.get(principal, ())):
            return False
        return any(statement.covers(action, bucket, key) for statement in self.allowed.get(principal, ()))

    @staticmethod
    def _add(
        statements: dict[str, list[Statement]],
        principal: str,
        actions: Iterable[str],
        bucket: str,
        prefix: str,
    ) -> None:
        if isinstance(actions, str):
            raise TypeError(f"actions must be a list, not the string {actions!r}; nothing was added")
        names = frozenset(actions)
        if wrong := sorted(name for name in names if not name.startswith("s3:")):
            raise ValueError(f"{wrong} lack the prefix s3:; nothing was added")
        statements.setdefault(principal, []).append(Statement(names, bucket, prefix))
