"""A queue that is subscribed to what a deployment tells people."""

import json
from collections.abc import Callable
from typing import Any

from functions.domain.names import Names
from local.embedded import ACCOUNT, REGION


def subscribe(client: Callable[[str], Any], names: Names, queue: str, only: str | None = None) -> str:
    """Make the queue, into which SNS puts the alerts `only` of that repository, or all. Returns its URL.

    `client`: by a service's name.
    """
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:{names.alerts}"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    url = client("sqs").create_queue(QueueName=queue, Attributes={"Policy": policy})["QueueUrl"]
    wanted = {} if only is None else {"FilterPolicy": json.dumps({"repository": [only]})}
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=wanted)
    return str(url)
