"""What a `metric` check may say and what its answer looks like."""

from __future__ import annotations

from prodwatch.model.spec import Field, Key, ProbeSpec

SPECS = (
    ProbeSpec(
        type="metric",
        title="CloudWatch metric",
        doc=(
            "Reads one metric over a window. No data point never counts as zero by itself: without any the check is"
            " `inconclusive` unless `missing` says otherwise."
        ),
        keys=(
            Key(name="namespace", kind="text", required=True, doc="Namespace, such as `AWS/Lambda`."),
            Key(name="metric", kind="text", required=True, doc="Metric name."),
            Key(name="dimensions", kind="table", doc="Dimension = value; exactly these, as CloudWatch wants it."),
            Key(
                name="stat",
                kind="text",
                default="Average",
                doc="`Average`, `Sum`, `Minimum`, `Maximum`, `SampleCount`, `p95`, `tm90` and the like.",
            ),
            Key(name="period", kind="duration", default="1m", doc="Length of one data point."),
            Key(name="window", kind="duration", default="5m", doc="How far back to look."),
            Key(
                name="missing",
                kind="text",
                choices=("inconclusive", "zero", "fail"),
                default="inconclusive",
                doc="What no data at all means.",
            ),
            Key(
                name="of",
                kind="text",
                doc=(
                    'Another metric of the same namespace and dimensions to divide by: `metric = "Errors"`, `of ='
                    ' "Invocations"` gives an error ratio, 0 to 1. Both are summed.'
                ),
            ),
        ),
        fields=(
            Field(
                name="value",
                kind="number",
                doc=(
                    "The whole window in one number: the sum for `Sum` and `SampleCount`, the extreme for `Minimum` and"
                    " `Maximum`, else the last point; with `of` the ratio. A duration when the unit is one of time."
                ),
            ),
            Field(name="values", kind="list", doc="Data points, oldest first."),
            Field(name="sum", kind="number", doc="Sum of the data points."),
            Field(name="min", kind="number", doc="Smallest data point."),
            Field(name="max", kind="number", doc="Largest data point."),
            Field(name="last", kind="number", doc="Newest data point."),
            Field(name="points", kind="integer", doc="Number of data points."),
            Field(name="of", kind="number", doc="With `of`: what was divided by, the total of the other metric."),
            Field(name="unit", kind="text", doc="CloudWatch's unit, such as `Milliseconds`; `None` when it has none."),
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
        within_s=75.0,
        service="cloudwatch",
    ),
)
