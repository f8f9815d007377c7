"""Parses a URL only as far as needed to send it, so that it is sent as written."""

from __future__ import annotations

import ipaddress
import re
from base64 import b64encode
from functools import lru_cache
from urllib.parse import quote, unquote

import msgspec

from prodwatch.errors import UnusableError
from prodwatch.probes.name_resolution import endpoint
from prodwatch.text.redact import MASK

_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?:(?P<userinfo>[^/?#]*)@)?"
    r"(?:\[(?P<v6>[^\]/?#@]*)\]|(?P<host>[^/?#@:\[\]]*))"
    r"(?::(?P<port>\d*))?"
    r"(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?P<fragment>\#.*)?",
    re.IGNORECASE,
)
_UNSENDABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_PRINTABLE_ASCII = "".join(map(chr, range(0x21, 0x7F)))
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Url(msgspec.Struct, frozen=True):
    """One http or https URL, all of it printable ASCII."""

    text: str
    """As written, with characters that HTTP does not allow percent-encoded."""
    scheme: str
    host: str
    """Host in lower case, an IPv6 address without its brackets."""
    port: int
    target: str
    """Path and query for the request line; never empty."""
    userinfo: str | None
    """`user:password` as written; None without."""

    @property
    def tls(self) -> bool:
        """Whether the scheme is https."""
        return self.scheme == "https"

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port, to which secrets are bound."""
        return self.scheme, self.host, self.port

    @property
    def endpoint(self) -> str:
        """Name of the target in messages: `host:port`."""
        return endpoint(self.host, self.port)

    @property
    def host_header(self) -> str:
        """The `Host` header: with the port only when it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host.rstrip(".")
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def bare(self) -> str:
        """The URL without user, password and fragment."""
        return f"{self.scheme}://{self.host_header}{self.target}"

    @property
    def shown(self) -> str:
        """As written, with a password in it masked."""
        if self.userinfo is None or ":" not in self.userinfo:
            return self.text
        user = self.userinfo.partition(":")[0]
        return self.text.replace(f"//{self.userinfo}@", f"//{user}:{MASK}@", 1)

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User and password, decoded; None without."""
        if self.userinfo is None:
            return None
        user, _, password = self.userinfo.partition(":")
        return unquote(user), unquote(password)


def basic(user: str, password: str) -> str:
    """Return the value of an `Authorization` header for HTTP basic authentication."""
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


@lru_cache(maxsize=4096)
def parse_url(text: str) -> Url:
    """Parse `text` as a URL. Raises UnusableError, whose message masks a password."""
    if _UNSENDABLE.search(text):
        raise UnusableError(f"the URL {_masked(text)!r} has a line break or another control character in it")
    if not text.isascii() or " " in text:
        text = _ascii(text)
    match = _URL.fullmatch(text)
    if match is None:
        raise UnusableError(f'"{_masked(text)}" is not a URL; write one like https://shop.example/orders')
    scheme = match["scheme"].lower()
    port = int(match["port"]) if match["port"] else _DEFAULT_PORTS[scheme]
    if port > 65535:
        raise UnusableError(f'"{_masked(text)}" is not a URL: its port is above 65535')
    return Url(
        text=text,
        scheme=scheme,
        host=_host(match, text),
        port=port,
        target=(match["path"] or "/") + (match["query"] or ""),
        userinfo=match["userinfo"],
    )


def _host(match: re.Match[str], text: str) -> str:
    if match["v6"] is None:
        if not match["host"]:
            raise UnusableError(f'"{_masked(text)}" is not a URL: it has no host')
        return match["host"].lower()
    try:
        ipaddress.IPv6Address(match["v6"].partition("%")[0])
    except ValueError as error:
        raise UnusableError(f'"{_masked(text)}" is not a URL: [{match["v6"]}] is not an IPv6 address') from error
    return match["v6"].lower()


def _ascii(text: str) -> str:
    """Percent-encode characters that HTTP does not allow, and convert the host name to IDNA."""
    scheme, slashes, rest = text.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    userinfo, at, host = authority.rpartition("@")
    if not host.isascii():
        name, colon, port = host.partition(":")
        try:
            host = name.encode("idna").decode() + colon + port
        except UnicodeError as error:
            raise UnusableError(f'"{name}" is not a valid host name') from error
    path = rest[len(authority) :]
    return f"{scheme}{slashes}{quote(userinfo, safe=_PRINTABLE_ASCII)}{at}{host}{quote(path, safe=_PRINTABLE_ASCII)}"


def _masked(text: str) -> str:
    return re.sub(r"//([^/?#:@]*):[^/?#]*@", rf"//\1:{MASK}@", text)
