"""Leading fields of a path, and the place where a missing path broke off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from prodwatch.assertions.jmespath_interpreter import Evaluation, step, whole_number
from prodwatch.assertions.literals_and_templates import Literal
from prodwatch.assertions.value_equality_and_order import MISSING, a_kind, kind
from prodwatch.assertions.value_format import double_quoted

Node = Mapping[str, Any]
MAX_NAMES = 8
_NEED_ALL = frozenset({"comparator", "not_expression", "and_expression", "function_expression"})
"""Nodes for which one missing part is the reason."""


class MissingPath(msgspec.Struct, frozen=True):
    """Place where a path broke off."""

    sentence: str
    blocked: bool = False
    """A value on the way cannot have the next step: a text where an object was expected."""
    unread: bool = False
    """The path has several steps, and the document lacks the first one."""

    def __str__(self) -> str:
        return self.sentence


def leading_fields(node: Node, literals: Sequence[Literal]) -> frozenset[str]:
    """Return the top-level fields of the document that a path reads."""
    fields: set[str] = set()
    _collect(node, literals, fields)
    return frozenset(fields)


def _collect(node: Node, literals: Sequence[Literal], fields: set[str]) -> None:
    shape, children = node["type"], node["children"]
    if shape == "field":
        name = _name(node["value"], literals, ())
        if name is not None:
            fields.add(name)
        return
    if shape == "function_expression" and node["value"] in {"header", "headers"}:
        fields.add("headers")
    if shape in {"subexpression", "index_expression", "pipe", "projection", "value_projection", "filter_projection"}:
        first = children[0]
        _collect(first, literals, fields)
        if first["type"] in {"current", "identity"} and shape in {"subexpression", "pipe"}:
            _collect(children[1], literals, fields)
        return
    if shape in {"expref", "slice", "index", "index_hole", "literal"}:
        return
    for child in children:
        _collect(child, literals, fields)


def _name(value: str, literals: Sequence[Literal], holes: Sequence[Any]) -> str | None:
    if not value[0].isdigit():
        return value
    literal = literals[int(value)]
    fixed = getattr(literal, "value", None)
    if isinstance(fixed, str):
        return fixed
    return str(literal.fill(holes)) if holes else None


def why_missing(node: Node, literals: Sequence[Literal], document: Any, run: Evaluation, text: str) -> MissingPath:
    """Return where the path `text` broke off in `document`.

    Of alternatives (`a || b`) any that could not be read counts: the whole then does not prove an absence.
    """
    if node["type"] == "function_expression" and node["value"] in {"header", "headers"}:
        return _missing_header(document, text)
    steps: list[str | int] = []
    plain = _steps(node, literals, run, steps)
    value, walked = document, ""
    for position, key in enumerate(steps):
        following = step(value, key)
        here = _joined(walked, key)
        if following is MISSING:
            whole = plain and position == len(steps) - 1
            return _missing_at(value, key, walked, here, position, whole=whole)
        value, walked = following, here
    whole_path = MissingPath(f"`{text}` is missing")
    if not steps:
        parts = [why_missing(child, literals, document, run, text) for child in node["children"]]
        broken = next((part for part in parts if part.unread or part.blocked), None)
        if broken is None and node["type"] in _NEED_ALL:
            broken = next((part for part in parts if part != whole_path), None)
        return broken or whole_path
    return whole_path


def _missing_header(document: Any, text: str) -> MissingPath:
    held = step(document, "headers")
    names = ", ".join(f"`{name}`" for name in held) if isinstance(held, Mapping) and held else "none"
    return MissingPath(f"`{text}` is missing: the headers are {names}")


def _missing_at(value: Any, key: str | int, walked: str, here: str, position: int, *, whole: bool) -> MissingPath:
    place = f"`{walked}`" if walked else "the document"
    if isinstance(key, int) and kind(value) == "array":
        count = len(value)
        holds = "is empty" if not count else f"has {count:,} element{'' if count == 1 else 's'}"
        return MissingPath(f"`{here}` is missing: {place} {holds}")
    if isinstance(key, str) and isinstance(value, Mapping):
        names = list(value)
        shown = ", ".join(f"`{name}`" for name in names[:MAX_NAMES])
        more = f" and {len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else ""
        holds = f"has {shown}{more}" if names else "is empty"
        return MissingPath(f"`{here}` is missing: {place} {holds}", unread=not walked and not whole)
    expected = "an array" if isinstance(key, int) else "an object"
    blocked = value is not None
    # A null leading field that should hold more was not read either: nothing could be looked up in it.
    return MissingPath(
        f"`{here}` is missing: {place} is {a_kind(value)}, not {expected}",
        blocked=blocked,
        unread=not blocked and position == 1,
    )


def _steps(node: Node, literals: Sequence[Literal], run: Evaluation, steps: list[str | int]) -> bool:
    """Collect the keys a path walks until it does something else; True when it does nothing else."""
    shape = node["type"]
    if shape == "field":
        name = _name(node["value"], literals, run.holes)
        if name is None:
            return False
        steps.append(name)
        return True
    if shape == "index":
        steps.append(node["value"])
        return True
    if shape == "index_hole":
        steps.append(whole_number(literals[node["value"]], run.holes))
        return True
    if shape in {"subexpression", "index_expression", "pipe"}:
        return all(_steps(child, literals, run, steps) for child in node["children"])
    if shape in {"projection", "value_projection", "filter_projection", "flatten"}:
        _steps(node["children"][0], literals, run, steps)
    return False


def _joined(walked: str, key: str | int) -> str:
    if isinstance(key, int):
        return f"{walked}[{key}]"
    name = key if key.isascii() and key.isidentifier() else double_quoted(key)
    return f"{walked}.{name}" if walked else name
