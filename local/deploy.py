"""Deploy synthesized templates to the embedded AWS, with boto3 alone: no `cdk`, no bootstrap."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local.assembly import Asset, Stack, read_stacks
from local.embedded import EmbeddedAws

_BOOTSTRAP_PARAMETER = "/cdk-bootstrap/hnb659fds/version"
_LARGEST_TEMPLATE_BODY = 51_200
_FINISHED_WITHIN_SECONDS = 300
_POLL_SECONDS = 0.2
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]


class DeployFailed(RuntimeError):
    """A stack was not created or updated; CloudFormation rolled it back."""


def deploy(aws: EmbeddedAws, assembly: Path) -> dict[str, dict[str, str]]:
    """Create or update every stack of an assembly, in order, and return their outputs by stack.

    Raises DeployFailed with the failed resources and why; later stacks are left as they were.
    """
    # What `cdk bootstrap` would have left: the templates check for it.
    aws.client("ssm").put_parameter(Name=_BOOTSTRAP_PARAMETER, Value="29", Type="String", Overwrite=True)
    return {stack.name: _deploy_stack(aws, stack) for stack in read_stacks(assembly)}


def _deploy_stack(aws: EmbeddedAws, stack: Stack) -> dict[str, str]:
    s3, cloudformation = aws.client("s3"), aws.client("cloudformation")
    for asset in stack.assets:
        _publish(s3, asset)
    before = _describe(cloudformation, stack.name)
    if before and before["StackStatus"] == "ROLLBACK_COMPLETE":
        # A stack whose creation failed can only be deleted.
        cloudformation.delete_stack(StackName=stack.name)
        _wait(cloudformation, stack.name)
        before = None
    request = {
        "StackName": stack.name,
        "Capabilities": _CAPABILITIES,
        "Tags": [{"Key": key, "Value": value} for key, value in stack.tags.items()],
        **_template(aws, stack),
    }
    if before is None:
        cloudformation.create_stack(**request, EnableTerminationProtection=stack.is_protected)
    elif not _update(cloudformation, request):
        return _outputs(before)
    after = _wait(cloudformation, stack.name)
    if after is None or after["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        status = after["StackStatus"] if after else "gone"
        reasons = "\n".join(_failures(cloudformation, stack.name))
        raise DeployFailed(f"Stack {stack.name} is {status}; it was not deployed.\n{reasons}")
    return _outputs(after)


def _publish(s3: Any, asset: Asset) -> None:
    """Upload an asset unless it is there: its key is the digest of its content."""
    s3.create_bucket(Bucket=asset.bucket)
    try:
        s3.head_object(Bucket=asset.bucket, Key=asset.key)
    except ClientError:
        s3.put_object(Bucket=asset.bucket, Key=asset.key, Body=asset.content())


def _template(aws: EmbeddedAws, stack: Stack) -> dict[str, str]:
    body = stack.template.read_text()
    if len(body.encode()) <= _LARGEST_TEMPLATE_BODY:
        return {"TemplateBody": body}
    if stack.template_asset is None:
        raise DeployFailed(f"The template of {stack.name} is too large to be sent and is no asset; nothing was done.")
    asset = stack.template_asset
    return {"TemplateURL": f"{aws.endpoint_url}/{asset.bucket}/{asset.key}"}


def _update(cloudformation: Any, request: Mapping[str, Any]) -> bool:
    """Start an update; False when there is nothing to update."""
    try:
        cloudformation.update_stack(**request)
    except ClientError as error:
        if "No updates are to be performed" in str(error):
            return False
        raise
    return True


def _describe(cloudformation: Any, name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return None if found["StackStatus"] == "DELETE_COMPLETE" else found


def _wait(cloudformation: Any, name: str) -> dict[str, Any] | None:
    deadline = time.monotonic() + _FINISHED_WITHIN_SECONDS
    while True:
        stack = _describe(cloudformation, name)
        if stack is None or not stack["StackStatus"].endswith("_IN_PROGRESS"):
            return stack
        if time.monotonic() > deadline:
            return stack
        time.sleep(_POLL_SECONDS)


def _failures(cloudformation: Any, name: str) -> Iterator[str]:
    for event in cloudformation.describe_stack_events(StackName=name)["StackEvents"]:
        if event["ResourceStatus"].endswith("_FAILED"):
            reason = event.get("ResourceStatusReason", "no reason given")
            yield f"  {event['LogicalResourceId']} ({event['ResourceType']}): {reason}"


def _outputs(stack: Mapping[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
