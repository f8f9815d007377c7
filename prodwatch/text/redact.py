"""Masks secrets in text: also inside longer texts, base64 or URL encoded, and in headers known to hold them."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "•••"
MIN_LENGTH = 6
"""Shortest secret accepted: masking a shorter one would blank ordinary text and so reveal it."""

SECRET_HEADERS = frozenset(
    {
        "authorization",
        "cookie",
        "set-cookie",
        "proxy-authorization",
        "x-api-key",
        "api-key",
        "apikey",
        "x-amz-security-token",
        "x-auth-token",
        "x-csrf-token",
    }
)

SECRET_OPERATIONS = re.compile(r"GetSecretValue|BatchGetSecretValue|GetParameters?(ByPath)?|Get.*Token|AssumeRole.*")
"""AWS operations whose results are always masked."""

_ESCAPE = re.compile(r"%((?:25)*)([0-9A-F]{2})")
"""A percent escape, possibly escaped itself."""


def _base64_cores(secret: bytes) -> Iterable[str]:
    """Yield the part common to every base64 text that contains `secret`, for each of the three alignments.

    The first and last character of an encoded run also hold neighbouring bits, so they are left out.
    """
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + secret).decode()
        start = (offset * 8 + 5) // 6
        end = (offset + len(secret)) * 8 // 6
        core = encoded[start:end]
        if len(core) >= MIN_LENGTH:
            yield core
            yield core.replace("+", "-").replace("/", "_")


def _forms(secret: str) -> Iterable[str]:
    yield secret
    yield quote(secret, safe="")
    yield quote(secret)
    yield quote_plus(secret)
    yield quote(secret, safe="").replace("%", "%25")
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield json.dumps(json.dumps(secret))[3:-3]
    # PHP and others escape the slash in JSON.
    yield json.dumps(secret)[1:-1].replace("/", "\\/")
    # Error pages encode quotes by name or by number, in decimal or hex.
    yield html.escape(secret, quote=False)
    yield html.escape(secret)
    yield html.escape(secret).replace("&#x27;", "&#39;")
    yield html.escape(secret).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
    yield from _base64_cores(secret.encode())
    yield secret.encode().hex()
    yield secret.encode().hex().upper()


class Redactor:
    """Masks known secrets in texts and JSON-like values; secrets may be added at any time."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._needles: tuple[str, ...] = ()
        """Texts of which at least one occurs in every text that has something to mask."""
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Add secrets; ValueError for one under 6 characters."""
        for secret in secrets:
            if len(secret) < MIN_LENGTH:
                raise ValueError(f"a secret needs at least {MIN_LENGTH} characters to be masked safely")
            self._forms.update(form for form in _forms(secret) if len(form) >= MIN_LENGTH)
        if secrets:
            # Longest first, so that a shorter form does not leave the rest of a longer one unmasked.
            ordered = sorted(self._forms, key=len, reverse=True)
            # Percent escapes and hex occur in either case; letters of a secret itself are case-sensitive.
            self._pattern = re.compile("|".join(_either_case_escapes(form) for form in ordered))
            self._needles = _needles(ordered)

    @property
    def knows_secrets(self) -> bool:
        """Whether any secret is known."""
        return self._pattern is not None

    def text(self, text: str) -> str:
        """Return `text` with every form of every secret masked."""
        for needle in self._needles:
            if needle in text:
                return self._pattern.sub(MASK, text) if self._pattern else text
        return text

    def texts(self, texts: list[str]) -> list[str]:
        """Return `texts` masked as by `text`; nearly free when no secret occurs, which is the usual case."""
        whole = "\n".join(texts)
        occurring = [needle for needle in self._needles if needle in whole]
        return [self.text(item) for item in texts] if occurring else texts

    def value(self, value: Any) -> Any:
        """Return a JSON-like value with all its texts masked, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value


def _either_case_escapes(form: str) -> str:
    return _ESCAPE.sub(
        lambda match: f"%{match[1]}(?:{match[2]}|{match[2].lower()})" if match[2] != match[2].lower() else match[0],
        re.escape(form),
    )


def _needles(forms: Iterable[str]) -> tuple[str, ...]:
    """Return few texts of which every match of any form contains one: the longest part of each form without a choice.

    A plain search for them is many times faster than the pattern, which then only runs where one is found.
    """
    parts = {max(_ESCAPE.sub(_without_letters, form).split("\0"), key=len) for form in forms}
    few: list[str] = []
    for part in sorted(parts, key=len):
        if not any(shorter in part for shorter in few):
            few.append(part)
    return tuple(few)


def _without_letters(escape: re.Match[str]) -> str:
    return re.sub("[A-F]", "\0", escape[0])


def redact_headers(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return headers with the values of secret ones masked."""
    return [(name, MASK if name.lower() in SECRET_HEADERS else value) for name, value in pairs]
