"""What the `rwm` command learns about a deployment: one SSM parameter per repository.

The deployed truth, not a file that happens to lie where the command runs.
"""

from aws_cdk import aws_ssm as ssm
from constructs import Construct

from infra.arns import Arns


class Catalog(Construct):
    """The parameters beneath `/<deployment>/repositories`, each a validated repository as JSON."""

    def __init__(self, scope: Construct, construct_id: str, *, arns: Arns) -> None:
        super().__init__(scope, construct_id)
        for repository in arns.configuration.repositories:
            ssm.StringParameter(
                self,
                repository.name,
                parameter_name=arns.names.repository_parameter(repository.name),
                description=f"Repository {repository.name}, as it is deployed",
                string_value=repository.model_dump_json(),
            )
