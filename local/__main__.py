"""`python -m local up | down | status`: RWM on an embedded AWS that keeps running.

`REPOSITORIES=path` chooses another repositories.toml. `up` again updates what runs.
"""

import argparse
import os
import sys
from pathlib import Path

from functions.configuration import BadConfiguration, read_toml
from local.credentials import PRINCIPALS, issue_profiles
from local.deploy import DeployFailed, deploy
from local.embedded import EmbeddedAws, NotStarted
from local.synthesis import ROOT, SynthesisFailed, synthesize

DIRECTORY = ROOT / "build" / "aws"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "status"))
    command = parser.parse_args().command
    repositories = Path(os.environ.get("REPOSITORIES", ROOT / "repositories.toml")).resolve()
    try:
        return {"up": up, "down": down, "status": status}[command](repositories)
    except BadConfiguration as error:
        print(error, file=sys.stderr)
        return 2
    except (NotStarted, SynthesisFailed, DeployFailed) as error:
        print(error, file=sys.stderr)
        return 1


def up(repositories: Path) -> int:
    """Start unless it runs, deploy, issue profiles, and say how to use it all."""
    # First what fails when the file is wrong: then nothing is started.
    names = read_toml(repositories).names
    assembly = synthesize(repositories, DIRECTORY / "cdk.out", principals=PRINCIPALS)
    earlier = EmbeddedAws.running(DIRECTORY)
    aws = earlier or EmbeddedAws.start(DIRECTORY, detached=True)
    try:
        deploy(aws, assembly)
    except DeployFailed:
        if earlier is None:
            aws.stop()
        else:
            # As on AWS: a change that would replace something with a name of its own is refused.
            print("`make local-down` and `make local` start afresh.", file=sys.stderr)
        raise
    profiles = issue_profiles(aws, names)
    print(_instructions(aws, profiles))
    return 0


def down(_repositories: Path) -> int:
    aws = EmbeddedAws.running(DIRECTORY)
    if aws is None:
        print("No embedded AWS runs.")
        return 0
    aws.stop()
    print("The embedded AWS is stopped; all it held is gone.")
    return 0


def status(_repositories: Path) -> int:
    aws = EmbeddedAws.running(DIRECTORY)
    if aws is None:
        print("No embedded AWS runs. `make local` starts one.")
        return 1
    print(f"{aws.endpoint_url} (pid {aws.pid}, log {aws.directory / 'server.log'})")
    for stack in aws.client("cloudformation").describe_stacks()["Stacks"]:
        print(f"  {stack['StackName']}: {stack['StackStatus']}")
    return 0


def _instructions(aws: EmbeddedAws, profiles: list[str]) -> str:
    exports = " ".join(f"{name}={value}" for name, value in aws.environment.items())
    return f"""The embedded AWS runs at {aws.endpoint_url}. To use it from any shell:

  export {exports}
  AWS_PROFILE=operator .venv/bin/rwm repositories
  AWS_PROFILE=operator .venv/bin/aws stepfunctions list-state-machines
  AWS_PROFILE=downloader .venv/bin/rwm restore NAME latest --to-directory DIRECTORY
  AWS_PROFILE=host-NAME restic -r s3:{aws.endpoint_url}/BUCKET/PREFIX init

Profiles: admin, {", ".join(profiles)}.
`make local-down` stops it; `make local` again updates it and renews the approver's session."""


if __name__ == "__main__":
    sys.exit(main())
