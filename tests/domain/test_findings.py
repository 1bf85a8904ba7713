"""Every id is on docs/findings.md, and an acknowledgement covers exactly what it names."""

import ast
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from functions.domain.findings import HOST_MAY, Acknowledgement, FindingId, host_may, unacknowledged
from functions.domain.values import Evidence, Finding, ObjectKey, RepositoryName, Severity, VersionId

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "findings.md").read_text()
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def evidence(key: str, *ids: str, standing: bool = False, hours: int = 0) -> Evidence:
    return Evidence(ObjectKey(key), tuple(map(VersionId, ids)), NOON - timedelta(hours=hours), standing)


def finding(*shown: Evidence, name: str = "pack-overwritten") -> Finding:
    since = min((each.since for each in shown), default=NOON)
    return Finding(name, Severity.FAIL, RepositoryName("alpha"), since, "what", "remedy", shown)


def acknowledged(key: str, *ids: str, name: str = "pack-overwritten") -> Acknowledgement:
    return Acknowledgement(name, ObjectKey(key), frozenset(map(VersionId, ids)))


def test_every_id_has_its_section_and_every_section_its_id() -> None:
    sections = re.findall(r"^### `([^`]+)`", PAGE, re.MULTILINE)
    assert len(sections) == len(set(sections))
    assert set(sections) == {*FindingId, f"{HOST_MAY}<action>"}


def test_every_section_says_cause_danger_and_what_to_do() -> None:
    for section in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]:
        name = section.splitlines()[0]
        for part in ("**Cause.**", "**Danger.**", "**Do.**"):
            assert part in section, f"{name} lacks {part}"
        assert re.search(r"^(FAIL|HOLD|NOTE)", section, re.MULTILINE), f"{name} does not say its severity"


def test_no_code_makes_a_finding_with_an_id_of_its_own() -> None:
    literal: set[str] = set()
    used: set[str] = set()
    for path in (ROOT / "functions").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
                ids = [each.value for each in node.keywords if each.arg == "id"] or node.args[:1]
                literal |= {
                    each.value for each in ids if isinstance(each, ast.Constant) and isinstance(each.value, str)
                }
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "FindingId":
                used.add(node.attr)
    assert literal <= set(FindingId)
    assert used == set(FindingId.__members__), "an id that nothing raises"


def test_the_id_of_a_hosts_right_names_the_action() -> None:
    assert host_may("s3:DeleteObjectVersion") == "host-may-s3-deleteobjectversion"


def test_what_nobody_acknowledged_stays_as_it_is() -> None:
    one = finding(evidence("a", "1"), evidence("b", "2"))
    assert unacknowledged([one], []) == (one,)


def test_acknowledged_evidence_is_gone_and_the_rest_says_since_when() -> None:
    one = finding(evidence("a", "1", hours=9), evidence("b", "2", hours=3))
    (left,) = unacknowledged([one], [acknowledged("a", "1")])
    assert (left.evidence, left.since) == ((evidence("b", "2", hours=3),), NOON - timedelta(hours=3))


def test_a_finding_of_which_all_is_acknowledged_is_gone() -> None:
    one = finding(evidence("a", "1", "2"))
    assert unacknowledged([one], [acknowledged("a", "1", "2")]) == ()
    assert unacknowledged([one], [acknowledged("a", "1"), acknowledged("a", "2")]) == ()


def test_another_version_key_or_finding_is_not_acknowledged() -> None:
    one = finding(evidence("a", "1", "2"))
    for other in (acknowledged("a", "1"), acknowledged("b", "1", "2"), acknowledged("a", "1", "2", name="alien-key")):
        assert unacknowledged([one], [other]) == (one,)


def test_what_stands_now_and_what_has_no_versions_cannot_be_acknowledged() -> None:
    standing, nothing, bare = finding(evidence("a", "1", standing=True)), finding(evidence("a")), finding()
    known = [acknowledged("a", "1"), acknowledged("a")]
    assert unacknowledged([standing, nothing, bare], known) == (standing, nothing, bare)


@given(st.sets(st.sampled_from("12345"), min_size=1), st.sets(st.sampled_from("12345")))
def test_evidence_is_acknowledged_exactly_when_every_version_of_it_is(shown: set[str], known: set[str]) -> None:
    left = unacknowledged([finding(evidence("a", *sorted(shown)))], [acknowledged("a", *known)])
    assert (left == ()) is (shown <= known)
