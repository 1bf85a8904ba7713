"""How a bucket is configured, in S3's words, as far as it could be fetched.

None always means "could not be fetched", never "is not set": what is not set has a value of its own (an
empty tuple, `ObjectLock(enabled=False)`), so that a denied or unsupported call can never pass for a bucket
without lifecycle rules.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from typing import Any, Literal

from functions.domain.bucket_policy import Statement
from functions.domain.values import Digest, Versioning


@dataclass(frozen=True, slots=True)
class ObjectLock:
    """GetObjectLockConfiguration. A default retention given in years has 365 days each."""

    enabled: bool
    mode: Literal["GOVERNANCE", "COMPLIANCE"] | None = None
    """None: no default retention."""
    days: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleRule:
    """One rule of GetBucketLifecycleConfiguration. None: the rule does no such thing."""

    id: str
    enabled: bool = True
    prefix: str = ""
    """Of the whole bucket; a filter by tag or size narrows the rule further, which is not relied on."""
    expire_days: int | None = None
    expire_date: date | None = None
    noncurrent_days: int | None = None
    transitions: tuple[str, ...] = ()
    """Storage classes that current or noncurrent versions are moved to."""
    abort_uploads_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicAccess:
    """GetPublicAccessBlock; without one all four are off."""

    block_acls: bool = False
    ignore_acls: bool = False
    block_policy: bool = False
    restrict_buckets: bool = False


@dataclass(frozen=True, slots=True)
class Encryption:
    """GetBucketEncryption."""

    algorithm: str
    """`AES256`, `aws:kms` or `aws:kms:dsse`."""
    kms_key: str | None = None
    sse_c_blocked: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """One grant of GetBucketAcl to somebody else than the bucket's owner."""

    grantee: str
    """A canonical user id, or the URI of one of S3's groups."""
    permission: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketFacts:
    """Everything that posture judges. None: could not be fetched."""

    read_at: datetime
    """S3's clock."""
    versioning: Versioning | None = None
    object_lock: ObjectLock | None = None
    lifecycle: tuple[LifecycleRule, ...] | None = None
    policy: tuple[Statement, ...] | None = None
    """The statements of the bucket's policy; empty where it has none."""
    public_access: PublicAccess | None = None
    encryption: Encryption | None = None
    replication: tuple[str, ...] | None = None
    """The ARN of each destination bucket of an enabled rule."""
    ownership: str | None = None
    """`BucketOwnerEnforced`, `BucketOwnerPreferred` or `ObjectWriter`; `ObjectWriter` where it was never set."""
    grants: tuple[Grant, ...] | None = None

    @property
    def unread(self) -> tuple[str, ...]:
        """The facts that could not be fetched, by name."""
        return tuple(name for name in _NAMES if getattr(self, name) is None)

    @property
    def digests(self) -> Mapping[str, Digest]:
        """Of each fact that was fetched: what to keep beside a state, to see later which of them changed."""
        content = asdict(self)
        return {name: _digest(content[name]) for name in _NAMES if content[name] is not None}

    @property
    def digest(self) -> Digest:
        """Of all facts together."""
        return _digest(dict(self.digests))


_NAMES = tuple(field.name for field in fields(BucketFacts) if field.name != "read_at")


def _digest(content: Any) -> Digest:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return Digest(hashlib.sha256(b"rwm posture fact 1\0" + text.encode()).hexdigest())
