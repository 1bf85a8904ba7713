"""Each kind of message as it arrives from the deployed system, word for word as it was approved."""

import pytest

from functions.domain.notices import NoticeKind
from tests.notices.examples import examples
from tests.system.messages import Message, provoke
from tests.system.system import System

pytestmark = pytest.mark.system

EXAMPLES = examples()
PROVOKED = tuple(
    name
    for name in EXAMPLES
    # What only a broken SNS brings about, and several findings at once, differ from others in nothing that is deployed.
    if not name.startswith(("findings-untold", "findings-several"))
)


@pytest.fixture(scope="module")
def arrived(system: System) -> dict[str, tuple[str, Message]]:
    # Here, not at the beginning: it empties the dead-letter queue, which other tests fill.
    return provoke(system)


def test_each_kind_was_provoked(arrived: dict[str, tuple[str, Message]]) -> None:
    assert set(arrived) == set(PROVOKED)
    assert {message.attributes["kind"] for _, message in arrived.values()} == set(NoticeKind)


@pytest.mark.parametrize("name", PROVOKED)
def test_what_arrives_is_what_was_approved(arrived: dict[str, tuple[str, Message]], name: str) -> None:
    repository, message = arrived[name]
    approved = EXAMPLES[name]
    wanted = Message(approved.subject, approved.body, approved.attributes).normal(approved.attributes["repository"])
    assert message.normal(repository) == wanted
