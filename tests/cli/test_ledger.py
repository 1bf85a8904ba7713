"""`rwm ledger verify`: the whole chain, and what is named when it does not hold."""

from functions.domain.state import Head, StateHeader
from functions.storage.records import S3HeadAnchor
from tests.builders import pack, version
from tests.cli.deployed import NAMES, RECORDS, Deployed, document, sentence


def recorded(deployed: Deployed, count: int = 3) -> list[StateHeader]:
    """States of alpha, each with a pack more than the one before, and anchored."""
    anchor = S3HeadAnchor(deployed.aws.s3, RECORDS)
    headers = []
    for number in range(count):
        packs = [version(pack(str(each)), size=100) for each in range(number)]
        headers.append(deployed.record("alpha", [version("config"), *packs], cut=number * 3600))
        anchor.anchor(Head.of(headers[-1]))
    return headers


def test_a_ledger_that_holds_is_said_to(deployed: Deployed) -> None:
    headers = recorded(deployed)
    result = deployed.rwm("ledger", "verify", "alpha", "--json")
    assert result.exit_code == 0
    assert document(result) == {
        "repository": "alpha",
        "head": headers[-1].id,
        "generation": 3,
        "states": 3,
        "bases": 3,
        "deltas": 0,
        "dropped": 0,
        "entries": 6,
        "anchored": 3,
    }
    said = deployed.rwm("ledger", "verify", "alpha").stdout
    assert "the ledger of alpha holds: 3 states from generation 1 to 3" in said


def test_the_first_state_that_does_not_hold_is_named(deployed: Deployed) -> None:
    headers = recorded(deployed)
    deployed.change_item(NAMES.ledger, f"chunk#{headers[1].chunks.attempt}#000000", "chunk")
    result = deployed.rwm("ledger", "verify", "alpha")
    assert result.exit_code == 4
    assert "generation 2 of alpha does not hold: chunk 0 of 1" in sentence(result)
    assert "nothing after it was verified" in sentence(result)


def test_a_head_that_somebody_set_back_is_named(deployed: Deployed) -> None:
    """The newest states are gone from the table; the records bucket remembers them."""
    headers = recorded(deployed)
    deployed.change_item(NAMES.ledger, "alpha", "state#0000000003")
    head = Head.of(headers[1])
    deployed.change_item(NAMES.ledger, "alpha", "head", document={"B": head.canonical()}, state={"S": head.state})
    result = deployed.rwm("ledger", "verify", "alpha", "--json")
    assert result.exit_code == 4
    said = document(result)["error"]["message"]
    assert "generation 3 of alpha does not hold: it is missing" in said
    assert f"the records bucket has state {headers[2].id[:12]}" in said


def test_a_file_among_the_heads_that_is_none_is_named(deployed: Deployed) -> None:
    recorded(deployed)
    deployed.aws.s3.put_object(Bucket=RECORDS, Key="heads/alpha/0000000002-other.json", Body=b"{}")
    assert deployed.rwm("ledger", "verify", "alpha").exit_code == 4


def test_heads_of_another_repository_do_not_count(deployed: Deployed) -> None:
    recorded(deployed)
    deployed.aws.s3.put_object(Bucket=RECORDS, Key="heads/alphabet/0000000002-other.json", Body=b"{}")
    assert deployed.rwm("ledger", "verify", "alpha").exit_code == 0


def test_a_repository_without_a_state_is_refused(deployed: Deployed) -> None:
    result = deployed.rwm("ledger", "verify", "beta")
    assert result.exit_code == 2
    assert "has no recorded state yet; nothing was verified" in sentence(result)
