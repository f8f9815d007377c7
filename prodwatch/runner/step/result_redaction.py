"""Makes a step's parts fit to leave: what AWS hands out as a secret is not shown even where it is short."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from prodwatch.model.result import AssertionResult, AttemptResult, Exchange
from prodwatch.probes.base import Observation
from prodwatch.probes.mutation_rules import pascal
from prodwatch.runner.values.redaction import OutputRedactor, leaves
from prodwatch.text.redact import MASK, SECRET_OPERATIONS

_HIDDEN = "the answer is not what was expected; answers of this operation are never shown"


def hides_answer(type_: str, params: Mapping[str, Any]) -> bool:
    """Return whether the answer of this request is a secret as a whole."""
    return type_ == "aws" and SECRET_OPERATIONS.fullmatch(pascal(str(params.get("operation", "")))) is not None


def learn_from(out: OutputRedactor, observation: Observation, *, secret: bool) -> None:
    """Let `out` mask what this answer holds that must not be shown."""
    document = observation.document
    out.learn(observation.secrets)
    out.learn_headers(document.get("headers"))
    out.learn(observation.secrets)
    if secret:
        out.learn(leaves({name: value for name, value in document.items() if name != "ResponseMetadata"}))


class StepRedactor:
    """Cleans one step's parts."""

    __slots__ = ("_assertions", "_exchange", "_out", "_passes", "_secret")

    def __init__(
        self,
        out: OutputRedactor,
        *,
        secret: bool = False,
        exchange: Exchange | None = None,
        assertions: tuple[AssertionResult, ...] = (),
    ) -> None:
        """Prepare; with `secret` the whole answer is one."""
        self._out = out
        self._secret = secret
        self._exchange = exchange
        self._assertions = assertions
        # Nearly always all of it may leave as it is, and one look at everything is cheaper than one at each.
        self._passes = not secret and out.passes(_parts(exchange, assertions))

    def message(self, message: str | None) -> str | None:
        """Return a sentence fit to leave."""
        if message is None:
            return None
        return _HIDDEN if self._secret and self._out.masked(message) != message else self._out.text(message)

    def attempts(self, attempts: tuple[AttemptResult, ...]) -> tuple[AttemptResult, ...]:
        """Return attempts fit to leave."""
        if len(attempts) == 1 and attempts[0].message is None:
            return attempts
        return tuple(
            each if each.message is None else replace(each, message=self.message(each.message)) for each in attempts
        )

    def assertions(self) -> tuple[AssertionResult, ...]:
        """Return the judged assertions fit to leave."""
        if self._passes:
            return self._assertions
        return tuple([self._assertion(each) for each in self._assertions])

    def _assertion(self, result: AssertionResult) -> AssertionResult:
        out = self._out
        return AssertionResult(
            expression=out.text(result.expression),
            ok=result.ok,
            severity=result.severity,
            actual=MASK if self._secret else out.value(result.actual),
            expected=out.value(result.expected),
            diff=None if self._secret else out.maybe(result.diff),
            message=_HIDDEN if self._secret and result.message else out.maybe(result.message),
        )

    def exchange(self) -> Exchange | None:
        """Return the exchange fit to leave."""
        if self._passes:
            return self._exchange
        cleaned = self._out.exchange(self._exchange)
        return replace(cleaned, response=MASK) if cleaned is not None and self._secret else cleaned


def _parts(exchange: Exchange | None, assertions: tuple[AssertionResult, ...]) -> list[Any]:
    parts: list[Any] = []
    if exchange is not None:
        parts += (exchange.request, exchange.response, exchange.curl, exchange.aws_cli)
    for each in assertions:
        parts += (each.expression, each.actual, each.expected, each.message, each.diff)
    return parts
