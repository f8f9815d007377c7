"""Tables and keys of an environment file: one description for loader, schema and docs."""

from __future__ import annotations

from typing import Literal

import msgspec

from prodwatch.model.environment import SCENARIOS
from prodwatch.model.spec import Key

_WHERE = (
    Key(name="account", kind="text", doc="Name of an account in `[aws.accounts]`."),
    Key(name="region", kind="text", doc="AWS region. Default: that of the environment."),
)
_GATE = Key(name="gate", kind="boolean", default=True, doc="Whether it counts for the verdict.")

TOP = (
    Key(name="title", kind="text", doc="Title on the screen. Default: the name of the file."),
    Key(name="protected", kind="boolean", default=True, doc="Mutating checks are skipped unless --allow-writes."),
)

ACCOUNT = (
    Key(name="region", kind="text", doc="AWS region."),
    Key(name="profile", kind="text", doc='Profile of the AWS configuration; "" for none.'),
    Key(name="role_arn", kind="text", doc="Role to assume."),
    Key(name="account", kind="text", doc="Expected account id, 12 digits; another account stops the run."),
    Key(name="endpoint_url", kind="text", doc="Endpoint of the AWS APIs, for an emulator."),
)
STACK = (Key(name="name", kind="text", required=True, doc="Name of the stack."), *_WHERE)
SECRET = (
    Key(name="env", kind="text", doc="Environment variable with the value."),
    Key(name="ssm", kind="text", doc="SSM parameter with the value."),
    Key(name="secretsmanager", kind="text", doc="Name or ARN of the Secrets Manager secret."),
    Key(name="field", kind="text", doc="Key of the value in a JSON secret."),
    *_WHERE,
)
SECRET_SOURCES = ("env", "ssm", "secretsmanager")

_FEWEST_ALARMS = 1e-6
"""Share of false alarms below which a bound is a mistake: no evidence would ever reach 0 %."""
_FALSE_ALARMS = "Bound on the probability of a false alarm over the whole gate."
_COMPARISON_GATE = Key(name="gate", kind="boolean", default=True, doc="`false`: shown, but not part of the verdict.")
COMPARE_ERRORS = (
    Key(name="ratio", kind="number", minimum=1, default=2.0, doc="Error ratio divided by that of the old version."),
    Key(name="difference", kind="share", default="0.5%", doc="Error ratio minus that of the old version."),
    Key(name="always", kind="share", default="2%", doc="Difference that counts whatever the old ratio is."),
    Key(name="min_bad", kind="integer", minimum=1, default=3, doc="Failed requests below which nothing is decided."),
    Key(name="false_alarms", kind="share", minimum=_FEWEST_ALARMS, default="0.1%", doc=_FALSE_ALARMS),
    _COMPARISON_GATE,
)
COMPARE_LATENCY = (
    Key(name="ratio", kind="number", minimum=1, default=1.1, doc="Latency divided by that of the old version."),
    Key(name="shift", kind="duration", default="20ms", doc="Latency minus that of the old version."),
    Key(name="false_alarms", kind="share", minimum=_FEWEST_ALARMS, default="1%", doc=_FALSE_ALARMS),
    _COMPARISON_GATE,
)
COMPARE_SIGNATURES = (
    Key(name="false_alarms", kind="share", minimum=_FEWEST_ALARMS, default="0.1%", doc=_FALSE_ALARMS),
    _COMPARISON_GATE,
)
KNOWN_SIGNATURE = (
    Key(name="signature", kind="text", required=True, doc="Id of the signature."),
    Key(name="until", kind="any", required=True, doc="Accepted until this date or time."),
    Key(name="reason", kind="text", required=True, doc="Why it is accepted."),
)
EXCLUDED = ("route", "client", "stream")
"""Kinds of requests that `[compare] exclude` names: `route:GET /health`."""

Shape = Literal["table", "tables", "names"]
"""`[x]`, `[[x]]`, or a table whose names the user chooses."""

Filled = Literal["env", "static", "late"]
"""Scopes of `${…}` in a section: environment variables; also plain variables; all, filled at run time."""


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """One table of an environment file."""

    name: str
    doc: str
    shape: Shape = "table"
    keys: tuple[Key, ...] = ()
    """Keys of the table, of each table in a list, or of the table of each name."""
    filled: Filled = "late"


SECTIONS = (
    Section(
        name="aws",
        doc="AWS account, region and credentials. Only `${env.…}` can be used here.",
        keys=(*ACCOUNT, Key(name="accounts", kind="table", doc="Further accounts and regions: `[aws.accounts.name]`.")),
        filled="env",
    ),
    Section(
        name="stacks",
        doc="Alias = CloudFormation stack, for `${stack.alias.Output}`: its name, or a table.",
        shape="names",
        keys=STACK,
        filled="static",
    ),
    Section(name="vars", doc="Name = value, for `${vars.name}`.", shape="names"),
    Section(
        name="secrets",
        doc="Name = source of a secret, for `${secret.name}`. Never shown; values under 6 characters are refused.",
        shape="names",
        keys=SECRET,
        filled="static",
    ),
    Section(
        name="function",
        doc="A Lambda function under release; its logs, metrics, traces and versions are watched.",
        shape="tables",
        keys=(
            Key(name="name", kind="text", required=True, doc="Name of the function."),
            Key(name="alias", kind="text", doc="Alias that callers use and that a release shifts."),
            Key(name="log_group", kind="text", doc="Its log group. Default: that of the function's configuration."),
            *_WHERE,
        ),
    ),
    Section(
        name="logs",
        doc="A further log group.",
        shape="tables",
        keys=(
            Key(name="group", kind="text", required=True, doc="Name of the group; `*` ends a prefix."),
            Key(name="live_tail", kind="boolean", default=False, doc="Use Live Tail, which AWS bills per minute."),
            Key(name="filter", kind="text", doc="CloudWatch filter pattern; other lines are not fetched."),
            *_WHERE,
        ),
    ),
    Section(
        name="traces",
        doc="X-Ray traces to watch.",
        keys=(
            Key(name="enabled", kind="boolean", default=True, doc="`false`: no traces are watched."),
            Key(name="filter", kind="text", doc="X-Ray filter expression."),
        ),
    ),
    Section(
        name="metric",
        doc="A CloudWatch metric to watch and, with assertions, to judge.",
        shape="tables",
        keys=(
            Key(
                name="name",
                kind="text",
                required=True,
                doc="Name on the screen, unique; not `errors` or another name of a function's metrics.",
            ),
            Key(name="namespace", kind="text", required=True, doc="Namespace, such as `AWS/Lambda`."),
            Key(name="metric", kind="text", required=True, doc="Metric name."),
            Key(
                name="dimensions",
                kind="table",
                doc="Dimension = value, for all dimensions of the metric. With `${release.version}` in a value, the "
                "metric is read for both versions of a release and compared.",
            ),
            Key(
                name="stat",
                kind="text",
                default="Average",
                doc="`Average`, `Sum`, `Maximum`, `p95`, `tm90` and others.",
            ),
            Key(
                name="unit",
                kind="text",
                doc="Unit of the values; with a unit of time such as `ms`, assertions compare durations.",
            ),
            Key(
                name="better",
                kind="text",
                choices=("lower", "higher"),
                default="lower",
                doc="Direction of an improvement.",
            ),
            Key(name="expect", kind="texts", doc="Assertions on `value`; false: evidence against the release."),
            Key(name="warn", kind="texts", doc="Assertions on `value`; false: degraded."),
            _GATE,
            Key(name="period", kind="duration", default="1m", minimum=1, doc="Length of one data point."),
            *_WHERE,
        ),
    ),
    Section(
        name="alarm",
        doc="CloudWatch alarms to watch, by prefix or by name.",
        shape="tables",
        keys=(
            Key(name="prefix", kind="text", doc="Prefix of the names of alarms."),
            Key(name="names", kind="texts", doc="Names of alarms."),
            _GATE,
            *_WHERE,
        ),
    ),
    Section(
        name="release",
        doc="Source of releases, and the proof in responses of the version that served them.",
        keys=(
            Key(name="codedeploy", kind="texts", doc="CodeDeploy application, or several."),
            Key(
                name="appconfig",
                kind="texts",
                doc="AppConfig application, or several; `application/environment` names one environment of it.",
            ),
            Key(name="attest", kind="text", doc="Path to the version in an HTTP response."),
            Key(
                name="match",
                kind="text",
                default="{version}",
                doc="Format of that text, such as `v{version}`.",
            ),
            Key(
                name="baseline",
                kind="text",
                choices=("auto", "none"),
                default="auto",
                doc=(
                    "`auto`: the other version of a weighted alias, otherwise the time before the release. `none`: the"
                    " versions are not compared."
                ),
            ),
            Key(
                name="signatures",
                kind="table",
                keys=(_GATE,),
                doc="Deprecated; use `[compare] signatures`.",
            ),
        ),
    ),
    Section(
        name="compare",
        doc="How the versions of a release are compared.",
        keys=(
            Key(
                name="errors",
                kind="table",
                keys=COMPARE_ERRORS,
                can_be_off=True,
                doc="Error ratio; counts against the release when all its bounds are broken.",
            ),
            Key(
                name="latency",
                kind="table",
                keys=COMPARE_LATENCY,
                can_be_off=True,
                doc="Latency of warm requests at four quantiles.",
            ),
            Key(
                name="signatures",
                kind="table",
                keys=COMPARE_SIGNATURES,
                can_be_off=True,
                doc="Error signatures in the logs that only the new version writes.",
            ),
            Key(
                name="require",
                kind="text",
                choices=("errors", "none"),
                doc=(
                    "Proof that a pass needs. Default: `errors` with a `[[function]]` whose versions are compared,"
                    " otherwise `none`."
                ),
            ),
            Key(
                name="coverage",
                kind="share",
                default="0%",
                doc=(
                    "Share of the old version's routes, and of the values of each field of `coverage_by`, that the new"
                    " one must have served."
                ),
            ),
            Key(
                name="coverage_by",
                kind="texts",
                doc="Fields of the function's JSON lines to cover like routes, such as `json.tenant`.",
            ),
            Key(
                name="insights",
                kind="boolean",
                default=False,
                doc=(
                    "Let Logs Insights count the errors of the hour before a release where that hour was not read. AWS"
                    " bills it by the GB; the price is stated before."
                ),
            ),
            Key(
                name="exclude",
                kind="texts",
                doc="Requests that do not count: `route:GET /health`, `client:10.0.0.0/8`, `stream:2026/01/*`.",
            ),
            Key(
                name="known",
                kind="list",
                doc="Error signatures that are accepted until a date.",
            ),
        ),
        filled="static",
    ),
    Section(
        name="rounds",
        doc="Rounds of checks in the dashboard and in a gate.",
        keys=(
            Key(name="every", kind="duration", default="30s", minimum=1, doc="Pause between rounds."),
            Key(
                name="bake",
                kind="duration",
                default="15m",
                minimum=1,
                doc="Time that a gate watches a release.",
            ),
        ),
        filled="static",
    ),
    Section(
        name="history",
        doc="Past runs, kept on this machine for `prodwatch history` and `prodwatch diff`.",
        keys=(
            Key(name="enabled", kind="boolean", default=True, doc="`false`: runs are neither kept nor read."),
            Key(
                name="keep",
                kind="duration",
                default="90d",
                minimum=1,
                doc="Age from which a run of this environment is dropped.",
            ),
            Key(
                name="size",
                kind="size",
                default="500MB",
                doc="Size of the project's history file from which its oldest runs are dropped.",
            ),
            Key(
                name="project",
                kind="text",
                doc='Name that identifies the project. Default, or "": its git remote, or an id in `.prodwatch/`.',
            ),
        ),
        filled="static",
    ),
    Section(
        name="limits",
        doc="Limits of one run.",
        keys=(
            Key(
                name="concurrency",
                kind="integer",
                default=50,
                minimum=1,
                doc="Largest number of checks at the same time.",
            ),
            Key(
                name="per_host",
                kind="integer",
                default=8,
                minimum=1,
                doc="Largest number of requests to one host at the same time.",
            ),
            Key(
                name="per_service",
                kind="integer",
                default=8,
                minimum=1,
                doc="Largest number of calls to one AWS service at the same time.",
            ),
            Key(name="api_cost_usd", kind="number", minimum=0, doc="Largest cost of AWS calls, in US dollars."),
            Key(name="api_calls", kind="integer", minimum=1, doc="Largest number of AWS calls."),
            Key(
                name="self_check",
                kind="text",
                doc="URL that always responds; when it does not, this machine's network is at fault.",
            ),
            Key(
                name="prices",
                kind="table",
                doc="`service:Operation`, as botocore names it = US dollars per unit, instead of the built-in price.",
            ),
        ),
        filled="static",
    ),
    Section(
        name="demo",
        doc="Use the embedded AWS instead of the real one, with a staged release.",
        keys=(
            Key(name="scenario", kind="text", default="bad", choices=SCENARIOS, doc="The staged release."),
            Key(
                name="at",
                kind="text",
                doc="Fixed point of the release: `before`, `during`, `after`, or an offset such as `+90s`.",
            ),
            Key(
                name="speed",
                kind="number",
                default=1,
                minimum=0.001,
                doc="Speed of the release; 2 is twice as fast as real time.",
            ),
            Key(
                name="seed",
                kind="integer",
                default=42,
                doc="Seed of the generated data; the same seed gives the same data.",
            ),
        ),
        filled="env",
    ),
)
"""Every table of the file, in the order of the reference page."""
