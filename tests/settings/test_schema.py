"""The published JSON Schemas and the loader say the same: whatever one refuses, so does the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import tomli
from jsonschema import Draft202012Validator

from prodwatch.errors import ConfigurationError
from prodwatch.model.spec import Key
from prodwatch.probes import registry
from prodwatch.settings import check_schema, environment_schema
from prodwatch.settings.check_keys import CHECK, DEFAULTS, OWN, STEP
from prodwatch.settings.environment_keys import SECTIONS, TOP

SCHEMA = check_schema()
CHECKS = Draft202012Validator(SCHEMA)
ENVIRONMENTS = Draft202012Validator(environment_schema())

FITTING: dict[str, tuple[str, ...]] = {
    "text": ('"x"', '""'),
    "texts": ('"x"', '["x", "y"]', "[]"),
    "integer": ("7",),
    "number": ("7", "1.5"),
    "boolean": ("true", "false"),
    "duration": ('"5s"', '"1h30m"'),
    "size": ('"5MiB"',),
    "share": ('"0.5%"', '"100%"', '"0%"'),
    "list": ("[]", "[1]"),
    "table": ("{ }",),
    "any": ('"5s"',),
}
UNFIT: dict[str, tuple[str, ...]] = {
    "text": ("5", "true", "[]", "{ }", "2026-01-01"),
    "texts": ("5", "[5]", "{ }"),
    "integer": ('"7"', "1.5", "true", "[]"),
    "number": ('"7"', "true"),
    "boolean": ('"true"', "1"),
    "duration": ("5", '"5"', '"s"', "true"),
    "size": ("5", '"5"', '"5 mb"'),
    "share": ("0.5", '"0.5"', '"101%"', '"-1%"', "true"),
    "list": ('"x"', "5"),
    "table": ('"x"', "[]"),
    "any": (),
}
BASE = 'name = "c"\ntype = "http"\nurl = "https://x"\nexpect = ["status == 200"]\n'
SPECIAL = {
    "name",
    "type",
    "expect",
    "id",
    "needs",
    "diagnose",
    "requires",
    "environments",
    "account",
    "for_each",
    "attest",
}
"""Keys whose right values depend on more than their kind: the loader alone can judge them."""


def check_text(line: str, base: str = BASE) -> str:
    name = line.split(" = ", maxsplit=1)[0]
    kept = "".join(f"{each}\n" for each in base.splitlines() if not each.startswith(f"{name} ="))
    return f"[[check]]\n{kept}{line}\n"


def step_text(line: str) -> str:
    flow = '[[check]]\nname = "f"\ntype = "flow"\n'
    first = '[[check.step]]\nname = "s"\ntype = "tcp"\nhost = "h"\nport = 1\n'
    step = check_text(line).replace("[[check]]", "[[check.step]]")
    # A precondition is before all other steps.
    return flow + (step if line.startswith("precondition") else first + step)


def fitting(key: Key, value: str) -> str:
    """Return a right value of the key: its kind alone does not say it of a few."""
    if key.choices:
        return f'"{key.choices[0]}"'
    if key.name in {"warn", "until", "stop_when"}:
        return value.replace("x", "status == 1").replace("y", "status == 2").replace('""', "[]")
    if key.name == "exclude":
        return value.replace("x", "route:x").replace("y", "client:10.0.0.1").replace('""', "[]")
    if key.name == "coverage_by":
        return value.replace("x", "json.x").replace("y", "json.y.z").replace('""', "[]")
    known = '[{ signature = "a", until = 2027-01-15, reason = "b" }]'
    return {"muted_until": '"2026-12-24"', "retry": "2", "known": known}.get(key.name, value)


def lines(keys: tuple[Key, ...], values: dict[str, tuple[str, ...]]) -> Iterator[tuple[str, Key]]:
    for key in keys:
        if key.name not in SPECIAL:
            for value in values[key.kind]:
                yield f"{key.name} = {fitting(key, value) if values is FITTING else value}", key


def right(text: str) -> bool:
    """Judge one check or the last step of a flow by its own type's schema, which is quicker than by all of them."""
    check = tomli.loads(text)["check"][0]
    kind, table = ("step", check["step"][-1]) if "step" in check and check["type"] == "flow" else ("check", check)
    validator = Draft202012Validator({"$ref": f"#/$defs/{kind}.{table['type']}", "$defs": SCHEMA["$defs"]})
    return bool(validator.is_valid(table))


def load_fails(shop: Any, checks: str, config: str = "") -> bool:
    try:
        shop.load(checks, config)
    except ConfigurationError:
        return True
    return False


@pytest.mark.parametrize("schema", [check_schema(), environment_schema()], ids=["checks", "environment"])
def test_the_schemas_are_schemas(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize(("keys", "write"), [(CHECK, check_text), (STEP, step_text)], ids=["check", "step"])
def test_values_of_every_common_key(shop: Any, keys: tuple[Key, ...], write: Callable[[str], str]) -> None:
    for values, valid in ((FITTING, True), (UNFIT, False)):
        for line, key in lines(keys, values):
            if valid and key.name in {"repeat", "undo"}:
                continue  # an empty one lacks what it needs
            assert right(write(line)) is valid, line
            assert load_fails(shop, write(line)) is not valid, line


def test_values_of_every_default(shop: Any) -> None:
    for values, valid in ((FITTING, True), (UNFIT, False)):
        for line, _ in lines(DEFAULTS, values):
            text = f"[defaults]\n{line}\n{check_text('')}"
            assert CHECKS.is_valid(tomli.loads(text)) is valid, line
            assert load_fails(shop, text) is not valid, line


@pytest.mark.parametrize(
    "line",
    [
        "expect = []",
        'expect = ""',
        "expect = 5",
        "expect = [5]",
        'retry = "x"',
        "retry = -1",
        "retry = { tmies = 1 }",
        "hold = 5",
        'hold = { every = "1s" }',
        "poll = { within = 5 }",
        'poll = { backoff = "linear" }',
        "capture = { a = 5 }",
        "capture = { a = { secret = true } }",
        "matrix = { a = [] }",
        "matrix = { a = [[1]] }",
        "matrix = { a = 5 }",
        'kind = "smokes"',
        "tiemout = 5",
        "step = []",
        'for_each = "${vars.x | default(1)}"',
        "auth = { bearr = 5 }",
        'json = 1\nbody = "x"',
        "links = { a = 5 }",
        "url = 5",
    ],
)
def test_wrong_tables(shop: Any, line: str) -> None:
    assert not right(check_text(line))
    assert load_fails(shop, check_text(line))


@pytest.mark.parametrize(
    "text",
    [
        '[check]\nname = "a"',
        "[[checks]]",
        '[[check]]\nname = "a"',
        '[[check]]\nname = "a"\ntype = "htpp"',
        '[[check]]\nname = "a"\ntype = "http"\nurl = "https://x"',
        '[[check]]\nname = "a"\ntype = "flow"',
        '[[check]]\nname = "a"\ntype = "flow"\nstep = []',
        '[[check]]\nname = "a"\ntype = "flow"\npoll = {}\n[[check.step]]\ntype = "wait"\nfor = "1s"',
        '[[check]]\nname = "a"\ntype = "flow"\n[[check.step]]\ntype = "flow"',
        '[[check]]\nname = "a"\ntype = "flow"\n[[check.step]]\ntype = "wait"\nfor = "1s"\ntags = ["x"]',
        '[[check]]\nname = "a"\ntype = "flow"\n[[check.step]]\ntype = "wait"\nfor = "1s"\nexpect = ["a == 1"]',
        '[[check]]\nname = "a"\ntype = "wait"\nfor = "1s"',
        '[[check]]\nname = "a"\ntype = "pass"\nexpect = ["a == 1"]',
        '[[check]]\nname = "a"\ntype = "all"',
        '[[check]]\nname = "a"\ntype = "alarm"\nexpect = ["firing == false"]',
        '[defaults]\nname = "x"',
    ],
)
def test_wrong_files(shop: Any, text: str) -> None:
    assert not CHECKS.is_valid(tomli.loads(text))
    assert load_fails(shop, text)


@pytest.mark.parametrize("type_", registry.names())
def test_every_type(shop: Any, type_: str) -> None:
    spec = registry.spec(type_)
    assert spec is not None
    assert CHECKS.is_valid(tomli.loads(spec.example))
    shop.load(spec.example)
    mine = {key.name for key in (*CHECK, *OWN)}
    for key in spec.keys:
        if key.name in mine | {"step", "cleanup"} or type_ == "wait":
            continue
        for value in UNFIT[key.kind]:
            table = tomli.loads(spec.example)["check"][-1] | {key.name: tomli.loads(f"x = {value}")["x"]}
            validator = Draft202012Validator({"$ref": f"#/$defs/check.{type_}", "$defs": SCHEMA["$defs"]})
            assert not validator.is_valid(table), (key.name, value)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.name)
def test_every_key_of_every_section(shop: Any, section: Any) -> None:
    if section.shape == "names":
        return
    required = "".join(f'{key.name} = "x"\n' for key in section.keys if key.required)
    required += 'prefix = "x"\n' if section.name == "alarm" else ""
    header = f"[[{section.name}]]" if section.shape == "tables" else f"[{section.name}]"
    for values, valid in ((FITTING, True), (UNFIT, False)):
        for key in section.keys:
            if key.name in {"account", "accounts", "expect", "warn", "at", "endpoint_url", "match", "attest", "prices"}:
                continue
            for written in values[key.kind]:
                value = fitting(key, written) if valid else written
                others = "".join(f"{line}\n" for line in required.splitlines() if not line.startswith(f"{key.name} ="))
                text = f"{header}\n{others}{key.name} = {value}\n"
                assert ENVIRONMENTS.is_valid(tomli.loads(text)) is valid, text
                assert load_fails(shop, "", text) is not valid, text


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("", True),
        ('title = "x"\nprotected = true', True),
        ("title = 5", False),
        ("titel = 5", False),
        ('[stacks]\na = "x"\nb = { name = "y", region = "z" }', True),
        ('[stacks]\na = ""', False),
        ('[stacks]\na = { region = "z" }', False),
        ("[stacks]\na = 5", False),
        ('[secrets]\na = { env = "A" }\nb = { ssm = "/b" }\nc = { secretsmanager = "c", field = "d" }', True),
        ('[secrets]\na = "plain"', False),
        ("[secrets]\na = { }", False),
        ('[secrets]\na = { env = "A", ssm = "/b" }', False),
        ('[vars]\na = 1\nb = { c = ["d"] }', True),
        ('[aws.accounts.pay]\nregion = "x"', True),
        ('[aws.accounts.pay]\nregio = "x"', False),
        ("[function]\nname = 'x'", False),
        ("[[alarm]]\ngate = true", False),
        ("[release]\nsignatures = { gate = true }", True),
        ("[release]\nsignatures = { gaet = true }", False),
        ("[limits]\nconcurrency = 0", False),
    ],
)
def test_environment_files(shop: Any, text: str, valid: bool) -> None:
    assert ENVIRONMENTS.is_valid(tomli.loads(text)) is valid
    assert load_fails(shop, "", text) is not valid


def test_references_are_welcome_where_the_loader_fills_them(shop: Any) -> None:
    shop.environ = {"N": "5", "D": "5s", "B": "true"}
    text = check_text(
        'timeout = "${env.D}"\nenabled = "${env.B}"\nretry = { times = "${env.N}" }\nfollow_redirects = "${env.B}"'
    )
    assert CHECKS.is_valid(tomli.loads(text))
    assert not load_fails(shop, text)


def test_every_key_is_explained() -> None:
    def undocumented(schema: Any, path: str = "") -> Iterator[str]:
        if isinstance(schema, dict):
            for name, each in schema.get("properties", {}).items():
                if not each.get("description") and "$ref" not in each:
                    yield f"{path}.{name}"
            for name, each in schema.items():
                yield from undocumented(each, f"{path}.{name}")
        elif isinstance(schema, list):
            for each in schema:
                yield from undocumented(each, path)

    assert all(key.doc for key in TOP)
    assert list(undocumented(environment_schema())) == []
    assert {name.rsplit(".", 1)[-1] for name in undocumented(check_schema())} <= {"step", "cleanup"}
