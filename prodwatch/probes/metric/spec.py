"""Keys and document of a `metric` check."""

from __future__ import annotations

from prodwatch.model.check import StepDefinition
from prodwatch.model.quantity import Duration
from prodwatch.model.spec import Field, Key, ProbeSpec
from prodwatch.probes.metric.known_metrics import DURATIONS
from prodwatch.text.units import parse_duration

DEFAULT_PERIOD, DEFAULT_WINDOW = "1m", "5m"
FEWEST_PERIODS = 3
"""Periods in a window below which `validate` warns: up to two of them are cut off at its ends."""


def _doubt(step: StepDefinition, _fields: frozenset[str]) -> str | None:
    try:
        period, window = (
            value if isinstance(value, Duration) else parse_duration(str(value))
            for value in (step.params.get("period", DEFAULT_PERIOD), step.params.get("window", DEFAULT_WINDOW))
        )
    except ValueError:
        return None  # a reference, which is filled later
    if FEWEST_PERIODS * period.ns <= window.ns:
        return None
    return (
        f"a window of {window} has room for few whole periods of {period}, and only whole ones are read: make `window` "
        f"at least {FEWEST_PERIODS} times `period`"
    )


SPECS = (
    ProbeSpec(
        type="metric",
        title="CloudWatch metric",
        doc=(
            "Reads one metric over a time window. Missing data points do not count as zero: without data the check"
            " is `inconclusive`, unless `missing` is set. The window counts from the first look: with `poll` or `hold`"
            " it grows and does not slide.\n"
            "\n"
            "The values of a metric in a unit of time are durations (`value < 800ms`), except with `SampleCount`; all"
            f" others are numbers. Of AWS's own these are in a unit of time: {DURATIONS}. Of any other namespace the"
            " unit is read from CloudWatch."
        ),
        keys=(
            Key(name="namespace", kind="text", required=True, doc="Namespace, such as `AWS/Lambda`."),
            Key(name="metric", kind="text", required=True, doc="Metric name."),
            Key(name="dimensions", kind="table", doc="Dimension = value, for all dimensions of the metric."),
            Key(
                name="stat",
                kind="text",
                default="Average",
                doc="Statistic: `Average`, `Sum`, `Minimum`, `Maximum`, `SampleCount`, `p95`, `tm90` and others.",
            ),
            Key(name="period", kind="duration", default=DEFAULT_PERIOD, doc="Length of one data point."),
            Key(
                name="window",
                kind="duration",
                default=DEFAULT_WINDOW,
                doc=(
                    "Length of the time window, which ends now. Only whole periods in it are read, so that no value is"
                    " of an unfinished period or of a time before the window; make it at least three periods long."
                ),
            ),
            Key(
                name="missing",
                kind="text",
                choices=("inconclusive", "zero", "fail"),
                default="inconclusive",
                doc="Result without data: `inconclusive`, the value 0, or `fail`.",
            ),
            Key(
                name="of",
                kind="text",
                doc=(
                    "Metric of the same namespace and dimensions to divide by, both summed:"
                    ' `metric = "Errors"`, `of = "Invocations"` is an error ratio from 0 to 1.'
                ),
            ),
        ),
        fields=(
            Field(
                name="value",
                kind="number",
                doc=(
                    "The window as one number: the sum for `Sum` and `SampleCount`, the extreme for `Minimum` and"
                    " `Maximum`, else the last point; with `of` the ratio. A duration for a unit of time."
                ),
            ),
            Field(name="values", kind="list", doc="Data points, oldest first."),
            Field(name="sum", kind="number", doc="Sum of the data points."),
            Field(name="min", kind="number", doc="Smallest data point."),
            Field(name="max", kind="number", doc="Largest data point."),
            Field(name="last", kind="number", doc="Newest data point."),
            Field(name="points", kind="integer", doc="Number of data points."),
            Field(name="of", kind="number", doc="With `of`: the divisor, the sum of the other metric."),
            Field(name="unit", kind="text", doc="CloudWatch's unit, such as `Milliseconds`; `None` without a unit."),
        ),
        example="""\
[[check]]
name = "few invocations fail"
type = "metric"
namespace = "AWS/Lambda"
metric = "Errors"
of = "Invocations"
dimensions = { FunctionName = "shop-orders" }
window = "10m"
expect = ["value < 1%"]
""",
        doubt=_doubt,
        within_s=75.0,
        service="cloudwatch",
    ),
)
