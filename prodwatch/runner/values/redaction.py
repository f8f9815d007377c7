"""The one door through which anything leaves a run: secrets masked, control characters visible, size bounded."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import msgspec

from prodwatch.model.quantity import Duration, Headers
from prodwatch.model.result import Correlation, Exchange
from prodwatch.text.redact import MASK, MIN_LENGTH, SECRET_HEADERS, Redactor, redact_headers
from prodwatch.text.sanitize import sanitize

MAX_ITEMS = 200
"""Elements of one list or table that leave; the rest is counted."""
MAX_TEXT = 10_000
MAX_DEPTH = 40

_TEXT = frozenset({str})
_HARMLESS = frozenset({type(None), bool, int})


class OutputRedactor:
    """Cleans what one execution lets out; knows the run's secrets and those this execution came across."""

    __slots__ = ("_own", "_run")

    def __init__(self, redactor: Redactor) -> None:
        self._run = redactor
        self._own: Redactor | None = None

    def learn(self, secrets: Iterable[str]) -> None:
        """Mask these too from now on; texts too short to be masked safely are left out."""
        known = [secret for secret in secrets if len(secret) >= MIN_LENGTH]
        if known:
            if self._own is None:
                self._own = Redactor()
            self._own.add(*known)

    def learn_headers(self, headers: Any) -> None:
        """Mask the values of headers that carry secrets, wherever they turn up later."""
        if isinstance(headers, Headers):
            found = [value for name, value in headers.pairs if name.lower() in SECRET_HEADERS]
            if found:
                self.learn(part for value in found for part in _header_secrets(value))

    def masked(self, text: str) -> str:
        """Return `text` with every known secret masked, nothing else changed."""
        # Masked before it is cut or made visible: half a secret would match no longer.
        text = self._run.text(text)
        return text if self._own is None else self._own.text(text)

    def holds_secret(self, value: Any) -> bool:
        """Return whether a known secret stands anywhere in a JSON-like value, keys included."""
        if isinstance(value, Mapping):
            return any(self.holds_secret(str(key)) or self.holds_secret(each) for key, each in value.items())
        if isinstance(value, list | tuple):
            return any(map(self.holds_secret, value))
        return isinstance(value, str) and self.masked(value) != value

    def text(self, text: str) -> str:
        """Return `text` fit to leave."""
        if self._own is not None or self._run.knows_secrets:
            text = self.masked(text)
        # Nearly every text is short and harmless, and this runs dozens of times per check.
        if len(text) <= MAX_TEXT and text.isprintable():
            return text
        return sanitize(text, limit=MAX_TEXT)

    def maybe(self, text: str | None) -> str | None:
        """Return `text` fit to leave; None stays None."""
        return None if text is None else self.text(text)

    def value(self, value: Any, depth: int = 0) -> Any:
        """Return a JSON value fit to leave; durations and times become text, decimals stay exact."""
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
            items = [self.value(each, depth + 1) for each in list(value)[:MAX_ITEMS]]
            if len(value) > MAX_ITEMS:
                items.append(f"… (+{len(value) - MAX_ITEMS} elements)")
            return items
        return self._scalar(value)

    def _table(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        if isinstance(value, Headers):
            value = dict(redact_headers(value.items()))
        cleaned: dict[str, Any] = {}
        text = self.text
        for key, each in value.items():
            if len(cleaned) >= MAX_ITEMS:
                cleaned["…"] = f"+{len(value) - MAX_ITEMS} keys"
                break
            cleaned[text(str(key))] = text(each) if type(each) is str else self.value(each, depth + 1)
        return cleaned

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
        """Tell quickly whether a JSON value may leave as it is; False only means that somebody has to look closer."""
        texts: list[Any] = []
        if not _collect_texts(value, texts):
            return False
        if not {*map(type, texts)} <= _TEXT:
            return False
        # All of them at once: what is in none of them is not in the whole either.
        whole = "\n".join(texts)
        if (self._own is not None or self._run.knows_secrets) and self.masked(whole) != whole:
            return False
        if len(whole) <= MAX_TEXT and whole.replace("\n", "").isprintable():
            return True
        return all(len(text) <= MAX_TEXT and sanitize(text, limit=MAX_TEXT) == text for text in texts)

    def exchange(self, exchange: Exchange | None) -> Exchange | None:
        """Return the exchange fit to leave."""
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
        """Return ids and links fit to leave."""
        if not correlation.request_ids and not correlation.links:
            return correlation
        return msgspec.structs.replace(
            correlation,
            request_ids=tuple(map(self.text, correlation.request_ids)),
            links=self.links(correlation.links),
        )

    def links(self, links: Mapping[str, str]) -> dict[str, str]:
        """Return titles and URLs fit to leave."""
        return {self.text(title): self.text(url) for title, url in links.items()}


def _collect_texts(value: Any, texts: list[Any]) -> bool:
    """Append every text in a JSON value, keys included; False when it is large or not JSON alone."""
    kind = type(value)
    if kind is dict:
        texts += value
        value = value.values()
    elif kind is not list:
        return False
    if len(value) > MAX_ITEMS:
        return False
    for each in value:
        kind = type(each)
        if kind is str:
            texts.append(each)
        elif kind not in _HARMLESS and not _collect_texts(each, texts):
            return False
    return True


def _header_secrets(value: str) -> Iterable[str]:
    """Yield a header's value and the secret in it: `Bearer x` holds `x`, `name=x; Path=/` too."""
    yield value
    first = value.partition(";")[0].strip()
    name, found, content = first.partition("=")
    if found and " " not in name:
        yield content.strip('"')
    elif " " in first:
        yield first.rsplit(" ", 1)[1]


def leaves(value: Any) -> Iterable[str]:
    """Yield every text inside a JSON-like value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from leaves(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from leaves(each)


__all__ = ["MASK", "OutputRedactor", "leaves"]
