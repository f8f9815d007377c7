"""Keys and documents of `flow` and `wait`, which the runner runs itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prodwatch.model.spec import Field, Key, ProbeSpec
from prodwatch.probes.http.spec import AUTH, auth_problems


def _problems(params: Mapping[str, Any]) -> tuple[str, ...]:
    problems = auth_problems(params)
    base_url = params.get("base_url")
    if isinstance(base_url, str) and not base_url.startswith(("http://", "https://", "${")):
        problems += (f'`base_url` must begin with http:// or https://, not "{base_url}"',)
    if isinstance(base_url, str) and any(mark in base_url for mark in "?#"):
        problems += ("`base_url` has neither `?` nor `#`: they belong to the `url` of a step",)
    return problems


SPECS = (
    ProbeSpec(
        type="flow",
        title="Flow",
        doc=(
            "Runs steps in order, each with its own check type and expectations. A step that is not green ends"
            " the flow; `[[check.cleanup]]` steps always run, in reverse order. `timeout` applies to the whole"
            " flow without its cleanup. `step_timeout`, `base_url` and `auth` apply to every step and cleanup step"
            " that does not say otherwise."
        ),
        keys=(
            Key(
                name="step",
                kind="list",
                required=True,
                doc="Steps, written as `[[check.step]]` with `name`, `type` and its keys.",
            ),
            Key(name="cleanup", kind="list", doc="Steps that always run, written as `[[check.cleanup]]`."),
            Key(
                name="step_timeout",
                kind="duration",
                minimum=0.001,
                doc="`timeout` of each step. Default: that of the step's type, which is 2 s for a smoke `http` step.",
            ),
            Key(
                name="base_url",
                kind="text",
                doc="Beginning of each `http` step's `url` that begins with `/`; joined with exactly one slash.",
            ),
            Key(
                name="auth",
                kind="table",
                doc=(
                    "`auth` of each `http` step, as in type `http`; with `base_url` only of the steps whose `url`"
                    " begins with `/`. `auth = false` on a step sends none."
                ),
                keys=AUTH.keys,
            ),
        ),
        fields=(Field(name="steps", kind="table", doc="`steps.<name>` is the document of each step that has run."),),
        example="""\
[[check]]
name = "an order can be placed"
type = "flow"
mutates = true
timeout = "20s"
step_timeout = "5s"
base_url = "https://shop.example"

[[check.step]]
name = "post"
type = "http"
method = "POST"
url = "/orders"
json = { id = "TEST-${uid}", sku = "4711" }
expect = ["status == 201"]
capture = { order = "json.id" }

[[check.step]]
name = "read"
type = "http"
url = "/orders/${captured.order}"
expect = ["status == 200", "json.sku == '4711'"]

[[check.cleanup]]
type = "http"
method = "DELETE"
url = "/orders/TEST-${uid}"
expect = ["status in [200, 204, 404]"]
""",
        timeout_s=300.0,
        needs_probe=False,
        problems=_problems,
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
