"""How clients are made: once, at import of a handler, with retries that back off with jitter."""

from botocore.config import Config
from botocore.exceptions import ClientError

CLIENT = Config(
    retries={"mode": "adaptive", "max_attempts": 8},
    connect_timeout=5,
    read_timeout=60,
    max_pool_connections=32,
    user_agent_extra="rwm",
    # Path-style would be refused by S3 in new regions; botocore falls back to it where the endpoint is an address.
    s3={"addressing_style": "auto"},
)


def error_code(error: ClientError) -> str:
    """S3's or DynamoDB's own word for what went wrong, e.g. `NoSuchVersion`."""
    return str(error.response.get("Error", {}).get("Code", ""))
