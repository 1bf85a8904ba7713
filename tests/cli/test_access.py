"""`rwm connect` and `rwm disconnect`: what a host is told, and its keys."""

import re
import subprocess
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from functions.domain.repositories import Repository
from tests.cli.conftest import ALPHA, BETA
from tests.cli.deployed import ACCOUNT, NAMES, REGION, Deployed, document, sentence

HOST = NAMES.host("alpha")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def with_users(deployed: Deployed) -> Deployed:
    for user in (HOST, NAMES.host("beta"), NAMES.maintenance("beta")):
        deployed.aws.iam.create_user(UserName=user)
    return deployed


def key_ids(deployed: Deployed, user: str) -> list[str]:
    return [key["AccessKeyId"] for key in deployed.aws.iam.list_access_keys(UserName=user)["AccessKeyMetadata"]]


class TestConnect:
    def test_tells_a_host_its_repository_its_queue_and_nothing_secret(self, with_users: Deployed) -> None:
        result = with_users.rwm("connect", "beta", "--json")
        assert result.exit_code == 0
        assert document(result) == {
            "repository": "beta",
            "identity": "host",
            "principals": [
                {
                    "arn": f"arn:aws:iam::{ACCOUNT}:user/rwm-beta-host",
                    "created": True,
                    "policy": f"arn:aws:iam::{ACCOUNT}:policy/rwm-beta-host",
                    "attach": None,
                }
            ],
            "environment": {
                "AWS_DEFAULT_REGION": REGION,
                "RESTIC_REPOSITORY": f"s3:https://s3.{REGION}.amazonaws.com/beta-bucket/restic/beta",
                "RWM_QUEUE_URL": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/rwm-beta",
            },
            "key": None,
            "bucket_policy": None,
        }
        assert key_ids(with_users, NAMES.host("beta")) == []

    def test_names_the_queue_as_sqs_does(self, with_users: Deployed) -> None:
        created = with_users.aws.sqs.create_queue(QueueName=NAMES.queue("alpha"))["QueueUrl"]
        assert document(with_users.rwm("connect", "alpha", "--json"))["environment"]["RWM_QUEUE_URL"] == created

    def test_prints_numbered_steps_in_their_order(self, with_users: Deployed) -> None:
        shown = with_users.rwm("connect", "alpha").stdout
        steps = [line.partition(". ")[0] for line in shown.splitlines() if line[:1].isdigit()]
        assert steps == [str(number) for number in range(1, len(steps) + 1)]
        in_order = [
            "scp host/rwm-publish host/rwm-doctor root@backup1:/usr/local/bin/",
            "cat >/etc/rwm.env",
            "restic init",
            "rwm-doctor\n",
            "restic backup /srv; rwm-publish --restic-exit $?\n",
            "host/hooks/cron",
            "host/hooks/systemd/",
            "rwm states alpha\n",
        ]
        places = [shown.index(each) for each in in_order[1:]]
        assert places == sorted(places)
        assert in_order[0] in shown
        assert "`rwm connect alpha --create-key` makes one" in shown

    def test_names_only_files_that_the_checkout_has(self, with_users: Deployed) -> None:
        for arguments in (("alpha",), ("beta", "--maintenance")):
            shown = with_users.rwm("connect", *arguments).stdout
            named = set(re.findall(r"\b(?:host|docs)/[\w./*-]*\w", shown))
            assert named
            for each in named:
                assert [*ROOT.glob(each)], f"there is no {each}"

    @pytest.mark.parametrize("shell", ["sh", "bash"])
    def test_what_is_pasted_makes_a_file_for_root_alone_that_a_shell_reads(
        self, with_users: Deployed, tmp_path: Path, shell: str
    ) -> None:
        shown = with_users.rwm("connect", "alpha", "--create-key").stdout
        file = tmp_path / "rwm.env"
        begin = shown.index("(umask 077; cat >/etc/rwm.env)")
        pasted = shown[begin : shown.index("\nEND\n", begin) + 5].replace("/etc/rwm.env", str(file))
        read = f'{pasted}. {file}; printf "%s\\n" "$RESTIC_REPOSITORY" "$AWS_SECRET_ACCESS_KEY" "$RESTIC_PASSWORD_FILE"'
        found = subprocess.run([shell, "-c", read], capture_output=True, text=True, check=True, timeout=20, env={})
        repository, secret, password = found.stdout.splitlines()
        assert repository == f"s3:https://s3.{REGION}.amazonaws.com/alpha-bucket"
        assert (len(secret), password) == (40, "/etc/restic-password")
        assert file.stat().st_mode & 0o777 == 0o600

    def test_tells_the_doctor_who_may_hide(self, with_users: Deployed) -> None:
        def may_hide(*arguments: str) -> bool:
            environment = document(with_users.rwm("connect", *arguments, "--json"))["environment"]
            return bool(environment.get("RWM_MAY_HIDE") == "1")

        assert not may_hide("beta")
        assert may_hide("beta", "--maintenance")
        with_users.deploy(BETA.model_copy(update={"host_may_hide": True}))
        assert may_hide("beta")

    def test_a_role_is_told_where_its_credentials_come_from(self, deployed: Deployed) -> None:
        deployed.deploy(ALPHA.model_copy(update={"hosts": (f"arn:aws:iam::{ACCOUNT}:role/backup",)}))
        shown = deployed.rwm("connect", "alpha").stdout
        assert "IAM Roles Anywhere (docs/connecting-a-host.md)" in shown
        assert "--create-key" not in shown

    def test_names_the_endpoint_of_an_aws_that_is_not_amazons(self, with_users: Deployed) -> None:
        """restic reads no endpoint from a profile: it must be in the URL."""
        elsewhere = boto3.Session(region_name=REGION)
        endpoint = "http://127.0.0.1:4566"
        config = Config(s3={"addressing_style": "path"})
        with_users.aws.s3 = elsewhere.client("s3", endpoint_url=endpoint, config=config)
        with_users.aws.sqs = elsewhere.client("sqs", endpoint_url=endpoint)
        environment = document(with_users.rwm("connect", "alpha", "--json"))["environment"]
        assert environment["RESTIC_REPOSITORY"] == f"s3:{endpoint}/alpha-bucket"
        assert environment["RWM_QUEUE_URL"] == f"{endpoint}/{ACCOUNT}/rwm-alpha"
        assert environment["AWS_ENDPOINT_URL"] == endpoint

    def test_creates_a_key_on_request_and_shows_it_once(self, with_users: Deployed) -> None:
        key = document(with_users.rwm("connect", "alpha", "--create-key", "--json"))["key"]
        assert (key["user"], [key["id"]]) == (HOST, key_ids(with_users, HOST))
        assert len(key["secret"]) == 40
        shown = with_users.rwm("connect", "alpha", "--create-key").stdout
        assert "shown this once only" in shown
        assert "export AWS_SECRET_ACCESS_KEY=" in shown
        assert key["secret"] not in shown

    def test_refuses_a_third_key_before_it_is_asked_of_iam(self, with_users: Deployed) -> None:
        for _ in range(2):
            with_users.rwm("connect", "alpha", "--create-key")
        before = key_ids(with_users, HOST)
        result = with_users.rwm("connect", "alpha", "--create-key", "--json")
        assert result.exit_code == 2
        assert "rwm-alpha-host has 2 access keys" in document(result)["error"]["message"]
        assert "no key was created" in document(result)["error"]["message"]
        assert key_ids(with_users, HOST) == before

    def test_refuses_a_key_for_a_user_that_is_not_there(self, deployed: Deployed) -> None:
        result = deployed.rwm("connect", "alpha", "--create-key")
        assert result.exit_code == 2
        assert "there is no IAM user rwm-alpha-host; no key was created" in sentence(result)

    def test_the_maintenance_identity_has_a_key_of_its_own(self, with_users: Deployed) -> None:
        found = document(with_users.rwm("connect", "beta", "--maintenance", "--create-key", "--json"))
        user = NAMES.maintenance("beta")
        assert (found["identity"], found["key"]["user"]) == ("maintenance", user)
        assert (len(key_ids(with_users, user)), key_ids(with_users, NAMES.host("beta"))) == (1, [])
        assert "restic forget --prune" in with_users.rwm("connect", "beta", "--maintenance").stdout

    def test_refuses_a_maintenance_identity_that_is_not_configured(self, with_users: Deployed) -> None:
        result = with_users.rwm("connect", "alpha", "--maintenance")
        assert result.exit_code == 2
        assert 'alpha has no maintenance identity; nothing was done; set maintenance = "create"' in sentence(result)

    def test_prints_how_to_give_principals_of_ones_own_their_permissions(self, deployed: Deployed) -> None:
        mine = (f"arn:aws:iam::{ACCOUNT}:role/ops/backup", f"arn:aws:iam::{ACCOUNT}:user/bob")
        foreign = "arn:aws:iam::999999999999:role/backup"
        deployed.deploy(ALPHA.model_copy(update={"hosts": (*mine, foreign)}))
        result = deployed.rwm("connect", "alpha")
        policy = f"arn:aws:iam::{ACCOUNT}:policy/rwm-alpha-host"
        assert f"aws iam attach-role-policy --role-name backup --policy-arn {policy}\n" in result.stdout
        assert f"aws iam attach-user-policy --user-name bob --policy-arn {policy}\n" in result.stdout
        assert f"{foreign} is of another account" in result.stdout
        refused = deployed.rwm("connect", "alpha", "--create-key")
        assert refused.exit_code == 2
        assert "were not created by RWM; no key was created" in sentence(refused)


class TestConnectingAnAdoptedBucket:
    TOML = """
break_glass = "arn:aws:iam::123456789012:role/break-glass"
[repositories.gamma]
bucket = "gamma-bucket"
adopt = true
"""

    @pytest.fixture
    def file(self, deployed: Deployed, tmp_path: Path) -> Path:
        deployed.deploy(Repository(name="gamma", bucket="gamma-bucket", adopt=True))
        path = tmp_path / "repositories.toml"
        path.write_text(self.TOML)
        return path

    def test_prints_the_denying_policy_that_exempts_whom_the_file_names(self, deployed: Deployed, file: Path) -> None:
        found = document(deployed.rwm("connect", "gamma", "--configuration", str(file), "--json"))
        statements = {each["Sid"]: each for each in found["bucket_policy"]["Statement"]}
        assert found["bucket_policy"]["Version"] == "2012-10-17"
        assert statements["DenyVersionDeletes"]["Condition"] == {
            "ArnNotLike": {
                "aws:PrincipalArn": [
                    f"arn:aws:iam::{ACCOUNT}:role/rwm-apply-prune",
                    "arn:aws:iam::123456789012:role/break-glass",
                ]
            }
        }
        assert statements["DenyLocks"]["Action"] == ["s3:PutObjectLegalHold", "s3:PutObjectRetention"]
        assert statements["DenyLocks"]["Condition"] == {
            "ArnNotLike": {
                "aws:PrincipalArn": [
                    f"arn:aws:iam::{ACCOUNT}:role/rwm-extend-retention",
                    "arn:aws:iam::123456789012:role/break-glass",
                ]
            }
        }
        assert statements["HostOnlyBacksUp"]["Condition"] == {
            "ArnEquals": {"aws:PrincipalArn": [f"arn:aws:iam::{ACCOUNT}:user/rwm-gamma-host"]}
        }
        assert '"DenyVersionDeletes"' in deployed.rwm("connect", "gamma", "--configuration", str(file)).stdout

    def test_refuses_without_the_file_since_the_wrong_exemption_locks_its_owner_out(
        self, deployed: Deployed, file: Path
    ) -> None:
        result = deployed.rwm("connect", "gamma", "--configuration", f"{file}.gone", "--create-key")
        assert result.exit_code == 2
        assert "there is no such file; nothing was done; the policy of adopted bucket gamma-bucket" in sentence(result)

    def test_refuses_a_file_that_is_not_what_is_deployed(self, deployed: Deployed, file: Path) -> None:
        file.write_text(self.TOML + "host_may_hide = true\n")
        result = deployed.rwm("connect", "gamma", "--configuration", str(file))
        assert result.exit_code == 2
        assert "does not say what deployment rwm in eu-central-1 has of gamma" in sentence(result)


class TestDisconnect:
    def test_deletes_every_key_of_the_host_and_of_nobody_else(self, with_users: Deployed) -> None:
        with_users.rwm("connect", "alpha", "--create-key")
        with_users.rwm("connect", "alpha", "--create-key")
        with_users.rwm("connect", "beta", "--create-key")
        keys = key_ids(with_users, HOST)
        result = with_users.rwm("disconnect", "alpha", "--yes", "--json")
        assert result.exit_code == 0
        assert document(result) == {"repository": "alpha", "user": HOST, "deleted": keys}
        assert (key_ids(with_users, HOST), len(key_ids(with_users, NAMES.host("beta")))) == ([], 1)

    def test_asks_first(self, with_users: Deployed) -> None:
        with_users.rwm("connect", "alpha", "--create-key")
        refused = with_users.rwm("disconnect", "alpha", typed="n\n")
        assert (refused.exit_code, len(key_ids(with_users, HOST))) == (2, 1)
        assert "nothing was deleted" in sentence(refused)
        assert with_users.rwm("disconnect", "alpha", typed="y\n").exit_code == 0
        assert key_ids(with_users, HOST) == []

    def test_deletes_nothing_when_nobody_can_be_asked(self, with_users: Deployed) -> None:
        with_users.rwm("connect", "alpha", "--create-key")
        silent, program = with_users.rwm("disconnect", "alpha"), with_users.rwm("disconnect", "alpha", "--json")
        assert (silent.exit_code, program.exit_code) == (2, 2)
        assert document(program)["error"]["kind"] == "refused"
        assert len(key_ids(with_users, HOST)) == 1

    def test_says_when_there_is_no_key(self, with_users: Deployed) -> None:
        result = with_users.rwm("disconnect", "beta", "--maintenance")
        assert result.exit_code == 0
        assert f"{NAMES.maintenance(BETA.name)} has no access key; nothing was deleted" in result.stdout
