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
UNSAID = "…"
_AROUND = {"projection": "[*]", "value_projection": ".*", "filter_projection": f"[?{UNSAID}]", "flatten": "[]"}


class Look:
    """One place of a query that reads something from each element; it is its own identity."""

    __slots__ = ("base", "parts", "picked", "whole")

    def __init__(self, base: Node | None, *parts: Node, whole: Node | None = None, picked: bool = False) -> None:
        self.base = base
        """The list; None where there is none, or where it is not known."""
        self.parts = parts
        """One node: what is read. Two: the sides of a comparison."""
        self.whole = whole
        """The projection that drops the elements which lack the part, as in `items[*].price`."""
        self.picked = picked
        """The part stands in a list or an object made by the query, as in `[id, price]`: there it counts as missing."""


Looks = dict[Look, "tuple[Any, ...] | None"]
"""For each place reached: None once it found something, until then an example of what it met instead."""


class RunLike(Protocol):
    """The evaluation that remembers."""

    looks: Looks


Evaluator = Callable[[Any, Any], Any]


def looking(read: Evaluator, look: Look) -> Evaluator:
    """Return what reads a value and remembers whether there was one."""

    def ask(value: Any, run: RunLike) -> Any:
        found = read(value, run)
        if found is not MISSING:
            run.looks[look] = None
        else:
            run.looks.setdefault(look, (MISSING,))
        return found

    return ask


def kept(found: list[Any], run: RunLike) -> list[Any]:  # noqa: ARG001 -- one shape with what drops elements
    """Return all elements, those without a value too."""
    return found


def present(node: Node) -> Callable[[list[Any], RunLike], list[Any]]:
    """Return what drops the elements without a value, and remembers when all of them lacked it."""
    look = Look(*node["children"][:2], whole=node)

    def keep(found: list[Any], run: RunLike) -> list[Any]:
        left = [value for value in found if value is not None and value is not MISSING]
        if left or None in found:
            run.looks[look] = None
        elif found:
            run.looks.setdefault(look, (MISSING,))
        return left

    return keep


def comparable(one: Any, two: Any, *, ordered: bool) -> bool:
    """Tell whether a comparison of two values says anything: both there and of one kind, or one of them null."""
    if one is MISSING or two is MISSING:
        return False
    if not ordered and (one is None or two is None):
        return True
    return type(one) is type(two) or kind(one) == kind(two)


def searching(contains: Evaluator, arguments: Sequence[Evaluator], look: Look) -> Evaluator:
    """Return what calls contains(), and remembers whether what was searched for could have been found at all."""

    def call(value: Any, run: RunLike) -> Any:
        found = contains(value, run)
        if run.looks.get(look, look) is not None:
            within, wanted = (argument(value, run) for argument in arguments)
            if _could_hold(within, wanted):
                run.looks[look] = None
            elif within != []:  # of an empty list nothing can be learnt, in either direction
                run.looks[look] = (within, wanted)
        return found

    return call


def _could_hold(within: Any, wanted: Any) -> bool:
    if wanted is MISSING or isinstance(within, str):
        return isinstance(wanted, str)
    return any(comparable(each, wanted, ordered=False) for each in within)


def vain(looks: Looks, tree: Node, names: Names, *, projections: bool = True, picked: bool = False) -> str | None:
    """Return one sentence on the first place of `tree` that never found anything, or None when all did.

    With `projections=False` elements that a projection dropped are as the claim wants them; with `picked` a part
    of what the query makes counts too, because the claim says how it differs from something.
    """
    for look, met in looks.items():
        if met is not None and (projections or look.whole is None) and (picked or not look.picked):
            return _sentence(look, met, tree, names)
    return None


def _sentence(look: Look, met: tuple[Any, ...], tree: Node, names: Names) -> str:
    if look.picked:
        return f"`{names.of(look.parts[0])}` is missing, so differing from it proves nothing"
    before = _before(tree, look.base) if look.base is not None else []
    base = names.chain([*before, look.base]) if look.base is not None else ""
    within = "the list" if not base or base == "@" or UNSAID in base else f"`{base}`"
    lacking = [part for part, value in zip(look.parts, met, strict=True) if value is MISSING]
    if not lacking:
        left, right = (f"`{names.of(part)}`" for part in look.parts)
        places = f" in {within}" if look.base is not None else ""
        one, two = map(a_kind, met)
        return f"{left} is {one}{places} and is compared with {right}, {two}, which proves nothing"
    found = f"no element of {within} has `{names.of(lacking[0])}`"
    if look.whole is None:
        return f"{found}, so what is selected by it proves nothing"
    claim = names.chain([*before, look.whole])
    hint = "" if UNSAID in claim else f"; if that is well, claim `none {claim} exists`"
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


class Names:
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
        plain = {"index": f"[{value}]", "function_expression": f"{value}({UNSAID})", "current": "@", "identity": "@"}
        return plain.get(shape, UNSAID)

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
