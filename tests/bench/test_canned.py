"""The canned S3 answers as S3 does, wherever a page begins; and what it lists is what the bench says it is."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from bench.canned import Canned, NoSuchMarker, write
from bench.canned_s3 import canned_s3
from bench.synthetic import Synthetic
from functions.domain.columns import MARKER
from functions.domain.restic import FileType, file_type
from functions.domain.values import ListedVersion, Listing, ObjectVersion
from functions.storage.listing import S3VersionLister

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SIZE = 2_500
BUCKET = Synthetic(SIZE)


def listing() -> Listing:
    return (entry for block in BUCKET.blocks() for entry in block.entries())


EVERYTHING: list[ListedVersion] = list(listing())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("canned")


@pytest.fixture(scope="module")
def environment(folder: Path) -> Iterator[dict[str, str]]:
    with canned_s3(folder) as environment:
        yield environment


def client(environment: dict[str, str]) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
        aws_access_key_id="any",
        aws_secret_access_key="any",
        region_name="us-east-1",
        verify=environment.get("AWS_CA_BUNDLE"),
    )


@pytest.fixture(scope="module")
def canned(folder: Path) -> Canned:
    write(folder / "canned", BUCKET)
    return Canned(folder / "canned")


def test_a_listing_is_the_bucket_entry_by_entry(environment: dict[str, str]) -> None:
    assert list(S3VersionLister(client(environment), str(SIZE), "").versions()) == EVERYTHING


def test_boto3s_own_reader_finds_the_same(environment: dict[str, str]) -> None:
    pages = list(client(environment).get_paginator("list_object_versions").paginate(Bucket=str(SIZE)))
    versions = [each for page in pages for each in page.get("Versions", [])]
    markers = [each for page in pages for each in page.get("DeleteMarkers", [])]
    assert [len(page.get("Versions", [])) + len(page.get("DeleteMarkers", [])) for page in pages] == [
        *(1000, 1000),
        len(EVERYTHING) - 2000,
    ]
    assert len(versions) + len(markers) == len(EVERYTHING)
    assert {each["Owner"]["ID"] for each in (*versions, *markers)} == {versions[0]["Owner"]["ID"]}
    newest = {each["Key"]: each["VersionId"] for each in (*versions, *markers) if each["IsLatest"]}
    assert newest == {entry.key: entry.version_id for entry in reversed(EVERYTHING)}


def test_over_tls_it_is_the_same_and_an_empty_bucket_is_empty(folder: Path) -> None:
    with canned_s3(folder, tls=True) as environment:
        s3 = client(environment)
        assert environment["AWS_ENDPOINT_URL_S3"].startswith("https://")
        assert list(S3VersionLister(s3, str(SIZE), "").versions()) == EVERYTHING
        assert list(S3VersionLister(s3, "0", "").versions()) == []


@pytest.mark.parametrize("place", [0, 1, 36, 37, 38, 999, len(EVERYTHING) - 1])
def test_a_listing_goes_on_behind_a_version_and_without_one_behind_the_key(
    environment: dict[str, str], canned: Canned, place: int
) -> None:
    at = EVERYTHING[place]
    assert (canned.key(place), canned.version_id(place)) == (at.key, at.version_id)
    asked = {"key-marker": at.key, "version-id-marker": at.version_id}
    assert entries(canned, asked)[:3] == names(EVERYTHING[place + 1 :])[:3]
    later = [entry for entry in EVERYTHING if entry.key > at.key]
    assert entries(canned, {"key-marker": at.key})[:3] == names(later)[:3]
    assert entries(canned, {"key-marker": at.key + "!"})[:3] == names(later)[:3]


def test_a_key_with_two_versions_is_gone_on_with_in_between(canned: Canned) -> None:
    (place, *_) = [place for place, (one, other) in enumerate(pairwise(EVERYTHING)) if one.key == other.key]
    first, second = EVERYTHING[place : place + 2]
    asked = {"key-marker": first.key, "version-id-marker": first.version_id, "max-keys": "1"}
    assert entries(canned, asked) == names([second])


def test_a_marker_of_no_version_is_refused(canned: Canned, environment: dict[str, str]) -> None:
    asked = {"key-marker": EVERYTHING[0].key, "version-id-marker": EVERYTHING[1].version_id}
    with pytest.raises(NoSuchMarker):
        canned.page("bench", asked)
    with pytest.raises(ClientError, match="InvalidArgument"):
        client(environment).list_object_versions(
            Bucket=str(SIZE), KeyMarker=asked["key-marker"], VersionIdMarker=asked["version-id-marker"]
        )


@pytest.mark.parametrize("prefix", ["data/7", "data/7f", "index/", "snapshots/", "config", "locks/", "z"])
def test_a_prefix_narrows_it_down(environment: dict[str, str], prefix: str) -> None:
    answer = client(environment).list_object_versions(Bucket=str(SIZE), Prefix=prefix)
    found = {each["Key"] for each in answer.get("Versions", [])}
    assert found == {entry.key for entry in EVERYTHING if entry.key.startswith(prefix)}


def test_keys_are_encoded_only_for_who_asks(canned: Canned) -> None:
    asked = {"prefix": "data/", "key-marker": "data/ ü", "max-keys": "1"}
    assert b"<KeyMarker>data/ \xc3\xbc</KeyMarker>" in canned.page("bench", asked).head
    encoded = canned.page("bench", {**asked, "encoding-type": "url"}).head
    assert b"<KeyMarker>data/%20%C3%BC</KeyMarker>" in encoded
    assert b"<EncodingType>url</EncodingType>" in encoded


def test_a_copy_and_a_put_are_answered_as_if_they_were_done(environment: dict[str, str]) -> None:
    s3 = client(environment)
    copied = s3.copy_object(Bucket="1", Key="a", CopySource={"Bucket": "1", "Key": "b"}, ChecksumAlgorithm="SHA256")
    assert len(copied["CopyObjectResult"]["ChecksumSHA256"]) == 44
    assert s3.put_object(Bucket="1", Key="a", Body=b"x" * 200_000)["VersionId"] == "canned"
    assert s3.get_bucket_versioning(Bucket="1")["Status"] == "Enabled"
    with pytest.raises(ClientError, match="NotImplemented"):
        s3.get_bucket_policy(Bucket="1")
    with pytest.raises(ClientError, match="InvalidArgument"):
        s3.list_object_versions(Bucket="1", Delimiter="/")


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 7\r\n\r\n1234567",
        b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
        # As boto3 sends it over TLS, with the checksum behind.
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nx-amz-checksum-crc32: AAAAAA==\r\n\r\n",
    ],
)
def test_what_comes_after_a_body_is_the_next_request(environment: dict[str, str], body: bytes) -> None:
    port = int(environment["AWS_ENDPOINT_URL_S3"].rpartition(":")[2])
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.settimeout(10)
        connection.sendall(b"PUT /1/a HTTP/1.1\r\n" + body + b"GET /1?location HTTP/1.1\r\n\r\n")
        answer = b""
        while b"LocationConstraint" not in answer:
            piece = connection.recv(1 << 16)
            assert piece, answer
            answer += piece
    assert answer.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize("sent", [b"x" * 200_000, b"nonsense\r\n\r\n", b"PUT /a HTTP/1.1\r\nContent-Length: z\r\n\r\n"])
def test_what_is_no_request_ends_its_connection_and_no_other(environment: dict[str, str], sent: bytes) -> None:
    port = int(environment["AWS_ENDPOINT_URL_S3"].rpartition(":")[2])
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.sendall(sent)
        connection.settimeout(10)
        with suppress(ConnectionError):  # hung up on before all of it was sent
            assert connection.recv(1) == b""
    assert client(environment).get_bucket_versioning(Bucket="1")["Status"] == "Enabled"


def test_a_bucket_is_written_once_and_anew_when_it_is_another(tmp_path: Path) -> None:
    small = Synthetic(50)
    write(tmp_path / "50", small)
    before = (tmp_path / "50" / "entries.xml").stat().st_mtime_ns
    write(tmp_path / "50", small)
    assert (tmp_path / "50" / "entries.xml").stat().st_mtime_ns == before
    write(tmp_path / "50", replace(small, seed=2))
    assert (tmp_path / "50" / "entries.xml").stat().st_mtime_ns != before
    assert json.loads((tmp_path / "50" / "made.json").read_text())["seed"] == 2


@pytest.mark.parametrize("size", [100, 2_500, 20_000])
def test_a_bucket_is_as_large_as_it_says_and_a_hundredth_is_hidden_or_uploaded_twice(size: int) -> None:
    bucket = Synthetic(size)
    blocks = list(bucket.blocks())
    entries = [entry for block in blocks for entry in block.entries()]
    markers = sum(block.sizes.count(MARKER) for block in blocks)
    keys = {entry.key for entry in entries}
    assert len(entries) - markers == pytest.approx(size, abs=3 + size // 500)
    assert markers == pytest.approx(size / 100, abs=1 + size // 1000)
    assert len(entries) - markers - len(keys) == pytest.approx(size / 100, abs=1 + size // 1000)
    assert len(keys) == sum(bucket.by_type().values())
    assert {kind: sum(file_type(key) is kind for key in keys) for kind in bucket.by_type()} == bucket.by_type()


@pytest.mark.parametrize("size", [100, 2_500, 20_000])
def test_between_its_two_cuts_is_one_backup(size: int) -> None:
    bucket = Synthetic(size)
    before, after = (current(bucket, at) for at in (bucket.before, bucket.after))
    old = set(before)
    added = [version for version in after if version not in old]
    assert len(added) == len(after) - len(before) == min(1_000, size // 20)
    kinds = [file_type(version.key) for version in added]
    assert (kinds.count(FileType.SNAPSHOT), kinds.count(FileType.INDEX)) == (1, 1)
    times = [time for block in bucket.blocks() for time in block.times]
    for at in (bucket.before, bucket.after):
        assert min(abs(time - at.timestamp()) for time in times) > 60, "nothing is written while a cut is taken"


def current(bucket: Synthetic, at: datetime) -> tuple[ObjectVersion, ...]:
    """What a cut at that instant has."""
    newest: dict[str, ListedVersion] = {}
    for entry in (entry for block in bucket.blocks() for entry in block.entries()):
        if entry.last_modified <= at:
            newest.setdefault(entry.key, entry)
    return tuple(entry for entry in newest.values() if isinstance(entry, ObjectVersion))


def names(listed: list[ListedVersion]) -> list[tuple[str, str]]:
    return [(entry.key, entry.version_id) for entry in listed]


def entries(canned: Canned, asked: dict[str, str]) -> list[tuple[str, str]]:
    """Keys and version ids of one page, read with nothing but text."""
    text = bytes(canned.page("bench", asked).entries).decode()
    rows: list[Any] = text.split("<Key>")[1:]
    return [(row.partition("</Key>")[0], row.partition("<VersionId>")[2].partition("</VersionId>")[0]) for row in rows]
