"""One deployment for all tests here, and what takes long begun at once: while it waits, the tests go on."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from functions.configuration import read_toml
from local.credentials import PRINCIPALS, issue_profiles
from local.deploy import deploy
from local.embedded import EmbeddedAws
from local.synthesis import ROOT, synthesize
from tests.system.campaign import SCENES, Campaign
from tests.system.drilled import Drilled, drill_again_and_again
from tests.system.judged import Attacked, Opened, attack_and_mend, look_inside
from tests.system.pruned import Pruned, prune_with_approval
from tests.system.scenes import (
    Adopted,
    Alpha,
    Backups,
    Burst,
    Forgotten,
    Scheduled,
    adopt,
    back_up_and_prune,
    burst,
    fill_two_batches,
    forget_as_the_host,
    hide_everything,
    run_the_schedules,
)
from tests.system.system import System

HERE = Path(__file__).parent
REPOSITORIES = HERE / "repositories.toml"
BUILD = ROOT / "build" / "system"
"""Synthesized templates are kept here and used again until something they come from changes."""

_LAST = ("test_drill.py", "test_roles.py", "test_prune.py", "test_campaign.py", "test_messages.py", "test_upgrade.py")
"""They wait for the longest scenes; and when everything is deployed anew, nothing else is going on."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What has work of its own goes first."""
    items.sort(
        key=lambda item: _LAST.index(item.path.name) if item.path.parent == HERE and item.path.name in _LAST else -1
    )


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    configuration = read_toml(REPOSITORIES)
    assembly = synthesize(REPOSITORIES, BUILD / "cdk.out", principals=PRINCIPALS)
    with (
        EmbeddedAws.start(tmp_path_factory.mktemp("aws")) as aws,
        # Not forked: the threads of the scenes hold locks.
        ProcessPoolExecutor(2, mp_context=get_context("spawn")) as terminals,
    ):
        aws.client("s3").create_bucket(Bucket="somebody-elses-bucket")
        deploy(aws, assembly)
        issue_profiles(aws, configuration.names)
        yield System(aws, configuration, terminals)


@dataclass(frozen=True, slots=True)
class Begun:
    """What was begun as soon as everything was deployed."""

    burst: Future[Burst]
    schedule: Future[Scheduled]
    forget: Future[Forgotten]
    alpha: Future[Alpha]
    wide: Future[dict[str, Any]]
    adopted: Future[Adopted]
    backups: Future[Backups]
    opened: Future[Opened]
    attacked: Future[Attacked]
    pruned: Future[Pruned]
    drilled: Future[Drilled]
    campaign: Mapping[str, Future[Campaign]]
    """By what is attacked, and how."""
    plain_assembly: Path
    changed_assembly: Future[Path]


@pytest.fixture(scope="session", autouse=True)
def begun(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Begun]:
    source, sources = tmp_path_factory.mktemp("source") / "file", tmp_path_factory.mktemp("sources")
    with ThreadPoolExecutor(12 + len(SCENES)) as pool:
        yield Begun(
            burst=pool.submit(burst, system),
            schedule=pool.submit(run_the_schedules, system),
            forget=pool.submit(forget_as_the_host, system),
            alpha=pool.submit(hide_everything, system),
            wide=pool.submit(fill_two_batches, system),
            adopted=pool.submit(adopt, system),
            backups=pool.submit(back_up_and_prune, system, source),
            opened=pool.submit(look_inside, system),
            attacked=pool.submit(attack_and_mend, system),
            pruned=pool.submit(prune_with_approval, system, sources),
            drilled=pool.submit(drill_again_and_again, system),
            campaign={name: pool.submit(scene, system, sources) for name, scene in SCENES.items()},
            plain_assembly=BUILD / "cdk.out",
            changed_assembly=pool.submit(_changed_assembly),
        )


def _changed_assembly() -> Path:
    """Templates of the same repositories with one changed, and one more."""
    changed = BUILD / "changed.toml"
    text = REPOSITORIES.read_text()
    assert 'min_interval = "20s"' in text
    changed.write_text(
        text.replace('min_interval = "20s"', 'min_interval = "2s"')
        + '\n[repositories.added]\nbucket = "rwm-system-added"\nlock_days = 1\nmin_interval = "1s"\n'
    )
    return synthesize(changed, BUILD / "changed.cdk.out", principals=PRINCIPALS)
