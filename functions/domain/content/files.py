"""The files of a check of content in the records bucket: their names, and reading what is surely meant.

Security rule: a plan is believed by its digest, and a batch by the digest in its plan; both are read by version id.
"""

from functions.domain.batches import decode_batch
from functions.domain.content.plan import ContentPlan, batch_digest
from functions.domain.ports import RecordReader
from functions.domain.values import Digest, ObjectVersion, RepositoryName, VersionId


class NotThePlan(Exception):
    """What is stored is not the plan or the batch that was announced; nothing was read for it."""


def plan_file(repository: RepositoryName, execution: str) -> str:
    return f"checks/{repository}/{execution}/plan.json"


def manifest_file(repository: RepositoryName, execution: str) -> str:
    return f"checks/{repository}/{execution}/manifest.json"


def batch_file(repository: RepositoryName, execution: str, number: int) -> str:
    return f"checks/{repository}/{execution}/batches/{number:05d}.jsonl"


def result_file(repository: RepositoryName, execution: str, number: int) -> str:
    return f"checks/{repository}/{execution}/results/{number:05d}.json"


def read_plan(
    records: RecordReader, repository: RepositoryName, execution: str, digest: Digest, version_id: VersionId
) -> ContentPlan:
    """The plan of that digest. Raises NotThePlan, UnreadableDocument, VersionGone."""
    plan = ContentPlan.parse(records.get(plan_file(repository, execution), version_id))
    if plan.digest != digest:
        raise NotThePlan(f"content plan is {plan.digest}, expected {digest}; nothing was read for it")
    if (plan.repository, plan.execution) != (repository, execution):
        raise NotThePlan(f"the content plan of {execution} for {repository} speaks of another; nothing was read for it")
    return plan


def read_batch(records: RecordReader, plan: ContentPlan, number: int) -> tuple[ObjectVersion, ...]:
    """The entries of a batch, proven by the digest in the plan. Raises NotThePlan, UnreadableDocument, VersionGone."""
    if number >= len(plan.batches):
        raise NotThePlan(f"the content plan has {len(plan.batches)} batches, and none numbered {number}")
    batch = plan.batches[number]
    content = records.get(batch_file(plan.repository, plan.execution, number), batch.version_id)
    if (actual := batch_digest(content)) != batch.digest:
        raise NotThePlan(f"batch {number} is {actual}, expected {batch.digest}; nothing was read for it")
    return decode_batch(content)
