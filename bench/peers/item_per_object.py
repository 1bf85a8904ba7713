"""A state as others keep it: an item for each object, under its key."""

from typing import Any

from functions.domain.values import ObjectVersion


def item(repository: str, version: ObjectVersion) -> dict[str, Any]:
    return {
        "pk": {"S": repository},
        "sk": {"S": version.key},
        "version_id": {"S": version.version_id},
        "size": {"N": str(version.size)},
        "last_modified": {"S": version.last_modified.isoformat()},
        "etag": {"S": version.etag},
        "storage_class": {"S": version.storage_class},
    }
