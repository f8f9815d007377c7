"""JMESPath expressions, parsed by jmespath and evaluated by our interpreter; the parser never sees user data."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from prodwatch.assertions.errors import AssertionSyntaxError, PathError, UndecidableError
from prodwatch.assertions.fields_no_element_has import QueryPrinter, unmatched_read
from prodwatch.assertions.jmespath_interpreter import Evaluation, Evaluator, PathCompiler
from prodwatch.assertions.literals_and_templates import Holes
from prodwatch.assertions.missing_path_reason import MissingPath, leading_fields, why_missing
from prodwatch.assertions.split_path_and_operator import Scan, Scanner, Token, render
from prodwatch.assertions.value_equality_and_order import MISSING

Node = Mapping[str, Any]
_PROJECTING = frozenset({"*", "[]", "[?", ":"})
_INDEX_BASE = 10**30
"""Number that jmespath reads in place of an index that is a `${…}`, plus the index of its literal."""
_SELECTING = frozenset({"projection", "value_projection", "filter_projection"})
_NO_VALUE = (PathError, UndecidableError, RecursionError, IndexError)
"""Too few values for the holes is the IndexError."""


class Path(msgspec.Struct, frozen=True, eq=False):
    """A path into a document. Equal paths print equally."""

    source: str
    holes: tuple[str, ...]
    """Texts of the holes, in order of appearance."""
    fields: frozenset[str]
    """Leading fields of the document the path mentions."""
    _scan: Scan
    tree: Node
    """As jmespath parsed it, literals by number."""
    _evaluate: Evaluator
    _evaluate_all: Evaluator
    """As `_evaluate`, but a projection keeps the elements that lack the rest of the path."""

    def __str__(self) -> str:
        return render(self._scan)

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, Path) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def selects(self) -> bool:
        """Whether the path selects elements, so that its value is `[]` when no element is selected."""
        node = self.tree
        while node["type"] == "pipe":
            node = node["children"][-1]
        return node["type"] in _SELECTING

    def render(self, holes: Holes = None) -> str:
        """Return the path as text, holes as written or filled."""
        return render(self._scan, holes)

    def resolve(self, document: Any, run: Evaluation, *, keep_missing: bool = False) -> Any:
        """Return the value or MISSING; PathError when a function met a type it does not take."""
        return (self._evaluate_all if keep_missing else self._evaluate)(document, run)

    def elements(self, document: Any, run: Evaluation) -> list[Any] | None:
        """Return the elements that the path reads from or counts; None when it is not about elements of a list."""
        node = self.tree
        if node["type"] == "function_expression" and node["value"] == "length":
            node = node["children"][0]
        value = PathCompiler(self._scan.literals).compile(_up_to_the_elements(node), keep_missing=True)(document, run)
        return list(value) if isinstance(value, list | tuple) else None

    def read(self, document: Any, *, holes: Sequence[Any] = (), now: datetime | None = None) -> Any:
        """Return the value, or MISSING when the path has none; never raises."""
        try:
            return _null_for_missing(self.resolve(document, Evaluation(holes, now)))
        except _NO_VALUE:
            return MISSING

    def explain(self, document: Any, *, holes: Sequence[Any] = (), now: datetime | None = None) -> str:
        """Return one sentence on why `read` gives MISSING for this document, or a value that proves nothing."""
        run = Evaluation(holes, now)
        try:
            value = self.resolve(document, run)
            unmatched_read = self.unmatched_read(run)
            if unmatched_read is not None:
                return unmatched_read
            return str(self.where_missing(document, run)) if value is MISSING else f"`{self.render(holes)}` is there"
        except PathError as problem:
            return self.function_error(problem, document, run)
        except UndecidableError as problem:
            return str(problem)
        except RecursionError:
            return "the document is nested too deeply to be read"

    def has_value(self, document: Any, *, holes: Sequence[Any] = (), now: datetime | None = None) -> bool:
        """Return whether there is a value, and it does not depend on a field that no element of a list has."""
        run = Evaluation(holes, now)
        try:
            return self.resolve(document, run) is not MISSING and self.unmatched_read(run) is None
        except _NO_VALUE:
            return False

    def undecidable(self, document: Any, *, holes: Sequence[Any] = (), now: datetime | None = None) -> str | None:
        """Return why the value is not certain; None when it is, or when there is none."""
        try:
            self.resolve(document, Evaluation(holes, now))
        except UndecidableError as problem:
            return str(problem)
        except _NO_VALUE:
            return None
        return None

    def unmatched_read(self, run: Evaluation, *, projections: bool = True, selected: bool = False) -> str | None:
        """Return one sentence about a field that was read and that no element has; None when every field was found."""
        if not run.reads:
            return None
        names = QueryPrinter(self._scan.literals, run.holes)
        return unmatched_read(run.reads, self.tree, names, projections=projections, selected=selected)

    def function_error(self, problem: PathError, document: Any, run: Evaluation) -> str:
        """Return the message of a function's error, with the place where the path of its argument broke off."""
        if not problem.missing:
            return str(problem)
        where_missing = self.where_missing(document, run)
        return (
            f"{problem}: {where_missing}"
            if where_missing.sentence != f"`{self.render(run.holes)}` is missing"
            else str(problem)
        )

    def where_missing(self, document: Any, run: Evaluation) -> MissingPath:
        """Return where a missing path broke off."""
        return why_missing(self.tree, self._scan.literals, document, run, self.render(run.holes))


@lru_cache(maxsize=4096)
def parse_path(source: str) -> Path:
    """Parse a path without an operator, as in `capture`; AssertionSyntaxError when it is malformed."""
    holes: list[str] = []
    scan = Scanner(source, holes, assertion=False).scan(0)
    return build(source, scan, tuple(holes))


def build(source: str, scan: Scan, holes: tuple[str, ...]) -> Path:
    """Build a path from scanned tokens; AssertionSyntaxError when they do not form a path."""
    if not scan.tokens:
        raise AssertionSyntaxError("a path is missing; it names a field of the document, such as `status`", 1)
    try:
        node = _plain(scan.tokens) or _jmespath(source, scan)
        compiler = PathCompiler(scan.literals)
        evaluate = compiler.compile(node)
        projects = any(token.text in _PROJECTING and token.kind == "symbol" for token in scan.tokens)
        keep_missing = compiler.compile(node, keep_missing=True) if projects else evaluate
        fields = leading_fields(node, scan.literals)
    except PathError as problem:
        raise AssertionSyntaxError(str(problem), scan.tokens[0].start + 1) from None
    except RecursionError:
        raise AssertionSyntaxError("this path is nested too deeply", scan.tokens[0].start + 1) from None
    return Path(source, holes, fields, scan, node, evaluate, keep_missing)


def _plain(tokens: Sequence[Token]) -> Node | None:
    """Return the tree of a plain chain (`json.items[0].id`) as jmespath builds it; None for anything else.

    Nearly every path is one, and so importing and running the full parser is saved for those that need it.
    """
    first = tokens[0]
    if first.kind != "name":
        return None
    node: dict[str, Any] = {"type": "field", "children": [], "value": first.text}
    step: dict[str, Any]
    position, length = 1, len(tokens)
    while position < length:
        text = tokens[position].text
        if text == "." and position + 1 < length and tokens[position + 1].kind == "name":
            step = {"type": "field", "children": [], "value": tokens[position + 1].text}
            position += 2
            shape = "subexpression"
        elif text == "[" and position + 2 < length and _is_index(tokens, position):
            step = {"type": "index", "value": int(tokens[position + 1].text), "children": []}
            position += 3
            shape = "index_expression"
        elif text == "[" and position + 2 < length and tokens[position + 1].kind == "index":
            step = {"type": "index_hole", "value": tokens[position + 1].literal, "children": []}
            position += 3
            shape = "index_expression"
        else:
            return None
        if node["type"] == shape:
            node["children"].append(step)
        else:
            node = {"type": shape, "children": [node, step]}
    return node


def _up_to_the_elements(node: Node) -> Node:
    """Return the node without the part of it that is read from each element of a list."""
    kind, children = node["type"], node["children"]
    if kind in _SELECTING:
        base, _, *condition = children
        return {**node, "children": [base, {"type": "identity", "children": []}, *condition]}
    if kind in {"subexpression", "index_expression", "pipe"}:
        return {**node, "children": [*children[:-1], _up_to_the_elements(children[-1])]}
    return node


def _is_index(tokens: Sequence[Token], position: int) -> bool:
    number = tokens[position + 1]
    return number.kind == "number" and len(number.text) < 10 and tokens[position + 2].text == "]"


def _jmespath(source: str, scan: Scan) -> Node:
    import jmespath
    from jmespath.exceptions import IncompleteExpressionError, ParseError

    pieces: list[str] = []
    offsets: list[int] = []
    length = 0
    for token in scan.tokens:
        piece = token.text
        if token.kind == "index":
            piece = str(_INDEX_BASE + token.literal)
        elif token.literal >= 0:
            # Every literal and quoted name is replaced by its quoted index, which cannot be confused with a plain name.
            piece = f'"{token.literal}"' if token.kind == "quoted" else f"'{token.literal}'"
        offsets.append(length)
        pieces.append(f"{piece} ")
        length += len(piece) + 1
    try:
        tree: Node = jmespath.compile("".join(pieces)).parsed
    except IncompleteExpressionError:
        raise AssertionSyntaxError("the path ends too early", scan.end + 1) from None
    except ParseError as problem:
        token = scan.tokens[max(0, bisect_right(offsets, problem.lex_position) - 1)]
        shown = source[token.start : token.start + 1] if token.literal >= 0 else token.text
        raise AssertionSyntaxError(f"`{shown}` is not expected here in a path", token.start + 1) from None
    except ValueError as problem:  # a number of thousands of digits
        raise AssertionSyntaxError(f"this path cannot be read: {problem}", scan.tokens[0].start + 1) from None
    holes = frozenset(token.literal for token in scan.tokens if token.kind == "index")
    return _with_index_holes(tree, holes) if holes else tree


def _with_index_holes(node: Node, holes: frozenset[int]) -> Node:
    """Return the tree with a node of its own for each index that is a `${…}`."""
    if node["type"] == "index" and node["value"] - _INDEX_BASE in holes:
        return {"type": "index_hole", "value": node["value"] - _INDEX_BASE, "children": []}
    children = [_with_index_holes(child, holes) if isinstance(child, dict) else child for child in node["children"]]
    return {**node, "children": children}


def _null_for_missing(value: Any) -> Any:
    """Return a value with null for each missing part, as JMESPath has it; a missing whole stays MISSING."""
    if isinstance(value, list):
        return [None if item is MISSING else _null_for_missing(item) for item in value]
    if isinstance(value, dict):
        return {key: None if item is MISSING else _null_for_missing(item) for key, item in value.items()}
    return value
