"""The settings of an environment, as the outputs of its stacks have them: `.env.production`.

In: outputs. Out: lines of a file that `lakeward.settings` reads, without any secret: keys come from
the standard chain, a role at best. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

FROM_OUTPUTS: tuple[tuple[str, str], ...] = (
    ("DATA_LAKE_BUCKET", "DataLakeBucket"),
    ("LAKEWARD_S3_KMS_KEY", "KmsKeyArn"),
    ("INTERACTIONS_TABLE", "InteractionsTable"),
    ("LAKEWARD_ATHENA_TABLE", "AthenaTable"),
    ("LAKEWARD_ATHENA_WORKGROUP", "AthenaWorkgroup"),
    ("LAKEWARD_ATHENA_OUTPUT", "AthenaOutput"),
)
"""Each setting that an output is the value of."""


def rendered(outputs: Mapping[str, str], environment: str, region: str, endpoint: str = "") -> str:
    """The file."""
    return "\n".join(_lines(outputs, environment, region, endpoint)) + "\n"


def _lines(
    outputs: Mapping[str, str], environment: str, region: str, endpoint: str
) -> Iterator[str]:
    yield f"# .env.{environment}: start the app with LAKEWARD_ENV={environment} beside this file."
    yield "# No keys are here: give the host's role the policy that ShippingPolicyArn names."
    yield f"AWS_REGION={region}"
    if endpoint:
        yield f"LAKEWARD_AWS_ENDPOINT={endpoint}"
    if outputs.get("DataLakeBucket"):
        yield "USE_S3=true"
    if outputs.get("InteractionsTable"):
        yield "USE_DYNAMODB=true"
    for setting, output in FROM_OUTPUTS:
        if outputs.get(output):
            yield f"{setting}={outputs[output]}"
    if outputs.get("AthenaTable") and outputs.get("DataLakeBucket"):
        yield f"LAKEWARD_TABLE=s3://{outputs['DataLakeBucket']}/table"
