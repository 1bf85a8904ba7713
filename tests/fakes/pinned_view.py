"""What a state pins of a bucket, shown as if it were all that the bucket holds; nothing can be written to it.

The real restic, run against it over HTTP, judges exactly the versions that our check judges: whatever was put
on top of them or hid them since is not there, and a pinned version that was destroyed is listed and not found.
"""

from collections.abc import Iterable

from functions.domain.values import ObjectVersion
from tests.fakes.faults import Call
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_access import OWNER
from tests.fakes.s3_errors import AccessDenied
from tests.fakes.s3_model import Version

_READING = ("GetBucketLocation", "GetObject", "HeadBucket", "HeadObject", "ListObjectsV2")


class PinnedView(FakeS3):
    """Give it to an S3Server. It keeps what it lists, and fetches bytes from the bucket that it shows."""

    def __init__(self, source: FakeS3, bucket: str, prefix: str, state: Iterable[ObjectVersion]) -> None:
        """`state` has keys relative to `prefix`, which is empty or ends with a slash."""
        super().__init__(source.clock)
        self._source = source
        self.create_bucket(bucket)
        for order, entry in enumerate(state):
            self._buckets[bucket].insert(
                Version(
                    key=prefix + entry.key,
                    version_id=entry.version_id,
                    order=order,
                    last_modified=entry.last_modified,
                    body=bytes(entry.size),  # as long as the true one, which only the source has
                    etag=entry.etag,
                    storage_class=entry.storage_class,
                )
            )
        self.hook = _only_reading

    def get(
        self, bucket: str, key: str, version_id: str = "", *, customer_key_md5: str = "", by: str = OWNER
    ) -> Version:
        pinned = super().get(bucket, key, version_id, by=by)
        return self._source.get(bucket, key, pinned.version_id, customer_key_md5=customer_key_md5)

    def head(
        self, bucket: str, key: str, version_id: str = "", *, customer_key_md5: str = "", by: str = OWNER
    ) -> Version:
        pinned = super().head(bucket, key, version_id, by=by)
        return self._source.head(bucket, key, pinned.version_id, customer_key_md5=customer_key_md5)


def _only_reading(call: Call) -> None:
    if call.operation not in _READING:
        raise AccessDenied("This is a view of recorded versions: it can only be read; nothing was done")
