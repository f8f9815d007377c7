"""Keys and documents of `flow` and `wait`, which the runner runs itself."""

from __future__ import annotations

from prodwatch.model.spec import Field, Key, ProbeSpec

SPECS = (
    ProbeSpec(
        type="flow",
        title="Flow",
        doc=(
            "Runs steps in order, each with its own check type and expectations. A step that is not green ends"
            " the flow; `[[check.cleanup]]` steps always run, in reverse order. `timeout` applies to the whole"
            " flow without its cleanup."
        ),
        keys=(
            Key(
                name="step",
                kind="list",
                required=True,
                doc="Steps, written as `[[check.step]]` with `name`, `type` and its keys.",
            ),
            Key(name="cleanup", kind="list", doc="Steps that always run, written as `[[check.cleanup]]`."),
        ),
        fields=(Field(name="steps", kind="table", doc="`steps.<name>` is the document of each step that has run."),),
        example="""\
[[check]]
name = "an order can be placed"
type = "flow"
mutates = true
timeout = "20s"

[[check.step]]
name = "post"
type = "http"
method = "POST"
url = "https://shop.example/orders"
json = { id = "TEST-${uid}", sku = "4711" }
expect = ["status == 201"]
capture = { order = "json.id" }

[[check.step]]
name = "read"
type = "http"
url = "https://shop.example/orders/${captured.order}"
expect = ["status == 200", "json.sku == '4711'"]

[[check.cleanup]]
type = "http"
method = "DELETE"
url = "https://shop.example/orders/TEST-${uid}"
expect = ["status in [200, 204, 404]"]
""",
        timeout_s=300.0,
        needs_probe=False,
    ),
    ProbeSpec(
        type="wait",
        title="Wait",
        doc="A step that pauses. To wait for a state, use `poll` on the step that reads it instead.",
        keys=(Key(name="for", kind="duration", required=True, doc="Length of the pause, such as `5s`."),),
        example="""\
[[check]]
name = "a token expires"
type = "flow"

[[check.step]]
name = "pause"
type = "wait"
for = "5s"

[[check.step]]
name = "ask"
type = "http"
url = "https://shop.example/session"
expect = ["status == 401"]
""",
        needs_probe=False,
    ),
)
