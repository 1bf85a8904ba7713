"""AWS's errors as sentences: what did not happen, which permission is missing, which role has it."""

from collections.abc import Mapping

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ReadTimeoutError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as Unreachable

from cli.deployment import Deployment
from cli.exits import Failed, Refused, Stop
from functions.storage.aws import error_code

OPERATOR, APPROVER, ADMINISTRATOR = "operator", "approver", "administrator"

PERMISSIONS: Mapping[str, tuple[str, str]] = {
    "AttachRolePolicy": ("iam:AttachRolePolicy", ADMINISTRATOR),
    "AttachUserPolicy": ("iam:AttachUserPolicy", ADMINISTRATOR),
    "ChangeMessageVisibilityBatch": ("sqs:ChangeMessageVisibility", OPERATOR),
    "CreateAccessKey": ("iam:CreateAccessKey", ADMINISTRATOR),
    "DeleteAccessKey": ("iam:DeleteAccessKey", ADMINISTRATOR),
    "DeleteMessageBatch": ("sqs:DeleteMessage", OPERATOR),
    "DescribeExecution": ("states:DescribeExecution", OPERATOR),
    "DescribeMapRun": ("states:DescribeMapRun", OPERATOR),
    "DetachRolePolicy": ("iam:DetachRolePolicy", ADMINISTRATOR),
    "DetachUserPolicy": ("iam:DetachUserPolicy", ADMINISTRATOR),
    "GetBucketPolicy": ("s3:GetBucketPolicy", ADMINISTRATOR),
    "GetExecutionHistory": ("states:GetExecutionHistory", OPERATOR),
    "GetItem": ("dynamodb:GetItem", OPERATOR),
    "GetObject": ("s3:GetObject", OPERATOR),
    "GetParametersByPath": ("ssm:GetParametersByPath", OPERATOR),
    "GetQueueAttributes": ("sqs:GetQueueAttributes", OPERATOR),
    "Invoke": ("lambda:InvokeFunction", OPERATOR),
    "ListAccessKeys": ("iam:ListAccessKeys", ADMINISTRATOR),
    "ListAttachedRolePolicies": ("iam:ListAttachedRolePolicies", ADMINISTRATOR),
    "ListAttachedUserPolicies": ("iam:ListAttachedUserPolicies", ADMINISTRATOR),
    "ListObjectsV2": ("s3:ListBucket", OPERATOR),
    "ListMapRuns": ("states:ListMapRuns", OPERATOR),
    "Query": ("dynamodb:Query", OPERATOR),
    "ReceiveMessage": ("sqs:ReceiveMessage", OPERATOR),
    "StartExecution": ("states:StartExecution", OPERATOR),
}
"""Of each call that `rwm` makes: the IAM action, and who has it."""

_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"})
_BAD_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_NOT_THERE = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
        "StateMachineDoesNotExist",
    }
)


def explain(error: BotoCoreError | ClientError, deployment: Deployment, undone: str, who: str | None = None) -> Stop:
    """The end that `error` means for the command; `undone` says what did not happen, `who` may make the call if it is
    not who usually does.
    """
    if isinstance(error, ClientError):
        return _answered(error, deployment, undone, who)
    said = str(error).rstrip(".")
    match error:
        case NoCredentialsError() | PartialCredentialsError() | SSOError() | TokenRetrievalError():
            stop: Stop = Refused(
                f"no usable AWS credentials: {said}; {undone}. Set AWS_PROFILE to a profile that may assume "
                f"{deployment.names.role(OPERATOR)} (`aws configure`, or `aws sso login`)"
            )
        case NoRegionError():
            stop = Refused(f"no AWS region is chosen; {undone}. Set AWS_DEFAULT_REGION to the one RWM is deployed in")
        case ReadTimeoutError():
            stop = Failed(f"AWS did not answer in time: {said}; what was asked for may still be going on")
        case Unreachable() | HTTPClientError():
            stop = Failed(f"AWS was not reached: {said}; {undone}")
        case _:
            stop = Failed(f"{said}; {undone}")
    return stop


def no_profile(error: BotoCoreError, undone: str) -> Stop:
    """A profile that does not exist, or cannot be used, before there is a deployment to talk to."""
    return Refused(f"{str(error).rstrip('.')}; {undone}. `aws configure list-profiles` shows the profiles there are")


def _answered(error: ClientError, deployment: Deployment, undone: str, who: str | None) -> Stop:
    code, operation = error_code(error), error.operation_name
    said = str(error.response.get("Error", {}).get("Message", "")) or code
    if code in _DENIED:
        action, usual = PERMISSIONS.get(operation, (operation, ADMINISTRATOR))
        return Refused(
            f"{deployment.aws.profile} may not {action}; {undone}. {_whose(who or usual, deployment)}. AWS said: {said}"
        )
    if code in _BAD_CREDENTIALS:
        return Refused(
            f"AWS does not accept {deployment.aws.profile} ({said}); {undone}. Log in again, or set AWS_PROFILE"
        )
    if code in _NOT_THERE:
        return Refused(f"{operation} found nothing ({said}): {deployment.not_deployed()}")
    if code in ("TooManyRequestsException", "ThrottlingException", "Throttling", "RequestLimitExceeded"):
        return Failed(f"AWS is limiting requests ({operation}: {said}); {undone}. Try again in a minute")
    return Failed(f"AWS answered {operation} with {code}: {said}; {undone}")


def _whose(who: str, deployment: Deployment) -> str:
    if who == ADMINISTRATOR:
        return "Only an administrator's own credentials may: set AWS_PROFILE to yours"
    role = deployment.names.role(who)
    if who == APPROVER:
        return (
            f"Only an approver may: set AWS_PROFILE to a profile that assumes {role} with MFA "
            f"(role_arn = …:role/{role}, mfa_serial = …)"
        )
    return f"The role {role} may: set AWS_PROFILE to a profile that assumes it (role_arn = …:role/{role})"
