"""Masks secrets in text: also inside longer texts, in every notation that decodes to them, and in secret headers."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

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

_ALNUM_ESCAPE = re.compile(
    r"""\\(?:u00|x|U000000)(?:3[0-9]|[46][1-9a-fA-F]|[57][0-9aA])
    |%(?:25)*(?:3[0-9]|[46][1-9a-fA-F]|[57][0-9aA])
    |&(?:amp;)*\#(?:[xX]0*(?:3[0-9]|[46][1-9a-fA-F]|[57][0-9aA])|0*(?:4[89]|5[0-7]|6[5-9]|[78][0-9]|9[0-79]|1[01][0-9]|12[0-2]));
    """,
    re.VERBOSE,
)
"""An escaped ASCII letter or digit, which no encoder needs and a decoder accepts."""
_ENTITIES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
_CONTROLS = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}
_SEVERAL = re.compile(f"(?:{MASK}){{2,}}")
_RUNS = re.compile(r"\\+|.", re.DOTALL)
_WORD = re.compile(r"[A-Za-z0-9]+")
_MIN_WORD = 4
"""Shortest run of letters and digits by which texts are searched for a secret."""
_CHUNK = 64
"""Characters of a long secret that are recognised on their own, so that a part of it is masked, too."""


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


def _character(character: str) -> str:
    """Return a pattern of one character in every notation: as it is, or escaped once or several times.

    Notations: backslash escapes of JSON and programming languages, percent-encoding, HTML entities. A backslash is
    returned in its other notations only.
    """
    code = ord(character)
    units = character.encode("utf-16-be")
    octets = character.encode("utf-8", "surrogatepass")
    either = [
        "".join(rf"\\{{1,15}}u(?i:{units[at : at + 2].hex()})" for at in range(0, len(units), 2)),
        "".join(rf"\\{{1,15}}x(?i:{octet:02x})" for octet in octets),
        "".join(rf"%(?:25){{0,4}}(?i:{octet:02x})" for octet in octets),
        rf"&(?:amp;){{0,4}}(?:\#0{{0,4}}{code}|\#[xX]0{{0,4}}(?i:{code:x})",
    ]
    either[-1] += f"|{_ENTITIES[character]});" if character in _ENTITIES else ");"
    if 0x7F < code <= 0xFF:
        either.append(rf"\\{{1,15}}x(?i:{code:02x})")
    if code > 0x7F:
        either.append(rf"\\{{1,15}}U(?i:{code:08x})")
    if character.isascii() and character.isalnum():
        either.append(character)
    elif character != "\\":
        either.append(rf"\\{{0,15}}{re.escape(character)}")
    if character in _CONTROLS:
        either.append(rf"\\{{1,15}}{_CONTROLS[character]}")
    if character == " ":
        either.append(r"\+")
    return f"(?:{'|'.join(either)})"


@lru_cache(maxsize=1024)
def _written(part: str) -> re.Pattern[str]:
    """Return a pattern of a text in every notation, also mixed."""
    return re.compile("".join(map(_run, _RUNS.findall(part))))


def _run(text: str) -> str:
    """Return a pattern of one character, or of several backslashes.

    Each notation doubles backslashes, and a pattern of each one of several would take polynomial time.
    """
    if text[0] != "\\":
        return _character(text)
    return rf"(?:\\{{1,{15 * len(text)}}}|{_character(text[0])}{{1,{len(text)}}})"


class _Part(NamedTuple):
    """A secret, or one part of a long one."""

    text: str
    needle: str
    """Longest run of letters and digits; empty when there is no long one."""


def _parts(secret: str) -> Iterable[_Part]:
    if len(secret) < 2 * _CHUNK:
        chunks = [secret]
    else:
        *starts, last = range(0, len(secret) - _CHUNK + 1, _CHUNK)
        chunks = [*(secret[at : at + _CHUNK] for at in starts), secret[last:]]
    for chunk in chunks:
        word = max(_WORD.findall(chunk), key=len, default="")
        yield _Part(chunk, word if len(word) >= _MIN_WORD else "")


class Redactor:
    """Masks known secrets in texts and JSON-like values; secrets may be added at any time.

    A secret is recognised in every notation that decodes to it: escaped in JSON, repr, URLs and HTML, each also
    several times, and in hex and base64.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._parts: list[_Part] = []
        """Longest first, so that a shorter secret does not leave the rest of a longer one unmasked."""
        self._codes: tuple[str, ...] = ()
        """Secrets in base64 and hex, longest first."""
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Add secrets; ValueError for one under 6 characters."""
        for secret in secrets:
            if len(secret) < MIN_LENGTH:
                raise ValueError(f"a secret needs at least {MIN_LENGTH} characters to be masked safely")
        new = {each for secret in secrets for each in (secret, secret.strip()) if len(each) >= MIN_LENGTH}
        new -= self._secrets
        if not new:
            return
        self._secrets |= new
        parts = {*self._parts, *(part for secret in new for part in _parts(secret))}
        self._parts = sorted(parts, key=lambda part: (-len(part.text), part.text))
        codes = {*self._codes, *(code for secret in new for code in _codes(secret))}
        self._codes = tuple(sorted(codes, key=lambda code: (-len(code), code)))

    @property
    def knows_secrets(self) -> bool:
        """Whether any secret is known."""
        return bool(self._parts)

    @property
    def secrets(self) -> frozenset[str]:
        """The known secrets."""
        return frozenset(self._secrets)

    def text(self, text: str) -> str:
        """Return `text` with every notation of every secret masked."""
        escaped = _has_escaped_words(text)
        for part in self._parts:
            if escaped or part.needle in text:
                text = _written(part.text).sub(MASK, text)
        for code in self._codes:
            if code in text:
                text = text.replace(code, MASK)
        return _SEVERAL.sub(MASK, text) if MASK + MASK in text else text

    def _may_hold(self, text: str) -> bool:
        return (
            _has_escaped_words(text)
            or any(part.needle in text for part in self._parts)
            or any(code in text for code in self._codes)
        )

    def texts(self, texts: list[str]) -> list[str]:
        """Return `texts` masked as by `text`; nearly free when no secret occurs, which is the usual case."""
        return [self.text(item) for item in texts] if self._parts and self._may_hold("\n".join(texts)) else texts

    def value(self, value: Any) -> Any:
        """Return a JSON-like value with all its texts masked, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value


def _has_escaped_words(text: str) -> bool:
    return ("%" in text or "\\" in text or "&" in text) and _ALNUM_ESCAPE.search(text) is not None


def _codes(secret: str) -> Iterable[str]:
    octets = secret.encode("utf-8", "surrogatepass")
    yield from _base64_cores(octets)
    yield octets.hex()
    yield octets.hex().upper()


def redact_headers(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return headers with the values of secret ones masked."""
    return [(name, MASK if name.lower() in SECRET_HEADERS else value) for name, value in pairs]
