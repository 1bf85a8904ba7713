"""`python -m bench.peers.serial_delete BUCKET`: one thread lists all versions and deletes what is not current, a
thousand a call, with boto3 as it comes. It begins when it is given a line, so that its start is not measured."""

import sys
from typing import Any

import boto3

PER_CALL = 1_000


def main(bucket: str) -> None:
    s3 = boto3.client("s3")
    print("ready", flush=True)
    sys.stdin.readline()
    doomed: list[Any] = []
    deleted = 0
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        doomed += [entry for entry in page.get("Versions", []) if not entry["IsLatest"]] + page.get("DeleteMarkers", [])
        while len(doomed) >= PER_CALL or (doomed and not page["IsTruncated"]):
            call, doomed = doomed[:PER_CALL], doomed[PER_CALL:]
            objects: Any = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in call]
            deleted += len(s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})["Deleted"])
    print(deleted, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
