"""One deployment: the three stacks of a configuration."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from pydantic import ValidationError

from functions.configuration import BadConfiguration
from functions.domain.repositories import Configuration
from infra.data import DataStack
from infra.flows import FlowsStack
from infra.watch_stack import WatchStack

CDK_JSON = Path(__file__).resolve().parent.parent / "cdk.json"


def compose(
    configuration: Configuration,
    *,
    account: str | None = None,
    region: str | None = None,
    context: Mapping[str, Any] | None = None,
    outdir: str | None = None,
) -> cdk.App:
    """The app, not yet synthesized. Without `account` and `region` it can be deployed to any.

    `context` adds to that of cdk.json. Raises BadConfiguration where AWS's limits would be exceeded.
    """
    # The cdk command passes cdk.json's context; without it the templates must come out the same.
    flags = json.loads(CDK_JSON.read_text())["context"]
    app = cdk.App(context={**flags, **(context or {})}, outdir=outdir, analytics_reporting=False)
    where = cdk.Environment(account=account, region=region)
    data = DataStack(app, configuration, env=where)
    flows = FlowsStack(app, configuration, env=where)
    # They refer to each other by name only, so CloudFormation cannot know what comes first.
    flows.add_stack_dependency(data)
    # Last: it looks at what the flows have made.
    watch = WatchStack(app, configuration, env=where)
    watch.add_stack_dependency(flows)
    return app


def with_local_principals(configuration: Configuration, people: str) -> Configuration:
    """Let `people`, ARNs with commas between them, be in every role of people. For an embedded AWS only."""
    more = tuple(person for person in people.split(",") if person)
    if not more:
        return configuration
    content = configuration.model_dump()
    content["operators"] = (*configuration.operators, *more)
    content["approvers"] = (*configuration.approvers, *more)
    content["downloaders"] = (*configuration.downloaders, *more)
    try:
        return Configuration.model_validate(content)
    except ValidationError as error:
        raise BadConfiguration(f"RWM_LOCAL_PRINCIPALS: {error.errors()[0]['msg']}; nothing was synthesized") from error
