"""Checks, steps and environments as settings would build them, in one line each."""

from __future__ import annotations

from typing import Any

from prodwatch.model.check import CheckDefinition, SourcePosition, StepDefinition
from prodwatch.model.environment import Environment
from prodwatch.model.spec import ProbeSpec

HERE = SourcePosition("checks/test.toml", 1, 1)

_STEP_KEYS = frozenset(StepDefinition.__struct_fields__) - {"name", "type", "source", "params"}


def step(name: str = "ask", type: str = "scripted", **keys: Any) -> StepDefinition:  # noqa: A002 -- TOML's own word
    """Return a step; keys that a step does not have are the type's params."""
    own = {key: _tuple(value) for key, value in keys.items() if key in _STEP_KEYS}
    params = {key: value for key, value in keys.items() if key not in _STEP_KEYS}
    return StepDefinition(name=name, type=type, source=HERE, params=params, **own)


def plain(
    id: str = "checked",  # noqa: A002 -- as in TOML
    /,
    *,
    type: str = "scripted",  # noqa: A002 -- as in TOML
    check: dict[str, Any] | None = None,
    **keys: Any,
) -> CheckDefinition:
    """Return a plain check with one step of `keys`; `check` are keys of the check itself."""
    steps = (step(type, type, **keys),)
    return CheckDefinition(id=id, name=id, title=id, type=type, source=HERE, steps=steps, **(check or {}))


def flow(id: str = "flows", /, *steps: StepDefinition, **check: Any) -> CheckDefinition:  # noqa: A002 -- as in TOML
    """Return a flow."""
    return CheckDefinition(id=id, name=id, title=id, type="flow", source=HERE, steps=steps, **check)


def composite(id: str, type: str, *of: str, **check: Any) -> CheckDefinition:  # noqa: A002 -- as in TOML
    """Return an `all`, `any` or `none` of other checks."""
    return CheckDefinition(id=id, name=id, title=id, type=type, source=HERE, of=of, **check)


def environment(**keys: Any) -> Environment:
    """Return an environment that is not protected by default."""
    return Environment(**{"name": "test", "title": "Test", "source": HERE, "protected": False, **keys})


def spec(type: str = "scripted", **keys: Any) -> ProbeSpec:  # noqa: A002 -- as in TOML
    """Return the spec of a scripted type."""
    return ProbeSpec(type=type, title=type, doc=type, **keys)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
