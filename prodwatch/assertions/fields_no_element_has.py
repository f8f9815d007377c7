"""Fields that a query reads inside the elements of a list and that no element has: a result from them proves nothing.

JMESPath counts a missing field as null, so that a filter over a misspelt field selects nothing, or everything,
always. Here every field that a filter or a projection reads, and every comparison, is remembered for one evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from prodwatch.assertions.literals_and_templates import Literal
from prodwatch.assertions.value_equality_and_order import MISSING, a_kind, kind
from prodwatch.assertions.value_format import double_quoted

Node = Mapping[str, Any]
ELLIPSIS = "…"
_AROUND = {"projection": "[*]", "value_projection": ".*", "filter_projection": f"[?{ELLIPSIS}]", "flatten": "[]"}


class FieldRead:
    """One place of a query that reads a value from each element; compared by identity."""

    __slots__ = ("base", "parts", "selected", "whole")

    def __init__(self, base: Node | None, *parts: Node, whole: Node | None = None, selected: bool = False) -> None:
        self.base = base
        """The list; None where it is not known."""
        self.parts = parts
        """One node that is read, or the two sides of a comparison."""
        self.whole = whole
        """The projection that drops the elements which lack the part, as in `items[*].price`."""
        self.selected = selected
        """The part belongs to a list or an object that the query creates, as in `[id, price]`."""


FieldReads = dict[FieldRead, "tuple[Any, ...] | None"]
"""For each place that was evaluated: None once it had a value, until then an example of the values instead."""


class EvaluationLike(Protocol):
    """The evaluation that records the reads."""

    reads: FieldReads


Evaluator = Callable[[Any, Any], Any]


def recording(read: Evaluator, field_read: FieldRead) -> Evaluator:
    """Wrap `read` to record whether it returned a value."""

    def read_recorded(value: Any, run: EvaluationLike) -> Any:
        part = read(value, run)
        if part is not MISSING:
            run.reads[field_read] = None
        else:
            run.reads.setdefault(field_read, (MISSING,))
        return part

    return read_recorded


def keep_all(values: list[Any], run: EvaluationLike) -> list[Any]:  # noqa: ARG001 -- the signature of keep_present's
    """Return all elements, including those without a value."""
    return values


def keep_present(node: Node) -> Callable[[list[Any], EvaluationLike], list[Any]]:
    """Return a function that drops elements without a value, and records it when all of them lack one."""
    field_read = FieldRead(*node["children"][:2], whole=node)

    def keep(values: list[Any], run: EvaluationLike) -> list[Any]:
        left = [value for value in values if value is not None and value is not MISSING]
        if left or None in values:
            run.reads[field_read] = None
        elif values:
            run.reads.setdefault(field_read, (MISSING,))
        return left

    return keep


def comparable(one: Any, two: Any, *, ordered: bool) -> bool:
    """Return whether two values can be compared: both present and of one kind, or one of them null."""
    if one is MISSING or two is MISSING:
        return False
    if not ordered and (one is None or two is None):
        return True
    return type(one) is type(two) or kind(one) == kind(two)


def recording_contains(contains: Evaluator, arguments: Sequence[Evaluator], field_read: FieldRead) -> Evaluator:
    """Wrap contains() to record whether the searched value could have been found at all."""

    def call(value: Any, run: EvaluationLike) -> Any:
        result = contains(value, run)
        if run.reads.get(field_read, field_read) is not None:
            within, searched = (argument(value, run) for argument in arguments)
            if _could_hold(within, searched):
                run.reads[field_read] = None
            elif within != []:  # an empty list proves nothing in either direction
                run.reads[field_read] = (within, searched)
        return result

    return call


def _could_hold(within: Any, searched: Any) -> bool:
    if searched is MISSING or isinstance(within, str):
        return isinstance(searched, str)
    return any(comparable(element, searched, ordered=False) for element in within)


def unmatched_read(
    reads: FieldReads, tree: Node, names: QueryPrinter, *, projections: bool = True, selected: bool = False
) -> str | None:
    """Return one sentence about the first place of `tree` that never returned a value, or None when all did.

    With `projections=False` elements that a projection dropped do not count; with `selected` parts that the query
    creates count too, because the claim is about a difference.
    """
    for field_read, met in reads.items():
        if met is not None and (projections or field_read.whole is None) and (selected or not field_read.selected):
            return _sentence(field_read, met, tree, names)
    return None


def _sentence(field_read: FieldRead, met: tuple[Any, ...], tree: Node, names: QueryPrinter) -> str:
    if field_read.selected:
        return f"`{names.of(field_read.parts[0])}` is missing, so differing from it proves nothing"
    before = _before(tree, field_read.base) if field_read.base is not None else []
    base = names.chain([*before, field_read.base]) if field_read.base is not None else ""
    within = "the list" if not base or base == "@" or ELLIPSIS in base else f"`{base}`"
    lacking = [part for part, value in zip(field_read.parts, met, strict=True) if value is MISSING]
    if not lacking:
        left, right = (f"`{names.of(part)}`" for part in field_read.parts)
        places = f" in {within}" if field_read.base is not None else ""
        one, two = map(a_kind, met)
        return f"{left} is {one}{places} and is compared with {right}, {two}, which proves nothing"
    lacked = names.of(lacking[0])
    lacks = f"no element of {within} has `{lacked}`"
    if field_read.whole is None:
        known = within != "the list" and field_read.base is not None and _from_root(tree, field_read.base)
        what, claim = "a selection by it", f"{base}[*]{names.joined(lacked)}" if known else ELLIPSIS
    else:
        what, claim = "a value made of it", names.chain([*before, field_read.whole])
    hint = "" if ELLIPSIS in claim else f"; if that is intended, write `none {claim} exists`"
    return f"{lacks}, so {what} proves nothing{hint}"


def _before(tree: Node, target: Node) -> list[Node]:
    """Return the steps that lead to the place where `target` begins."""
    walked: list[Node] = []
    while tree is not target:
        children: list[Node] = tree["children"]
        position = next(n for n, child in enumerate(children) if _holds(child, target))
        if tree["type"] in {"subexpression", "index_expression"}:
            walked += children[:position]
        elif position:
            # The right side of a projection starts at each of its elements.
            walked = []
        tree = children[position]
    return walked


def _from_root(tree: Node, target: Node) -> bool:
    """Return whether a path to `target` begins at the document, not at an element of a projection."""
    while tree is not target:
        position = next(n for n, child in enumerate(tree["children"]) if _holds(child, target))
        if position and tree["type"] not in {"subexpression", "index_expression"}:
            return False
        tree = tree["children"][position]
    return True


def _holds(tree: Node, target: Node) -> bool:
    return tree is target or any(_holds(child, target) for child in tree["children"])


class QueryPrinter:
    """Prints the parts of a query that a message needs; `…` for the rest."""

    def __init__(self, literals: Sequence[Literal], holes: Sequence[Any]) -> None:
        self._literals = literals
        self._holes = holes

    def of(self, node: Node) -> str:
        """Return the text of a path."""
        shape, value = node["type"], node.get("value")
        if shape in {"subexpression", "index_expression"}:
            return self.chain(node["children"])
        if shape in _AROUND:
            base, rest = node["children"][0], self.chain(node["children"][1:2])
            # A projection over `[]` has no sign of its own.
            sign = "" if shape == "projection" and base["type"] == "flatten" else _AROUND[shape]
            return f"{self.of(base)}{sign}{self.joined(rest) if rest != '@' else ''}"
        if shape == "field":
            return self._field(node["value"])
        if shape == "index_hole":
            hole = self._literals[node["value"]]
            return f"[{hole.render(self._holes)}]"
        if shape == "literal":
            return self._literals[int(node["value"])].render(self._holes)
        plain = {"index": f"[{value}]", "function_expression": f"{value}({ELLIPSIS})", "current": "@", "identity": "@"}
        return plain.get(shape, ELLIPSIS)

    def chain(self, nodes: Sequence[Node]) -> str:
        """Return the text of steps behind each other."""
        first, *others = map(self.of, nodes) if nodes else ("@",)
        text = first + "".join(map(self.joined, others))
        return text.removeprefix("@") if text.startswith("@[") else text

    @staticmethod
    def joined(part: str) -> str:
        """Return the text of a step behind another one."""
        return part if part.startswith("[") else f".{part}"

    def _field(self, value: str) -> str:
        if not value[0].isdigit():
            return value
        return double_quoted(str(self._literals[int(value)].fill(self._holes)))
