"""Which S3 request means which operation on the fake, and how its outcome is written.

A request is known by its method, by whether it names a bucket and a key, and by one subresource.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable
from email.utils import format_datetime

from tests.fakes import s3_wire, s3_xml
from tests.fakes.s3 import FakeS3, verified
from tests.fakes.s3_checksums import ALGORITHMS, COMPOSITE
from tests.fakes.s3_errors import (
    InvalidArgument,
    InvalidRange,
    InvalidRequest,
    MalformedXML,
    NotImplementedByFake,
    PreconditionFailed,
)
from tests.fakes.s3_model import DefaultRetention, Deletion, Retention, Version, VersioningStatus
from tests.fakes.s3_wire import CHECKSUM_HEADERS, WRITE_HEADERS, Answer, Request

_SUBRESOURCES = (
    "delete",
    "legal-hold",
    "list-type",
    "location",
    "object-lock",
    "restore",
    "retention",
    "uploadId",
    "uploads",
    "versioning",
    "versions",
)


def answer(fake: FakeS3, request: Request) -> Answer:
    """Do what `request` asks. Raises S3Error."""
    scope = "object" if request.key else "bucket" if request.bucket else "service"
    subresource = next((name for name in _SUBRESOURCES if name in request.query), "")
    if subresource in ("", "uploadId") and request.method == "PUT" and "x-amz-copy-source" in request.headers:
        subresource += "copy"
    route = _ROUTES.get((request.method, scope, subresource))
    if route is None:
        raise NotImplementedByFake(f"The fake does not model {request.method} {subresource} of a {scope}")
    return route(fake, request)


# --- buckets ---------------------------------------------------------------------------------------


def _list_buckets(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown()
    request.refuse_unknown_query()
    buckets = [s3_xml.group("Bucket", s3_xml.tag("Name", name)) for name in fake.list_buckets(by=request.access_key)]
    return Answer(body=s3_xml.document("ListAllMyBucketsResult", s3_xml.group("Buckets", *buckets)))


def _create_bucket(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown("x-amz-bucket-object-lock-enabled", *CHECKSUM_HEADERS)
    request.refuse_unknown_query()
    region = "us-east-1"
    if request.body:
        region = s3_xml.parse(request.body, "CreateBucketConfiguration").text("LocationConstraint", region)
    fake.create_bucket(
        request.bucket,
        object_lock=request.flag("x-amz-bucket-object-lock-enabled"),
        region=region,
        by=request.access_key,
    )
    return Answer(headers={"Location": f"/{request.bucket}"})


def _delete_bucket(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown()
    request.refuse_unknown_query()
    fake.delete_bucket(request.bucket, by=request.access_key)
    return Answer(204)


def _head_bucket(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown()
    request.refuse_unknown_query()
    return Answer(headers={"x-amz-bucket-region": fake.head_bucket(request.bucket, by=request.access_key)})


def _get_location(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown()
    region = fake.get_location(request.bucket, by=request.access_key)
    # us-east-1 is written as an empty element: it was there before regions had names.
    head = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    )
    return Answer(body=f"{head}{'' if region == 'us-east-1' else region}</LocationConstraint>".encode())


def _put_versioning(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown(*CHECKSUM_HEADERS)
    _verify(request)
    status = s3_xml.parse(request.body, "VersioningConfiguration").text("Status")
    if status not in (VersioningStatus.ENABLED, VersioningStatus.SUSPENDED):
        raise MalformedXML
    fake.put_versioning(request.bucket, VersioningStatus(status), by=request.access_key)
    return Answer()


def _get_versioning(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown()
    status = fake.get_versioning(request.bucket, by=request.access_key)
    content = "" if status is VersioningStatus.OFF else s3_xml.tag("Status", status)
    return Answer(body=s3_xml.document("VersioningConfiguration", content))


def _put_lock_configuration(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown(*CHECKSUM_HEADERS)
    _verify(request)
    root = s3_xml.parse(request.body, "ObjectLockConfiguration")
    if root.text("ObjectLockEnabled") != "Enabled":
        raise MalformedXML
    rule = root.child("Rule")
    held = rule.child("DefaultRetention") if rule else None
    default = None
    if held is not None:
        days, years = held.text("Days", "0"), held.text("Years", "0")
        default = DefaultRetention(s3_wire.lock_mode(held.text("Mode")), int(days) + 365 * int(years))
    fake.put_lock_configuration(request.bucket, default, by=request.access_key)
    return Answer()


def _get_lock_configuration(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown()
    return Answer(body=s3_xml.lock_configuration(fake.get_lock_configuration(request.bucket, by=request.access_key)))


# --- listings --------------------------------------------------------------------------------------


def _encoding(request: Request) -> str:
    encoding = request.query.get("encoding-type", "")
    if encoding not in ("", "url"):
        raise InvalidArgument("Invalid Encoding Method specified in Request")
    return encoding


def _max_keys(request: Request) -> int:
    text = request.query.get("max-keys", "1000")
    if not text.removeprefix("-").isdecimal():
        raise InvalidArgument("Provided max-keys not an integer or within integer range")
    return int(text)


def _echoed(request: Request, **more: str) -> dict[str, str]:
    echoed = {
        "Name": request.bucket,
        "Prefix": request.query.get("prefix", ""),
        "MaxKeys": str(min(_max_keys(request), 1000)),
        **more,
    }
    if delimiter := request.query.get("delimiter", ""):
        echoed["Delimiter"] = delimiter
    if encoding := _encoding(request):
        echoed["EncodingType"] = encoding
    return echoed


def _list_versions(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown()
    request.refuse_unknown_query(
        "versions", "prefix", "delimiter", "key-marker", "version-id-marker", "max-keys", "encoding-type"
    )
    query = request.query
    if query.get("version-id-marker") == "":
        raise InvalidArgument("A version-id marker cannot be empty.")
    page = fake.list_versions(
        request.bucket,
        query.get("prefix", ""),
        delimiter=query.get("delimiter", ""),
        key_marker=query.get("key-marker", ""),
        version_id_marker=query.get("version-id-marker", ""),
        max_keys=_max_keys(request),
        by=request.access_key,
    )
    echoed = _echoed(request, KeyMarker=query.get("key-marker", ""), VersionIdMarker=query.get("version-id-marker", ""))
    return Answer(body=s3_xml.version_page(page, echoed, _encoding(request)))


def _list_objects_v2(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown()
    request.refuse_unknown_query(
        "list-type",
        "prefix",
        "delimiter",
        "start-after",
        "continuation-token",
        "max-keys",
        "encoding-type",
        "fetch-owner",
        # minio-go asks for it everywhere; S3 ignores it too.
        "metadata",
    )
    query = request.query
    token = query.get("continuation-token", "")
    page = fake.list_objects(
        request.bucket,
        query.get("prefix", ""),
        delimiter=query.get("delimiter", ""),
        after=b64decode(token).decode() if token else query.get("start-after", ""),
        max_keys=_max_keys(request),
        by=request.access_key,
    )
    extra = s3_xml.tag("KeyCount", len(page.objects) + len(page.common_prefixes))
    if page.is_truncated:
        extra += s3_xml.tag("NextContinuationToken", b64encode(page.next_marker.encode()).decode())
    if token:
        extra += s3_xml.tag("ContinuationToken", token)
    more = {"StartAfter": query["start-after"]} if "start-after" in query else {}
    return Answer(body=s3_xml.object_page(page, _echoed(request, **more), _encoding(request), extra))


def _list_objects_v1(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown()
    request.refuse_unknown_query("prefix", "delimiter", "marker", "max-keys", "encoding-type")
    query = request.query
    page = fake.list_objects(
        request.bucket,
        query.get("prefix", ""),
        delimiter=query.get("delimiter", ""),
        after=query.get("marker", ""),
        max_keys=_max_keys(request),
        by=request.access_key,
    )
    encoding, extra = _encoding(request), ""
    if page.is_truncated and query.get("delimiter"):
        extra = s3_xml.tag("NextMarker", page.next_marker)
    return Answer(body=s3_xml.object_page(page, _echoed(request, Marker=query.get("marker", "")), encoding, extra))


# --- objects ---------------------------------------------------------------------------------------


def _put(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown(*WRITE_HEADERS, *CHECKSUM_HEADERS)
    request.refuse_unknown_query()
    version = fake.put(
        request.bucket,
        request.key,
        request.body,
        s3_wire.attributes(request),
        integrity=s3_wire.integrity(request),
        when=s3_wire.precondition(request),
        by=request.access_key,
    )
    return Answer(headers=_written(fake, request, version))


def _copy(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown(
        *WRITE_HEADERS,
        "x-amz-copy-source",
        "x-amz-copy-source-if-match",
        "x-amz-metadata-directive",
        # The fake keeps no tags, so both of its values mean the same here.
        "x-amz-tagging-directive",
        "x-amz-checksum-algorithm",
    )
    request.refuse_unknown_query()
    source = s3_wire.copy_source(request)
    version = fake.copy(
        source,
        request.bucket,
        request.key,
        s3_wire.attributes(request),
        replace_metadata=request.headers.get("x-amz-metadata-directive", "COPY") == "REPLACE",
        checksum_algorithm=request.headers.get("x-amz-checksum-algorithm", "").upper(),
        source_etag=request.headers.get("x-amz-copy-source-if-match", "").strip('"'),
        when=s3_wire.precondition(request),
        by=request.access_key,
    )
    headers = _version_header(fake, request, version) | _encryption_headers(version)
    if source[2]:
        headers["x-amz-copy-source-version-id"] = source[2]
    return Answer(headers=headers, body=s3_xml.copied(version))


def _get(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown("x-amz-server-side-encryption-customer-")
    request.refuse_unknown_query("versionId")
    version = fake.get(
        request.bucket,
        request.key,
        request.query.get("versionId", ""),
        customer_key_md5=s3_wire.customer_key_md5(request),
        by=request.access_key,
    )
    return _read(fake, request, version)


def _head(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown("x-amz-server-side-encryption-customer-")
    request.refuse_unknown_query("versionId")
    version = fake.head(
        request.bucket,
        request.key,
        request.query.get("versionId", ""),
        customer_key_md5=s3_wire.customer_key_md5(request),
        by=request.access_key,
    )
    return _read(fake, request, version)


def _read(fake: FakeS3, request: Request, version: Version) -> Answer:
    """The bytes, all or a range, under the conditions that the request sets."""
    headers = _described(fake, request, version)
    if (wanted := request.headers.get("if-match")) and wanted not in ("*", f'"{version.etag}"', version.etag):
        raise PreconditionFailed
    if request.headers.get("if-none-match") in ("*", f'"{version.etag}"', version.etag):
        return Answer(304, headers)
    for name in ("if-modified-since", "if-unmodified-since", "if-range"):
        if name in request.headers:
            raise NotImplementedByFake(f"The fake does not model the header {name}")
    wanted_range = s3_wire.byte_range(request.headers.get("range", ""))
    if wanted_range is None:
        return Answer(200, headers, version.body)
    first, last = wanted_range
    start = max(0, version.size - (last or 0)) if first is None else first
    end = version.size if first is None or last is None else min(last + 1, version.size)
    if start >= end:
        raise InvalidRange(headers={"Content-Range": f"bytes */{version.size}"})
    # S3 sends no whole object's checksum with a part of it: clients would compare the two.
    headers = {name: value for name, value in headers.items() if not name.startswith("x-amz-checksum-")}
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{version.size}"
    return Answer(206, headers, version.body[start:end])


def _delete(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown("x-amz-bypass-governance-retention")
    request.refuse_unknown_query("versionId")
    version_id = request.query.get("versionId", "")
    if version_id:
        done = fake.delete_version(
            request.bucket,
            request.key,
            version_id,
            bypass_governance=request.flag("x-amz-bypass-governance-retention"),
            by=request.access_key,
        )
    else:
        done = fake.delete(request.bucket, request.key, by=request.access_key)
    return Answer(204, _deleted(done))


def _deleted(done: Deletion) -> dict[str, str]:
    headers = {"x-amz-delete-marker": "true"} if done.is_delete_marker else {}
    if identifier := done.marker_version_id or done.version_id:
        headers["x-amz-version-id"] = identifier
    return headers


def _delete_objects(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown("x-amz-bypass-governance-retention", *CHECKSUM_HEADERS)
    request.refuse_unknown_query("delete")
    if not s3_wire.integrity(request).stated:
        raise InvalidRequest("Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
    _verify(request)
    root = s3_xml.parse(request.body, "Delete")
    outcome = fake.delete_objects(
        request.bucket,
        [(item.text("Key"), item.text("VersionId")) for item in root.children("Object")],
        bypass_governance=request.flag("x-amz-bypass-governance-retention"),
        by=request.access_key,
    )
    return Answer(body=s3_xml.deletions(outcome, quiet=root.text("Quiet") == "true"))


def _thaw(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown(*CHECKSUM_HEADERS)
    request.refuse_unknown_query("restore", "versionId")
    root = s3_xml.parse(request.body, "RestoreRequest")
    days, job = root.text("Days"), root.child("GlacierJobParameters")
    if not days.isdecimal():
        raise MalformedXML
    back = fake.thaw(
        request.bucket,
        request.key,
        request.query.get("versionId", ""),
        int(days),
        tier=job.text("Tier", "Standard") if job else "Standard",
        by=request.access_key,
    )
    return Answer(200 if back else 202)


# --- locks -----------------------------------------------------------------------------------------


def _put_retention(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown("x-amz-bypass-governance-retention", *CHECKSUM_HEADERS)
    request.refuse_unknown_query("retention", "versionId")
    _verify(request)
    root = s3_xml.parse(request.body, "Retention")
    mode, until = root.text("Mode"), root.text("RetainUntilDate")
    if bool(mode) != bool(until):
        raise MalformedXML
    fake.put_retention(
        request.bucket,
        request.key,
        Retention(s3_wire.lock_mode(mode), s3_wire.instant(until)) if mode else None,
        request.query.get("versionId", ""),
        bypass_governance=request.flag("x-amz-bypass-governance-retention"),
        by=request.access_key,
    )
    return Answer()


def _get_retention(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown()
    request.refuse_unknown_query("retention", "versionId")
    held = fake.get_retention(request.bucket, request.key, request.query.get("versionId", ""), by=request.access_key)
    return Answer(body=s3_xml.retention(held))


def _put_legal_hold(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown(*CHECKSUM_HEADERS)
    request.refuse_unknown_query("legal-hold", "versionId")
    _verify(request)
    status = s3_xml.parse(request.body, "LegalHold").text("Status")
    if status not in ("ON", "OFF"):
        raise MalformedXML
    fake.put_legal_hold(
        request.bucket, request.key, status == "ON", request.query.get("versionId", ""), by=request.access_key
    )
    return Answer()


def _get_legal_hold(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown()
    request.refuse_unknown_query("legal-hold", "versionId")
    held = fake.get_legal_hold(request.bucket, request.key, request.query.get("versionId", ""), by=request.access_key)
    return Answer(body=s3_xml.document("LegalHold", s3_xml.tag("Status", "ON" if held else "OFF")))


# --- multipart uploads -----------------------------------------------------------------------------


def _create_upload(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown(*WRITE_HEADERS, "x-amz-checksum-algorithm", "x-amz-checksum-type")
    request.refuse_unknown_query("uploads")
    upload = fake.create_multipart_upload(
        request.bucket,
        request.key,
        s3_wire.attributes(request),
        checksum_algorithm=request.headers.get("x-amz-checksum-algorithm", "").upper(),
        checksum_type=request.headers.get("x-amz-checksum-type", COMPOSITE),
        by=request.access_key,
    )
    headers = {}
    if upload.checksum_algorithm:
        headers["x-amz-checksum-algorithm"] = upload.checksum_algorithm
        headers["x-amz-checksum-type"] = upload.checksum_type
    names = s3_xml.tag("Bucket", request.bucket) + s3_xml.tag("Key", request.key)
    body = s3_xml.document("InitiateMultipartUploadResult", names, s3_xml.tag("UploadId", upload.upload_id))
    return Answer(headers=headers, body=body)


def _part_number(request: Request) -> int:
    text = request.query.get("partNumber", "")
    if not text.isdecimal():
        raise InvalidArgument("Part number must be an integer between 1 and 10000, inclusive")
    return int(text)


def _upload_part(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown(*CHECKSUM_HEADERS)
    request.refuse_unknown_query("uploadId", "partNumber")
    part = fake.upload_part(
        request.bucket,
        request.key,
        request.query["uploadId"],
        _part_number(request),
        request.body,
        integrity=s3_wire.integrity(request),
        by=request.access_key,
    )
    sums = {f"x-amz-checksum-{name.lower()}": value for name, value in part.checksums.items()}
    return Answer(headers={"ETag": f'"{part.etag}"'} | sums)


def _upload_part_copy(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown("x-amz-copy-source", "x-amz-copy-source-range", "x-amz-copy-source-if-match")
    request.refuse_unknown_query("uploadId", "partNumber")
    wanted = s3_wire.byte_range(request.headers.get("x-amz-copy-source-range", ""))
    first, last = wanted or (0, None)
    part = fake.upload_part_copy(
        s3_wire.copy_source(request),
        request.bucket,
        request.key,
        request.query["uploadId"],
        _part_number(request),
        first=first or 0,
        last=last,
        source_etag=request.headers.get("x-amz-copy-source-if-match", "").strip('"'),
        by=request.access_key,
    )
    return Answer(body=s3_xml.part_copied(part))


def _complete_upload(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown("x-amz-checksum-")
    request.refuse_unknown_query("uploadId")
    root = s3_xml.parse(request.body, "CompleteMultipartUpload")
    numbers = [part.text("PartNumber") for part in root.children("Part")]
    if not all(number.isdecimal() for number in numbers):
        raise MalformedXML
    etags = [part.text("ETag") for part in root.children("Part")]
    sums = {
        int(part.text("PartNumber")): value
        for part in root.children("Part")
        for name in ALGORITHMS
        if (value := part.text(f"Checksum{name}"))
    }
    version = fake.complete_multipart_upload(
        request.bucket,
        request.key,
        request.query["uploadId"],
        list(zip(map(int, numbers), etags, strict=True)),
        checksums=sums,
        when=s3_wire.precondition(request),
        by=request.access_key,
    )
    names = s3_xml.tag("Bucket", request.bucket) + s3_xml.tag("Key", request.key)
    etag = s3_xml.tag("ETag", f'"{version.etag}"')
    body = s3_xml.document("CompleteMultipartUploadResult", names, etag, s3_xml.checksums(version))
    return Answer(headers=_version_header(fake, request, version) | _encryption_headers(version), body=body)


def _abort_upload(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown()
    request.refuse_unknown_query("uploadId")
    fake.abort_multipart_upload(request.bucket, request.key, request.query["uploadId"], by=request.access_key)
    return Answer(204)


def _list_parts(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown()
    request.refuse_unknown_query("uploadId")
    upload_id = request.query["uploadId"]
    parts = fake.list_parts(request.bucket, request.key, upload_id, by=request.access_key)
    return Answer(body=s3_xml.parts_of(request.bucket, request.key, upload_id, parts))


def _list_uploads(fake: FakeS3, request: Request) -> Answer:
    request.refuse_unknown()
    request.refuse_unknown_query("uploads", "prefix", "encoding-type", "delimiter", "max-uploads")
    if request.query.get("delimiter"):
        raise NotImplementedByFake("The fake does not model a delimiter in ListMultipartUploads")
    found = fake.list_multipart_uploads(request.bucket, request.query.get("prefix", ""), by=request.access_key)
    return Answer(body=s3_xml.uploads(request.bucket, found, _encoding(request)))


# --- headers of answers ----------------------------------------------------------------------------


def _verify(request: Request) -> None:
    """Refuse an XML body that is not the one its writer announced."""
    verified(request.body, s3_wire.integrity(request))


def _version_header(fake: FakeS3, request: Request, version: Version) -> dict[str, str]:
    return {"x-amz-version-id": version.version_id} if fake.shows_version_ids(request.bucket) else {}


def _encryption_headers(version: Version) -> dict[str, str]:
    if version.customer_key_md5:
        return {
            "x-amz-server-side-encryption-customer-algorithm": "AES256",
            "x-amz-server-side-encryption-customer-key-MD5": version.customer_key_md5,
        }
    if version.kms_key_id:
        return {
            "x-amz-server-side-encryption": "aws:kms",
            "x-amz-server-side-encryption-aws-kms-key-id": version.kms_key_id,
        }
    return {"x-amz-server-side-encryption": "AES256"}


def _checksum_headers(version: Version) -> dict[str, str]:
    headers = {f"x-amz-checksum-{name.lower()}": value for name, value in version.checksums.items()}
    return headers | ({"x-amz-checksum-type": version.checksum_type} if headers else {})


def _written(fake: FakeS3, request: Request, version: Version) -> dict[str, str]:
    headers = {"ETag": f'"{version.etag}"', **_version_header(fake, request, version)}
    return headers | _encryption_headers(version) | _checksum_headers(version)


def _described(fake: FakeS3, request: Request, version: Version) -> dict[str, str]:
    headers = {
        "ETag": f'"{version.etag}"',
        "Last-Modified": format_datetime(version.last_modified, usegmt=True),
        "Content-Type": version.content_type,
        "Accept-Ranges": "bytes",
        **_version_header(fake, request, version),
        **_encryption_headers(version),
        **{f"x-amz-meta-{name}": value for name, value in version.metadata.items()},
    }
    if version.storage_class != "STANDARD":
        headers["x-amz-storage-class"] = version.storage_class
    if request.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
        headers |= _checksum_headers(version)
    if version.retention is not None and fake.access.permits(
        request.access_key, "s3:GetObjectRetention", request.bucket, request.key
    ):
        headers["x-amz-object-lock-mode"] = version.retention.mode
        headers["x-amz-object-lock-retain-until-date"] = s3_xml.timestamp(version.retention.until)
    if version.legal_hold and fake.access.permits(
        request.access_key, "s3:GetObjectLegalHold", request.bucket, request.key
    ):
        headers["x-amz-object-lock-legal-hold"] = "ON"
    return headers


_Route = Callable[[FakeS3, Request], Answer]
_ROUTES: dict[tuple[str, str, str], _Route] = {
    ("GET", "service", ""): _list_buckets,
    ("PUT", "bucket", ""): _create_bucket,
    ("DELETE", "bucket", ""): _delete_bucket,
    ("HEAD", "bucket", ""): _head_bucket,
    ("GET", "bucket", "location"): _get_location,
    ("PUT", "bucket", "versioning"): _put_versioning,
    ("GET", "bucket", "versioning"): _get_versioning,
    ("PUT", "bucket", "object-lock"): _put_lock_configuration,
    ("GET", "bucket", "object-lock"): _get_lock_configuration,
    ("GET", "bucket", "versions"): _list_versions,
    ("GET", "bucket", "list-type"): _list_objects_v2,
    ("GET", "bucket", ""): _list_objects_v1,
    ("GET", "bucket", "uploads"): _list_uploads,
    ("POST", "bucket", "delete"): _delete_objects,
    ("PUT", "object", ""): _put,
    ("PUT", "object", "copy"): _copy,
    ("GET", "object", ""): _get,
    ("HEAD", "object", ""): _head,
    ("DELETE", "object", ""): _delete,
    ("PUT", "object", "retention"): _put_retention,
    ("GET", "object", "retention"): _get_retention,
    ("PUT", "object", "legal-hold"): _put_legal_hold,
    ("GET", "object", "legal-hold"): _get_legal_hold,
    ("POST", "object", "restore"): _thaw,
    ("POST", "object", "uploads"): _create_upload,
    ("PUT", "object", "uploadId"): _upload_part,
    ("PUT", "object", "uploadIdcopy"): _upload_part_copy,
    ("POST", "object", "uploadId"): _complete_upload,
    ("DELETE", "object", "uploadId"): _abort_upload,
    ("GET", "object", "uploadId"): _list_parts,
}
