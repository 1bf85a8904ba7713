"""A repository that is too large for one function, on the deployed system: the workflow lists it in ranges."""

import hashlib
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.domain.consistent.fold import observe
from functions.storage.listing import S3VersionLister
from local.embedded import ACCOUNT, REGION
from tests.system.system import Answer, System, instant

pytestmark = pytest.mark.system

NAME = "large"
PACKS = 60
"""More than its `ranges_above`."""


def _pack(number: int) -> str:
    name = hashlib.sha256(f"pack {number}".encode()).hexdigest()
    return f"data/{name[:2]}/{name}"


def _handed_over(answer: Answer) -> Answer | None:
    """None: the last recording was only just now."""
    return answer if "too large" in answer.document["message"] else None


@dataclass(frozen=True, slots=True)
class Listed:
    asked: Answer
    """`rwm record`, of a repository of which nobody knew that it is large."""
    state: dict[str, Any]
    again: Answer
    """The same after another backup, when the newest state tells how large it is."""
    second: dict[str, Any]


@pytest.fixture(scope="module")
def listed(system: System) -> Listed:
    system.put(NAME, {_pack(number): f"the bytes of pack {number}, and some more".encode() for number in range(PACKS)})
    system.put(NAME, {"config": b"c" * 155, "keys/" + "0" * 64: b"k" * 440})
    asked = system.ask_for_a_state(NAME)
    (state,) = system.eventually("a state of large", lambda: system.states(NAME), 180)
    system.put(NAME, {_pack(1000): b"the bytes of one pack more, and some more"})
    again = system.eventually("another recording of large", lambda: _handed_over(system.ask_for_a_state(NAME)))
    second = system.eventually("another one", lambda: system.states(NAME)[:-1], 180)[0]
    return Listed(asked, state, again, second)


def test_what_is_too_large_is_handed_over(system: System, listed: Listed) -> None:
    for answer in (listed.asked, listed.again):
        assert answer.document["outcome"] == "not-yet"
        assert "too large for one function" in answer.document["message"]
    machine = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{system.names.ranges_workflow}"
    started = system.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    assert [each["status"] for each in started] == ["SUCCEEDED", "SUCCEEDED"]


def test_each_range_is_listed_by_a_child_of_its_own(system: System, listed: Listed) -> None:
    assert listed.state["generation"] == 1
    found = system.client("s3").list_objects_v2(Bucket=system.records, Prefix=f"recordings/{NAME}/")["Contents"]
    parts = [each["Key"] for each in found if "/parts/" in each["Key"]]
    assert len(parts) > 20


def test_the_roots_are_those_that_one_function_finds(system: System, listed: Listed) -> None:
    # A client of its own: whoever else lists versions with the same one sees none.
    lister = S3VersionLister(system.aws.client("s3", "admin"), system.repository(NAME).bucket, "")
    for state, kind, objects in ((listed.state, "base", PACKS + 2), (listed.second, "delta", PACKS + 3)):
        roots = observe(lister.blocks(), instant(state["cut_time"])).roots
        assert (state["kind"], state["objects"]) == (kind, objects)
        assert (state["manifest_root"], state["content_root"]) == (roots.manifest, roots.content)


@pytest.mark.parametrize("role", ["rwm-record", "rwm-close-recording", "rwm-plan-restore"])
def test_nobody_but_list_range_writes_what_was_listed(system: System, listed: Listed, role: str) -> None:
    assert listed.state
    s3 = system.as_role(role)("s3")
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=system.records, Key=f"recordings/{NAME}/{'0' * 32}/parts/00000.zst", Body=b"forged")
    assert refused.value.response["Error"]["Code"] == "AccessDenied"
