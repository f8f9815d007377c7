"""`satisfies`: a value against a JSON Schema, with exact numbers, bounded patterns and no network."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from itertools import islice
from typing import Any

from prodwatch.assertions.errors import PathError, UndecidableError
from prodwatch.assertions.json_schema_pattern_properties import PatternProperties
from prodwatch.assertions.patterns import search
from prodwatch.assertions.value_equality_and_order import MISSING, a_kind
from prodwatch.assertions.value_format import short, text_of

MAX_VIOLATIONS = 1_000
"""Violations examined to find the most relevant one."""
LoadSchema = Callable[[str], Any]
_NAMING = frozenset({"required", "dependentRequired", "additionalProperties", "unevaluatedProperties"})
"""Keywords whose message names keys only; messages of all others quote the value in jsonschema's own way."""


def violation(value: Any, name: str, load: LoadSchema | None) -> str | None:
    """Return how `value` breaks the schema in the file `name`, or None when it satisfies it.

    UndecidableError when the schema cannot be read or is malformed.
    """
    from jsonschema.exceptions import best_match

    if load is None:
        raise UndecidableError("`satisfies` needs the project's files, and none can be read here")
    plain = _plain(value)
    names = PatternProperties(plain)
    try:
        validator = _validator(name, load, names)
        # The message names one violation; examining more than these is not worth the time.
        error = best_match(islice(validator.iter_errors(plain), MAX_VIOLATIONS))
    except UndecidableError:
        raise
    except PathError as problem:
        raise UndecidableError(f'the schema "{name}" cannot be used: {problem}') from None
    except Exception as problem:  # noqa: BLE001 -- a reference inside the schema that leads nowhere, of any type
        raise _unusable(name, problem) from None
    if error is None:
        return None
    where = error.json_path.removeprefix("$").removeprefix(".")
    place = f"`{where}`" if where else "the value"
    if error.validator in _NAMING:
        return f"{place}: {names.message(error.message)}"
    return f"{place} is {short(error.instance)}, which breaks `{error.validator}: {short(error.validator_value)}`"


def _unusable(name: str, problem: BaseException) -> UndecidableError:
    """Return the cause of an error of jsonschema: the file that could not be read, if there is one."""
    behind: BaseException | None = problem
    while behind is not None:
        if isinstance(behind, UndecidableError):
            return behind
        behind = behind.__cause__ or behind.__context__
    return UndecidableError(f'the schema "{name}" cannot be used: {_first_line(problem)}')


def _validator(name: str, load: LoadSchema, names: PatternProperties) -> Any:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT202012

    schema: Any = _loaded(name, load)
    if not isinstance(schema, dict | bool):
        raise UndecidableError(f'the file "{name}" is not a JSON Schema: it contains {a_kind(schema)}')

    def retrieve(uri: str) -> Resource[Any]:
        # Only files of the project, relative to the schema that names them: nothing is fetched.
        if "://" in uri:
            raise UndecidableError(f'the schema "{name}" refers to {uri}; only files of the project can be used')
        other = names.schema(_loaded(posixpath.normpath(uri), load))
        return Resource.from_contents(other, default_specification=DRAFT202012)

    kind_of: Any = validator_for(schema, default=Draft202012Validator)
    try:
        kind_of.check_schema(schema)
    except SchemaError as problem:
        raise UndecidableError(f'the file "{name}" is not a valid JSON Schema: {problem.message}') from None
    schema = names.schema(schema)
    registry: Registry[Any] = Registry(retrieve=retrieve)  # type: ignore[call-arg]
    registry = registry.with_resource(name, Resource.from_contents(schema, default_specification=DRAFT202012))
    return _bounded(kind_of, names.limit_s)({"$ref": name}, registry=registry)


def _loaded(name: str, load: LoadSchema) -> Any:
    try:
        return _plain(load(name))
    except UndecidableError:
        raise
    except Exception as problem:  # noqa: BLE001 -- whatever the loader meets, the assertion stays undecided
        raise UndecidableError(f'the schema "{name}" cannot be read: {_first_line(problem)}') from None


def _bounded(kind_of: Any, limit_s: float) -> Any:
    """Return the validator class with patterns that end and whole decimals that are integers."""
    from jsonschema.exceptions import ValidationError
    from jsonschema.validators import extend

    def matches(validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[Any]:
        if validator.is_type(instance, "string") and not search(pattern, instance, limit_s):
            yield ValidationError("the text does not match")

    checker = kind_of.TYPE_CHECKER.redefine("integer", _is_integer).redefine("number", _is_number)
    return extend(kind_of, {"pattern": matches}, type_checker=checker)  # type: ignore[no-untyped-call]


def _is_number(_checker: Any, value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _is_integer(_checker: Any, value: Any) -> bool:
    if isinstance(value, Decimal):
        return value.is_finite() and value == value.to_integral_value()
    return isinstance(value, int) and not isinstance(value, bool)


def _plain(value: Any) -> Any:
    """Return JSON data as jsonschema compares it exactly: floats as decimals, durations and times as text."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, Decimal):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if value is MISSING else text_of(value)


def _first_line(problem: BaseException) -> str:
    lines = str(problem).strip().splitlines()
    return lines[0] if lines else type(problem).__name__
