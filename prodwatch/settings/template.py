"""Templates: `${scope.path | filter('x')}` in texts is parsed once; filled values are never parsed again."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from prodwatch.model.status import Reason
from prodwatch.settings.template_filters import FILTERS, TemplateFilterError, as_text

SCOPES = (
    "env",
    "vars",
    "secret",
    "stack",
    "resource",
    "captured",
    "steps",
    "matrix",
    "each",
    "run",
    "uid",
    "now",
    "account",
    "region",
    "trace_id",
    "release",
)
"""All scopes of references."""

_NAME = re.compile(r"[\w-]+")
_SPACE = re.compile(r"\s*")
_TEXT = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", re.DOTALL)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class TemplateSyntaxError(ValueError):
    """The text contains an invalid `${`; `column` counts its characters from 1."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.column = column


class UnresolvedError(Exception):
    """A reference has no value here; the text is one sentence with the reason."""

    known_missing = True
    """False when the value could not be read, so that a default must not replace it."""
    reason = Reason.UNRESOLVED

    def __init__(self, reference: Reference, message: str) -> None:
        super().__init__(message)
        self.reference = reference
        self.message = message


class Filter(msgspec.Struct, frozen=True):
    """One filter with its arguments, as in `join('health')`."""

    name: str
    arguments: tuple[str | int | float, ...] = ()


class Reference(msgspec.Struct, frozen=True):
    """One `${…}`: the source of its value and its filters."""

    scope: str
    path: tuple[str, ...]
    """Names after the scope: `("shop", "ApiUrl")` of `${stack.shop.ApiUrl}`."""
    filters: tuple[Filter, ...] = ()
    source: str = ""
    """As written, including `${` and `}`."""
    column: int = 1
    """Position of its `$` in the text, counting from 1."""

    @property
    def dotted(self) -> str:
        """Scope and path as written: `stack.shop.ApiUrl`."""
        return ".".join((self.scope, *self.path))

    @property
    def has_default(self) -> bool:
        """Whether it has a `default` filter."""
        return any(each.name == "default" for each in self.filters)


class Template(msgspec.Struct, frozen=True):
    """A text split into literal parts and references; `$${` is `${` in literal parts."""

    parts: tuple[str | Reference, ...]

    @property
    def references(self) -> tuple[Reference, ...]:
        """Return the references, in order."""
        return tuple(part for part in self.parts if isinstance(part, Reference))

    @property
    def is_whole(self) -> bool:
        """Whether the whole text is one reference, whose value keeps its type."""
        return len(self.parts) == 1 and isinstance(self.parts[0], Reference)


@lru_cache(maxsize=4096)
def parse_template(text: str) -> Template:
    """Split `text` at its references. Raises TemplateSyntaxError for an invalid `${`."""
    parts: list[str | Reference] = []
    literal: list[str] = []
    at = 0
    while (start := text.find("${", at)) >= 0:
        if start > at and text[start - 1] == "$":
            literal.append(text[at : start - 1] + "${")
            at = start + 2
            continue
        literal.append(text[at:start])
        if before := "".join(literal):
            parts.append(before)
        literal = []
        reference, at = _Reader(text, start).reference()
        parts.append(reference)
    if rest := "".join((*literal, text[at:])):
        parts.append(rest)
    return Template(tuple(parts))


def has_references(text: str) -> bool:
    """Return whether a valid template contains a reference."""
    return bool(parse_template(text).references)


def literal(text: str) -> str:
    """Return a template whose value is exactly `text`."""
    return text.replace("${", "$${")


def resolve(value: Any, lookup: Callable[[Reference], Any]) -> Any:
    """Return `value` with every reference in it filled, including those in lists, tables and keys.

    A text that is one whole reference becomes the value itself, with its type; in longer texts values are converted to
    text. `lookup` returns the raw value of a reference or raises UnresolvedError; filters are applied here, and a
    failing filter raises UnresolvedError too. Raises TemplateSyntaxError for an invalid template.
    """
    if isinstance(value, str):
        return fill(parse_template(value), lookup) if "${" in value else value
    if isinstance(value, dict):
        return {as_text(resolve(key, lookup)): resolve(each, lookup) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(each, lookup) for each in value]
    return value


def fill(template: Template, lookup: Callable[[Reference], Any]) -> Any:
    """Return the value of a parsed template, as `resolve` does for a text."""
    if template.is_whole:
        return value_of(template.references[0], lookup)
    return "".join(part if isinstance(part, str) else _text_of(part, lookup) for part in template.parts)


def value_of(reference: Reference, lookup: Callable[[Reference], Any]) -> Any:
    """Return the value of one reference after its filters. Raises UnresolvedError."""
    value: Any = None
    missing: UnresolvedError | None = None
    try:
        value = lookup(reference)
    except UnresolvedError as error:
        missing = error
    for each in reference.filters:
        if each.name == "default" and (missing is None or missing.known_missing):
            if missing is not None or value is None or value == "":
                value, missing = each.arguments[0], None
        elif missing is None:
            try:
                value = FILTERS[each.name].apply(value, *each.arguments)
            except TemplateFilterError as error:
                missing = UnresolvedError(reference, f"{reference.source}: filter {each.name}: {error}")
                if each.name != "path":
                    raise missing from error
    if missing is not None:
        raise missing
    return value


def _text_of(reference: Reference, lookup: Callable[[Reference], Any]) -> str:
    try:
        return as_text(value_of(reference, lookup))
    except TemplateFilterError as error:
        raise UnresolvedError(reference, f"{reference.source}: {error}") from error


class _Reader:
    """Reads one reference that starts at `start`."""

    def __init__(self, text: str, start: int) -> None:
        self.text = text
        self.start = start
        self.at = start + 2

    def reference(self) -> tuple[Reference, int]:
        """Return the reference and the offset after its `}`."""
        names = self._names()
        filters = []
        while self._take("|"):
            filters.append(self._filter())
        if not self._take("}"):
            raise self._error(self._syntax_problem())
        source = self.text[self.start : self.at]
        return Reference(names[0], tuple(names[1:]), tuple(filters), source, self.start + 1), self.at

    def _names(self) -> list[str]:
        names = [self._name("a name such as vars.api")]
        while self.text.startswith(".", self.at):
            self.at += 1
            names.append(self._name("a name after the dot"))
        return names

    def _name(self, noun: str) -> str:
        self._skip()
        match = _NAME.match(self.text, self.at)
        if not match:
            raise self._error(f"{noun} is missing" if self.at < len(self.text) else "the closing } is missing")
        self.at = match.end()
        return match[0]

    def _filter(self) -> Filter:
        self._skip()
        column = self.at + 1
        name = self._name("the name of a filter")
        known = FILTERS.get(name)
        if known is None:
            from prodwatch.settings.suggestions import did_you_mean

            raise TemplateSyntaxError(f'unknown filter "{name}"{did_you_mean(name, FILTERS)}', column)
        arguments = self._arguments() if self._take("(") else ()
        try:
            known.check(*arguments)
        except TemplateFilterError as error:
            raise TemplateSyntaxError(f"filter {name}: {error}", column) from error
        return Filter(name, arguments)

    def _arguments(self) -> tuple[str | int | float, ...]:
        arguments: list[str | int | float] = []
        if self._take(")"):
            return ()
        while True:
            arguments.append(self._argument())
            if self._take(")"):
                return tuple(arguments)
            if not self._take(","):
                raise self._error("the closing ) of the filter is missing")

    def _argument(self) -> str | int | float:
        self._skip()
        if match := _TEXT.match(self.text, self.at):
            text = match[1] if match[1] is not None else match[2]
            if "${" in text:
                raise self._error("an argument cannot contain a reference; write one after the other: ${…}/${…}")
            self.at = match.end()
            return _ESCAPED.sub(r"\1", text)
        if match := _NUMBER.match(self.text, self.at):
            self.at = match.end()
            return float(match[0]) if "." in match[0] else int(match[0])
        raise self._error("an argument must be a text in single quotes or a number")

    def _take(self, character: str) -> bool:
        self._skip()
        matches = self.text.startswith(character, self.at)
        self.at += matches
        return matches

    def _skip(self) -> None:
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def _syntax_problem(self) -> str:
        if self.at >= len(self.text):
            return "the closing } is missing"
        if self.text[self.at] in "[(":
            return "a path consists of dotted names; use .0 for an element, or the filters path and parse_json"
        return (
            f'"{self.text[self.at]}" is not expected here; write ${{scope.name | filter}}, and $${{ for a literal ${{'
        )

    def _error(self, message: str) -> TemplateSyntaxError:
        return TemplateSyntaxError(message, self.at + 1)
