"""`<path> <operator> <value>`: text to Assertion and back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from prodwatch.assertions.errors import AssertionSyntaxError, PathError
from prodwatch.assertions.expected_value_parser import ValueReader
from prodwatch.assertions.literals_and_templates import Constant, Hole, Holes, ListTemplate, Literal, TextTemplate
from prodwatch.assertions.operators import JSON_TYPES, OPERATORS, ORDERED
from prodwatch.assertions.path import Path, build
from prodwatch.assertions.patterns import Pattern, compile_pattern
from prodwatch.assertions.split_path_and_operator import COMPARATORS, NO_PATH, Scanner
from prodwatch.assertions.value_equality_and_order import a_kind, kind
from prodwatch.assertions.value_format import text_of

QUANTIFIERS = ("all", "any", "none")
WITHOUT_VALUE = frozenset({"exists", "absent"})
_QUANTIFIER = re.compile(r"[ \t\r\n]*(all|any|none)[ \t\r\n]+(?=[A-Za-z_\"'`\[({@$*])")
_WORDS = re.compile(
    r"not[ \t\r\n]+in|not[ \t\r\n]+contains|starts[ \t\r\n]+with|ends[ \t\r\n]+with|equals[ \t\r\n]+unordered"
    r"|matches[ \t\r\n]+in[ \t\r\n]+order|includes|in|between|contains|matches|is|exists|absent|satisfies"
)
_WORD = re.compile(r"[A-Za-z_]\w*")
_HINTS = {
    "equals": "write `==`, or `equals unordered` for a list in any order",
    "eq": "write `==`",
    "like": "write `matches` with a regular expression",
    "has": "write `contains`, `includes` or `exists`",
    "not": "`not` goes with `in` and `contains`; otherwise use `!=`, `absent` or `none`",
    "starts": "write `starts with`",
    "ends": "write `ends with`",
    "startswith": "write `starts with`",
    "endswith": "write `ends with`",
    "and": "write one assertion per claim; all of them must hold",
    "or": "put alternatives in a list: `in [200, 201]`",
}

_TEXTUAL = frozenset({"starts with", "ends with", "matches", "satisfies"})
_OPERAND_KINDS: dict[str, tuple[tuple[str, ...], str]] = {
    **dict.fromkeys(("<", "<=", ">", ">="), (ORDERED, "compares numbers, durations and times")),
    **dict.fromkeys(("in", "not in"), (("array",), "needs a list, such as [200, 201]")),
    **dict.fromkeys(_TEXTUAL, (("string",), "needs a text in quotes")),
    "matches in order": (("array",), "needs a list of patterns, such as ['received', 'stored']"),
    "includes": (("array", "object"), "needs an object or a list"),
    "equals unordered": (("array",), "needs a list"),
}
"""Operator → kinds of its value, and the phrase that names them."""
_NOT_EMPTY = _TEXTUAL | {"matches in order", "in", "not in", "includes", "contains", "not contains"}
"""Operators for which an empty text, list or object would make the claim always true or always false."""


class Assertion(msgspec.Struct, frozen=True, eq=False):
    """One claim about a document. Equal assertions print equally."""

    source: str
    """As written."""
    holes: tuple[str, ...]
    """Texts such as `${vars.id}`, in order of appearance; `evaluate` takes their values in this order."""
    fields: frozenset[str]
    """Leading fields of the document the path mentions."""
    operator: str
    quantifier: str
    """`all`, `any`, `none`, or empty."""
    path: Path
    operand: Literal | None
    """None for operators without a value; `between` has a list of two bounds."""

    def __str__(self) -> str:
        return self.render()

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, Assertion) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))

    def render(self, holes: Holes = None) -> str:
        """Return the canonical text, with the holes as written or filled."""
        parts = [self.quantifier] if self.quantifier else []
        parts += [self.path.render(holes), self.operator]
        if self.operator == "between":
            low, high = _bounds(self.operand)
            parts += [low.render(holes), "and", high.render(holes)]
        elif self.operand is not None:
            parts.append(self.operand.value if self.operator == "is" else self.operand.render(holes))  # type: ignore[union-attr]
        return " ".join(parts)

    def expected(self, holes: Sequence[Any]) -> Any:
        """Return the value to compare with; PathError when a `${…}` has a value that is not valid there."""
        if self.operand is None:
            return None
        if self.operator == "matches in order" and isinstance(self.operand, ListTemplate):
            return [_pattern(item, holes) for item in self.operand.items]
        return _pattern(self.operand, holes) if self.operator == "matches" else self.operand.fill(holes)


def _pattern(operand: Literal, holes: Sequence[Any]) -> Any:
    """Return a regular expression; the value of a `${…}` inside it matches itself."""
    if not isinstance(operand, TextTemplate):
        return operand.fill(holes)
    return Pattern("".join(_literally(part, holes) for part in operand.parts), operand.fill(holes))


def _literally(part: str | Hole, holes: Sequence[Any]) -> str:
    """Return a part of a pattern; the value of a `${…}` is escaped, so that it matches itself."""
    return part if isinstance(part, str) else re.escape(text_of(holes[part.index]))


@lru_cache(maxsize=8192)
def parse(source: str) -> Assertion:
    """Parse one assertion; AssertionSyntaxError, with a message and a column, when it is malformed."""
    quantified = _QUANTIFIER.match(source)
    if quantified:
        try:
            return _parse(source, quantified.end(), quantified[1])
        except AssertionSyntaxError:
            # `all == 3` and `none exists` are about fields of that name.
            plain = _field_named_as_quantifier(source)
            if plain is not None:
                return plain
            raise
    return _parse(source, 0, "")


def _field_named_as_quantifier(source: str) -> Assertion | None:
    try:
        return _parse(source, 0, "")
    except AssertionSyntaxError:
        return None


def _parse(source: str, start: int, quantifier: str) -> Assertion:
    holes: list[str] = []
    scan = Scanner(source, holes, assertion=True).scan(start)
    in_path = len(holes)
    if not scan.tokens:
        raise AssertionSyntaxError(NO_PATH, start + 1)
    operator, position = _operator(source, scan.end)
    path = build(source[scan.tokens[0].start : scan.end].rstrip(), scan, tuple(holes[:in_path]))
    operand = _operand(source, position, operator, holes)
    return Assertion(source, tuple(holes), path.fields, operator, quantifier, path, operand)


def _operator(source: str, position: int) -> tuple[str, int]:
    if position >= len(source):
        raise AssertionSyntaxError(
            "an operator is missing: it follows the path, as in `json.ok == true` or `json.ok exists`",
            len(source.rstrip()) + 1,
        )
    symbol = next((comparator for comparator in COMPARATORS if source.startswith(comparator, position)), None)
    if symbol:
        return symbol, position + len(symbol)
    match = _WORDS.match(source, position)
    following = source[match.end() : match.end() + 1] if match else ""
    if match and not (following.isalnum() or following == "_"):
        return " ".join(match[0].split()), match.end()
    match = _WORD.match(source, position)
    word = match[0] if match else source[position]
    raise AssertionSyntaxError(f"`{word}` is not an operator; {_hint(word)}", position + 1)


def _hint(word: str) -> str:
    from difflib import get_close_matches

    if word.lower() in _HINTS:
        return _HINTS[word.lower()]
    close = get_close_matches(word.lower(), OPERATORS, 1)
    return f"did you mean `{close[0]}`?" if close else f"operators are {', '.join(f'`{name}`' for name in OPERATORS)}"


def _operand(source: str, position: int, operator: str, holes: list[str]) -> Literal | None:
    reader = ValueReader(source, position, holes)
    if operator in WITHOUT_VALUE:
        reader.finish()
        return None
    if operator == "is":
        return _type_name(reader)
    reader.skip()
    start = reader.position
    if source.startswith("=", position) and operator in {"==", "!="}:
        raise AssertionSyntaxError(f"`{operator}=` is not an operator; write `{operator}`", position + 1)
    value = reader.read()
    if operator == "between":
        value = _upper_bound(reader, value, start)
    else:
        _check_operand(operator, value, start)
    reader.finish()
    return value


def _check_operand(operator: str, value: Literal, start: int) -> None:
    """Raise AssertionSyntaxError for a literal that can never be a valid value of `operator`."""
    if isinstance(value, Hole):
        return
    unfit = _unfit_operand(operator, value.value if isinstance(value, Constant) else _shape(value))
    if unfit:
        raise AssertionSyntaxError(unfit, start + 1)
    if operator == "matches":
        _check_patterns([value], start)
    elif operator == "matches in order" and isinstance(value, Constant):
        _check_patterns([Constant(each, "") for each in value.value], start)
    elif operator == "matches in order" and isinstance(value, ListTemplate):
        _check_patterns(value.items, start)


def _unfit_operand(operator: str, expected: Any) -> str | None:
    """Return why a literal can never be a valid value of `operator`, or None."""
    kinds, phrase = _OPERAND_KINDS.get(operator, ((), ""))
    if kinds and kind(expected) not in kinds:
        return f"`{operator}` {phrase}, not {a_kind(expected)}"
    if operator in _NOT_EMPTY and expected in ("", [], {}):
        return f"`{operator}` needs a non-empty {kind(expected)}: an empty one always gives the same result"
    return None


def _unfit_bounds(low: Any, high: Any) -> str | None:
    """Return why no value can be between two literal bounds, or None."""
    for bound in (low, high):
        if kind(bound) not in ORDERED:
            return f"`between` compares numbers, durations and times, not {a_kind(bound)}"
    if kind(low) != kind(high):
        return f"the bounds of `between` are {a_kind(low)} and {a_kind(high)}; they must be of one kind"
    if low > high:
        return "the first bound of `between` is above the second, so nothing lies between them"
    return None


def _shape(value: Literal) -> Any:
    """Return a stand-in of the same kind as a literal with holes in it."""
    return {"TextTemplate": "x", "ListTemplate": ["x"], "ObjectTemplate": {"x": "x"}}.get(type(value).__name__)


def _check_patterns(patterns: Sequence[Literal], start: int) -> None:
    for each in patterns:
        if isinstance(each, TextTemplate):
            _check_pattern("".join(part if isinstance(part, str) else "x" for part in each.parts), start)
        elif isinstance(each, Constant) and isinstance(each.value, str) and each.value:
            _check_pattern(each.value, start)
        elif not isinstance(each, Hole):
            raise AssertionSyntaxError("`matches in order` needs patterns in quotes, none of them empty", start + 1)


def _check_pattern(pattern: str, start: int) -> None:
    try:
        compile_pattern(pattern)
    except PathError as problem:
        raise AssertionSyntaxError(str(problem), start + 1) from None


def _type_name(reader: ValueReader) -> Constant:
    reader.skip()
    start = reader.position
    match = _WORD.match(reader.source, start)
    word = match[0] if match else reader.source[start : start + 1]
    if word not in JSON_TYPES:
        hint = "; write `!= null`" if word == "not" else ""
        raise AssertionSyntaxError(
            f"`is` names a type ({', '.join(JSON_TYPES)}), and `{word}` is not one{hint}"
            if word
            else f"`is` needs a type: {', '.join(JSON_TYPES)}",
            start + 1,
        )
    reader.position += len(word)
    reader.finish()
    return Constant(word, word)


def _upper_bound(reader: ValueReader, low: Literal, start: int) -> Literal:
    if not reader.word("and"):
        raise AssertionSyntaxError("`between` needs two values: between 1 and 5", reader.position + 1)
    high = reader.read()
    if isinstance(low, Constant) and isinstance(high, Constant):
        unfit = _unfit_bounds(low.value, high.value)
        if unfit:
            raise AssertionSyntaxError(unfit, start + 1)
    return ListTemplate((low, high))


def _bounds(operand: Literal | None) -> tuple[Literal, Literal]:
    assert isinstance(operand, ListTemplate)
    low, high = operand.items
    return low, high
