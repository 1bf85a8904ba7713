"""AWS's errors, as a person reads them: a sentence, an exit code, never a traceback."""

from pathlib import Path
from typing import Any

import boto3
import pytest
import typer
from botocore.exceptions import EndpointConnectionError, NoCredentialsError, TokenRetrievalError
from typer.testing import CliRunner

from cli.deployment import Aws, Deployment
from cli.explain import PERMISSIONS
from cli.main import app
from tests.builders import pack, version
from tests.cli.deployed import NAMES, Deployed, denied, document, sentence
from tests.domain.judging import evidence, finding

EVERY_COMMAND = [
    ("repositories",),
    ("connect", "alpha"),
    ("disconnect", "alpha", "--yes"),
    ("quarantine", "alpha", "--yes"),
    ("unquarantine", "alpha"),
    ("record", "alpha"),
    ("check", "alpha"),
    ("acknowledge", "alpha", "pack-overwritten", "--yes"),
    ("states", "alpha"),
    ("state", "alpha", "latest"),
    ("ledger", "verify", "alpha"),
    ("diff", "alpha", "latest", "latest"),
    ("restore", "alpha", "latest", "--to-bucket", "rwm-restore-1"),
    ("why", "alpha", "config"),
    ("dead-letters",),
]

DENIES = '{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}}'


class Failing:
    """A client whose every call ends in one error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, _: str) -> Any:
        def call(**_: Any) -> None:
            raise self._error

        return call


def test_a_denied_call_names_the_permission_and_the_role_that_has_it(deployed: Deployed) -> None:
    deployed.lambda_.answer = denied("Invoke")
    result = deployed.rwm("record", "alpha", "--json")
    assert result.exit_code == 2
    assert document(result)["error"]["message"] == (
        "the default profile may not lambda:InvokeFunction; nothing is known to have been recorded. The role "
        "rwm-operator may: set AWS_PROFILE to a profile that assumes it (role_arn = …:role/rwm-operator). "
        "AWS said: User: someone may not Invoke"
    )
    assert "the default profile may not lambda:InvokeFunction" in sentence(result)


def test_a_key_needs_an_administrator(deployed: Deployed) -> None:
    deployed.aws.iam = Failing(denied("ListAccessKeys", "AccessDenied"))  # type: ignore[assignment]
    deployed.aws.iam.get_paginator = lambda _: Failing(denied("ListAccessKeys", "AccessDenied"))  # type: ignore[assignment]
    result = deployed.rwm("connect", "alpha", "--create-key")
    assert result.exit_code == 2
    assert "may not iam:ListAccessKeys; nothing was created. Only an administrator's own credentials may" in sentence(
        result
    )


@pytest.mark.parametrize("operation", sorted(PERMISSIONS))
def test_every_permission_has_the_name_of_its_call(operation: str) -> None:
    action = PERMISSIONS[operation][0].partition(":")[2]
    called = {"Invoke": "InvokeFunction", "ListObjectsV2": "ListBucket"}
    # SQS authorizes a batch as what it is a batch of.
    assert action == called.get(operation, operation.removesuffix("Batch"))


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (denied("Invoke", "ExpiredTokenException"), 2, "AWS does not accept the default profile"),
        (denied("Invoke", "UnrecognizedClientException"), 2, "Log in again, or set AWS_PROFILE"),
        (denied("Invoke", "ResourceNotFoundException"), 2, "Deploy it with `make deploy`"),
        (denied("Invoke", "TooManyRequestsException"), 1, "AWS is limiting requests"),
        (denied("Invoke", "ServiceException"), 1, "AWS answered Invoke with ServiceException"),
        (NoCredentialsError(), 2, "no usable AWS credentials"),
        (TokenRetrievalError(provider="sso", error_msg="expired"), 2, "aws sso login"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), 1, "AWS was not reached"),
    ],
    ids=lambda each: each.response["Error"]["Code"] if hasattr(each, "response") else type(each).__name__,
)
def test_each_error_of_aws_is_a_sentence_with_an_exit_code(
    deployed: Deployed, error: Exception, code: int, said: str
) -> None:
    deployed.lambda_.answer = error
    result = deployed.rwm("record", "alpha")
    assert result.exit_code == code
    assert said in sentence(result)
    assert "Traceback" not in result.output


def test_a_deployment_without_its_tables_is_said_to_be_missing(deployed: Deployed) -> None:
    deployed.aws.dynamodb.delete_table(TableName=NAMES.ledger)
    result = deployed.rwm("states", "alpha")
    assert result.exit_code == 2
    assert "Deploy it with `make deploy`" in sentence(result)


@pytest.mark.parametrize("arguments", EVERY_COMMAND, ids=lambda each: each[0])
class TestEveryCommand:
    def test_refuses_without_credentials(self, deployed: Deployed, arguments: tuple[str, ...]) -> None:
        deployed.aws.ssm = Failing(NoCredentialsError())  # type: ignore[assignment]
        deployed.aws.ssm.get_paginator = lambda _: Failing(NoCredentialsError())  # type: ignore[assignment]
        result = deployed.rwm(*arguments, "--json")
        assert result.exit_code == 2
        assert document(result)["error"]["kind"] == "refused"
        assert "Traceback" not in result.output

    def test_refuses_without_a_region(
        self, deployed: Deployed, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        aws = Aws(boto3.Session())
        result = CliRunner().invoke(app, list(arguments), obj=lambda _: Deployment(NAMES, aws))
        assert result.exit_code == 2
        assert "Set AWS_DEFAULT_REGION" in sentence(result)

    def test_refuses_a_profile_that_is_not_there(
        self, deployed: Deployed, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_PROFILE", "nobody")
        result = CliRunner().invoke(app, [*arguments, "--json"])
        assert result.exit_code == 2
        assert "profile (nobody) could not be found" in document(result)["error"]["message"]

    def test_takes_the_deployment_from_the_environment(self, deployed: Deployed, arguments: tuple[str, ...]) -> None:
        result = CliRunner(env={"RWM_DEPLOYMENT": "other"}).invoke(
            app, list(arguments), obj=lambda prefix: Deployment(NAMES.__class__(prefix), deployed.aws)
        )
        assert result.exit_code == 2
        assert "there is no deployment other" in sentence(result)

    def test_prints_one_document_and_nothing_else_on_stdout(
        self, deployed: Deployed, arguments: tuple[str, ...]
    ) -> None:
        deployed.judge(deployed.record("alpha", [version("config")]), finding(evidence(pack("a"), "1")))
        deployed.aws.iam.create_user(UserName=NAMES.host("alpha"))
        deployed.aws.sqs.create_queue(QueueName=NAMES.dead_letters)
        deployed.aws.iam.create_policy(PolicyName=NAMES.quarantine("alpha"), PolicyDocument=DENIES)
        deployed.lambda_.answer = lambda asked: {
            "outcome": "acknowledged" if "finding" in asked else "recorded",
            "verdict": asked.get("verdict"),
            "keys": 1,
            "versions": 1,
        }
        result = deployed.rwm(*arguments, "--json", *(["--no-wait"] if arguments[0] in ("check", "restore") else []))
        assert result.exit_code in (0, 3)
        assert isinstance(document(result), dict)
        assert result.stderr == ""

    def test_is_documented_with_each_of_its_options(self, deployed: Deployed, arguments: tuple[str, ...]) -> None:
        page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
        _, _, section = page.partition(f"## rwm {arguments[0]}\n")
        section = section.partition("\n## ")[0]
        assert section, f"docs/cli.md says nothing about rwm {arguments[0]}"
        command = typer.main.get_command(app).commands[arguments[0]]  # type: ignore[attr-defined]
        everywhere = {"--json", "--deployment", "--help"}
        options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
        assert {option for option in options - everywhere if option not in section} == set()
