"""Keys that checks and steps of all types share: one table for loader, schema and docs."""

from __future__ import annotations

from prodwatch.model.spec import Key
from prodwatch.settings.value_types import SHORTEST_S

_TIMES = "A TOML date or time, or RFC 3339 text."

POLL = (
    Key(
        name="within",
        kind="duration",
        minimum=SHORTEST_S,
        doc="Longest wait. Default: that of the type.",
    ),
    Key(name="every", kind="duration", minimum=SHORTEST_S, default="1s", doc="Pause between requests."),
    Key(name="until", kind="texts", doc="Assertions to wait for. Default: `expect`."),
    Key(name="stop_when", kind="texts", doc="Assertions that end the wait at once, such as a terminal failure state."),
    Key(
        name="backoff",
        kind="text",
        choices=("fixed", "exponential", "fibonacci"),
        default="fixed",
        doc="Growth of the pauses, starting at `every`.",
    ),
    Key(
        name="max_every",
        kind="duration",
        minimum=SHORTEST_S,
        doc="Longest pause of a growing `backoff`. Default: no limit but `within`.",
    ),
    Key(name="jitter", kind="boolean", default=False, doc="Draw each pause at random between zero and its length."),
)
RETRY = (
    Key(name="times", kind="integer", minimum=0, default=1, doc="Number of retries of a request without a response."),
    Key(name="delay", kind="duration", default="200ms", doc="Pause before each retry."),
)
HOLD = (
    Key(name="for", kind="duration", required=True, minimum=SHORTEST_S, doc="Time that `expect` must stay true."),
    Key(name="every", kind="duration", minimum=SHORTEST_S, default="1s", doc="Pause between samples."),
)
REPEAT = (
    Key(
        name="when",
        kind="texts",
        required=True,
        doc="Assertions on this step's response; when all are true, the step runs again.",
    ),
    Key(name="after", kind="text", required=True, doc="Earlier step that runs again first."),
    Key(name="times", kind="integer", minimum=1, default=1, doc="Largest number of repetitions."),
)
CAPTURE = (
    Key(name="path", kind="text", required=True, doc="Path into the response."),
    Key(
        name="pattern",
        kind="text",
        doc="Regular expression searched in the text at `path`; its first group, or the whole match, is the value.",
    ),
    Key(name="secret", kind="boolean", default=False, doc="Mask the value in all output."),
)

REQUEST = (
    Key(name="expect", kind="texts", doc="Assertions that must be true; a false one fails the check."),
    Key(name="warn", kind="texts", doc="Assertions that should be true; a false one makes the check degraded."),
    Key(
        name="attest",
        kind="text",
        doc="Path to the version in the response; empty: none. Overrides `[release] attest`.",
    ),
    Key(name="capture", kind="table", doc="Name = path into the response, for later steps as `${captured.name}`."),
    Key(
        name="timeout",
        kind="duration",
        minimum=SHORTEST_S,
        doc="Time limit of one request, or of a whole flow.",
    ),
    Key(name="retry", kind="any", doc="Retries of a request without a response: a number, or a table.", keys=RETRY),
    Key(name="poll", kind="table", doc="Wait for a state of the target.", keys=POLL),
    Key(name="hold", kind="any", doc="Time that `expect` must stay true: a duration, or a table.", keys=HOLD),
    Key(name="mutates", kind="boolean", doc="Whether this changes something. Required for requests that may."),
    Key(
        name="idempotent", kind="boolean", default=False, doc="Whether a mutating request may be repeated without harm."
    ),
    Key(name="account", kind="text", doc="Name of an account in `[aws.accounts]`."),
    Key(name="region", kind="text", doc="AWS region. Default: that of the environment."),
)
"""Keys of plain checks and of steps."""

STEP = (
    Key(name="name", kind="text", doc="Name, unique in its flow and without `${…}`. Default: the type."),
    Key(name="type", kind="text", required=True, doc="Check type of this step."),
    *REQUEST,
    Key(
        name="undo",
        kind="table",
        doc="A cleanup step that runs once this step was sent; type, target and account default to those of the step.",
    ),
    Key(
        name="precondition",
        kind="boolean",
        default=False,
        doc="`true`: when `expect` is false, the check is skipped instead of failed. Before all other steps.",
    ),
    Key(name="repeat", kind="table", doc="Runs an earlier step again, then this one.", keys=REPEAT),
    Key(name="for_each", kind="text", doc="Reference to a list; the step runs once per element, which is `${each…}`."),
)

SHARED = (
    Key(
        name="kind",
        kind="text",
        choices=("smoke", "diagnostic"),
        default="smoke",
        doc="`smoke` checks run by default, `diagnostic` ones when named in `diagnose` or selected.",
    ),
    Key(name="tags", kind="texts", doc="Words to select checks by."),
    Key(name="owner", kind="text", doc="Person or team responsible for the check."),
    Key(name="environments", kind="texts", doc="Environments it belongs to. Default: all."),
    Key(name="enabled", kind="boolean", default=True, doc="`false`: not run, and reported as skipped."),
    Key(
        name="critical",
        kind="boolean",
        default=False,
        doc="One red round is enough for a red verdict in the dashboard; skipped, it is never a pass.",
    ),
    Key(name="advisory", kind="boolean", default=False, doc="Shown, but not part of the verdict."),
    Key(name="serial", kind="text", doc="Name of a group of checks that never run at the same time."),
    Key(name="needs", kind="texts", doc="Checks that must pass first; otherwise this one is skipped."),
    Key(name="requires", kind="texts", doc="References that must have a value; otherwise the check is skipped."),
    Key(
        name="diagnose",
        kind="texts",
        doc="Diagnostic checks to run when this one is not green; `consumer` is a ready one for a queue.",
    ),
    Key(name="every", kind="duration", minimum=0.1, doc="Pause between rounds in the dashboard."),
    Key(name="vars", kind="table", doc="Variables of this check, as `${vars.name}`."),
    Key(name="vantage", kind="texts", doc="Places to run it from, by their name in `PRODWATCH_VANTAGE`."),
    Key(name="links", kind="table", doc="Title = URL, shown with the result."),
    Key(name="muted_until", kind="any", doc=f"Skipped until this date or time. {_TIMES}"),
)
"""Keys of a check that are also allowed in `[defaults]`."""

OWN = (
    Key(name="id", kind="text", doc="Stable id. Default: derived from file and name."),
    Key(name="name", kind="text", required=True, doc="Name of the check, for people."),
    Key(name="title", kind="text", doc="Longer name, for the screen."),
    Key(name="type", kind="text", required=True, doc="Check type."),
    Key(name="matrix", kind="table", doc="Name = list of values or of tables; one case per combination."),
)
"""Keys of a check that are not allowed in `[defaults]`."""

CHECK = (*OWN, *SHARED, *REQUEST)
DEFAULTS = (*SHARED, *(key for key in REQUEST if key.name not in {"expect", "capture"}))

RUNTIME_KEYS = frozenset(
    (
        "expect",
        "warn",
        "attest",
        "capture",
        "vars",
        "links",
        "serial",
        "requires",
        "for_each",
        "repeat",
        "undo",
        "step",
        "cleanup",
    )
)
"""Keys whose `${…}` are filled at run time; those of all other common keys are filled at load time."""

FLOW_ONLY_IN_STEPS = ("poll", "hold", "capture")
"""Keys of a request, which are not allowed on a flow itself."""

ATTESTED = "http"
"""The type whose responses carry their version in a place that the user chooses."""

RESPONSE_KEYS = ("expect", "warn", "capture", "poll", "hold")
"""Keys about a response, which `pass`, `fail`, `skip` and `wait` do not have."""
