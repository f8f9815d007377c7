"""Sends one request, follows its redirects and reads the answer, each with its timings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from multidict import CIMultiDict

from prodwatch.probes.base import ProbeContext
from prodwatch.probes.failures import UnusableError
from prodwatch.probes.http.auth import authorization
from prodwatch.probes.http.request import SAFE_METHODS, Request, parse_url
from prodwatch.probes.pool import TIMINGS, ConnectionLostError, Response, Timings
from prodwatch.text.redact import SECRET_HEADERS

if TYPE_CHECKING:
    from aiohttp import CookieJar
    from yarl import URL

MAX_REDIRECTS = 10
_LARGE_BYTES = 1 << 20

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class RedirectError(Exception):
    """The target redirects where nobody can follow; its text is one sentence."""


@dataclass(slots=True)
class Conversation:
    """One `http` check's talk with its target; half done when an error or a deadline ends it."""

    params: Mapping[str, Any]
    context: ProbeContext
    request: Request
    """The request of the current hop."""
    max_body: int
    timings: Timings
    """Of the current hop."""
    response: Response | None = None
    """The last answer whose headers came."""
    headers_at: float | None = None
    chunks: list[bytes] = field(default_factory=list)
    size: int = 0
    truncated: bool = False
    redirects: list[str] = field(default_factory=list)
    _origin: URL | None = None
    _cookies: CookieJar | None = None
    """Made when a redirect sets a cookie; dies with this conversation."""

    async def run(self) -> Response:
        """Return the last answer, its body read up to `max_body`.

        Raises aiohttp.ClientError, RedirectError, UnusableError and, from SigV4, AwsError.
        """
        self._origin = self.request.url.origin()
        follow = self.params.get("follow_redirects", True)
        while True:
            response = self.response = await self._ask()
            self.headers_at = self.timings.now()
            location = response.headers.get("Location") if follow and response.status in _REDIRECTS else None
            if location is None:
                await self._read(response)
                return response
            response.close()
            self._turn_to(location, response)

    def undone(self) -> str:
        """Return what the target still owes, as the rest of "it did not …"."""
        if self.headers_at is not None:
            return f"finish its answer ({self.size} bytes had come)"
        if self.timings.sent is not None:
            return "answer"
        if self.timings.handshaking is not None:
            return "finish the TLS handshake"
        if self.timings.resolving is not None and self.timings.resolved is None:
            return "resolve"
        return "accept the connection"

    async def _ask(self) -> Response:
        pairs = self.request.pairs
        auth = self.params.get("auth")
        if auth and self.request.url.origin() == self._origin:
            pairs = pairs + await authorization(auth, self.request, self.context)
        if self._cookies is not None and (cookie := self._cookie_header()):
            pairs = [*pairs, ("Cookie", cookie)]
        # A kept-alive connection may be closing just now. What may change something cannot be sent a second time
        # to find out, so it gets a connection of its own.
        safe = self.request.method in SAFE_METHODS
        try:
            return await self._send(pairs, keep_alive=safe)
        except ConnectionLostError:
            if not safe or self.timings.connecting is not None:
                raise
            self.timings = Timings(self.timings.now)
            return await self._send(pairs, keep_alive=False)

    async def _send(self, pairs: list[tuple[str, str]], *, keep_alive: bool) -> Response:
        TIMINGS.set(self.timings)
        session = self.context.http.session(
            verify_tls=self.params.get("verify_tls", True),
            keep_alive=keep_alive,
            http_version=self.params.get("http_version", "1.1"),
        )
        body: Any = self.request.body
        if body is not None and len(body) > _LARGE_BYTES:
            from io import BytesIO

            body = BytesIO(body)  # sent in pieces, so that other checks go on meanwhile
        answer = await session.request(
            self.request.method, self.request.url, headers=CIMultiDict(pairs), data=body, allow_redirects=False
        )
        return cast("Response", answer)

    async def _read(self, response: Response) -> None:
        content = response.content
        try:
            while chunk := await content.readany():
                self.chunks.append(chunk)
                self.size += len(chunk)
                if self.size > self.max_body:
                    self.chunks[-1] = chunk[: len(chunk) - (self.size - self.max_body)]
                    self.size = self.max_body
                    self.truncated = True
                    response.close()
                    return
        except BaseException:
            response.close()
            raise

    def _turn_to(self, location: str, response: Response) -> None:
        request = self.request
        self.redirects.append(str(request.url))
        if len(self.redirects) > MAX_REDIRECTS:
            raise RedirectError(f"{self.redirects[0]} redirects more than {MAX_REDIRECTS} times, last to {location}")
        target = _joined(request.url, location)
        self._keep_cookies(response)
        method, body, pairs = request.method, request.body, request.pairs
        if (response.status == 303 and method != "HEAD") or (response.status in {301, 302} and method == "POST"):
            method, body = "GET", None
            pairs = [pair for pair in pairs if not pair[0].lower().startswith("content-")]
        if target.origin() != request.url.origin():
            # What proves who we are to one host is none of the next one's business.
            pairs = [pair for pair in pairs if pair[0].lower() not in SECRET_HEADERS and pair[0].lower() != "host"]
        self.request = Request(method, target, pairs, body, request.body_file, request.sent_trace_id)
        self.timings = Timings(self.timings.now)
        self.headers_at = None

    def _keep_cookies(self, response: Response) -> None:
        if not response.cookies:
            return
        if self._cookies is None:
            from aiohttp import CookieJar

            self._cookies = CookieJar(unsafe=True)
        self._cookies.update_cookies(response.cookies, self.request.url)

    def _cookie_header(self) -> str:
        assert self._cookies is not None
        found = self._cookies.filter_cookies(self.request.url)
        return "; ".join(f"{morsel.key}={morsel.coded_value}" for morsel in found.values())


def _joined(base: URL, location: str) -> URL:
    from urllib.parse import urljoin

    try:
        return parse_url(urljoin(str(base), location.strip()))
    except (UnusableError, ValueError) as error:
        raise RedirectError(f"{base} redirects to {location!r}, which is not a usable URL") from error
