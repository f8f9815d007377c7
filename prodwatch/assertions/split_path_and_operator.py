"""Splits a path from the operator after it, and takes out every literal, so that jmespath never parses user data."""

from __future__ import annotations

import re

import msgspec

from prodwatch.assertions.errors import AssertionSyntaxError
from prodwatch.assertions.expected_value_parser import ValueReader, backtick_content, read_bare_hole
from prodwatch.assertions.literals_and_templates import Constant, Hole, Holes, Literal, TextTemplate, read_text

COMPARATORS = ("==", "!=", "<=", ">=", "<", ">")
NO_PATH = "an assertion begins with a path, such as `status` or `json.items[0].id`"
_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<number>-?[0-9]+)"
    r"|(?P<symbol>\[\?|\[\]|==|!=|<=|>=|&&|\|\||[.*,:@(){}<>!&|\]\[])"
)
_OPEN = {"(": ")", "[": "]", "[?": "]", "{": "}"}
_SPACED = {*COMPARATORS, "&&", "||", "|"}
_ENDS_OPERAND = {")", "]", "}", "[]", "*", "@"}


class Token(msgspec.Struct, frozen=True):
    """One token of a path: a name, a number, a symbol, or a literal."""

    kind: str
    """`name`, `number`, `symbol`, `literal`, `quoted` (a quoted identifier) or `index` (a `${…}` as an index)."""
    text: str
    start: int
    literal: int = -1
    """Index into the literals of the path."""


class Scan(msgspec.Struct):
    """A path as tokens, and where it ends."""

    tokens: list[Token] = msgspec.field(default_factory=list)
    literals: list[Literal] = msgspec.field(default_factory=list)
    end: int = 0


class Scanner:
    """Reads path tokens from `source`; stops before an operator when `assertion` is set."""

    def __init__(self, source: str, holes: list[str], *, assertion: bool) -> None:
        self.source = source
        self.holes = holes
        self.assertion = assertion
        self.result = Scan()
        self.brackets: list[tuple[str, int]] = []
        self.complete = False
        """The tokens so far could be a whole path: an operator may follow."""
        self.picks = False
        """The last `[` picks an element of what precedes it; otherwise it begins a list."""

    def scan(self, position: int) -> Scan:
        """Read from `position` to the operator or the end."""
        source, length = self.source, len(self.source)
        while position < length:
            match = _TOKEN.match(source, position)
            if match is None:
                position = self._literal(position)
                continue
            kind, text = str(match.lastgroup), match[0]
            if kind != "space":
                if self.assertion and not self.brackets and self._stops(kind, text):
                    if self.complete:
                        break
                    if text in COMPARATORS:
                        raise AssertionSyntaxError(self._unfinished(text), position + 1)
                self._add(kind, text, position)
            position = match.end()
        if self.brackets:
            bracket, start = self.brackets[-1]
            raise AssertionSyntaxError(f"the `{bracket}` here is never closed; add `{_OPEN[bracket]}`", start + 1)
        self.result.end = position
        return self.result

    @staticmethod
    def _stops(kind: str, text: str) -> bool:
        return kind == "name" or text in COMPARATORS

    def _unfinished(self, operator: str) -> str:
        if not self.result.tokens:
            return NO_PATH
        return f"the path is not finished before `{operator}`"

    def _add(self, kind: str, text: str, start: int) -> None:
        if kind == "symbol":
            if text in _OPEN:
                self.picks = self.complete or (bool(self.result.tokens) and self.result.tokens[-1].text == "|")
                self.brackets.append((text, start))
            elif text in ")]}":
                self._close(text, start)
            self.complete = text in _ENDS_OPERAND
        else:
            self.complete = True
        self.result.tokens.append(Token(kind, text, start))

    def _close(self, text: str, start: int) -> None:
        if not self.brackets:
            raise AssertionSyntaxError(f"`{text}` has no opening bracket", start + 1)
        opened, position = self.brackets.pop()
        if _OPEN[opened] != text:
            raise AssertionSyntaxError(
                f"`{text}` does not close the `{opened}` of column {position + 1}; `{_OPEN[opened]}` does", start + 1
            )

    def _literal(self, start: int) -> int:
        character = self.source[start]
        literal: Literal
        if character in "'\"":
            literal, end = read_text(self.source, start, self.holes)
            kind = "literal" if character == "'" else "quoted"
        elif character == "`":
            literal, end = read_backticks(self.source, start, self.holes)
            kind = "literal"
        elif self.source.startswith("${", start):
            literal, end = read_bare_hole(self.source, start, self.holes)
            kind = "index" if self._is_index(literal, end) else "literal"
        else:
            raise AssertionSyntaxError(_stray(self.source, start), start + 1)
        self.result.tokens.append(Token(kind, "", start, len(self.result.literals)))
        self.result.literals.append(literal)
        self.complete = True
        return end

    def _is_index(self, hole: Hole, end: int) -> bool:
        """Return whether a `${…}` that ends at `end` is an index: alone between the brackets of a list's element."""
        opened = bool(self.result.tokens) and self.result.tokens[-1].text == "["
        return opened and self.picks and not hole.unit and self.source[end:].lstrip().startswith("]")


def read_backticks(source: str, start: int, holes: list[str]) -> tuple[Literal, int]:
    """Read a JMESPath literal: JSON between backticks; a bare word counts as text, as the AWS CLI has it."""
    content, end = backtick_content(source, start)
    reader = ValueReader(content, 0, holes)
    before = len(holes)
    try:
        value = reader.read()
        reader.finish()
    except AssertionSyntaxError as problem:
        del holes[before:]
        text = content.strip()
        if not re.fullmatch(r"[A-Za-z_][\w .-]*", text):
            raise AssertionSyntaxError(problem.message, start + 1 + problem.column) from None
        return Constant(text, f"'{text}'"), end
    return value, end


def _stray(source: str, start: int) -> str:
    character = source[start]
    if character == "=":
        return "`=` is not an operator; equality is written `==`"
    if character == "~":
        return "`~` is not an operator; a regular expression is written `matches '…'`"
    if character == "-":
        return '`-` cannot be part of a path; quote a name that contains one: "x-y"'
    if character == "$":
        return "`$` cannot be part of a path; a path begins with a field of the document, without `$.`"
    return f"`{character}` cannot be part of a path"


def render(scan: Scan, holes: Holes = None) -> str:
    """Return the tokens as one canonical text."""
    pieces: list[str] = []
    braces: list[str] = []
    previous = ""
    for token in scan.tokens:
        text = _token_text(token, scan, holes)
        if token.kind == "symbol":
            if token.text in _OPEN:
                braces.append(token.text)
            elif token.text in ")]}":
                braces.pop()
        if token.text in _SPACED and token.kind == "symbol":
            pieces.append(f" {text} ")
        elif token.kind == "symbol" and (token.text == "," or (token.text == ":" and braces[-1:] == ["{"])):
            pieces.append(f"{text} ")
        elif token.kind != "symbol" and previous not in {"", "symbol"}:
            pieces.append(f" {text}")
        else:
            pieces.append(text)
        previous = token.kind
    return "".join(pieces)


def _token_text(token: Token, scan: Scan, filled: Holes) -> str:
    if token.literal < 0:
        return token.text
    literal = scan.literals[token.literal]
    if token.kind == "quoted":
        assert isinstance(literal, Constant | TextTemplate)
        return literal.render_double(filled)
    text = literal.render(filled)
    if token.kind == "index":
        return text
    if text.startswith("'") or (filled is None and text.startswith("${")):
        return text
    # A filled text is for display: unescaped, so that a secret in it is recognised and masked.
    return f"`{text}`" if filled is not None else "`" + text.replace("`", "\\`") + "`"
