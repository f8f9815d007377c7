"""Turns a JMESPath tree into a function of the document; a missing value stays apart from null.

Where JMESPath sees null, this sees null or MISSING. MISSING is the result where there was no value to read;
filters and functions treat it as JMESPath treats null, so that every well-known query keeps its meaning.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from prodwatch.assertions.errors import PathError
from prodwatch.assertions.fields_no_element_has import (
    FieldRead,
    FieldReads,
    comparable,
    keep_all,
    keep_present,
    recording,
    recording_contains,
)
from prodwatch.assertions.first_of_several import FirstOfSeveral
from prodwatch.assertions.function_signature import Function
from prodwatch.assertions.jmespath_functions import TABLE, suggestion
from prodwatch.assertions.literals_and_templates import Literal
from prodwatch.assertions.value_equality_and_order import MISSING, a_kind, equal, exact, is_nan, kind
from prodwatch.assertions.value_format import literal_text


class Evaluation:
    """State of one evaluation: values of `${…}`, the time, and the reads of fields so far."""

    __slots__ = ("holes", "now", "reads")

    def __init__(self, holes: Sequence[Any] = (), now: datetime | None = None) -> None:
        self.holes = holes
        self.now = now
        self.reads: FieldReads = {}


Evaluator = Callable[[Any, Evaluation], Any]
Node = Mapping[str, Any]
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}
_ORDERED = {"number", "string", "duration", "time"}


def step(value: Any, key: str | int) -> Any:
    """Return one field or element, MISSING when it is not there."""
    if type(key) is int:
        if not isinstance(value, list | tuple):
            return _part_of_each(value, key)
        try:
            return value[key]
        except IndexError:
            return MISSING
    if isinstance(value, Mapping):
        return value.get(key, MISSING)
    return _part_of_each(value, key)


def _part_of_each(value: Any, key: str | int) -> Any:
    """Return MISSING, or for one of several elements the part that all of them share."""
    if not isinstance(value, FirstOfSeveral):
        return MISSING
    parts = [step(each, key) for each in value.elements]
    if parts and all(part is MISSING for part in parts):
        return MISSING
    return parts[0] if parts and all(equal(parts[0], part) for part in parts) else value.part(parts)


def _missing_in(value: Any) -> Any:
    """Return MISSING for the part of a value that has no such parts; UndecidableError for one of several."""
    if isinstance(value, FirstOfSeveral):
        value.refuse()
    return MISSING


def whole_number(literal: Literal, holes: Sequence[Any]) -> int:
    """Return the index that a `${…}` brings; PathError when it is not a whole number."""
    value: Any = literal.fill(holes)
    number = exact(value) if kind(value) == "number" else None
    if isinstance(number, int) or (number is not None and number.is_finite() and number == number.to_integral_value()):
        return int(number)
    hint = "; convert text with to_number()" if isinstance(value, str) else ""
    shown = f"{literal.render()} is {a_kind(value)}, {literal_text(value)}"
    raise PathError(f"an index must be a whole number, and {shown}{hint}")


def is_false(value: Any) -> bool:
    """Return whether JMESPath counts a value as false: empty text, list and object, null, false, and missing."""
    if value is None or value is False or value is MISSING:
        return True
    return isinstance(value, str | list | tuple | Mapping) and not value


class PathCompiler:
    """Compiles the nodes of one path; its placeholders are indices into `literals`."""

    def __init__(self, literals: Sequence[Literal], *, inside: bool = False, base: Node | None = None) -> None:
        self._literals = literals
        self._inside = inside
        """Inside a filter or an expression: there missing counts as null, as JMESPath users know it."""
        self._base = base
        """The list whose elements a filter tests; None outside a filter."""

    def compile(self, node: Node, *, keep_missing: bool = False) -> Evaluator:
        """Return the node as a function; PathError for an error that is certain without a document.

        With `keep_missing`, projections along the path keep elements that lack the rest of it, as MISSING.
        """
        method: Callable[..., Evaluator] = getattr(self, f"_{node['type']}")
        return method(node, keep_missing=keep_missing)

    def _inner(self, base: Node | None = None) -> PathCompiler:
        return PathCompiler(self._literals, inside=True, base=base)

    def _name(self, value: str) -> str | int:
        """Return the index of a quoted name's literal, or the plain name."""
        return int(value) if value[0].isdigit() else value

    def _keys(self, nodes: Sequence[Node]) -> tuple[str | int, ...] | None:
        """Return the steps of a plain chain, or None when a step needs more than a key."""
        keys: list[str | int] = []
        for node in nodes:
            if node["type"] == "index":
                keys.append(node["value"])
                continue
            if node["type"] in {"subexpression", "index_expression"}:
                inner = self._keys(node["children"])
                if inner is None:
                    return None
                keys.extend(inner)
                continue
            if node["type"] != "field":
                return None
            name = self._name(node["value"])
            if isinstance(name, int):
                literal = self._literals[name]
                fixed = getattr(literal, "value", None)
                if not isinstance(fixed, str):
                    return None
                name = fixed
            keys.append(name)
        return tuple(keys)

    def _field(self, node: Node, *, keep_missing: bool) -> Evaluator:  # noqa: ARG002 -- one shape for all nodes
        keys = self._keys([node])
        if keys is not None:
            return _chain(keys)
        literal = self._literals[int(node["value"])]
        return lambda value, run: step(value, str(literal.fill(run.holes)))

    def _index(self, node: Node, *, keep_missing: bool) -> Evaluator:  # noqa: ARG002
        return _chain((node["value"],))

    def _index_hole(self, node: Node, *, keep_missing: bool) -> Evaluator:  # noqa: ARG002
        literal = self._literals[node["value"]]
        return lambda value, run: step(value, whole_number(literal, run.holes))

    def _sequence(self, node: Node, *, keep_missing: bool) -> Evaluator:
        children: list[Node] = node["children"]
        keys = self._keys(children)
        if keys is not None:
            return _chain(keys)
        steps = [self.compile(child, keep_missing=keep_missing) for child in children]
        if len(steps) == 2:
            first, second = steps
            return lambda value, run: second(first(value, run), run)

        def follow(value: Any, run: Evaluation) -> Any:
            for step_along in steps:
                value = step_along(value, run)
            return value

        return follow

    def _subexpression(self, node: Node, *, keep_missing: bool) -> Evaluator:
        return self._sequence(node, keep_missing=keep_missing)

    def _index_expression(self, node: Node, *, keep_missing: bool) -> Evaluator:
        return self._sequence(node, keep_missing=keep_missing)

    def _pipe(self, node: Node, *, keep_missing: bool) -> Evaluator:
        left, right = node["children"]
        first, second = self.compile(left), self.compile(right, keep_missing=keep_missing)
        return lambda value, run: second(first(value, run), run)

    def _current(self, node: Node, *, keep_missing: bool) -> Evaluator:  # noqa: ARG002
        return lambda value, run: value  # noqa: ARG005

    _identity = _current

    def _literal(self, node: Node, *, keep_missing: bool) -> Evaluator:  # noqa: ARG002
        literal = self._literals[int(node["value"])]
        fixed = getattr(literal, "value", MISSING)
        if fixed is not MISSING:
            return lambda value, run: fixed  # noqa: ARG005
        return lambda value, run: literal.fill(run.holes)  # noqa: ARG005

    def _slice(self, node: Node, *, keep_missing: bool) -> Evaluator:  # noqa: ARG002
        if node["children"][2] == 0:
            raise PathError("a slice cannot step by 0")
        part = slice(*node["children"])
        return lambda value, run: value[part] if isinstance(value, list | tuple) else _missing_in(value)  # noqa: ARG005

    def _projection(self, node: Node, *, keep_missing: bool) -> Evaluator:
        base, right = (self.compile(child, keep_missing=keep_missing) for child in node["children"])
        if node["children"][1]["type"] == "identity" and keep_missing:
            return lambda value, run: _list(base(value, run))
        keep = keep_all if keep_missing else keep_present(node)

        def project(value: Any, run: Evaluation) -> Any:
            items = base(value, run)
            if not isinstance(items, list | tuple):
                return _missing_in(items)
            return keep([right(item, run) for item in items], run)

        return project

    def _value_projection(self, node: Node, *, keep_missing: bool) -> Evaluator:
        base, right = (self.compile(child, keep_missing=keep_missing) for child in node["children"])
        keep = keep_all if keep_missing else keep_present(node)

        def project(value: Any, run: Evaluation) -> Any:
            items = base(value, run)
            if not isinstance(items, Mapping):
                return _missing_in(items)
            return keep([right(item, run) for item in items.values()], run)

        return project

    def _filter_projection(self, node: Node, *, keep_missing: bool) -> Evaluator:
        base, right = (self.compile(child, keep_missing=keep_missing) for child in node["children"][:2])
        condition = self._inner(node["children"][0]).condition(node["children"][2])
        keep = keep_all if keep_missing else keep_present(node)

        def project(value: Any, run: Evaluation) -> Any:
            items = base(value, run)
            if not isinstance(items, list | tuple):
                return _missing_in(items)
            return keep([right(item, run) for item in items if not is_false(condition(item, run))], run)

        return project

    def condition(self, node: Node) -> Evaluator:
        """Return the condition of a filter; reads of a field that it requires are recorded.

        `!field` and `field == null` ask for a missing field, so their reads are not recorded.
        """
        shape = node["type"]
        if shape in {"or_expression", "and_expression"}:
            left, right = map(self.condition, node["children"])
            return _either(left, right) if shape == "or_expression" else _both(left, right)
        read = self.compile(node)
        if self._keys([node]) is None:
            return read
        return recording(read, FieldRead(self._base, node))

    def _flatten(self, node: Node, *, keep_missing: bool) -> Evaluator:
        base = self.compile(node["children"][0], keep_missing=keep_missing)

        def flatten(value: Any, run: Evaluation) -> Any:
            items = base(value, run)
            if not isinstance(items, list | tuple):
                return _missing_in(items)
            merged: list[Any] = []
            for item in items:
                if isinstance(item, list | tuple):
                    merged.extend(item)
                else:
                    merged.append(item)
            return merged

        return flatten

    def _multi_select_list(self, node: Node, *, keep_missing: bool) -> Evaluator:  # noqa: ARG002
        parts = [self._selected(child) for child in node["children"]]
        return lambda value, run: MISSING if value is None or value is MISSING else [part(value, run) for part in parts]

    def _multi_select_dict(self, node: Node, *, keep_missing: bool) -> Evaluator:  # noqa: ARG002
        parts = [(self._name(child["value"]), self._selected(child["children"][0])) for child in node["children"]]

        def select(value: Any, run: Evaluation) -> Any:
            if value is None or value is MISSING:
                return MISSING
            return {
                str(self._literals[name].fill(run.holes)) if isinstance(name, int) else name: part(value, run)
                for name, part in parts
            }

        return select

    def _selected(self, node: Node) -> Evaluator:
        """Return one part of a list or an object that the query creates; in a filter, each element must have it."""
        field_read = FieldRead(self._base, node) if self._inside else FieldRead(None, node, selected=True)
        return recording(self.compile(node), field_read)

    def _or_expression(self, node: Node, *, keep_missing: bool) -> Evaluator:  # noqa: ARG002
        left, right = (self.compile(child) for child in node["children"])
        return _either(left, right)

    def _and_expression(self, node: Node, *, keep_missing: bool) -> Evaluator:  # noqa: ARG002
        left, right = (self.compile(child) for child in node["children"])
        return _both(left, right)

    def _not_expression(self, node: Node, *, keep_missing: bool) -> Evaluator:  # noqa: ARG002
        inner, inside = self.compile(node["children"][0]), self._inside

        def negate(value: Any, run: Evaluation) -> Any:
            operand = inner(value, run)
            return MISSING if operand is MISSING and not inside else is_false(operand)

        return negate

    def _comparator(self, node: Node, *, keep_missing: bool) -> Evaluator:  # noqa: ARG002
        left, right = (self.compile(child) for child in node["children"])
        name: str = node["value"]
        field_read = FieldRead(self._base, *node["children"])
        if name in {"eq", "ne"}:
            asks_for_null = name == "eq" and any(map(self._is_null, node["children"]))
            return _equality(
                left, right, None if asks_for_null else field_read, expected=name == "eq", inside=self._inside
            )
        order = _ORDER[name]

        def compare(value: Any, run: Evaluation) -> Any:
            one, two = left(value, run), right(value, run)
            if run.reads.get(field_read, field_read) is not None:
                run.reads[field_read] = None if comparable(one, two, ordered=True) else (one, two)
            common = kind(one)
            if common != kind(two) or common not in _ORDERED or is_nan(one) or is_nan(two):
                return MISSING
            if common == "number":
                return order(exact(one), exact(two))
            if common == "time" and (one.tzinfo is None) != (two.tzinfo is None):
                return MISSING
            return order(one, two)

        return compare

    def _is_null(self, node: Node) -> bool:
        return node["type"] == "literal" and getattr(self._literals[int(node["value"])], "value", MISSING) is None

    def _expref(self, node: Node, *, keep_missing: bool) -> Evaluator:  # noqa: ARG002
        raise PathError("`&` is allowed only in functions that take an expression, such as sort_by(items, &price)")

    def _function_expression(self, node: Node, *, keep_missing: bool) -> Evaluator:  # noqa: ARG002
        name: str = node["value"]
        function = TABLE.get(name)
        if function is None:
            raise PathError(f"there is no function {name}(){suggestion(name)}")
        arguments = node["children"]
        function.check_count(name, len(arguments))
        evaluators = [self._argument(name, function, n, child) for n, child in enumerate(arguments)]
        bound = function.bind(name, evaluators)
        return recording_contains(bound, evaluators, FieldRead(self._base, *arguments)) if name == "contains" else bound

    def _argument(self, name: str, function: Function, position: int, node: Node) -> Evaluator:
        wants_expression = function.takes_expression(position)
        if (node["type"] == "expref") != wants_expression:
            if wants_expression:
                raise PathError(f"{name}() needs an expression as argument {position + 1}: write `&` before it")
            raise PathError(f"{name}() takes no expression as argument {position + 1}: leave the `&` out")
        if not wants_expression:
            return self.compile(node)
        inner = self._inner().compile(node["children"][0])
        # The function calls it with each element.
        return lambda value, run: lambda item: inner(item, run)  # noqa: ARG005


def _chain(keys: tuple[str | int, ...]) -> Evaluator:
    if len(keys) == 1:
        key = keys[0]
        return lambda value, run: step(value, key)  # noqa: ARG005

    def follow(value: Any, run: Evaluation) -> Any:  # noqa: ARG001 -- one shape for all nodes
        for key in keys:
            # The common case inline: most assertions spend their time in this loop.
            value = value.get(key, MISSING) if type(value) is dict else step(value, key)
            if value is MISSING:
                return MISSING
        return value

    return follow


def _either(left: Evaluator, right: Evaluator) -> Evaluator:
    def either(value: Any, run: Evaluation) -> Any:
        first = left(value, run)
        return right(value, run) if is_false(first) else first

    return either


def _both(left: Evaluator, right: Evaluator) -> Evaluator:
    def both(value: Any, run: Evaluation) -> Any:
        first = left(value, run)
        return first if is_false(first) else right(value, run)

    return both


def _equality(
    left: Evaluator, right: Evaluator, field_read: FieldRead | None, *, expected: bool, inside: bool
) -> Evaluator:
    def compare(value: Any, run: Evaluation) -> Any:
        one, two = left(value, run), right(value, run)
        if field_read is not None and run.reads.get(field_read, field_read) is not None:
            run.reads[field_read] = None if comparable(one, two, ordered=False) else (one, two)
        if one is MISSING or two is MISSING:
            if not inside:
                return MISSING
            one, two = _null(one), _null(two)
        return equal(one, two) is expected

    return compare


def _list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else _missing_in(value)


def _null(value: Any) -> Any:
    return None if value is MISSING else value
