"""Dispatches AWS calls: faults first, then the embedded operations, then moto."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from typing import Any

from prodwatch.demo.aws import errors
from prodwatch.demo.aws.api_call import ApiCall, Document, Effects, Forward, Raw, ServiceError
from prodwatch.demo.aws.faults import Active
from prodwatch.demo.aws.moto_backend import Moto, MotoError
from prodwatch.demo.aws.protocols import decode, encode
from prodwatch.demo.aws.protocols.encode import HttpResponse
from prodwatch.demo.aws.protocols.identify import HttpRequest, Identity
from prodwatch.demo.aws.protocols.models import operation_model
from prodwatch.demo.aws.region import Region

LOGGER = logging.getLogger(__name__)
Stream = AsyncIterator[bytes]
EMBEDDED_ONLY = frozenset({"logs", "xray"})
"""Services never forwarded to moto, whose state would contradict the embedded stores."""


class Dispatcher:
    """Handles identified calls for all regions."""

    def __init__(
        self,
        *,
        account: str,
        home: str,
        region: Callable[[str], Region],
        moto: Moto,
        pool: Executor,
        wall: Callable[[], float],
    ) -> None:
        self._account = account
        self._home = home
        self._region = region
        self._moto = moto
        self._pool = pool
        self._wall = wall

    async def dispatch(
        self, identity: Identity, request: HttpRequest, active: Active, request_id: str
    ) -> HttpResponse | Stream:
        """Return the response or the event stream of one call, errors included."""
        service, operation, protocol = identity.service, identity.operation, identity.protocol
        try:
            self._refuse(identity, active)
            region = self._region(identity.region or self._home)
            if not region.implements(service, operation) and (service, operation) != ("logs", "StartLiveTail"):
                return await self._forward(identity, request)
            return await self._own(region, identity, request, active, request_id)
        except ServiceError as error:
            return encode.encode_error(protocol, service, error, request_id)
        except Exception:
            LOGGER.exception("the embedded AWS failed in %s:%s", service, operation)
            return encode.encode_error(protocol, service, errors.internal(service, operation), request_id)

    def _refuse(self, identity: Identity, active: Active) -> None:
        service, operation, protocol = identity.service, identity.operation, identity.protocol
        if active.has("expired_token"):
            raise errors.expired_credentials(service, protocol)
        if active.has("access_denied"):
            raise errors.access_denied(service, operation, protocol, self._account)
        if active.has("throttle") or active.has("rate"):
            raise errors.throttled(service)
        if active.has("error_5xx"):
            raise errors.unavailable(service)

    async def _own(
        self, region: Region, identity: Identity, request: HttpRequest, active: Active, request_id: str
    ) -> HttpResponse | Stream:
        key = (identity.service, identity.operation)
        loop = asyncio.get_running_loop()
        operation = await loop.run_in_executor(self._pool, operation_model, *key)
        params = await loop.run_in_executor(self._pool, decode.decode, identity, operation, request)
        if active.has("invalid_token"):
            params |= {name: "refused" for name in params if name.lower().endswith("nexttoken")}
        call = ApiCall(
            service=key[0],
            operation=key[1],
            params=params,
            region=identity.region or self._home,
            account=self._account,
            now_s=self._wall(),
            request_id=request_id,
            headers=request.headers,
            effects=Effects(empty_page=active.has("empty_page"), short_page=active.has("short_page")),
        )
        if key == ("logs", "StartLiveTail"):
            return region.live_tail.open(call)
        if handler := region.on_loop.get(key):
            output = await handler(call)
        elif sync := region.sync.get(key):
            output = await loop.run_in_executor(self._pool, sync, call)
        else:
            output = Forward.TO_MOTO
        if isinstance(output, Raw):
            return encode.raw(identity.protocol, output.body, request_id)
        if isinstance(output, Forward):
            return await self._patched(region, call, identity, request, operation)
        return await loop.run_in_executor(self._pool, encode.encode, identity.protocol, operation, output, request_id)

    async def _forward(self, identity: Identity, request: HttpRequest) -> HttpResponse:
        if identity.service in EMBEDDED_ONLY:
            raise errors.unimplemented(identity.service, identity.operation, identity.protocol)
        try:
            return await self._moto.respond(request)
        except MotoError as error:
            LOGGER.info("moto cannot handle %s:%s: %s", identity.service, identity.operation, error)
            raise errors.unimplemented(identity.service, identity.operation, identity.protocol) from error

    async def _patched(
        self, region: Region, call: ApiCall, identity: Identity, request: HttpRequest, operation: Any
    ) -> HttpResponse:
        response = await self._forward(identity, request)
        patch = region.patches.get((call.service, call.operation))
        if patch is None or response.status >= 300:
            return response

        def rewrite() -> HttpResponse:
            document = _parse(identity.protocol, operation, response)
            rewritten = encode.encode(identity.protocol, operation, patch(call, document), call.request_id)
            return HttpResponse(status=response.status, headers=rewritten.headers, body=rewritten.body)

        return await asyncio.get_running_loop().run_in_executor(self._pool, rewrite)


def _parse(protocol: str, operation: Any, response: HttpResponse) -> Document:
    """Return moto's response as a document, read by botocore's own parser."""
    from botocore.awsrequest import HeadersDict
    from botocore.parsers import create_parser

    parts = {"headers": HeadersDict(response.headers), "status_code": response.status, "body": response.body}
    document: Document = create_parser(protocol).parse(parts, operation.output_shape)
    document.pop("ResponseMetadata", None)
    return document
