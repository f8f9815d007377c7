"""Keys of the checks `pass`, `fail` and `skip`, which test reporting."""

from __future__ import annotations

from prodwatch.model.spec import Key, ProbeSpec


def _spec(type_: str, title: str, doc: str) -> ProbeSpec:
    return ProbeSpec(
        type=type_,
        title=title,
        doc=doc,
        keys=(Key(name="reason", kind="text", doc="Message of the result."),),
        example=f"""\
[[check]]
name = "reporting shows a {type_}"
type = "{type_}"
reason = "written to see that it is reported"
""",
        needs_probe=False,
    )


SPECS = (
    _spec("pass", "Always passes", "Passes without a measurement, to test that a green result reaches every report."),
    _spec(
        "fail",
        "Always fails",
        "Fails without a measurement, to test that a red result reaches every report and the exit code.",
    ),
    _spec("skip", "Always skipped", "Never runs, to test that a skipped result reaches every report with its reason."),
)
