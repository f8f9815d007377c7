"""No key without an effect: every field of the model is read by what acts on it, every key changes the model."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
import tomli

import prodwatch
from prodwatch.model import check, environment
from prodwatch.probes import registry
from prodwatch.settings import check_schema, environment_schema
from tests.support.field_reads import field_reads

ROOT = Path(prodwatch.__file__).parent
NOT_ACTING = ("settings", "model", "testing")
"""Rooms that build, hold or fake the model; reading a field there has no effect."""
POSITIONS = {("Environment", "source"), ("SourcePosition", "column")}
"""No keys: where the files say it, for messages that settings and the model itself word."""

_SCHEMAS = {"environment": environment_schema(), "checks": check_schema()}


def structs(module: ModuleType) -> dict[str, type[msgspec.Struct]]:
    return {
        name: each
        for name, each in vars(module).items()
        if isinstance(each, type) and issubclass(each, msgspec.Struct) and each.__module__ == module.__name__
    }


def test_every_field_of_the_model_is_read() -> None:
    acting = [path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] not in NOT_ACTING]
    reads = field_reads(acting, [path for room in NOT_ACTING for path in (ROOT / room).rglob("*.py")])
    fields = {
        (name, field)
        for module in (environment, check)
        for name, struct in structs(module).items()
        for field in struct.__struct_fields__
    }
    assert fields - reads == POSITIONS


def test_reads_are_told_apart_by_type(tmp_path: Path) -> None:
    model = tmp_path / "model.py"
    model.write_text("class A:\n    gate: bool\n    name: str\nclass B:\n    gate: bool\n    parts: tuple[A, ...]\n")
    user = tmp_path / "user.py"
    user.write_text(
        "def f(b: B, unknown) -> str:\n"
        "    unknown.gate\n"
        "    return [each.name for each in b.parts][0]\n"
        "class Holder:\n"
        "    def __init__(self, parts: list[A]) -> None:\n"
        "        self._parts = tuple(parts)\n"
        "    def g(self) -> list[bool]:\n"
        "        return [each.gate for each in self._parts]\n"
    )
    reads = field_reads([user], [model])
    assert {("A", "name"), ("B", "parts"), ("A", "gate")} <= reads
    assert ("B", "gate") not in reads


ENVIRONMENT: dict[str, dict[str, Any]] = {
    "function": {"name": "f"},
    "logs": {"group": "/g"},
    "metric": {"name": "m", "namespace": "n", "metric": "x"},
    "alarm": {"prefix": "a"},
    "demo": {"scenario": "bad"},
    "stacks": {"name": "s"},
    "secrets": {"env": "E"},
    "accounts": {"role_arn": "r"},
}
"""What makes a table of each kind right; one key at a time is put over it."""

VALUES: dict[str, tuple[Any, Any]] = {
    "account": ("one", "two"),
    "aws.account": ("123456789012", "210987654321"),
    "accounts.account": ("123456789012", "210987654321"),
    "endpoint_url": ("http://a", "http://b"),
    "match": ("v{version}", "w{version}"),
    "attest": ("header('a')", "header('b')"),
    "demo.at": ("before", "after"),
    "prices": ({"logs:A": 1.0}, {"logs:B": 1.0}),
    "exclude": (["route:a"], ["client:10.0.0.1"]),
    "coverage_by": (["json.a"], ["json.b"]),
    "compare.known": ([], [{"signature": "a", "until": "2027-01-15", "reason": "b"}]),
    "errors": (False, {"gate": False}),
    "latency": (False, {"gate": False}),
    "compare.signatures": (False, {"gate": False}),
    "release.signatures": ({"gate": True}, {"gate": False}),
    "muted_until": ("2026-12-24", "2026-12-25"),
    "until": ("value == 1", "value == 2"),
    "capture": ({"a": "status"}, {"b": "status"}),
    "links": ({"a": "https://a"}, {"a": "https://b"}),
    "matrix": ({"a": [1]}, {"a": [1, 2]}),
    "environments": ("prod", ["prod", "staging"]),
    "requires": ("stack.shop.A", "stack.shop.B"),
    "url": ("https://a", "https://b"),
    "undo": ({"url": "https://a/${uid}"}, {"url": "https://b/${uid}"}),
    "quiet_for": ("30s", "40s"),
    "base_url": ("https://a", "https://b"),
    "method": ("GET", "HEAD"),
    "auth": ({"bearer": "${secret.a}"}, {"bearer": "${secret.b}"}),
    "client_certificate": ({"cert": "a.pem"}, {"cert": "b.pem"}),
    "poll": ({"within": "5s"}, {"within": "6s"}),
    "repeat": ({"when": "status == 409", "after": "first"}, {"when": "status == 410", "after": "first"}),
    "for_each": ("${steps.first.json.a}", "${steps.first.json.b}"),
    "needs": ("helper one", "helper two"),
    "diagnose": ("helper one", "helper two"),
    "of": (["helper one"], ["helper two"]),
    "logs.version": ("41", "42"),
    "metric.of": ("Invocations", "Requests"),
    "s3.operation": ("get", "head"),
    "sqs.operation": ("depth", "peek"),
    "dynamodb.operation": ("get", "delete"),
    "aws.operation": ("GetTrail", "ListTrails"),
    "traces.id": ("1-67891233-abcdef012345678912345678", "1-67891233-abcdef012345678912345679"),
}
"""Two right values of a key, where its kind alone does not give them; `table.key` comes before `key`."""


WITH: dict[str, dict[str, Any]] = {
    "sqs.body": {"operation": "send", "mutates": True, "expect": "message exists"},
    "sqs.attributes": {"operation": "send", "body": "x", "mutates": True, "expect": "message exists"},
    "sqs.operation": {"mutates": True, "expect": "age exists"},
    "dynamodb.operation": {"mutates": True, "expect": "latency < 1s"},
    "s3.operation": {"expect": "size > 1"},
    "aws.operation": {"expect": "error absent", "mutates": False},
    "traces.id": {"filter": None, "since": None, "min": None},
    "logs.quiet_for": {"expect": None},
    "http.undo": {"method": "POST", "mutates": True},
    "lambda.payload_file": {"payload": None},
    "lambda.copies": {"expect": "all results[].status_code == 200"},
}
"""Other keys that a value of this one needs; None: leave out the example's."""

CONFIG = """
[stacks]
shop = "s"
[secrets]
a = { env = "A" }
b = { env = "B" }
[aws.accounts.one]
[aws.accounts.two]
"""
HELPERS = [
    {"name": f"helper {number}", "kind": "diagnostic", "type": "tcp", "host": "h", "port": 1, "expect": "connect < 1s"}
    for number in ("one", "two")
]


def two_values(owner: str, name: str, schema: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return right values of a key: from the table above, else by its schema."""
    special = VALUES.get(f"{owner}.{name}", VALUES.get(name))
    if special is not None:
        return special
    options = schema.get("anyOf", [schema])
    first: Mapping[str, Any] = next((each for each in options if "$ref" not in each), {})
    if "enum" in first:
        return tuple(first["enum"])
    if name in {"expect", "warn"}:
        fields = "value" if owner == "metric" else "latency"
        return (f"{fields} != 1", f"{fields} != 2")
    pattern = first.get("pattern", "")
    if "%" in pattern:
        return ("3%", "4%")
    if pattern:
        return ("7MiB", "8MiB") if "MiB" in pattern else ("7s", "8s")
    return {
        "string": ("x", "y"),
        "boolean": (True, False),
        "integer": (7, 8),
        "number": (7.5, 8.5),
        "array": (["x"], ["y"]),
        "object": ({"x": "1"}, {"x": "2"}),
        None: ("x", "y"),
    }[first.get("type")]


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def environment_keys() -> Iterator[tuple[str, ...]]:
    """Yield every key of the schema of environments as table and name, and those inside a key that is a table."""
    for table, schema in _SCHEMAS["environment"]["properties"].items():
        inner = schema.get("items", schema)
        if "properties" not in inner:
            inner = next((each for each in _options(schema.get("additionalProperties")) if "properties" in each), {})
        if not inner:
            yield (table,)
        for name, key in inner.get("properties", {}).items():
            if name == "accounts":
                yield from (("accounts", each) for each in _named(key)["properties"])
                continue
            yield (table, name)
            for option in _options(key):
                yield from ((table, name, each) for each in option.get("properties", {}))


def _options(schema: Any) -> list[Any]:
    return schema.get("anyOf", [schema]) if isinstance(schema, dict) else []


def _named(schema: Mapping[str, Any]) -> Any:
    return next(each["additionalProperties"] for each in schema["anyOf"] if "additionalProperties" in each)


def environment_with(path: tuple[str, ...], value: Any) -> str:
    """Return a file in which the key at `path` has this value."""
    table, *names = path
    if not names:
        return f"{table} = {toml(value)}\n" if table in {"title", "protected"} else f"[{table}]\nx = {toml(value)}\n"
    name, inner = names[0], names[1:]
    entry = {inner[0]: value} if inner else value
    base = dict(ENVIRONMENT.get(table, {}))
    if table == "alarm" and name == "names":
        base = {}
    if table == "secrets" and name in {"env", "ssm", "secretsmanager"}:
        base = {}
    keys = "".join(f"{key} = {toml(each)}\n" for key, each in (base | {name: entry}).items())
    schema = _SCHEMAS["environment"]["properties"].get(table, {})
    header = f"[[{table}]]" if "items" in schema else f"[{table}]"
    if table == "accounts":
        header = "[aws.accounts.three]"
    elif table in {"stacks", "secrets"}:
        header = f"[{table}.x]"
    return f"{header}\n{keys}\n[aws.accounts.one]\nregion = 'a'\n[aws.accounts.two]\nregion = 'b'\n"


def _environment_schema_of(path: tuple[str, ...]) -> Mapping[str, Any]:
    schema: Any = _SCHEMAS["environment"]
    for name in path:
        if name == "accounts":
            schema = _named(schema["properties"]["aws"]["properties"]["accounts"])
            continue
        found = [
            each["properties"][name]
            for option in (
                schema,
                schema.get("items", {}),
                *_options(schema),
                *_options(schema.get("additionalProperties")),
            )
            for each in [option]
            if isinstance(option, dict) and name in option.get("properties", {})
        ]
        schema = found[0]
    return schema  # type: ignore[no-any-return]


@pytest.mark.parametrize("path", list(environment_keys()), ids=".".join)
def test_every_key_of_an_environment_changes_the_model(shop: Any, path: tuple[str, ...]) -> None:
    values = two_values(path[-2] if len(path) > 1 else "", path[-1], _environment_schema_of(path))
    loaded = [shop.load("", environment_with(path, value)).environment for value in values[:2]]
    assert loaded[0] != loaded[1]


def check_keys() -> Iterator[tuple[str, str, str]]:
    """Yield every key of the schema of checks: `check` or `step`, type, name. Keys of all types come once."""
    definitions = _SCHEMAS["checks"]["$defs"]
    seen: set[tuple[str, str]] = set()
    for definition, schema in definitions.items():
        kind, _, type_ = definition.partition(".")
        if kind not in {"check", "step"} or "properties" not in schema:
            continue
        for name, key in schema["properties"].items():
            shared = "$ref" in key and key["$ref"].startswith("#/$defs/key.")
            if name in {"type", "step", "cleanup"} or (shared and (kind, name) in seen):
                continue
            if shared and type_ != "http" and name in definitions[f"{kind}.http"]["properties"]:
                continue
            seen.add((kind, name))
            yield kind, type_, name


@pytest.mark.parametrize(("kind", "type_", "name"), list(check_keys()))
def test_every_key_of_a_check_changes_the_model(shop: Any, kind: str, type_: str, name: str) -> None:
    key = _SCHEMAS["checks"]["$defs"][f"{kind}.{type_}"]["properties"][name]
    if "$ref" in key:
        key = _SCHEMAS["checks"]["$defs"][key["$ref"].rpartition("/")[2]]
    shop.write("config/staging.toml", "")
    values = two_values(type_, name, key)
    loaded = [shop.load(check_with(kind, type_, name, value), CONFIG).checks for value in values[:2]]
    assert loaded[0] != loaded[1]


def check_with(kind: str, type_: str, name: str, value: Any) -> str:
    spec = registry.spec(type_)
    assert spec is not None
    example = tomli.loads(spec.example)["check"]
    found = next((each for each in example if each["type"] == type_), None)
    if found is None:
        found = next(step for each in example for step in each.get("step", []) if step["type"] == type_)
    table = {**found, **WITH.get(f"{type_}.{name}", {}), name: value}
    known = _SCHEMAS["checks"]["$defs"][f"{kind}.{type_}"]["properties"]
    table = {key: each for key, each in table.items() if each is not None and key in known}
    if kind == "check":
        others = [each for each in example if each is not found]
        return "".join(map(_check, [*HELPERS, *others, table]))
    first = {"name": "first", "type": "http", "url": "https://x"}
    steps = [table, first] if name == "precondition" else [first, table]
    flow = {"name": "f", "type": "flow", "step": steps}
    return _check(flow)


def _check(table: Mapping[str, Any]) -> str:
    lines = [f"{json.dumps(key)} = {toml(value)}" for key, value in table.items() if key not in {"step", "cleanup"}]
    text = "[[check]]\n" + "\n".join(lines) + "\n"
    for part in ("step", "cleanup"):
        for step in table.get(part, []):
            text += f"[[check.{part}]]\n" + "\n".join(f"{json.dumps(k)} = {toml(v)}" for k, v in step.items()) + "\n"
    return text


@cache
def constants(path: Path) -> frozenset[object]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return frozenset(node.value for node in nodes if isinstance(node, ast.Constant))


def test_every_key_of_a_type_is_read_by_its_probe() -> None:
    unread = []
    for type_ in registry.names():
        spec = registry.spec(type_)
        if spec is None or not spec.needs_probe:
            continue
        home = Path(registry.probe(type_).__code__.co_filename).parent
        files = [path for path in (*home.glob("*.py"), *(ROOT / "probes").glob("*.py")) if path.name != "spec.py"]
        named = frozenset[object]().union(*map(constants, files))
        unread += [f"{type_}.{key.name}" for key in spec.keys if key.name not in named]
    assert unread == []
