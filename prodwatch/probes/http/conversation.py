"""Sends one request, follows its redirects and reads the response, with timings."""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import msgspec
from aiohttp import ClientOSError, ClientPayloadError, ServerDisconnectedError
from yarl import URL

from prodwatch.probes.base import ProbeContext
from prodwatch.probes.connect import Timings
from prodwatch.probes.failures import UnusableError
from prodwatch.probes.http.auth import authorization, basic
from prodwatch.probes.http.request import SAFE_METHODS, Request
from prodwatch.probes.http.url import Url, parse_url
from prodwatch.probes.http.wire import Answer, ask
from prodwatch.probes.http_pool import HttpConnection
from prodwatch.text.redact import SECRET_HEADERS

if TYPE_CHECKING:
    from aiohttp import CookieJar

MAX_REDIRECTS = 10
SKIPPED_BYTES = 1 << 14
"""Longest body of a redirect that is read to keep the connection; a new one costs about as much as a longer body."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class RedirectError(Exception):
    """The target redirects to a URL that cannot be followed; the text is one sentence."""


class Conversation(msgspec.Struct):
    """The requests and responses of one `http` check; incomplete when an error or a deadline ends it."""

    params: Mapping[str, Any]
    context: ProbeContext
    request: Request
    """The request of the current hop."""
    max_body: int
    timings: Timings
    """Of the current hop."""
    answer: Answer | None = None
    """The last one whose headers came."""
    chunks: list[bytes] = msgspec.field(default_factory=list)
    size: int = 0
    truncated: bool = False
    redirects: list[str] = msgspec.field(default_factory=list)
    signing_s: float = 0.0
    """Time the target has nothing to do with: finding credentials and signing."""
    _origin: tuple[str, str, int] | None = None
    _cookies: CookieJar | None = None
    """Made when a redirect sets a cookie; dies with this conversation."""

    async def run(self) -> Answer:
        """Return the last response, with its body read up to `max_body`.

        Raises OSError, aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError, RedirectError, UnusableError
        and, from SigV4, AwsError.
        """
        self._origin = self.request.url.origin
        follow = self.params.get("follow_redirects", True)
        while True:
            answer = self.answer = await self._ask()
            location = answer.headers.get("Location") if follow and answer.status in _REDIRECTS else None
            if location is None:
                await self._read(answer)
                return answer
            await self._leave(answer)
            self._turn_to(location, answer)

    def undone(self) -> str:
        """Return the next phase as a clause that completes "it did not …"."""
        if self.timings.answered is not None:
            return f"finish its response ({self.size} bytes received)"
        return self.timings.undone()

    async def _ask(self) -> Answer:
        request = self.request
        pairs = request.pairs
        auth = self.params.get("auth")
        if auth and request.url.origin == self._origin:
            begun_s = self.timings.now()
            pairs = pairs + await authorization(auth, request, self.context)
            self.signing_s += self.timings.now() - begun_s
        elif request.url.credentials is not None and request.header("authorization") is None:
            pairs = [*pairs, basic(*request.url.credentials)]
        if self._cookies is not None and (cookie := self._cookie_header()):
            pairs = [*pairs, ("Cookie", cookie)]
        # A kept-alive connection may be closing just now. What may change something cannot be sent a second time
        # to find out, so it gets a connection of its own.
        safe = request.method in SAFE_METHODS
        connection = await self._connection(fresh=not safe)
        try:
            return await self._send(connection, pairs)
        except (ClientOSError, ServerDisconnectedError):
            if not safe or not connection.reused:
                raise
            self.timings = Timings(self.timings.now)
            return await self._send(await self._connection(fresh=True), pairs)

    async def _connection(self, *, fresh: bool) -> HttpConnection:
        url = self.request.url
        return await self.context.http.connection(
            url.host,
            url.port,
            self.timings,
            tls=url.tls,
            verify_tls=self.params.get("verify_tls", True),
            fresh=fresh,
        )

    async def _send(self, connection: HttpConnection, pairs: list[tuple[str, str]]) -> Answer:
        try:
            return await ask(
                connection, self.request, pairs, self.timings, version=self.params.get("http_version", "1.1")
            )
        except BaseException:
            connection.close()
            raise

    async def _read(self, answer: Answer) -> None:
        content, connection = answer.content, answer.connection
        try:
            while chunk := await content.readany():
                self.chunks.append(chunk)
                self.size += len(chunk)
                if self.size > self.max_body:
                    self.chunks[-1] = chunk[: len(chunk) - (self.size - self.max_body)]
                    self.size = self.max_body
                    self.truncated = True
                    connection.close()
                    return
        except BaseException:
            connection.close()
            raise
        if answer.until_close and connection.protocol.lost is not None:
            raise ClientPayloadError("the connection broke")
        connection.release()

    @staticmethod
    async def _leave(answer: Answer) -> None:
        """Keep the connection of a redirect if reading the rest of its body is cheap."""
        connection = answer.connection
        length = answer.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > SKIPPED_BYTES:
            connection.close()
            return
        try:
            await answer.content.read()
        except BaseException:
            connection.close()
            raise
        connection.release()

    def _turn_to(self, location: str, answer: Answer) -> None:
        request = self.request
        self.redirects.append(request.url.shown)
        if len(self.redirects) > MAX_REDIRECTS:
            raise RedirectError(f"{self.redirects[0]} redirects more than {MAX_REDIRECTS} times, last to {location}")
        target = _joined(request.url, location)
        self._keep_cookies(answer)
        method, body, pairs = request.method, request.body, request.pairs
        if (answer.status == 303 and method != "HEAD") or (answer.status in {301, 302} and method == "POST"):
            method, body = "GET", None
            pairs = [pair for pair in pairs if not pair[0].lower().startswith("content-")]
        if target.origin != request.url.origin:
            # Credentials for one host must not be sent to another.
            pairs = [pair for pair in pairs if not self._belongs_to_its_host(*pair)]
            if body is not None and self.context.holds_secret(body.decode(errors="replace")):
                raise RedirectError(
                    f"{request.url.shown} redirects to another host, {target.shown}, and the body carries a secret:"
                    " it was not sent there; put the final address in `url`"
                )
        self.request = Request(method, target, pairs, body, request.body_file, request.sent_trace_id)
        self.timings = Timings(self.timings.now)

    def _belongs_to_its_host(self, name: str, value: str) -> bool:
        return name.lower() in SECRET_HEADERS or name.lower() == "host" or self.context.holds_secret(value)

    def _keep_cookies(self, answer: Answer) -> None:
        received = answer.headers.getall("Set-Cookie", [])
        if not received:
            return
        if self._cookies is None:
            from aiohttp import CookieJar

            self._cookies = CookieJar(unsafe=True)
        for cookie in received:
            self._cookies.update_cookies(SimpleCookie(cookie), URL(self.request.url.bare))

    def _cookie_header(self) -> str:
        assert self._cookies is not None
        found = self._cookies.filter_cookies(URL(self.request.url.bare))
        return "; ".join(f"{morsel.key}={morsel.coded_value}" for morsel in found.values())


def _joined(base: Url, location: str) -> Url:
    try:
        return parse_url(urljoin(base.bare, location.strip()))
    except (UnusableError, ValueError) as error:
        raise RedirectError(f"{base.shown} redirects to {location!r}, which is not a usable URL") from error
