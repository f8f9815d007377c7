"""Keys and document of an `alarm` check."""

from __future__ import annotations

from prodwatch.model.check import StepDefinition
from prodwatch.model.spec import Field, Key, ProbeSpec


def _doubt(_step: StepDefinition, fields: frozenset[str]) -> str | None:
    if fields and fields <= {"firing"}:
        return "an alarm with INSUFFICIENT_DATA does not fire: add \"all alarms[].state == 'OK'\" to be sure of all"
    return None


SPECS = (
    ProbeSpec(
        type="alarm",
        title="CloudWatch alarms",
        doc="Reads the state of metric and composite alarms. A named alarm that does not exist is a `fail`.",
        keys=(
            Key(name="names", kind="texts", doc="Alarm names."),
            Key(name="prefix", kind="text", doc="Prefix of alarm names."),
        ),
        one_of=(("names", "prefix"),),
        doubt=_doubt,
        fields=(
            Field(
                name="alarms",
                kind="list",
                doc="Alarms: `name`, `state` (`OK`, `ALARM`, `INSUFFICIENT_DATA`), `reason`, `since`, `composite`.",
            ),
            Field(
                name="unevaluated",
                kind="list",
                doc="Alarms whose `OK` proves nothing, because CloudWatch cannot evaluate them: `name`, `evaluation`.",
            ),
            Field(
                name="firing", kind="list", behind="alarms[?state=='ALARM']", doc="Names of the alarms in state ALARM."
            ),
        ),
        example="""\
[[check]]
name = "no alarm fires"
type = "alarm"
prefix = "shop-"
expect = ["length(firing) == 0", "all alarms[].state == 'OK'"]
""",
        service="cloudwatch",
    ),
)
