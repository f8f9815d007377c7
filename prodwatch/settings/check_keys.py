"""The keys of checks and steps that do not depend on their type: one table for loader, schema and docs."""

from __future__ import annotations

from prodwatch.model.spec import Key
from prodwatch.settings.value_types import SHORTEST_S

_TIMES = "Written as TOML time or RFC 3339 text."

POLL = (
    Key(
        name="within",
        kind="duration",
        minimum=SHORTEST_S,
        doc="Longest wait; the type's own if absent.",
    ),
    Key(name="every", kind="duration", minimum=SHORTEST_S, default="1s", doc="Pause between requests."),
    Key(name="until", kind="texts", doc="Assertions to wait for; without it `expect` itself is waited for."),
    Key(name="stop_when", kind="texts", doc="Assertions that end the wait at once: a terminal bad state."),
    Key(
        name="backoff",
        kind="text",
        choices=("fixed", "exponential", "fibonacci"),
        default="fixed",
        doc="How pauses grow from `every`.",
    ),
    Key(name="jitter", kind="boolean", default=False, doc="Draw each pause at random between zero and its length."),
)
RETRY = (
    Key(name="times", kind="integer", minimum=0, default=1, doc="How often a request that got no answer is repeated."),
    Key(name="delay", kind="duration", default="200ms", doc="Pause before the repetition."),
)
HOLD = (
    Key(name="for", kind="duration", required=True, minimum=SHORTEST_S, doc="How long `expect` must stay true."),
    Key(name="every", kind="duration", minimum=SHORTEST_S, default="1s", doc="Pause between samples."),
)
REPEAT = (
    Key(name="when", kind="texts", required=True, doc="Assertions on this step's answer; all true: run again."),
    Key(name="after", kind="text", required=True, doc="Earlier step to run again first."),
    Key(name="times", kind="integer", minimum=1, default=1, doc="How often at most."),
)
CAPTURE = (
    Key(name="path", kind="text", required=True, doc="Path into the answer."),
    Key(name="secret", kind="boolean", default=False, doc="Mask the value wherever it turns up."),
)

REQUEST = (
    Key(name="expect", kind="texts", doc="Assertions that must be true; one false and the check fails."),
    Key(name="warn", kind="texts", doc="Assertions that should be true; one false and the check is degraded."),
    Key(name="attest", kind="text", doc="Where the answer names its version; empty: nowhere. Overrides `[release]`."),
    Key(name="capture", kind="table", doc="Name = path into the answer, for later steps as `${captured.name}`."),
    Key(
        name="timeout",
        kind="duration",
        minimum=SHORTEST_S,
        doc="Longest time of one request, or of a whole flow.",
    ),
    Key(name="retry", kind="any", doc="Repetitions of a request that got no answer: a number, or a table.", keys=RETRY),
    Key(name="poll", kind="table", doc="Wait for a state of the target.", keys=POLL),
    Key(name="hold", kind="any", doc="How long `expect` must stay true: a duration, or a table.", keys=HOLD),
    Key(name="mutates", kind="boolean", doc="Whether this changes something; must be said where it may."),
    Key(name="idempotent", kind="boolean", default=False, doc="A mutating request may be repeated without harm."),
    Key(name="account", kind="text", doc="Name of an account in `[aws.accounts]`."),
    Key(name="region", kind="text", doc="AWS region, where it is not the environment's."),
)
"""Keys of a plain check and of a step alike."""

STEP = (
    Key(name="name", kind="text", doc="Unique in its flow; the type's name if absent."),
    Key(name="type", kind="text", required=True, doc="Check type of this step."),
    *REQUEST,
    Key(name="repeat", kind="table", doc="Run an earlier step again, then this one.", keys=REPEAT),
    Key(name="for_each", kind="text", doc="A reference to a list: the step runs once per element, as `${each…}`."),
)

SHARED = (
    Key(name="kind", kind="text", choices=("smoke", "diagnostic"), default="smoke", doc="Whether it runs by itself."),
    Key(name="tags", kind="texts", doc="Words to select by."),
    Key(name="owner", kind="text", doc="Who to ask."),
    Key(name="environments", kind="texts", doc="Environments it is for; all if absent."),
    Key(name="enabled", kind="boolean", default=True, doc="`false`: reported as skipped, never run."),
    Key(name="critical", kind="boolean", default=False, doc="One red round is enough for the gate."),
    Key(name="advisory", kind="boolean", default=False, doc="Shown, never part of the verdict."),
    Key(name="serial", kind="text", doc="Checks with the same word never run at the same time."),
    Key(name="needs", kind="texts", doc="Checks that must pass first, else this one is skipped."),
    Key(name="requires", kind="texts", doc="References that must have a value, else the check is skipped."),
    Key(name="diagnose", kind="texts", doc="Diagnostic checks to run when this one is not green."),
    Key(name="every", kind="duration", minimum=0.1, doc="Pause between rounds in the dashboard and the gate."),
    Key(name="vars", kind="table", doc="Variables of this check, as `${vars.name}`."),
    Key(name="vantage", kind="texts", doc="Places it is run from, by their name in `PRODWATCH_VANTAGE`."),
    Key(name="links", kind="table", doc="Title = URL, shown with the result."),
    Key(name="muted_until", kind="any", doc=f"Skipped until this date or time. {_TIMES}"),
)
"""Keys of a check that `[defaults]` may hold too."""

OWN = (
    Key(name="id", kind="text", doc="Stable name for machines; made from path and name if absent."),
    Key(name="name", kind="text", required=True, doc="What people call it."),
    Key(name="title", kind="text", doc="A longer name for the screen."),
    Key(name="type", kind="text", required=True, doc="Check type."),
    Key(name="matrix", kind="table", doc="Name = list of values: one case per combination."),
)
"""Keys of a check that only make sense on one check."""

CHECK = (*OWN, *SHARED, *REQUEST)
DEFAULTS = (*SHARED, *(key for key in REQUEST if key.name not in {"expect", "capture"}))

LATE = frozenset(
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
        "step",
        "cleanup",
    )
)
"""Keys whose `${…}` are filled when the check runs; all other common keys must be known when it is loaded."""

FLOW_ONLY_IN_STEPS = ("poll", "hold", "capture")
"""Keys of a request, which a flow as a whole does not have."""

ATTESTED = "http"
"""The one type whose answers carry their version in a place of the user's own."""

NO_ANSWER = ("expect", "warn", "capture", "poll", "hold")
"""Keys about an answer, which `pass`, `fail`, `skip` and `wait` do not get."""
