"""Pages in the records bucket: each replaces the last one, and says what it is."""

import boto3
from moto import mock_aws

from functions.storage.page_files import S3PageWriter


def test_a_page_is_written_over_the_last_one_as_html() -> None:
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="records")
        writer = S3PageWriter(s3, "records")
        writer.put("alpha", "<p>yesterday \u00fc</p>")
        writer.put("alpha", "<p>today \u00fc</p>")
        found = s3.get_object(Bucket="records", Key="pages/alpha.html", ChecksumMode="ENABLED")
        assert found["Body"].read().decode() == "<p>today \u00fc</p>"
        assert found["ContentType"] == "text/html; charset=utf-8"
        # A bucket with a default retention refuses a PUT without one.
        assert found["ChecksumSHA256"]
        assert [each["Key"] for each in s3.list_objects_v2(Bucket="records")["Contents"]] == ["pages/alpha.html"]
