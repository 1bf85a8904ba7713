"""The doctor, run by POSIX shells with an `aws` that answers as a test wants: its words and exit codes.

What a server says to it in earnest is in test_rwm_doctor_on_aws.py.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "host" / "rwm-doctor"
QUEUE = "https://sqs.eu-central-1.amazonaws.com/111122223333/rwm-alpha"
REPOSITORY = "s3:https://s3.eu-central-1.amazonaws.com/backups/restic/alpha"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SHELLS = [shell for shell in ("dash", "bash") if shutil.which(shell)]
REFUSED = "An error occurred (AccessDenied) when calling the {0} operation: User: arn:aws:iam::1:user/x may not"
NO_LOCK = (
    "An error occurred (InvalidRequest) when calling the {0} operation: Bucket is missing Object Lock Configuration"
)
NO_CHECKSUM = (
    "An error occurred (InvalidRequest) when calling the PutObject operation: Content-MD5 OR x-amz-checksum- HTTP "
    "header is required for Put Object requests with Object Lock parameters"
)

FAKE_AWS = (
    f"#!{sys.executable} -IS"
    r"""
import json, os, sys, time
VALUELESS = {"--bypass-governance-retention", "--debug"}
here, spelled = os.environ["HERE"], []
for before, word in zip(sys.argv, sys.argv[1:]):
    # As argparse has it: what begins with a dash is no value, unless it is one word with its option.
    if word.startswith("-") and before.startswith("--") and "=" not in before and before not in VALUELESS:
        print("aws: error: argument " + before + ": expected one argument", file=sys.stderr)
        sys.exit(252)
    spelled += word.split("=", 1) if word.startswith("--") else [word]
asked = " ".join(spelled)
with open(here + "/asked", "a") as calls:
    print(asked, file=calls)
for words, out, error in json.load(open(here + "/rules")):
    if all(word in asked for word in words):
        break
else:
    words, out, error = ["default"], "", ""
    sys.exit("no rule for " + asked)
if out == "sleep":
    time.sleep(30)
if "get-object" in sys.argv and not error:
    body = open(here + "/served", "rb").read()
    open(next(each for each in sys.argv if each.endswith("/read")), "wb").write(body)
if error:
    print("\n" + error, file=sys.stderr)
    sys.exit(254)
if out:
    key = spelled[spelled.index("--prefix") + 1] if "--prefix" in spelled else ""
    print(out.replace("KEY", key))
"""
)

Rule = tuple[list[str], str, str]
"""Words that a call must have; then what aws prints on stdout, or its error."""


def refused(operation: str) -> str:
    return REFUSED.format(operation)


def s3s_time(**off: float) -> str:
    return (datetime.now(UTC) + timedelta(**off)).strftime("%a, %d %b %Y %H:%M:%S GMT")


def weak_key() -> list[Rule]:
    """What AWS answers a key that is as weak as it must be."""
    return [
        (["http://"], "", refused("ListObjectsV2")),
        (["put-object ", "--object-lock-mode"], "", refused("PutObject")),
        (["put-object ", "--sse-customer-key"], "", refused("PutObject")),
        (["put-object ", "-unsummed"], "", NO_CHECKSUM),
        (["put-object "], "version-1", ""),
        (["get-object ", "--version-id"], "", refused("GetObject")),
        (["get-object "], "32", ""),
        (["head-object "], f"{s3s_time()}\tNone", ""),
        (["list-objects-v2 "], "KEY", ""),
        (["delete-object ", "--version-id"], "", refused("DeleteObject")),
        (["delete-object ", "locks/"], "marker-1", ""),
        (["get-caller-identity"], "arn:aws:iam::111122223333:user/rwm-alpha-host", ""),
        (["send-message"], "message-1", ""),
        ([""], "", refused("Any")),
    ]


@dataclass
class Host:
    """A machine with shells, a restic and an aws cli of ours."""

    here: Path
    rules: list[Rule] = field(default_factory=list)

    def answer(self, *words: str, out: str = "", error: str = "") -> None:
        """What aws says to a call with these words, before all other rules."""
        self.rules.insert(0, ([*words], out, error))

    def environment(self, **given: str) -> dict[str, str]:
        own = {
            "PATH": f"{self.here}:/usr/bin:/bin",
            "HERE": str(self.here),
            "TMPDIR": str(self.here / "tmp"),
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "eu-central-1",
            "RESTIC_REPOSITORY": REPOSITORY,
            "RWM_QUEUE_URL": QUEUE,
        }
        return {name: value for name, value in (own | given).items() if value}

    def doctor(self, *arguments: str, shell: str = "dash", **given: str) -> subprocess.CompletedProcess[str]:
        (self.here / "rules").write_text(json.dumps(self.rules))
        return subprocess.run(
            [shutil.which(shell) or "sh", str(SCRIPT), *arguments],
            env=self.environment(**given),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def found(self, **given: str) -> tuple[int, dict[str, tuple[str, str]]]:
        """The exit code; state and text by what was tried."""
        ended = self.doctor("--json", **given)
        document: dict[str, Any] = json.loads(ended.stdout)
        assert document["exit_code"] == ended.returncode
        checks = document["checks"]
        assert len({check["id"] for check in checks}) == len(checks)
        return ended.returncode, {check["id"]: (check["state"], check["text"]) for check in checks}

    @property
    def asked(self) -> list[str]:
        return (self.here / "asked").read_text().splitlines()

    @property
    def current(self) -> set[str]:
        """Keys that were put and not hidden afterwards."""
        keys: set[str] = set()
        for call in self.asked:
            words = call.split()
            if "put-object" in words and not any(rule[2] for rule in self.rules if all(w in call for w in rule[0])):
                keys.add(words[words.index("--key") + 1])
            if "delete-object" in words and "--version-id" not in words:
                keys.discard(words[words.index("--key") + 1])
        return keys


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "aws").write_text(FAKE_AWS)
    (tmp_path / "restic").write_text("#!/bin/sh\necho restic 0.18.1 compiled with go1.25.1 on linux/amd64\n")
    for name in ("aws", "restic"):
        (tmp_path / name).chmod(0o755)
    (tmp_path / "served").write_bytes(b"rwm-doctor wrote this. Harmless.")
    return Host(tmp_path, weak_key())


# --- a key as it must be ---------------------------------------------------------------------------


@pytest.mark.parametrize("shell", SHELLS)
def test_a_weak_key_is_as_it_must_be(host: Host, shell: str) -> None:
    ended = host.doctor(shell=shell)
    assert (ended.returncode, ended.stderr) == (0, "")
    *lines, last = ended.stdout.splitlines()
    assert last == "This key is as weak as it must be, as far as it can be told from here."
    assert {line.split()[0] for line in lines} == {"ok", "--"}
    assert "ok   may not delete versions that are not locked" in lines


def test_what_was_not_tried_is_said_and_who_tells_it(host: Host) -> None:
    _, found = host.found()
    (untold,) = (text for state, text in found.values() if state == "--")
    for what in ("lock", "lifecycle", "policy", "replication", "encryption", "public access"):
        assert what in untold
    assert "rwm check REPO --level posture" in untold


def test_quiet_says_nothing_of_a_weak_key(host: Host) -> None:
    ended = host.doctor("--quiet")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_quiet_says_what_is_bad(host: Host) -> None:
    host.answer("list-object-versions")
    *lines, last = host.doctor("--quiet").stdout.splitlines()
    assert [line[:27] for line in lines] == ["BAD  this key may list vers"]
    assert last.startswith("BAD  whoever has this key")


def test_nothing_secret_is_printed_or_asked(host: Host) -> None:
    ended = host.doctor(AWS_SESSION_TOKEN="a-session-token")
    for said in (ended.stdout, ended.stderr, *host.asked):
        assert SECRET not in said
        assert "a-session-token" not in said


def test_canaries_are_under_locks_named_so_that_no_restic_takes_them_for_a_lock_and_hidden_again(host: Host) -> None:
    host.answer("put-object ", "--sse-customer-key", out="version-2")
    host.answer("put-object ", "--object-lock-mode", out="version-3")
    assert host.doctor().returncode == 4
    put = {call.split()[call.split().index("--key") + 1] for call in host.asked if "put-object " in call}
    assert len(put) == 4
    for key in put:
        assert key.startswith("restic/alpha/locks/rwm-doctor-")
    assert host.current == set()
    assert list((host.here / "tmp").iterdir()) == []


def test_every_try_is_on_a_canary_of_its_own(host: Host) -> None:
    host.doctor()
    for call in host.asked:
        if "--key" in call:
            assert "/rwm-doctor-" in call.split()[call.split().index("--key") + 1]
        if "--version-id" in call:
            assert call.split()[call.split().index("--version-id") + 1] in {"version-1", "marker-1"}


def test_a_doctor_that_is_stopped_hides_its_canary(host: Host) -> None:
    host.answer("list-objects-v2", "https://", out="sleep")
    (host.here / "rules").write_text(json.dumps(host.rules))
    with subprocess.Popen(["dash", str(SCRIPT)], env=host.environment(), stdout=subprocess.PIPE, text=True) as running:
        deadline = time.monotonic() + 20
        while (
            not (host.here / "asked").exists()
            or "https://s3.eu-central-1.amazonaws.com s3api list" not in (host.here / "asked").read_text()
        ):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        running.send_signal(signal.SIGTERM)
        # A shell waits for the command that it has begun.
        for child in _children(running.pid):
            # A shell whose command was killed may be gone before its turn comes.
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        assert running.wait(20) != 0
    assert any("delete-object" in call and "-main" in call for call in host.asked)
    assert list((host.here / "tmp").iterdir()) == []


def _children(pid: int) -> list[int]:
    """All that descend from a process."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [*_children(child), child]
    return found


# --- too strong ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "tried"),
    [
        (("delete-object ", "marker-1"), "delete-unlocked"),
        (("delete-object ", "version-1"), "delete-locked"),
        (("delete-object ", "--bypass-governance-retention"), "bypass"),
        (("delete-object ", "alpha/rwm-doctor"), "hide"),
        (("list-object-versions",), "list-versions"),
        (("get-object ", "--version-id"), "get-version"),
        (("put-object ", "--object-lock-mode"), "retention"),
        (("put-object ", "--sse-customer-key"), "customer-key"),
        (("put-object-legal-hold",), "legal-hold"),
        (("put-object-tagging",), "tagging"),
        (("put-object-acl",), "acl"),
        (("create-multipart-upload",), "multipart"),
        (("put-bucket-versioning",), "put-versioning"),
        (("iam list-users",), "iam"),
        (("lambda list-functions",), "lambda"),
    ],
)
def test_a_try_that_succeeds_is_bad_and_says_what_to_do(host: Host, words: tuple[str, ...], tried: str) -> None:
    host.answer("abort-multipart-upload")
    host.answer(*words, out="done")
    code, found = host.found()
    assert code == 4
    assert {each for each, (state, _) in found.items() if state == "BAD"} == {tried}
    text = found[tried][1]
    assert text.startswith("this key may ")
    assert any(
        advice in text for advice in ("Take s3:", "take s3:", "rwm connect", "Block", "no policy keeps", "Let it")
    )


@pytest.mark.parametrize("words", [("put-object-legal-hold",), ("--object-lock-mode",), ("--bypass-governance",)])
def test_a_bucket_without_object_lock_is_bad(host: Host, words: tuple[str, ...]) -> None:
    host.answer(*words, error=NO_LOCK)
    code, found = host.found()
    assert code == 4
    assert [text for state, text in found.values() if state == "BAD"] == [
        "the bucket has no Object Lock: nothing is locked. 'rwm check REPO' says what to do"
    ]


def test_a_lock_that_refuses_is_told_from_a_policy_that_does(host: Host) -> None:
    host.answer("delete-object ", "marker-1")
    _, found = host.found()
    assert found["delete-unlocked"][0] == "BAD"
    assert found["delete-locked"] == ("ok", "may not delete what was just written: its lock refused, no policy did")


def test_where_nothing_can_be_hidden_it_cannot_be_told_whether_a_lock_or_a_policy_refused(host: Host) -> None:
    host.answer("delete-object ", error=refused("DeleteObject"))
    code, found = host.found()
    assert code == 1
    assert found["hide-locks"][0] == "BAD"
    assert found["delete-locked"] == ("?", "a policy or a lock refused to delete the canary: it was not told which")


def test_a_bucket_without_versions_is_bad_and_no_version_is_asked_for(host: Host) -> None:
    host.answer("put-object ", "-main", out="None")
    code, found = host.found()
    assert (code, found["versioning"][0]) == (4, "BAD")
    assert not any("--version-id" in call or "put-bucket-versioning" in call for call in host.asked)


def test_the_key_of_the_accounts_root_is_bad(host: Host) -> None:
    host.answer("get-caller-identity", out="arn:aws:iam::111122223333:root")
    code, found = host.found()
    assert (code, found["who"][0]) == (4, "BAD")


def test_a_bucket_that_has_no_acls_needs_nobody_to_refuse_them(host: Host) -> None:
    host.answer(
        "put-object-acl", error="An error occurred (AccessControlListNotSupported) when calling the X operation: No"
    )
    code, found = host.found()
    assert (code, found["acl"]) == (0, ("ok", "nobody may set ACLs: the bucket has none"))


def test_ids_and_prefixes_that_begin_with_a_dash_are_no_options(host: Host) -> None:
    """One in 64 of Ceph's version ids does."""
    host.answer("delete-object ", "locks/", out="-marker")
    host.answer("delete-object ", "--version-id", error=refused("DeleteObject"))
    host.answer("put-object ", "-main", out="-version")
    host.answer("create-multipart-upload", out="-upload")
    host.answer("abort-multipart-upload", out="")
    code, found = host.found(RESTIC_REPOSITORY=f"{REPOSITORY.removesuffix('restic/alpha')}-odd")
    assert code == 4
    assert {tried for tried, (state, _) in found.items() if state not in {"ok", "--"}} == {"multipart"}
    ids = {call.split()[call.split().index("--version-id") + 1] for call in host.asked if "--version-id" in call}
    assert ids == {"-version", "-marker"}


def test_an_upload_that_could_be_begun_is_ended(host: Host) -> None:
    host.answer("create-multipart-upload", out="upload-1")
    host.answer("abort-multipart-upload")
    host.doctor()
    assert any("abort-multipart-upload" in call and "--upload-id upload-1" in call for call in host.asked)


@pytest.mark.parametrize("given", [{"RWM_MAY_HIDE": "1"}, {}])
def test_a_key_that_may_hide_is_not_tried_at_it(host: Host, given: dict[str, str]) -> None:
    ended = host.doctor(*([] if given else ["--may-hide"]), **given)
    assert ended.returncode == 0
    assert "hiding outside locks/ was not tried" in ended.stdout
    assert not any("delete-object" in call and "locks/" not in call for call in host.asked)


def test_an_answer_that_is_neither_yes_nor_no_is_not_told(host: Host) -> None:
    host.answer("put-object-tagging", error='An error occurred (SlowDown) when calling the X operation: "slow\\ down"')
    code, found = host.found()
    assert code == 1
    assert found["tagging"] == ("?", "whether it may tag objects could not be told: SlowDown: 'slow' down'")


# --- too weak, and the machine ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "tried"),
    [
        (("put-object ", "-main"), "put"),
        (("get-object ",), "get"),
        (("list-objects-v2", "https://"), "list"),
        (("delete-object ", "locks/"), "hide-locks"),
        (("send-message",), "send"),
    ],
)
def test_what_it_must_be_able_to_do_and_may_not_is_bad_and_no_danger(
    host: Host, words: tuple[str, ...], tried: str
) -> None:
    host.answer(*words, error=refused("Any"))
    code, found = host.found()
    assert (code, found[tried][0]) == (1, "BAD")
    assert {state for each, (state, _) in found.items() if each != tried} <= {"ok", "--", "?"}


def test_nothing_is_tried_on_a_canary_that_could_not_be_written(host: Host) -> None:
    host.answer("put-object ", "-main", error=refused("PutObject"))
    host.doctor()
    assert not any(word in call for call in host.asked for word in ("--version-id", "create-multipart", "tagging"))


@pytest.mark.parametrize(
    ("error", "tried", "says"),
    [
        ("RequestTimeTooSkewed", "clock", "more than 15 minutes off"),
        ("InvalidAccessKeyId", "put", "S3 does not know this key (InvalidAccessKeyId)"),
        ("NoSuchBucket", "put", "NoSuchBucket"),
    ],
)
def test_a_key_that_s3_does_not_take_is_told_apart(host: Host, error: str, tried: str, says: str) -> None:
    host.answer("put-object ", "-main", error=f"An error occurred ({error}) when calling the PutObject operation: No")
    code, found = host.found()
    assert code == 1
    assert says in found[tried][1]


@pytest.mark.parametrize(("code", "state"), [("AccessDenied", "ok"), ("SlowDown", "?"), ("", "?")])
def test_an_error_without_a_message_at_which_the_aws_cli_breaks_is_read_from_its_log(
    host: Host, code: str, state: str
) -> None:
    """As awscli 1.46 does with Ceph's."""
    host.answer("put-object-tagging", error="argument of type 'NoneType' is not iterable")
    log = f"b'<?xml version=\"1.0\"?><Error><Code>{code}</Code><RequestId>tx0-{SECRET}</RequestId></Error>'"
    host.answer("--debug", "put-object-tagging", error=f"DEBUG - Response body:\n{log}\nbroken")
    _, found = host.found()
    assert found["tagging"][0] == state
    assert SECRET not in found["tagging"][1]


def test_an_aws_cli_without_an_answer_is_quoted(host: Host) -> None:
    host.answer("put-object ", "-main", error='Could not connect to the endpoint URL: "https://nowhere/"')
    code, found = host.found()
    assert (code, found["put"][0]) == (1, "?")
    assert "Could not connect to the endpoint URL: 'https://nowhere/'" in found["put"][1]


@pytest.mark.parametrize(("off", "right"), [(0, True), (4, True), (-4, True), (9, False), (-9, False), (86400, False)])
def test_the_clock_is_compared_with_s3s(host: Host, off: int, right: bool) -> None:
    host.answer("head-object", out=f"{s3s_time(seconds=off)}\tNone")
    ended = host.doctor()
    assert ended.returncode == (0 if right else 1)
    assert ("clock is right" in ended.stdout) is right


@pytest.mark.parametrize("moment", ["2024-02-29T23:59:59", "2026-01-01T00:00:00", "2026-08-09T08:09:08"])
def test_both_spellings_of_s3s_time_are_the_same_time(moment: str) -> None:
    text = SCRIPT.read_text()
    functions = text[text.index("# --- time ---") : text.index("# --- this machine ---")]
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    for spelled in (at.isoformat() + "\tNone", at.strftime("%a, %d %b %Y %H:%M:%S GMT") + "\tGOVERNANCE"):
        for shell in SHELLS:
            said = subprocess.check_output([shell, "-c", f"{functions}\nread_time '{spelled}'"], text=True, timeout=20)
            assert int(said) == at.timestamp()


def test_a_time_that_nobody_knows_is_not_told(host: Host) -> None:
    host.answer("head-object", out="yesterday\tNone")
    code, found = host.found()
    assert (code, found["clock"]) == (1, ("?", "S3's clock could not be read: yesterday None"))


@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_a_retention_that_the_key_may_see_shows_that_versions_are_locked(host: Host, mode: str) -> None:
    host.answer("head-object", out=f"{s3s_time()}\t{mode}")
    _, found = host.found()
    assert found["lock"] == ("ok", "new versions are locked: the canary has a retention")


def test_without_a_retention_to_see_a_put_without_a_checksum_shows_that_versions_are_locked(host: Host) -> None:
    _, found = host.found()
    assert found["lock"][0] == "ok"
    assert "a put without a checksum was refused" in found["lock"][1]


def test_a_server_that_asks_for_no_checksum_shows_nothing(host: Host) -> None:
    host.answer("put-object ", "-unsummed", out="version-9")
    code, found = host.found()
    assert (code, found["lock"][0]) == (0, "--")
    assert host.current == set()


def test_a_bucket_that_answers_without_tls_is_bad(host: Host) -> None:
    host.answer("http://", out="")
    code, found = host.found()
    assert (code, found["tls"][0]) == (1, "BAD")


@pytest.mark.parametrize(
    ("repository", "state"),
    [
        ("s3:http://s3.example.org/backups", "BAD"),
        ("s3:http://127.0.0.1:4566/backups", "--"),
        ("s3:https://s3.example.org/backups", "ok"),
    ],
)
def test_a_server_of_ones_own_is_looked_at_by_its_address_alone(host: Host, repository: str, state: str) -> None:
    host.rules = [rule for rule in host.rules if rule[0] != ["http://"]]
    _, found = host.found(RESTIC_REPOSITORY=repository)
    assert found["tls"][0] == state
    assert sum("list-objects-v2" in call for call in host.asked) == 1


@pytest.mark.parametrize(("region", "state"), [("eu-central-1", "ok"), ("us-east-1", "BAD"), ("", "?")])
def test_the_queues_region_must_be_the_hosts(host: Host, region: str, state: str) -> None:
    _, found = host.found(AWS_DEFAULT_REGION=region)
    assert found["region"][0] == state


@pytest.mark.parametrize(
    ("says", "state"),
    [
        ("restic 0.14.0 compiled with go1.19 on linux/amd64", "ok"),
        ("restic 1.0.0 (v1) compiled with go1.30", "ok"),
        ("restic 0.13.1 compiled with go1.18", "BAD"),
        ("a sleep", "?"),
    ],
)
def test_restic_must_be_new_enough(host: Host, says: str, state: str) -> None:
    (host.here / "restic").write_text(f"#!/bin/sh\necho '{says}'\n")
    _, found = host.found()
    assert found["restic"][0] == state


def test_the_queue_is_asked_where_the_environment_says(host: Host) -> None:
    host.rules = [rule for rule in host.rules if rule[0] != ["http://"]]
    host.doctor(AWS_ENDPOINT_URL="http://127.0.0.1:4566")
    (sent,) = (call for call in host.asked if "send-message" in call)
    assert "--endpoint-url http://127.0.0.1:4566" in sent
    assert '{"event":"backup done"}' in sent


def test_without_a_queue_it_says_what_that_means(host: Host) -> None:
    code, found = host.found(RWM_QUEUE_URL="")
    assert (code, found["send"][0]) == (1, "BAD")


# --- wrong use -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "given", "code"),
    [
        (("--unknown",), {}, 64),
        (("stray",), {}, 64),
        ((), {"RESTIC_REPOSITORY": ""}, 64),
        ((), {"RESTIC_REPOSITORY": "/srv/backups"}, 64),
        ((), {"RESTIC_REPOSITORY": "s3:https://key:secret@s3.example.org/backups"}, 64),
        ((), {"RESTIC_REPOSITORY": "s3:https://s3.example.org"}, 64),
        ((), {"RESTIC_REPOSITORY": "s3:https://s3.example.org/"}, 64),
    ],
)
def test_wrong_use_is_refused_and_nothing_is_tried(
    host: Host, arguments: tuple[str, ...], given: dict[str, str], code: int
) -> None:
    ended = host.doctor(*arguments, **given)
    assert ended.returncode == code
    assert ended.stderr.endswith("nothing was tried\n")
    assert "secret" not in ended.stderr
    assert not (host.here / "asked").exists()


@pytest.mark.parametrize(
    ("repository", "key"),
    [
        ("s3:s3.amazonaws.com/backups", "locks/"),
        ("s3://s3.amazonaws.com/backups/", "locks/"),
        ("s3:https://s3.amazonaws.com/backups/a/b//", "a/b/locks/"),
    ],
)
def test_repositories_are_spelled_as_restic_takes_them(host: Host, repository: str, key: str) -> None:
    host.doctor(RESTIC_REPOSITORY=repository)
    put = next(call for call in host.asked if "put-object " in call)
    assert "--endpoint-url https://s3.amazonaws.com " in put
    assert "--bucket backups " in put
    assert f"--key {key}rwm-doctor-" in put


def test_without_the_aws_cli_it_says_so(host: Host) -> None:
    (host.here / "aws").unlink()
    tools = host.here / "tools"
    tools.mkdir()
    for tool in ("od", "tr", "sed", "cut", "mkdir", "rm", "date", "cat", "cmp"):
        (tools / tool).symlink_to(shutil.which(tool) or f"/bin/{tool}")
    ended = host.doctor(PATH=str(tools))
    assert (ended.returncode, "the aws cli is not installed" in ended.stderr) == (69, True)


def test_help_says_what_its_words_and_exit_codes_mean(host: Host) -> None:
    ended = host.doctor("--help")
    assert ended.returncode == 0
    for word in ("ok ", "BAD", "--may-hide", "--json", "--quiet", "4 whoever", "RESTIC_REPOSITORY"):
        assert word in ended.stdout
