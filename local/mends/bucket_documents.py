"""A CloudFormation bucket's encryption and lifecycle, as the documents that S3's API takes."""

from collections.abc import Iterator, Mapping
from typing import Any

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def bucket_documents(properties: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The name of each subresource and its XML.

    Raises ValueError for a property that is not translated, rather than dropping a protection.
    """
    if rules := (properties.get("BucketEncryption") or {}).get("ServerSideEncryptionConfiguration"):
        body = "".join(_encryption_rule(rule) for rule in rules)
        root = "ServerSideEncryptionConfiguration"
        yield "encryption", f'<{root} xmlns="{_NAMESPACE}">{body}</{root}>'
    if rules := (properties.get("LifecycleConfiguration") or {}).get("Rules"):
        body = "".join(_lifecycle_rule(rule) for rule in rules)
        root = "LifecycleConfiguration"
        yield "lifecycle", f'<{root} xmlns="{_NAMESPACE}">{body}</{root}>'


def _encryption_rule(rule: Mapping[str, Any]) -> str:
    parts = []
    if default := rule.get("ServerSideEncryptionByDefault"):
        key = default.get("KMSMasterKeyID")
        parts.append(
            "<ApplyServerSideEncryptionByDefault>"
            f"<SSEAlgorithm>{default['SSEAlgorithm']}</SSEAlgorithm>"
            + (f"<KMSMasterKeyID>{key}</KMSMasterKeyID>" if key else "")
            + "</ApplyServerSideEncryptionByDefault>"
        )
    if "BucketKeyEnabled" in rule:
        parts.append(f"<BucketKeyEnabled>{str(rule['BucketKeyEnabled']).lower()}</BucketKeyEnabled>")
    if blocked := (rule.get("BlockedEncryptionTypes") or {}).get("EncryptionType"):
        kinds = "".join(f"<EncryptionType>{kind}</EncryptionType>" for kind in blocked)
        parts.append(f"<BlockedEncryptionTypes>{kinds}</BlockedEncryptionTypes>")
    return f"<Rule>{''.join(parts)}</Rule>"


_LIFECYCLE_PROPERTIES = {
    "AbortIncompleteMultipartUpload",
    "ExpirationInDays",
    "ExpiredObjectDeleteMarker",
    "Id",
    "NoncurrentVersionExpiration",
    "Prefix",
    "Status",
}


def _lifecycle_rule(rule: Mapping[str, Any]) -> str:
    if unknown := set(rule) - _LIFECYCLE_PROPERTIES:
        raise ValueError(f"lifecycle properties not known to the embedded AWS: {sorted(unknown)}")
    expiration = ""
    if "ExpirationInDays" in rule:
        expiration += f"<Days>{rule['ExpirationInDays']}</Days>"
    if str(rule.get("ExpiredObjectDeleteMarker")).lower() == "true":
        expiration += "<ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker>"
    noncurrent = rule.get("NoncurrentVersionExpiration") or {}
    uploads = rule.get("AbortIncompleteMultipartUpload") or {}
    return "".join(
        (
            "<Rule>",
            f"<ID>{rule['Id']}</ID>" if "Id" in rule else "",
            f"<Filter><Prefix>{rule.get('Prefix', '')}</Prefix></Filter>",
            f"<Status>{rule['Status']}</Status>",
            f"<Expiration>{expiration}</Expiration>" if expiration else "",
            _container("NoncurrentVersionExpiration", noncurrent),
            _container("AbortIncompleteMultipartUpload", uploads),
            "</Rule>",
        )
    )


def _container(name: str, values: Mapping[str, Any]) -> str:
    inner = "".join(f"<{key}>{value}</{key}>" for key, value in values.items())
    return f"<{name}>{inner}</{name}>" if inner else ""
