"""Runs each rule on every backend that can show it."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from local.embedded import PYTHON
from tests.contract.backends import CEPH_IS_ON, Backend, Embedded, running
from tests.contract.ports import MEMORY, MemoryPorts, MemoryTables, Ports, StoragePorts, StorageTables, Tables
from tests.contract.rules import BACKENDS, Rule, all_rules
from tests.fakes.s3 import FakeS3

_OFF = {
    "embedded": None if PYTHON.exists() else f"{PYTHON} is missing: `make local` installs it",
    "ceph": None if CEPH_IS_ON else "RWM_TEST_CEPH=1 turns it on",
}

_PORTS = (MEMORY, "fake", "embedded")
_TABLES = (MEMORY, "moto", "embedded")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "rule: a rule of S3, and the backends that cannot show it (tests/contract)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for fixture, servers in (("ports", _PORTS), ("tables", _TABLES)):
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, [name for name in servers if not _OFF.get(name)], indirect=True)
    if "backend" not in metafunc.fixturenames:
        return
    mark = metafunc.definition.get_closest_marker("rule")
    declared = mark.args[0] if mark else Rule(metafunc.function.__name__, {})
    chosen = [name for name in declared.shown if not _OFF.get(name)]
    metafunc.parametrize("backend", chosen, indirect=True)


class _Servers:
    """The servers, each started when the first rule asks for it and stopped at the end."""

    def __init__(self, stack: ExitStack, directory: Path) -> None:
        self._stack = stack
        self._directory = directory
        self._started: dict[str, Backend] = {}

    def get(self, name: str) -> Backend:
        if name not in self._started:
            self._started[name] = self._stack.enter_context(running(name, self._directory))
        return self._started[name]


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Servers]:
    with ExitStack() as stack:
        yield _Servers(stack, tmp_path_factory.mktemp("contract"))


@pytest.fixture
def backend(request: pytest.FixtureRequest, servers: _Servers, tmp_path: Path) -> Iterator[Backend]:
    """An S3 server; each rule makes its own buckets there."""
    if request.param != "moto":
        yield servers.get(request.param)
        return
    # moto bends every boto3 client of the process and its environment: not beyond the test.
    with running("moto", tmp_path) as moto:
        yield moto


@pytest.fixture
def ports(request: pytest.FixtureRequest, servers: _Servers) -> Ports:
    """The ports that touch S3: the fake ones, or functions/storage over a server."""
    if request.param == MEMORY:
        return MemoryPorts(FakeS3())
    return StoragePorts(servers.get(request.param))


@pytest.fixture
def tables(request: pytest.FixtureRequest, servers: _Servers) -> Iterator[Tables]:
    """The ports that touch tables: the fake ones, or functions/storage over a DynamoDB."""
    if request.param == MEMORY:
        yield MemoryTables()
    elif request.param == "moto":
        with mock_aws():
            yield StorageTables(boto3.client("dynamodb", region_name="us-east-1"))
    else:
        server = servers.get(request.param)
        assert isinstance(server, Embedded)
        yield StorageTables(server.aws.client("dynamodb"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say where the rules were shown: a backend that was off must not look like one that agreed."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    ids = [report.nodeid for report in reports if "tests/contract/" in report.nodeid and report.when == "call"]
    if not ids:
        return
    rules = all_rules()
    # `test_versions.py::test_a_put_adds[fake-key]`: the rule, and the backend before any parameter of its own.
    ran = {tuple(identifier.rpartition("::")[2].rstrip("]").replace("-", "[").split("[")[:2]) for identifier in ids}
    terminalreporter.section("S3's rules (python -m tests.contract prints the table)")
    for name in BACKENDS:
        silent = sum(name in rule.not_shown for rule in rules)
        shown = sum((rule.name, name) in ran for rule in rules)
        told = f"off: {_OFF[name]}" if _OFF.get(name) else f"{shown} rules run"
        terminalreporter.write_line(f"{name:<9} {told}; {silent} of {len(rules)} cannot be shown there")
