"""Redacts the parts of a step's result; responses of AWS operations that return secrets are never shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from prodwatch.model.result import AssertionResult, AttemptResult, Exchange
from prodwatch.probes.base import Observation
from prodwatch.probes.mutation_rules import pascal
from prodwatch.runner.values.redaction import OutputRedactor, leaves
from prodwatch.text.redact import MASK, SECRET_OPERATIONS

_HIDDEN = "the response does not meet the expectation; responses of this operation are never shown"


def hides_response(type_: str, params: Mapping[str, Any]) -> bool:
    """Return whether the whole response to this request is a secret."""
    return type_ == "aws" and SECRET_OPERATIONS.fullmatch(pascal(str(params.get("operation", "")))) is not None


def learn_from(output: OutputRedactor, observation: Observation, *, secret: bool) -> None:
    """Make `output` mask every secret of this response; with `secret`, all of it."""
    document = observation.document
    output.learn(observation.secrets)
    output.learn_headers(document.get("headers"))
    if secret:
        output.learn(leaves({name: value for name, value in document.items() if name != "ResponseMetadata"}))


class StepRedactor:
    """Redacts the parts of one step's result."""

    __slots__ = ("_assertions", "_exchange", "_output", "_passes", "_secret")

    def __init__(
        self,
        output: OutputRedactor,
        *,
        secret: bool = False,
        exchange: Exchange | None = None,
        assertions: tuple[AssertionResult, ...] = (),
    ) -> None:
        """Prepare; with `secret` the whole response is masked."""
        self._output = output
        self._secret = secret
        self._exchange = exchange
        self._assertions = assertions
        # Nearly always nothing has to be masked, and one search through everything is cheaper than one per part.
        self._passes = not secret and output.passes(_parts(exchange, assertions))

    def message(self, message: str | None) -> str | None:
        """Return a message, redacted."""
        if message is None:
            return None
        return _HIDDEN if self._secret and self._output.masked(message) != message else self._output.text(message)

    def attempts(self, attempts: tuple[AttemptResult, ...]) -> tuple[AttemptResult, ...]:
        """Return the attempts, redacted."""
        if len(attempts) == 1 and attempts[0].message is None:
            return attempts
        return tuple(
            attempt if attempt.message is None else replace(attempt, message=self.message(attempt.message))
            for attempt in attempts
        )

    def assertions(self) -> tuple[AssertionResult, ...]:
        """Return the judged assertions, redacted."""
        if self._passes:
            return self._assertions
        return tuple([self._assertion(result) for result in self._assertions])

    def _assertion(self, result: AssertionResult) -> AssertionResult:
        output = self._output
        return AssertionResult(
            expression=output.text(result.expression),
            ok=result.ok,
            severity=result.severity,
            actual=MASK if self._secret else output.value(result.actual),
            expected=output.value(result.expected),
            diff=None if self._secret else output.maybe(result.diff),
            message=_HIDDEN if self._secret and result.message else output.maybe(result.message),
            facts=() if self._secret else tuple(map(output.text, result.facts)),
        )

    def exchange(self) -> Exchange | None:
        """Return the exchange, redacted."""
        if self._passes:
            return self._exchange
        exchange = self._output.exchange(self._exchange)
        return replace(exchange, response=MASK) if exchange is not None and self._secret else exchange


def _parts(exchange: Exchange | None, assertions: tuple[AssertionResult, ...]) -> list[Any]:
    parts: list[Any] = []
    if exchange is not None:
        parts += (exchange.request, exchange.response, exchange.curl, exchange.aws_cli)
    for result in assertions:
        parts += (result.expression, result.actual, result.expected, result.message, result.diff, list(result.facts))
    return parts
