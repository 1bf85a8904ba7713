"""`python -m bench.list_once HOW BUCKET`: RWM's listing of a bucket of the canned S3, as one whole process.

HOW is `sequential`: one range, one request after the other; or `parallel`: key ranges side by side, sized by what the
newest state of such a repository would say. Prints how many entries there were, and what listing them took,
without the start of Python.
"""

import json
import sys
import time
from typing import TYPE_CHECKING

import boto3

from bench.synthetic import Synthetic
from functions.domain.ranges import KeyRange
from functions.storage.aws import CLIENT
from functions.storage.listing import S3VersionLister

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def main(how: str, bucket: str) -> int:
    started = time.perf_counter()
    s3: S3Client = boto3.client("s3", config=CLIENT)
    if how == "parallel":
        blocks = S3VersionLister(s3, bucket, "").blocks(Synthetic(int(bucket)).by_type())
    else:
        blocks = S3VersionLister(s3, bucket, "", threads=1).within([KeyRange(None, None)])
    entries = sum(len(block) for block in blocks)
    print(json.dumps({"entries": entries, "seconds": time.perf_counter() - started}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
