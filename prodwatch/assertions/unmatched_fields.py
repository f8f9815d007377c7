"""What a query looked for inside the elements of a list and found in none of them: whatever rests on it proves nothing.

JMESPath counts a missing field as null, so that a filter over a misspelt field selects nothing, or everything, for
ever. Here every field that a filter or a projection reads, and every comparison, is remembered for one evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from prodwatch.assertions.comparison import a_kind, kind
from prodwatch.assertions.literals import Literal
from prodwatch.assertions.missing_value import MISSING
from prodwatch.assertions.value_format import double_quoted

Node = Mapping[str, Any]
ELLIPSIS = "…"
_AROUND = {"projection": "[*]", "value_projection": ".*", "filter_projection": f"[?{ELLIPSIS}]", "flatten": "[]"}


class FieldRead:
    """One place of a query that reads something from each element; it is its own identity."""

    __slots__ = ("base", "parts", "selected", "whole")

    def __init__(self, base: Node | None, *parts: Node, whole: Node | None = None, selected: bool = False) -> None:
        self.base = base
        """The list; None where there is none, or where it is not known."""
        self.parts = parts
        """One node: what is read. Two: the sides of a comparison."""
        self.whole = whole
        """The projection that drops the elements which lack the part, as in `items[*].price`."""
        self.selected = selected
        """The part stands in a list or an object made by the query, as in `[id, price]`: there it counts as missing."""


FieldReads = dict[FieldRead, "tuple[Any, ...] | None"]
"""For each place reached: None once it found something, until then an example of what it met instead."""


class EvaluationLike(Protocol):
    """The evaluation that remembers."""

    reads: FieldReads


Evaluator = Callable[[Any, Any], Any]


def recording(read: Evaluator, field_read: FieldRead) -> Evaluator:
    """Return what reads a value and remembers whether there was one."""

    def ask(value: Any, run: EvaluationLike) -> Any:
        found = read(value, run)
        if found is not MISSING:
            run.reads[field_read] = None
        else:
            run.reads.setdefault(field_read, (MISSING,))
        return found

    return ask


def keep_all(found: list[Any], run: EvaluationLike) -> list[Any]:  # noqa: ARG001 -- one shape with what drops elements
    """Return all elements, those without a value too."""
    return found


def keep_present(node: Node) -> Callable[[list[Any], EvaluationLike], list[Any]]:
    """Return what drops the elements without a value, and remembers when all of them lacked it."""
    field_read = FieldRead(*node["children"][:2], whole=node)

    def keep(found: list[Any], run: EvaluationLike) -> list[Any]:
        left = [value for value in found if value is not None and value is not MISSING]
        if left or None in found:
            run.reads[field_read] = None
        elif found:
            run.reads.setdefault(field_read, (MISSING,))
        return left

    return keep


def comparable(one: Any, two: Any, *, ordered: bool) -> bool:
    """Tell whether a comparison of two values says anything: both there and of one kind, or one of them null."""
    if one is MISSING or two is MISSING:
        return False
    if not ordered and (one is None or two is None):
        return True
    return type(one) is type(two) or kind(one) == kind(two)


def recording_contains(contains: Evaluator, arguments: Sequence[Evaluator], field_read: FieldRead) -> Evaluator:
    """Return what calls contains(), and remembers whether what was searched for could have been found at all."""

    def call(value: Any, run: EvaluationLike) -> Any:
        found = contains(value, run)
        if run.reads.get(field_read, field_read) is not None:
            within, wanted = (argument(value, run) for argument in arguments)
            if _could_hold(within, wanted):
                run.reads[field_read] = None
            elif within != []:  # of an empty list nothing can be learnt, in either direction
                run.reads[field_read] = (within, wanted)
        return found

    return call


def _could_hold(within: Any, wanted: Any) -> bool:
    if wanted is MISSING or isinstance(within, str):
        return isinstance(wanted, str)
    return any(comparable(each, wanted, ordered=False) for each in within)


def unmatched_read(
    reads: FieldReads, tree: Node, names: QueryPrinter, *, projections: bool = True, selected: bool = False
) -> str | None:
    """Return one sentence on the first place of `tree` that never found anything, or None when all did.

    With `projections=False` elements that a projection dropped are as the claim wants them; with `picked` a part
    of what the query makes counts too, because the claim says how it differs from something.
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
    found = f"no element of {within} has `{names.of(lacking[0])}`"
    if field_read.whole is None:
        return f"{found}, so what is selected by it proves nothing"
    claim = names.chain([*before, field_read.whole])
    hint = "" if ELLIPSIS in claim else f"; if that is well, claim `none {claim} exists`"
    return f"{found}, so what is made of it proves nothing{hint}"


def _before(tree: Node, target: Node) -> list[Node]:
    """Return the steps that lead to the place where `target` begins."""
    walked: list[Node] = []
    while tree is not target:
        children: list[Node] = tree["children"]
        position = next(n for n, child in enumerate(children) if _holds(child, target))
        if tree["type"] in {"subexpression", "index_expression"}:
            walked += children[:position]
        elif position:
            # What stands right of a projection begins anew, at each of its elements.
            walked = []
        tree = children[position]
    return walked


def _holds(tree: Node, target: Node) -> bool:
    return tree is target or any(_holds(child, target) for child in tree["children"])


class QueryPrinter:
    """Prints the parts of a query that people wrote, so far as a sentence needs them; `…` for the rest."""

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
            # What `[]` merges is projected without a sign of its own.
            sign = "" if shape == "projection" and base["type"] == "flatten" else _AROUND[shape]
            return f"{self.of(base)}{sign}{self._joined(rest) if rest != '@' else ''}"
        if shape == "field":
            return self._field(node["value"])
        if shape == "literal":
            return self._literals[int(node["value"])].render(self._holes)
        plain = {"index": f"[{value}]", "function_expression": f"{value}({ELLIPSIS})", "current": "@", "identity": "@"}
        return plain.get(shape, ELLIPSIS)

    def chain(self, nodes: Sequence[Node]) -> str:
        """Return the text of steps behind each other."""
        first, *others = map(self.of, nodes) if nodes else ("@",)
        text = first + "".join(map(self._joined, others))
        return text.removeprefix("@") if text.startswith("@[") else text

    @staticmethod
    def _joined(part: str) -> str:
        return part if part.startswith("[") else f".{part}"

    def _field(self, value: str) -> str:
        if not value[0].isdigit():
            return value
        return double_quoted(str(self._literals[int(value)].fill(self._holes)))
