"""Redaction of everything that leaves a run: secrets masked, control characters visible, size bounded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from prodwatch.model.check import CheckDefinition
from prodwatch.model.event import CheckFinished, RunEvent
from prodwatch.model.quantity import Duration, Headers
from prodwatch.model.result import CheckResult, Correlation, Exchange
from prodwatch.text.redact import MASK, MIN_LENGTH, SECRET_HEADERS, Redactor, redact_headers
from prodwatch.text.sanitize import sanitize

MAX_ITEMS = 200
"""Elements kept of one list or table; the rest is counted."""
MAX_TEXT = 10_000
MAX_DEPTH = 40

_TEXT = frozenset({str})
_HARMLESS = frozenset({type(None), bool, int})


class OutputRedactor:
    """Redacts the output of one execution; knows the run's secrets and those this execution met."""

    __slots__ = ("_captured", "_own", "_run")

    def __init__(self, redactor: Redactor, captured: set[str] | None = None) -> None:
        """`captured` collects the secrets of all executions of a run."""
        self._run = redactor
        self._own: Redactor | None = None
        self._captured = captured

    def learn_captured(self, secrets: Sequence[str]) -> None:
        """Mask these texts from now on, and in the results of other checks when the run's document is written."""
        self.learn(secrets)
        if self._captured is not None:
            self._captured.update(secret for secret in secrets if len(secret) >= MIN_LENGTH)

    def finished(self, result: CheckResult) -> CheckResult:
        """Return a result with all that is known by now masked: a later step may capture what an earlier one showed."""
        return result if self._own is None else masked_struct(result, self._own)

    def learn(self, secrets: Iterable[str]) -> None:
        """Mask these texts too from now on; texts too short to be masked safely are ignored."""
        maskable = [secret for secret in secrets if len(secret) >= MIN_LENGTH]
        if maskable:
            if self._own is None:
                self._own = Redactor()
            self._own.add(*maskable)

    def learn_headers(self, headers: Any) -> None:
        """Mask the values of headers that carry secrets, wherever they occur later."""
        if isinstance(headers, Headers):
            values = [value for name, value in headers.pairs if name.lower() in SECRET_HEADERS]
            if values:
                self.learn(part for value in values for part in _header_secrets(value))

    def masked(self, text: str) -> str:
        """Return `text` with every known secret masked, nothing else changed."""
        # Masked before it is cut or made visible: half a secret would match no longer.
        text = self._run.text(text)
        return text if self._own is None else self._own.text(text)

    def holds_secret(self, value: Any) -> bool:
        """Return whether a JSON-like value contains a known secret anywhere, keys included."""
        if isinstance(value, Mapping):
            return any(self.holds_secret(str(key)) or self.holds_secret(item) for key, item in value.items())
        if isinstance(value, list | tuple):
            return any(map(self.holds_secret, value))
        return isinstance(value, str) and self.masked(value) != value

    def text(self, text: str) -> str:
        """Return `text`, redacted."""
        if self._own is not None or self._run.knows_secrets:
            text = self.masked(text)
        # Nearly every text is short and printable, and this runs dozens of times per check.
        if len(text) <= MAX_TEXT and text.isprintable():
            return text
        return sanitize(text, limit=MAX_TEXT)

    def maybe(self, text: str | None) -> str | None:
        """Return `text`, redacted; None stays None."""
        return None if text is None else self.text(text)

    def value(self, value: Any, depth: int = 0) -> Any:
        """Return a JSON value, redacted; durations and times become text, decimals stay exact."""
        kind = type(value)
        if kind is str:
            return self.text(value)
        if kind in _HARMLESS:
            return value
        if depth >= MAX_DEPTH:
            return "…"
        if isinstance(value, Mapping):
            return self._table(value, depth)
        if isinstance(value, list | tuple | set | frozenset):
            items = [self.value(item, depth + 1) for item in list(value)[:MAX_ITEMS]]
            if len(value) > MAX_ITEMS:
                items.append(f"… (+{len(value) - MAX_ITEMS} elements)")
            return items
        return self._scalar(value)

    def _table(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        if isinstance(value, Headers):
            value = dict(redact_headers(value.items()))
        redacted: dict[str, Any] = {}
        text = self.text
        for key, item in value.items():
            if len(redacted) >= MAX_ITEMS:
                redacted["…"] = f"+{len(value) - MAX_ITEMS} keys"
                break
            redacted[text(str(key))] = text(item) if type(item) is str else self.value(item, depth + 1)
        return redacted

    def _scalar(self, value: Any) -> Any:
        if isinstance(value, float | Decimal):
            finite = value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)
            return value if finite else str(value)
        if isinstance(value, int):
            return value
        if isinstance(value, Duration):
            return str(value)
        if isinstance(value, datetime | date | time):
            return value.isoformat().replace("+00:00", "Z")
        if isinstance(value, bytes | bytearray):
            return self.text(bytes(value).decode("utf-8", "replace"))
        return self.text(str(value))

    def passes(self, value: Any) -> bool:
        """Return True when a JSON value needs no redaction; False means that it may need some. Fast."""
        texts: list[Any] = []
        if not _collect_texts(value, texts):
            return False
        if not {*map(type, texts)} <= _TEXT:
            return False
        # All of them at once: a secret that is in none of them is not in the whole either.
        whole = "\n".join(texts)
        if (self._own is not None or self._run.knows_secrets) and self.masked(whole) != whole:
            return False
        if len(whole) <= MAX_TEXT and whole.replace("\n", "").isprintable():
            return True
        return all(len(text) <= MAX_TEXT and sanitize(text, limit=MAX_TEXT) == text for text in texts)

    def exchange(self, exchange: Exchange | None) -> Exchange | None:
        """Return the exchange, redacted."""
        if exchange is None:
            return None
        return Exchange(
            request=self.value(exchange.request),
            response=self.value(exchange.response),
            phases_ms=exchange.phases_ms,
            curl=self.maybe(exchange.curl),
            aws_cli=self.maybe(exchange.aws_cli),
            truncated=exchange.truncated,
        )

    def correlation(self, correlation: Correlation) -> Correlation:
        """Return ids and links, redacted."""
        if not correlation.request_ids and not correlation.links:
            return correlation
        return msgspec.structs.replace(
            correlation,
            request_ids=tuple(map(self.text, correlation.request_ids)),
            links=self.links(correlation.links),
        )

    def links(self, links: Mapping[str, str]) -> dict[str, str]:
        """Return titles and URLs, redacted."""
        return {self.text(title): self.text(url) for title, url in links.items()}


class WithheldResults:
    """Listener that withholds finished checks while a check runs that captures a secret: they may hold it already."""

    def __init__(
        self, listener: Callable[[RunEvent], None], selected: Iterable[CheckDefinition], captured: set[str]
    ) -> None:
        """Prepare; `captured` are the secrets that were captured so far."""
        self._listener = listener
        self._captured = captured
        self._capturing = {check.id for check in selected if _captures_secret(check)}
        self._withheld: list[CheckFinished] = []

    def __call__(self, event: RunEvent) -> None:
        """Pass the event on, now or when no secret can be captured any more."""
        if not isinstance(event, CheckFinished):
            self._listener(event)
            return
        self._capturing.discard(event.result.id)
        self._withheld.append(event)
        if not self._capturing:
            self.release()

    def release(self) -> None:
        """Pass all withheld checks on, with every captured secret masked."""
        redactor = Redactor(self._captured) if self._captured else None
        for event in self._withheld:
            self._listener(CheckFinished(result=masked_struct(event.result, redactor)) if redactor else event)
        self._withheld.clear()


def _captures_secret(check: CheckDefinition) -> bool:
    return any(each.secret for step in (*check.steps, *check.cleanup) for each in step.capture.values())


_Struct = TypeVar("_Struct", bound=msgspec.Struct)


def masked_struct(value: _Struct, redactor: Redactor) -> _Struct:
    """Return a struct with every text in it masked, at any depth; the same object when nothing was."""
    changed = {}
    for name in value.__struct_fields__:
        before = getattr(value, name)
        after = _masked(before, redactor)
        if after is not before:
            changed[name] = after
    return msgspec.structs.replace(value, **changed) if changed else value


def _masked(value: Any, redactor: Redactor) -> Any:
    if type(value) is str:
        masked = redactor.text(value)
        return value if masked == value else masked
    if isinstance(value, msgspec.Struct):
        return masked_struct(value, redactor)
    if isinstance(value, Mapping):
        table = {_masked(key, redactor): _masked(item, redactor) for key, item in value.items()}
        return table if any(old is not new for old, new in zip(_flat(value), _flat(table), strict=False)) else value
    if isinstance(value, list | tuple):
        items = [_masked(item, redactor) for item in value]
        same = all(old is new for old, new in zip(value, items, strict=True))
        return value if same else type(value)(items)
    return value


def _flat(table: Mapping[Any, Any]) -> Iterable[Any]:
    return (part for item in table.items() for part in item)


def _collect_texts(value: Any, texts: list[Any]) -> bool:
    """Append every text in a JSON value, keys included; False when it is large or not pure JSON."""
    kind = type(value)
    if kind is dict:
        texts += value
        value = value.values()
    elif kind is not list:
        return False
    if len(value) > MAX_ITEMS:
        return False
    for item in value:
        kind = type(item)
        if kind is str:
            texts.append(item)
        elif kind not in _HARMLESS and not _collect_texts(item, texts):
            return False
    return True


def _header_secrets(value: str) -> Iterable[str]:
    """Yield a header's value and the secret in it: `Bearer x` holds `x`, `name=x; Path=/` too."""
    yield value
    first = value.partition(";")[0].strip()
    name, equals, content = first.partition("=")
    if equals and " " not in name:
        yield content.strip('"')
    elif " " in first:
        yield first.rsplit(" ", 1)[1]


def leaves(value: Any) -> Iterable[str]:
    """Yield every text inside a JSON-like value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)


__all__ = ["MASK", "OutputRedactor", "leaves"]
