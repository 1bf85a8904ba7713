"""Pages in the records bucket: `pages/<repository>.html`, and `pages/_all.html`, each replaced by the next one."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3PageWriter:
    """PageWriter over boto3."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, name: str, html: str) -> None:
        self._client.put_object(
            Bucket=self._bucket,
            Key=f"pages/{name}.html",
            Body=html.encode(),
            ContentType="text/html; charset=utf-8",
            # A bucket with a default retention takes no PUT without a checksum.
            ChecksumAlgorithm="SHA256",
        )
