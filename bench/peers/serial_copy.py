"""`python -m bench.peers.serial_copy SOURCE TARGET`: one thread copies versions from one bucket into another, with
boto3 as it comes. It is given their keys and version ids as a line of JSON, so that its start is not measured."""

import json
import sys

import boto3


def main(source: str, target: str) -> None:
    s3 = boto3.client("s3")
    print("ready", flush=True)
    versions = json.loads(sys.stdin.readline())
    for key, version_id in versions:
        s3.copy({"Bucket": source, "Key": key, "VersionId": version_id}, target, key)
    print(len(versions), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
