"""Keys and documents of the composite checks `all`, `any` and `none`, which the runner evaluates itself."""

from __future__ import annotations

from prodwatch.model.spec import Field, Key, ProbeSpec

_OF = Key(
    name="of",
    kind="list",
    required=True,
    doc="Checks by id, by name in the same file, or by a unique name.",
)
_FIELDS = (
    Field(name="passed", kind="integer", doc="Members that are green: `pass` or `degraded`."),
    Field(name="failed", kind="integer", doc="Members that are a `fail`."),
)


def _spec(type_: str, title: str, doc: str, example_name: str) -> ProbeSpec:
    return ProbeSpec(
        type=type_,
        title=title,
        doc=doc,
        keys=(_OF,),
        fields=_FIELDS,
        example=f"""\
[[check]]
name = "eu answers"
type = "tcp"
host = "eu.shop.example"
port = 443
expect = ["connect < 1s"]

[[check]]
name = "us answers"
type = "tcp"
host = "us.shop.example"
port = 443
expect = ["connect < 1s"]

[[check]]
name = "{example_name}"
type = "{type_}"
of = ["eu answers", "us answers"]
""",
        needs_probe=False,
    )


SPECS = (
    _spec(
        "all",
        "All of",
        "Green when every member is green; otherwise as bad as its worst member.",
        "every region answers",
    ),
    _spec(
        "any",
        "Any of",
        "Green when at least one member is green; otherwise as bad as its worst member.",
        "some region answers",
    ),
    _spec(
        "none",
        "None of",
        (
            "Green when every member was measured and is a `fail`. A green member makes it a `fail`; with an"
            " unmeasured member it is not green."
        ),
        "no region answers",
    ),
)
