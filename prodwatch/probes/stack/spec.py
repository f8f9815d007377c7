"""What a `stack` check may say and what its answer looks like."""

from __future__ import annotations

from prodwatch.model.spec import Field, Key, ProbeSpec

SPECS = (
    ProbeSpec(
        type="stack",
        title="CloudFormation stack",
        doc="Reads a stack's status and outputs, afresh each time. A stack that does not exist is a `fail`.",
        keys=(
            Key(
                name="name",
                kind="text",
                required=True,
                doc="Alias from `[stacks]`, else the stack's own name; unless `stack` says another.",
            ),
            Key(name="stack", kind="text", doc="Alias or name, where the check itself wants a more telling `name`."),
        ),
        fields=(
            Field(name="status", kind="text", doc="CloudFormation's status, such as `UPDATE_COMPLETE`."),
            Field(name="outputs", kind="table", doc="Output key = value."),
            Field(name="updated", kind="time", doc="Last update, or the creation when there was none."),
        ),
        example="""\
[[check]]
name = "the stack is settled"
type = "stack"
stack = "shop-prod"
expect = ["status in ['CREATE_COMPLETE', 'UPDATE_COMPLETE']", "outputs.ApiUrl exists"]
""",
        service="cloudformation",
    ),
)
