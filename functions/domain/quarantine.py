"""Quarantine: while it is in force, whoever backs up to a repository can neither write there nor hide anything.

It is one managed policy for each repository, made with the buckets, that denies. An administrator attaches it to the
repository's principals and detaches it: no role of RWM's may change identities.

A managed policy can be attached in its own account only, and the policy of a protected bucket is changed by the
deployment role and the break-glass principal alone. So a principal of another account is quarantined by a statement
that a person puts into the bucket's policy; it is looked for there, word for word.

Security rules:
- Nothing is in force that was not seen: attached to exactly this principal, or denied to it in the bucket's policy.
- It denies writing, hiding and locking alone. Reading goes on, and so do messages, by which RWM only looks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from functions.domain.bucket_policy import Statement
from functions.domain.findings import FindingId
from functions.domain.names import Names
from functions.domain.repositories import Repository
from functions.domain.values import Finding, RepositoryName, Severity

DENIED = (
    "s3:AbortMultipartUpload",
    "s3:DeleteObject*",
    "s3:PutObject*",
    "s3:ReplicateDelete",
    "s3:ReplicateObject",
    "s3:RestoreObject",
    "s3:UpdateObjectEncryption",
)
"""PutObject is also what each part of a multipart upload needs, and its completion."""


@dataclass(frozen=True, slots=True)
class Principal:
    """An IAM user or role."""

    arn: str

    @property
    def account(self) -> str:
        return self.arn.split(":")[4]

    @property
    def is_user(self) -> bool:
        return self.arn.split(":", 5)[5].startswith("user/")

    @property
    def name(self) -> str:
        """As IAM's calls want it: without the path."""
        return self.arn.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Quarantine:
    """What puts one repository into quarantine."""

    repository: str
    policy: str
    """ARN of the managed policy."""
    objects: str
    """ARN, with a wildcard, of the repository's objects."""
    principals: tuple[Principal, ...]
    """Its hosts, and who runs `restic forget --prune` for it."""

    @classmethod
    def of(cls, repository: Repository, names: Names, partition: str, account: str) -> Self:
        own = f"arn:{partition}:iam::{account}"
        hosts = [f"{own}:user/{names.host(repository.name)}" if each == "create" else each for each in repository.hosts]
        if repository.maintenance == "create":
            hosts.append(f"{own}:user/{names.maintenance(repository.name)}")
        elif repository.maintenance is not None:
            hosts.append(repository.maintenance)
        return cls(
            repository=repository.name,
            policy=f"{own}:policy/{names.quarantine(repository.name)}",
            objects=f"arn:{partition}:s3:::{repository.bucket}/{repository.key_prefix}*",
            principals=tuple(map(Principal, hosts)),
        )

    @property
    def attachable(self) -> tuple[Principal, ...]:
        """Those of the policy's own account."""
        account = self.policy.split(":")[4]
        return tuple(each for each in self.principals if each.account == account)

    @property
    def foreign(self) -> tuple[Principal, ...]:
        """Those of other accounts, for whom the bucket's policy must deny it."""
        own = set(self.attachable)
        return tuple(each for each in self.principals if each not in own)

    @property
    def bucket_statement(self) -> dict[str, Any]:
        """What denies it in the bucket's policy to those of other accounts."""
        return {
            "Sid": "Quarantine" + "".join(word.capitalize() for word in self.repository.split("-")),
            "Effect": "Deny",
            "Principal": "*",
            "Action": list(DENIED),
            "Resource": self.objects,
            "Condition": {"ArnEquals": {"aws:PrincipalArn": [each.arn for each in self.foreign]}},
        }

    def missing(
        self, attached: Mapping[Principal, frozenset[str]], statements: Sequence[Statement]
    ) -> tuple[Principal, ...]:
        """The principals for whom it is not in force, given the ARNs of the policies that are attached to each, and
        the bucket's policy."""
        attachable = set(self.attachable)
        return tuple(
            each
            for each in self.principals
            if (
                self.policy not in attached.get(each, frozenset())
                if each in attachable
                else not any(self._denies(statement, each) for statement in statements)
            )
        )

    def finding(
        self, attached: Mapping[Principal, frozenset[str]], statements: Sequence[Statement], now: datetime
    ) -> Finding | None:
        """What posture says of it at `now`; None where nobody is in quarantine."""
        missing = self.missing(attached, statements)
        inside = [each for each in self.principals if each not in missing]
        if not inside:
            return None
        who = "every host" if not missing else f"{len(inside)} of {len(self.principals)} hosts"
        return Finding(
            id=FindingId.QUARANTINED,
            severity=Severity.NOTE,
            repository=RepositoryName(self.repository),
            since=now,
            what=f"the repository is in quarantine: {who} can neither write to it nor hide anything",
            remedy=f"when what it was for is over, run `rwm unquarantine {self.repository}` as an administrator",
        )

    def _denies(self, statement: Statement, principal: Principal) -> bool:
        """Whether a statement is what `bucket_statement` asks for, for this principal at least. Whatever else it has,
        a condition or an exception, could be what makes it deny less."""
        wanted = self.bucket_statement
        conditions = statement.get("Condition")
        if set(statement) - {"Sid"} != set(wanted) - {"Sid"} or not isinstance(conditions, Mapping):
            return False
        if set(conditions) != {"ArnEquals"} or set(conditions["ArnEquals"]) != {"aws:PrincipalArn"}:
            return False
        return (
            statement["Effect"] == "Deny"
            and statement["Principal"] in ("*", {"AWS": "*"})
            and set(DENIED) <= set(_several(statement["Action"]))
            and self.objects in _several(statement["Resource"])
            and principal.arn in _several(conditions["ArnEquals"]["aws:PrincipalArn"])
        )


def _several(one_or_many: Any) -> list[Any]:
    return list(one_or_many) if isinstance(one_or_many, list | tuple) else [one_or_many]
