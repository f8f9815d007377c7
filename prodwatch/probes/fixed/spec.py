"""What `pass`, `fail` and `skip` may say. They prove that reporting works."""

from __future__ import annotations

from prodwatch.model.spec import Key, ProbeSpec


def _spec(type_: str, title: str, doc: str) -> ProbeSpec:
    return ProbeSpec(
        type=type_,
        title=title,
        doc=doc,
        keys=(Key(name="reason", kind="text", doc="Sentence the result carries."),),
        example=f"""\
[[check]]
name = "reporting shows a {type_}"
type = "{type_}"
reason = "written to see that it is reported"
""",
        needs_probe=False,
    )


SPECS = (
    _spec("pass", "Always passes", "Measures nothing and passes: shows that a green result reaches every report."),
    _spec(
        "fail",
        "Always fails",
        "Measures nothing and fails: shows that a red result reaches every report and exit code.",
    ),
    _spec("skip", "Always skipped", "Is never run: shows that a skipped result reaches every report with its reason."),
)
