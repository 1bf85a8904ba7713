"""What every scene of the demo needs: the deployment, and the programs that people and hosts run against it."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from functions.domain.cut import QUIET, SETTLE
from functions.domain.repositories import Configuration, Repository
from local.demo.attack import Prey
from local.demo.evidence import DemoFailed, Evidence
from local.demo.story import Story
from local.embedded import ACCOUNT, EmbeddedAws
from local.synthesis import ROOT

DIRECTORY = ROOT / "build" / "demo"
RECORDED_WITHIN_SECONDS = 45


@dataclass(frozen=True, slots=True)
class Stage:
    """A deployment while it is played on."""

    aws: EmbeddedAws
    configuration: Configuration
    evidence: Evidence
    story: Story
    password: str

    def repository(self, name: str) -> Repository:
        return next(each for each in self.configuration.repositories if each.name == name)

    def url(self, bucket: str, prefix: str = "") -> str:
        """What restic calls a repository."""
        return f"s3:{self.aws.endpoint_url}/{bucket}/{prefix}".rstrip("/")

    def url_of(self, name: str) -> str:
        repository = self.repository(name)
        return self.url(repository.bucket, repository.prefix)

    def queue_url(self, name: str) -> str:
        return f"{self.aws.endpoint_url}/{ACCOUNT}/{self.configuration.names.queue(name)}"

    def restic(self, profile: str, url: str, *arguments: str, expect: tuple[int, ...] = (0,)) -> str:
        """Run the real restic with a profile's own credentials."""
        environment = {
            **self.aws.environment,
            "AWS_PROFILE": profile,
            "RESTIC_PASSWORD": self.password,
            "RESTIC_CACHE_DIR": str(DIRECTORY / "cache"),
        }
        return self.evidence.run(["restic", "-r", url, *arguments], environment, expect=expect)

    def back_up(self, name: str, source: Path) -> None:
        """What a host runs every night."""
        self.restic(f"host-{name}", self.url_of(name), "backup", "--quiet", "--pack-size", "4", str(source))

    def rwm(self, *arguments: str, profile: str = "operator", expect: tuple[int, ...] = (0,)) -> Any:
        """Run the command `rwm` with a role."""
        environment = {**self.aws.environment, "AWS_PROFILE": profile}
        printed = self.evidence.run(
            [str(ROOT / ".venv" / "bin" / "rwm"), *arguments, "--json"], environment, expect=expect
        )
        answer = json.loads(printed)
        self.evidence.answer(f"rwm {arguments[0]}", answer)
        return answer

    def publish(self, name: str) -> None:
        """What a host runs after `restic backup`."""
        environment = {
            **self.aws.environment,
            "AWS_PROFILE": f"host-{name}",
            "RWM_QUEUE_URL": self.queue_url(name),
            "PATH": f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }
        self.evidence.run(["sh", str(ROOT / "host" / "rwm-publish"), "--restic-exit", "0"], environment)

    def states(self, name: str) -> list[dict[str, Any]]:
        return list(self.rwm("states", name)["states"])

    def await_state(self, name: str, generation: int) -> dict[str, Any]:
        """The newest state, once there are `generation` of them, after an event that was sent just now."""
        deadline = time.monotonic() + RECORDED_WITHIN_SECONDS
        # None can be there earlier, and asking takes what recording needs.
        time.sleep((SETTLE + QUIET).total_seconds())
        while time.monotonic() < deadline:
            states = self.states(name)
            if states and states[0]["generation"] >= generation:
                return states[0]
            time.sleep(0.5)
        raise DemoFailed(
            f"no state {generation} of {name} within {RECORDED_WITHIN_SECONDS} s; the log ends with:\n"
            f"{self.aws.log_tail()}"
        )

    def prey(self, name: str) -> Prey:
        repository = self.repository(name)
        profile = f"host-{name}"
        return Prey(
            name,
            repository.bucket,
            repository.key_prefix,
            self.aws.client("s3", profile),
            lambda service: self.aws.client(service, profile),
        )
