"""Declaration of the path language's functions: parameters, checks of arguments, and their error messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from prodwatch.assertions.errors import PathError
from prodwatch.assertions.value_equality_and_order import MISSING, a_kind, kind


class EvaluationLike(Protocol):
    """State of an evaluation that a function may read."""

    now: datetime | None


Evaluator = Callable[[Any, Any], Any]
EXPRESSION = "expression"
_PLURAL = {"array": "arrays", "object": "objects", "number": "numbers", "string": "strings"}


class Function(msgspec.Struct, frozen=True):
    """One function: `implementation(*arguments)`, after its arguments were checked.

    A parameter is kinds joined by `|` (`string|array`), `any`, `expression`, or `array of number|string`
    (all elements of one of these kinds).
    """

    parameters: tuple[str, ...]
    implementation: Callable[..., Any]
    variadic: bool = False
    """The last parameter may repeat."""
    current: bool = False
    """The implementation takes the current value first."""
    clock: bool = False
    """The implementation takes the time of the evaluation first."""

    def takes_expression(self, position: int) -> bool:
        """Tell whether argument `position` is an expression (`&price`)."""
        return position < len(self.parameters) and self.parameters[position] == EXPRESSION

    def check_count(self, name: str, count: int) -> None:
        """PathError when `count` arguments are too few or too many."""
        expected = len(self.parameters)
        if count == expected or (self.variadic and count > expected):
            return
        least = "at least " if self.variadic else ""
        raise PathError(f"{name}() takes {least}{expected} argument{'' if expected == 1 else 's'}, not {count}")

    def bind(self, name: str, arguments: Sequence[Evaluator]) -> Evaluator:
        """Return the call as a function of the current value."""
        checks = [_check(self.parameters[min(n, len(self.parameters) - 1)], name) for n in range(len(arguments))]
        pairs = tuple(zip(arguments, checks, strict=True))
        implementation, current, clock = self.implementation, self.current, self.clock

        def call(value: Any, run: EvaluationLike) -> Any:
            checked = [check(evaluate(value, run)) for evaluate, check in pairs]
            if current:
                return implementation(value, *checked)
            return implementation(run.now, *checked) if clock else implementation(*checked)

        return call


def _check(parameter: str, name: str) -> Callable[[Any], Any]:
    if parameter in {"any", EXPRESSION}:
        return lambda value: value
    if parameter.startswith("array of "):
        return _element_check(parameter.removeprefix("array of "), name)
    kinds_taken = frozenset(parameter.split("|"))
    phrase = _either(
        [{"array": "an array", "object": "an object"}.get(name, f"a {name}") for name in parameter.split("|")]
    )

    def check(value: Any) -> Any:
        if kind(value) not in kinds_taken:
            raise PathError(f"{name}() takes {phrase}, and its argument is {a_kind(value)}", missing=value is MISSING)
        return value

    return check


def _element_check(kinds: str, name: str) -> Callable[[Any], Any]:
    kinds_taken = frozenset(kinds.split("|"))
    phrase = f"an array of {_either([_PLURAL.get(name, f'{name}s') for name in kinds.split('|')])}"

    def check(value: Any) -> Any:
        if kind(value) != "array":
            raise PathError(f"{name}() takes {phrase}, and its argument is {a_kind(value)}", missing=value is MISSING)
        element_kinds = {kind(element) for element in value}
        if len(element_kinds) > 1 or not element_kinds <= kinds_taken:
            raise PathError(
                f"{name}() takes {phrase}, and its argument contains {_either(sorted(element_kinds), 'and')}"
            )
        return value

    return check


def _either(words: Sequence[str], joiner: str = "or") -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {joiner} {words[-1]}"
