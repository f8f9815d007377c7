"""Sends one request, follows its redirects and reads the response, with timings."""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import msgspec
from aiohttp import ClientOSError, ClientPayloadError, ServerDisconnectedError
from yarl import URL

from prodwatch.errors import UnusableError
from prodwatch.model.status import Reason
from prodwatch.probes.base import Failure, ProbeContext
from prodwatch.probes.connect import Timings, family_of
from prodwatch.probes.http.auth import authorization, key_of, refused_signature
from prodwatch.probes.http.content_coding import BodyDecoder, Plain, body_decoder, can_decode, codings_of
from prodwatch.probes.http.proxy import proxy_for
from prodwatch.probes.http.request import SAFE_METHODS, Request
from prodwatch.probes.http.stream import first_part
from prodwatch.probes.http.url import Url, basic, parse_url
from prodwatch.probes.http.wire import Answer, ask
from prodwatch.probes.http_pool import HttpConnection, Means
from prodwatch.probes.tls_contexts import ClientCertificate
from prodwatch.text.redact import SECRET_HEADERS

if TYPE_CHECKING:
    from aiohttp import CookieJar
    from aiohttp.streams import StreamReader

MAX_REDIRECTS = 10
SKIPPED_BYTES = 1 << 14
"""Longest body of a redirect that is read to keep the connection; a new one costs about as much as a longer body."""

_NO_BODY = frozenset({204, 304})
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
    certificate: ClientCertificate | None = None
    answer: Answer | None = None
    """The last one whose headers came."""
    chunks: list[bytes] = msgspec.field(default_factory=list)
    """The body, decoded."""
    size: int = 0
    truncated: bool = False
    foreign_coding: str | None = None
    """The content coding of a body that cannot be decoded here; None when it could be."""
    event: dict[str, Any] | None = None
    """First event or line of a stream; None when none was asked for, or none came."""
    stream_ended: bool = False
    """The stream ended before its first event or line."""
    refused: Failure | None = None
    """AWS refused the signature."""
    first_bytes: bytes = b""
    """The first bytes of a response that is not HTTP."""
    proxied: str | None = None
    """Proxy of the current hop in words; None without one."""
    redirects: list[str] = msgspec.field(default_factory=list)
    signing_s: float = 0.0
    """Time the target has nothing to do with: finding credentials and signing."""
    _origin: tuple[str, str, int] | None = None
    _key: tuple[str, str] = ("", "")
    """Access key and token of the last signature."""
    _cookies: CookieJar | None = None
    """Made when a redirect sets a cookie; dies with this conversation."""

    async def run(self) -> Answer:
        """Return the last response, with its body read up to `max_body`.

        Raises OSError, aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError, CodingError, ProxyError,
        RedirectError, UnusableError and, from SigV4, AwsError and CannotVerifyError.
        """
        self._origin = self.request.url.origin
        follow = self.params.get("follow_redirects", True)
        while True:
            answer = self.answer = await self._ask()
            location = answer.headers.get("Location") if follow and answer.status in _REDIRECTS else None
            if location is None:
                await self._read(answer)
                if await self._signs_again(answer):
                    continue
                return answer
            await self._leave(answer)
            self._turn_to(location, answer)

    def undone(self) -> str:
        """Return the next phase as a clause that completes "it did not …"."""
        if self.timings.answered is not None:
            if self.answer is None:
                return f"finish its response ({self.size} bytes received)"
            received = f"status {self.answer.status}, {self.size} bytes received"
            if "event-stream" in self.answer.headers.get("Content-Type", "") and "stream" not in self.params:
                received += "; `stream` judges a response that does not end"
            return f"finish its response ({received})"
        return self.timings.undone()

    async def _ask(self) -> Answer:
        request = self.request
        pairs = request.pairs
        auth = self.params.get("auth")
        if auth and request.url.origin == self._origin:
            begun_s = self.timings.now()
            signed = await authorization(auth, request, self.context)
            self._key = key_of(signed)
            pairs = pairs + signed
            self.signing_s += self.timings.now() - begun_s
        elif request.url.credentials is not None and request.header("authorization") is None:
            pairs = [*pairs, ("Authorization", basic(*request.url.credentials))]
        if self._cookies is not None and (cookie := self._cookie_header()):
            pairs = [*pairs, ("Cookie", cookie)]
        # A kept-alive connection may be closing just now. What may change something cannot be sent a second time
        # to find out, so it gets a connection of its own.
        safe = request.method in SAFE_METHODS and not self.context.mutates
        means = self._means()
        if means.proxy is not None and not request.url.tls and means.proxy.authorization is not None:
            pairs = [*pairs, ("Proxy-Authorization", means.proxy.authorization)]
        connection = await self._connection(means, fresh=not safe)
        try:
            return await self._send(connection, pairs, means)
        except (ClientOSError, ServerDisconnectedError):
            if not safe or not connection.reused:
                raise
            self.timings = Timings(self.timings.now)
            return await self._send(await self._connection(means, fresh=True), pairs, means)

    def _means(self) -> Means:
        params, url = self.params, self.request.url
        proxy = proxy_for(url, params, self.context.memory)
        self.proxied = None if proxy is None else proxy.shown
        # A certificate of the client is for the host that the check names, as its other credentials are.
        certificate = self.certificate if url.origin == self._origin else None
        return Means(params.get("verify_tls", True), certificate, family_of(params), proxy)

    async def _signs_again(self, answer: Answer) -> bool:
        """Return whether the request is to be sent again, because AWS refused expired keys and there are new ones."""
        if not self._key[0]:
            return False
        url, renewed = self.request.url, self.refused is not None
        self.refused = refused_signature(
            answer.status, answer.headers.get("x-amzn-ErrorType"), b"".join(self.chunks), url.endpoint
        )
        if self.refused is None or renewed or self.refused.reason is not Reason.EXPIRED_CREDENTIALS:
            return False
        begun_s = self.timings.now()
        again = key_of(await authorization(self.params["auth"], self.request, self.context, renew=True))
        self.signing_s += self.timings.now() - begun_s
        if again == self._key or self.request.method not in SAFE_METHODS or self.context.mutates:
            return False
        self.chunks, self.size, self.truncated = [], 0, False
        self.timings = Timings(self.timings.now)
        return True

    async def _connection(self, means: Means, *, fresh: bool) -> HttpConnection:
        url = self.request.url
        return await self.context.http.connection(
            url.host,
            url.port,
            self.timings,
            tls=url.tls,
            means=means,
            fresh=fresh,
        )

    async def _send(self, connection: HttpConnection, pairs: list[tuple[str, str]], means: Means) -> Answer:
        try:
            return await ask(
                connection,
                self.request,
                pairs,
                self.timings,
                version=self.params.get("http_version", "1.1"),
                absolute=means.proxy is not None and not self.request.url.tls,
            )
        except BaseException:
            self.first_bytes = connection.protocol.first
            connection.close()
            raise

    async def _read(self, answer: Answer) -> None:
        connection, stream = answer.connection, self.params.get("stream")
        try:
            if stream != "headers":
                decoder = self._decoder(answer)
                await self._read_body(answer, decoder, stream)
                if self._is_whole(stream) and self._has_body(answer):
                    decoder.finish()
        except BaseException:
            connection.close()
            raise
        if stream is not None or self.truncated:
            connection.close()
            return
        if answer.until_close and connection.protocol.lost is not None:
            raise ClientPayloadError("the connection broke")
        connection.release()

    async def _read_body(self, answer: Answer, decoder: BodyDecoder, stream: str | None) -> None:
        """Read the body up to `max_body`, or up to the first event or line of a stream."""
        content = answer.content
        # A body that arrived with its headers is at its end after one read.
        while self.event is None and not _is_over(content) and (chunk := await content.readany()):
            data = decoder.feed(chunk, self.max_body - self.size + 1)
            self.chunks.append(data)
            self.size += len(data)
            if stream is not None:
                self.event = first_part(stream, b"".join(self.chunks), ended=False)
            if self.event is None and self.size > self.max_body:
                self.chunks[-1] = data[: len(data) - 1]
                self.size = self.max_body
                self.truncated = True
                return
        if stream is not None and self.event is None:
            self.event = first_part(stream, b"".join(self.chunks), ended=True)
            self.stream_ended = self.event is None

    def _decoder(self, answer: Answer) -> BodyDecoder:
        header = ",".join(answer.headers.getall("Content-Encoding", []))
        codings = codings_of(header)
        if can_decode(codings):
            return body_decoder(codings)
        self.foreign_coding = header
        return Plain()

    def _is_whole(self, stream: str | None) -> bool:
        """Return whether the body was to be read to its end, and was not cut by `max_body`."""
        return not self.truncated and (stream is None or self.stream_ended)

    def _has_body(self, answer: Answer) -> bool:
        """Return whether the response has a body, so that its content coding has an end."""
        bodiless = self.request.method == "HEAD" or answer.status in _NO_BODY
        return not bodiless and answer.headers.get("Content-Length") != "0"

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
        cookies = self._cookies.filter_cookies(URL(self.request.url.bare))
        return "; ".join(f"{morsel.key}={morsel.coded_value}" for morsel in cookies.values())


def _is_over(content: StreamReader) -> bool:
    """Return whether a body has been read to its end, without an error that reading would raise."""
    return content.at_eof() and content.exception() is None


def _joined(base: Url, location: str) -> Url:
    try:
        return parse_url(urljoin(base.bare, location.strip()))
    except (UnusableError, ValueError) as error:
        raise RedirectError(f"{base.shown} redirects to {location!r}, which is not a usable URL") from error
