"""`python -m bench.peers.boto3_paginator BUCKET`: lists all versions with boto3's paginator, as its documentation says
to, and counts them."""

import sys

import boto3


def main(bucket: str) -> None:
    s3 = boto3.client("s3")
    versions = markers = 0
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        versions += len(page.get("Versions", []))
        markers += len(page.get("DeleteMarkers", []))
    print(versions + markers)


if __name__ == "__main__":
    main(sys.argv[1])
