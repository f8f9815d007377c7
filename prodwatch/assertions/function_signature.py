"""How a function of the path language is declared: what it takes, and how a wrong argument is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from prodwatch.assertions.comparison import a_kind, kind
from prodwatch.assertions.errors import PathError
from prodwatch.assertions.missing_value import MISSING


class EvaluationLike(Protocol):
    """What a function may know besides its arguments."""

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
        wanted = len(self.parameters)
        if count == wanted or (self.variadic and count > wanted):
            return
        least = "at least " if self.variadic else ""
        raise PathError(f"{name}() takes {least}{wanted} argument{'' if wanted == 1 else 's'}, not {count}")

    def bind(self, name: str, arguments: Sequence[Evaluator]) -> Evaluator:
        """Return the call as a function of the current value."""
        checks = [_check(self.parameters[min(n, len(self.parameters) - 1)], name) for n in range(len(arguments))]
        pairs = tuple(zip(arguments, checks, strict=True))
        implementation, current, clock = self.implementation, self.current, self.clock

        def call(value: Any, run: EvaluationLike) -> Any:
            given = [check(evaluate(value, run)) for evaluate, check in pairs]
            if current:
                return implementation(value, *given)
            return implementation(run.now, *given) if clock else implementation(*given)

        return call


def _check(parameter: str, name: str) -> Callable[[Any], Any]:
    if parameter in {"any", EXPRESSION}:
        return lambda value: value
    if parameter.startswith("array of "):
        return _element_check(parameter.removeprefix("array of "), name)
    wanted = frozenset(parameter.split("|"))
    phrase = _either(
        [{"array": "an array", "object": "an object"}.get(each, f"a {each}") for each in parameter.split("|")]
    )

    def check(value: Any) -> Any:
        if kind(value) not in wanted:
            raise PathError(f"{name}() takes {phrase}, and its argument is {a_kind(value)}", missing=value is MISSING)
        return value

    return check


def _element_check(kinds: str, name: str) -> Callable[[Any], Any]:
    wanted = frozenset(kinds.split("|"))
    phrase = f"an array of {_either([_PLURAL.get(each, f'{each}s') for each in kinds.split('|')])}"

    def check(value: Any) -> Any:
        if kind(value) != "array":
            raise PathError(f"{name}() takes {phrase}, and its argument is {a_kind(value)}", missing=value is MISSING)
        found = {kind(each) for each in value}
        if len(found) > 1 or not found <= wanted:
            raise PathError(f"{name}() takes {phrase}, and its argument holds {_either(sorted(found), 'and')}")
        return value

    return check


def _either(words: Sequence[str], joiner: str = "or") -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {joiner} {words[-1]}"
