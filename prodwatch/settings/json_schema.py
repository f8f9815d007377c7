"""JSON Schema of environment and check files, generated from the loader's own tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from prodwatch.model.spec import Key, ProbeSpec
from prodwatch.probes import registry
from prodwatch.settings.check_builder import COMPOSITES, FIXED
from prodwatch.settings.check_keys import (
    CAPTURE,
    CHECK,
    DEFAULTS,
    FLOW_ONLY_IN_STEPS,
    HOLD,
    OWN,
    RESPONSE_KEYS,
    RETRY,
    STEP,
)
from prodwatch.settings.environment_keys import (
    ACCOUNT,
    EXCLUDED,
    KNOWN_SIGNATURE,
    SECRET_SOURCES,
    SECTIONS,
    TOP,
    Section,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = {"type": "string", "pattern": r"\$\{"}
_DURATION = r"^-?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d))+$"
_SHARE = r"^(0*100(\.0+)?|0*\d{1,2}(\.\d+)?)%$"
_SIZE = r"^-?\d+(\.\d+)?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$"

Schema = dict[str, Any]


def environment_schema() -> Schema:
    """Return the JSON Schema of `config/<name>.toml`."""
    properties = {key.name: _of_key(key) for key in TOP} | {section.name: _of_section(section) for section in SECTIONS}
    return {
        "$schema": DIALECT,
        "title": "prodwatch environment",
        "description": "An environment: where it runs, which signals to watch, what a release is.",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def check_schema() -> Schema:
    """Return the JSON Schema of `checks/**/*.toml`, with every installed check type."""
    specs = [spec for name in registry.names() if (spec := registry.spec(name)) is not None]
    keys = {f"key.{name}": _of_key(key) for name, key in _SHARED.items()}
    checks = {f"check.{spec.type}": _of_check(spec) for spec in specs if spec.type != "wait"}
    steps = {f"step.{spec.type}": _of_step(spec) for spec in specs if spec.needs_probe or spec.type == "wait"}
    return {
        "$schema": DIALECT,
        "title": "prodwatch checks",
        "description": "Checks: requests, and assertions on their responses.",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "defaults": _object(DEFAULTS, description="Default values for every check of this file."),
            "check": {"type": "array", "items": _any_of(checks), "description": "The checks, each as [[check]]."},
        },
        "$defs": {**keys, **checks, **steps, "steps": {"type": "array", "minItems": 1, "items": _any_of(steps)}},
    }


def _any_of(definitions: Iterable[str]) -> Schema:
    return {"oneOf": [{"$ref": f"#/$defs/{name}"} for name in definitions]}


def _of_check(spec: ProbeSpec) -> Schema:
    refused = set()
    required = ["name", "type"]
    if spec.type in FIXED:
        refused = set(RESPONSE_KEYS)
    elif spec.type in COMPOSITES:
        refused = set(FLOW_ONLY_IN_STEPS)
    elif spec.type == "flow":
        refused = set(FLOW_ONLY_IN_STEPS)
        required.append("step")
    elif not spec.quiet_expect:
        required.append("expect")
    common = tuple(key for key in CHECK if key.name not in refused)
    schema = _of_type(spec, common, {key.name for key in OWN}, required)
    if spec.type == "flow":
        steps = {"$ref": "#/$defs/steps"}
        schema["properties"]["step"] = steps
        schema["properties"]["cleanup"] = {
            **steps,
            "items": {"not": {"anyOf": [{"required": [name]} for name in ("repeat", "precondition", "undo")]}},
        }
    if spec.quiet_expect:
        schema["anyOf"] = [{"required": ["expect"]}, {"required": ["quiet_for"]}]
    return schema


def _of_step(spec: ProbeSpec) -> Schema:
    refused = {*RESPONSE_KEYS, "repeat", "precondition", "undo"} if spec.type == "wait" else set()
    return _of_type(spec, tuple(key for key in STEP if key.name not in refused), {"type"}, ["type"])


def _of_type(spec: ProbeSpec, common: tuple[Key, ...], ours: set[str], required: list[str]) -> Schema:
    """Return the schema of one type's table; `ours` are names that a type cannot define itself."""
    taken = {key.name for key in common} | ours
    own = tuple(key for key in spec.keys if key.name not in taken)
    schema = _object(own, description=spec.doc)
    schema["properties"] = {key.name: _shared(key) for key in common} | schema["properties"]
    schema["properties"]["type"] = {"const": spec.type, "description": spec.title}
    needed = [key.name for key in spec.keys if key.required and key.name in schema["properties"]]
    schema["required"] = list(dict.fromkeys((*required, *needed)))
    groups: list[Schema] = [{"anyOf": [{"required": [name]} for name in group]} for group in spec.one_of]
    groups += [
        {"not": {"required": [one, other]}}
        for group in spec.at_most_one
        for number, one in enumerate(group)
        for other in group[number + 1 :]
    ]
    return schema | ({"allOf": groups} if groups else {})


def _shared(key: Key) -> Schema:
    """Return a reference to the shared definition of a key, if it has one."""
    return {"$ref": f"#/$defs/key.{key.name}"} if key.name in _SHARED else _of_key(key)


_SHARED = {key.name: key for key in (*CHECK, *STEP) if key.name not in {"name", "type"}}


def _of_section(section: Section) -> Schema:
    one = _object(section.keys, description=section.doc)
    if section.shape == "tables":
        if section.name == "alarm":
            one["anyOf"] = [{"required": ["prefix"]}, {"required": ["names"]}]
        return {"type": "array", "items": one, "description": section.doc}
    if section.shape == "names":
        return {"type": "object", "additionalProperties": _named(section, one), "description": section.doc}
    if section.name == "aws":
        one["properties"]["accounts"] |= {"anyOf": [_named_values(_object(ACCOUNT))]}
    return one


def _named(section: Section, one: Schema) -> Schema:
    if section.name == "stacks":
        return {"anyOf": [{"type": "string", "minLength": 1}, one]}
    if section.name == "secrets":
        return one | {"oneOf": [{"required": [source]} for source in SECRET_SOURCES]}
    return {}


def _object(keys: tuple[Key, ...], *, description: str = "") -> Schema:
    schema: Schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {key.name: _of_key(key) for key in keys},
    }
    required = [key.name for key in keys if key.required]
    return schema | ({"required": required} if required else {}) | ({"description": description} if description else {})


def _of_key(key: Key) -> Schema:
    schema = _of_value(key)
    schema["description"] = key.doc
    if key.default is not None:
        schema["default"] = key.default
    return schema


def _of_value(key: Key) -> Schema:
    special = _SPECIAL.get(key.name)
    return special() if special is not None else _of_kind(key)


def _named_values(value: Schema) -> Schema:
    return {"type": "object", "additionalProperties": value}


_TEXT = {"type": "string"}
_EXCLUDED = _TEXT | {"pattern": rf"^({'|'.join(EXCLUDED)}):.|\$\{{"}
_COVERED = _TEXT | {"pattern": r"^json(\.[^.]+)+$|\$\{"}
_SPECIAL: dict[str, Callable[[], Schema]] = {
    "expect": lambda: {"anyOf": [_TEXT | {"minLength": 1}, {"type": "array", "items": _TEXT, "minItems": 1}]},
    "retry": lambda: {"anyOf": [{"type": "integer", "minimum": 0}, _object(RETRY), _REFERENCE]},
    "hold": lambda: {"anyOf": [_KINDS["duration"], _object(HOLD)]},
    "capture": lambda: _named_values({"anyOf": [_TEXT, _object(CAPTURE)]}),
    "links": lambda: _named_values(_TEXT),
    "exclude": lambda: {"anyOf": [_EXCLUDED, {"type": "array", "items": _EXCLUDED}]},
    "coverage_by": lambda: {"anyOf": [_COVERED, {"type": "array", "items": _COVERED}]},
    "known": lambda: {"type": "array", "items": _object(KNOWN_SIGNATURE)},
    "matrix": lambda: _named_values(
        {"type": "array", "minItems": 1, "items": {"type": ["string", "number", "boolean", "object"]}}
    ),
}
"""Keys whose schema is narrower than that of their kind."""


def _of_kind(key: Key) -> Schema:
    if key.choices:
        return {"anyOf": [{"enum": list(key.choices)}, _REFERENCE]}
    if key.kind == "table":
        table = _object(key.keys) if key.keys else {"type": "object"}
        return {"anyOf": [table, *([{"const": False}] if key.can_be_off else []), _REFERENCE]}
    schema = dict(_KINDS[key.kind])
    if key.kind in {"integer", "number"} and key.minimum is not None:
        schema["anyOf"] = [{**schema["anyOf"][0], "minimum": key.minimum}, _REFERENCE]
    return schema


_KINDS: dict[str, Schema] = {
    "any": {},
    "text": {"type": "string"},
    "texts": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    "duration": {"type": "string", "pattern": rf"{_DURATION}|\$\{{"},
    "size": {"type": "string", "pattern": rf"{_SIZE}|\$\{{"},
    "share": {"type": "string", "pattern": rf"{_SHARE}|\$\{{"},
    "integer": {"anyOf": [{"type": "integer"}, _REFERENCE]},
    "number": {"anyOf": [{"type": "number"}, _REFERENCE]},
    "boolean": {"anyOf": [{"type": "boolean"}, _REFERENCE]},
    "list": {"anyOf": [{"type": "array"}, _REFERENCE]},
}
