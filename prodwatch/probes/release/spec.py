"""Keys and document of a `release` check."""

from __future__ import annotations

from prodwatch.model.spec import Field, Key, ProbeSpec

SPECS = (
    ProbeSpec(
        type="release",
        title="Lambda release",
        doc="Reads the versions and weights of an alias and the state of its CodeDeploy deployment. Changes neither.",
        keys=(
            Key(name="function", kind="text", required=True, doc="Name or ARN of the function."),
            Key(name="alias", kind="text", required=True, doc="Alias under release."),
        ),
        fields=(
            Field(name="version", kind="text", doc="Newest version that the alias sends traffic to."),
            Field(name="previous", kind="text", doc="Version before it; absent when unknown."),
            Field(name="weights", kind="table", doc="Version = share of traffic, from 0 to 1."),
            Field(
                name="state",
                kind="text",
                behind="deployment",
                doc="`stable`, `shifting`, `failed` or `rolled_back` (by CodeDeploy, CloudFormation, or a deployment "
                "of the old version); absent when CodeDeploy could not be read.",
            ),
            Field(name="deployment.status", kind="text", doc="CodeDeploy's status; absent without a deployment."),
            Field(name="deployment.id", kind="text", doc="CodeDeploy's id of the deployment."),
            Field(name="deployment.cause", kind="text", doc="Why the release went wrong; absent when it did not."),
        ),
        example="""\
[[check]]
name = "all traffic is on one version"
type = "release"
function = "shop-orders"
alias = "live"
expect = ["state == 'stable'", "length(keys(weights)) == 1"]
""",
        service="lambda",
    ),
)
