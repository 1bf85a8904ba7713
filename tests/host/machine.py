"""A backup host on which restic and the aws cli only write down what they are asked."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from functions.domain.events import BackupDone, read_event
from functions.domain.values import RepositoryName

HOST = Path(__file__).parents[2] / "host"
HOOKS = HOST / "hooks"
QUEUE = "https://sqs.eu-central-1.amazonaws.com/111122223333/rwm-alpha"
COMPLETE, INCOMPLETE = BackupDone(outcome="complete"), BackupDone(outcome="incomplete")

FAKES = {
    "aws": '#!/bin/sh\nprintf \'%s\\n\' "$@" >"$HERE/sent"\necho message-1\n',
    "restic": '#!/bin/sh\nprintf \'%s\\n\' "$*" >"$HERE/restic.asked"\nexit "${RESTIC_ENDS_WITH:-0}"\n',
}


@dataclass
class Machine:
    """A backup host: our publisher and /etc/rwm.env, a restic and an aws cli that write down what they are asked."""

    here: Path

    @classmethod
    def make(cls, here: Path) -> Self:
        for name, script in FAKES.items():
            (here / name).write_text(script)
            (here / name).chmod(0o755)
        shutil.copy(HOST / "rwm-publish", here)
        (here / "rwm.env").write_text(f"export RWM_QUEUE_URL={QUEUE}\n")
        return cls(here)

    def run(self, command: str, **given: str) -> subprocess.CompletedProcess[str]:
        """`command`, a line of a hook or a script, as whoever has `given` in its environment runs it."""
        return subprocess.run(
            [shutil.which("dash") or "sh", "-c", command.replace("/etc/rwm.env", f"{self.here}/rwm.env")],
            env={"PATH": f"{self.here}:/usr/bin:/bin", "HERE": str(self.here), **given},
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )

    @property
    def published(self) -> BackupDone | None:
        """As RWM reads it; None: nothing."""
        file = self.here / "sent"
        if not file.exists():
            return None
        sent = file.read_text().splitlines()
        assert sent[sent.index("--queue-url") + 1] == QUEUE
        return read_event(sent[sent.index("--message-body") + 1], RepositoryName("alpha"))

    @property
    def backed_up(self) -> str:
        return (self.here / "restic.asked").read_text().strip()


ENDS = [(0, COMPLETE), (3, INCOMPLETE), (1, None), (11, None), (130, None)]
"""restic's exit codes, and what is published after each."""
