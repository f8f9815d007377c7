"""Keys and document of a `stack` check."""

from __future__ import annotations

from prodwatch.model.spec import Field, Key, ProbeSpec

SPECS = (
    ProbeSpec(
        type="stack",
        title="CloudFormation stack",
        doc="Reads a stack's current status and outputs. A stack that does not exist is a `fail`.",
        keys=(
            Key(
                name="name",
                kind="text",
                required=True,
                doc="Name of the check, and the stack's alias in `[stacks]` or its name unless `stack` is given.",
            ),
            Key(name="stack", kind="text", doc="Alias in `[stacks]` or name of the stack. Default: `name`."),
        ),
        fields=(
            Field(name="status", kind="text", doc="CloudFormation's status, such as `UPDATE_COMPLETE`."),
            Field(name="outputs", kind="table", doc="Outputs, key = value."),
            Field(name="updated", kind="time", doc="Time of the last update, or of the creation."),
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
