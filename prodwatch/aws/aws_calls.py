"""The AWS session of a run: calls are counted, rate-limited, bounded by the user's limits, and cancellable.

When the environment file names an account, it is compared with the credentials' account before any other request.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from prodwatch.aws import page_rules
from prodwatch.aws.call_time_limits import CALL_TIME, SENT_ONCE, STEP_TIME, CallTime
from prodwatch.aws.clients import ClientPool
from prodwatch.aws.credentials import shared_loader
from prodwatch.aws.error_codes import FOREIGN_RESPONSE, RESPONSE_LIMIT
from prodwatch.aws.interface import AwsApi, AwsError, RawAnswer
from prodwatch.aws.rate_limiter import RateLimiter
from prodwatch.aws.request_hooks import RAW_BODY, SKEW_S, RequestHooks, unparsed
from prodwatch.aws.sdk_errors import Call, explain, not_sent, timed_out, unknown_operation
from prodwatch.aws.single_flight import SingleFlight
from prodwatch.aws.usage_meter import Meter
from prodwatch.clock import Clock, ahead_s
from prodwatch.errors import CannotVerifyError
from prodwatch.model.environment import Environment, Limits
from prodwatch.model.identity import Place
from prodwatch.model.result import Usage
from prodwatch.model.status import Reason

DEFAULT_TIMEOUT_S = 30.0
"""Time limit of a call, including retries; it starts when the request leaves."""
MAX_ATTEMPTS = 4
"""Requests per call, the first included."""
BACKOFF_S = 0.25
"""Half the longest pause before the second request of a call; doubles with every further request."""
MAX_BACKOFF_S = 8.0
"""Longest pause between two requests of a call."""
READ_BYTES = 256 * 1024
"""Bytes requested per read of a streaming body."""
MAX_PAGES = 10_000
"""Pages that are read of one operation: a service whose tokens never end would be read for ever."""
MAX_BODY_BYTES = 64 * 1024 * 1024
"""Largest streaming body that is kept in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Result of GetCallerIdentity."""

    account: str
    arn: str
    clock_skew_s: float | None = None
    """Local clock minus AWS's clock in seconds, accurate to about a second; None without a `Date` header."""


class Aws(AwsApi):
    """Rate-limited, counted and cancellable AWS calls; use as `async with Aws(...) as aws`.

    Every failure raises `AwsError`. Credentials of an account other than the configured one raise `CannotVerifyError`
    (reason `wrong_account`) before anything else is sent.
    """

    def __init__(
        self,
        environment: Environment,
        environ: Mapping[str, str],
        clock: Clock,
        limits: Limits | None = None,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self.meter = Meter(limits or environment.limits)
        self.limiter = RateLimiter(clock)
        self._clients = ClientPool(environment, environ, clock, RequestHooks(self.meter, self.limiter, clock))
        self._identities: dict[str | None, SingleFlight[Identity]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pending in self._identities.values():
            pending.cancel()
        await self._clients.close()

    @property
    def notices(self) -> tuple[str, ...]:
        """Return one message per unexpected fact about the credentials in use, such as an ignored profile."""
        self._clients.account_config(None)
        return self._clients.notices

    async def call(
        self,
        service: str,
        operation: str,
        params: Mapping[str, Any] | None = None,
        *,
        account: str | None = None,
        region: str | None = None,
        timeout_s: float | None = None,
        retries: bool = True,
    ) -> dict[str, Any]:
        """Call `operation` and return the response; see `AwsApi.call`."""
        call = self._call(service, operation, params or {}, account, region)
        attempts = MAX_ATTEMPTS if retries else 1
        step = STEP_TIME.get()
        budget_s = DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s
        budget_s = budget_s if step is None else min(budget_s, step.left_s())
        time = CallTime(budget_s, step)
        once = SENT_ONCE.set(not retries)
        try:
            async with time:
                try:
                    return await self._send(call, account, region, attempts=attempts)
                except AwsError as error:
                    # AWS rejects expired credentials before it executes anything, so a second request with new keys
                    # still runs once.
                    if error.reason is not Reason.EXPIRED_CREDENTIALS:
                        raise
                    time.wait()
                    if not await self._reload_credentials(account):
                        raise
                return await self._send(call, account, region, attempts=attempts)
        except TimeoutError:
            if time.waits:
                raise not_sent(call, time.wait_limit_s, queued=time.queued) from None
            if time.refused is not None and time.refused.code == FOREIGN_RESPONSE:
                raise time.refused from None
            raise timed_out(call, budget_s, throttled=time.throttled) from None
        finally:
            SENT_ONCE.reset(once)

    async def pages(
        self,
        service: str,
        operation: str,
        params: Mapping[str, Any] | None = None,
        *,
        account: str | None = None,
        region: str | None = None,
        timeout_s: float | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield each page, including empty pages; a throttled page is retried. See `AwsApi.pages`."""
        request_params = dict(params or {})
        for _ in range(MAX_PAGES):
            page = await self.call(
                service, operation, request_params, account=account, region=region, timeout_s=timeout_s
            )
            yield page
            # After the first page, so that the service's models are in memory: reading them blocks.
            rules = page_rules.page_rules(shared_loader(), service, operation)
            next_params = rules.next_params(page, request_params) if rules else None
            if next_params is None:
                return
            request_params = next_params
        message = f"{self._call(service, operation, params or {}, account, region)} has more than {MAX_PAGES} pages"
        raise _beyond_limit(f"{message}; narrow what is asked for", service, operation)

    async def raw(
        self,
        service: str,
        operation: str,
        params: Mapping[str, Any] | None = None,
        *,
        account: str | None = None,
        region: str | None = None,
        timeout_s: float | None = None,
    ) -> RawAnswer:
        """Call an operation and return its body unparsed; see `AwsApi.raw`."""
        with unparsed(operation):
            response = await self.call(service, operation, params, account=account, region=region, timeout_s=timeout_s)
        return RawAnswer(response[RAW_BODY], response["ResponseMetadata"][SKEW_S])

    async def events(
        self,
        service: str,
        operation: str,
        params: Mapping[str, Any] | None = None,
        *,
        account: str | None = None,
        region: str | None = None,
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the events of an event stream; see `AwsApi.events`."""
        call = self._call(service, operation, params or {}, account, region)
        await self._verify_account(account)
        client = await self._clients.client(service, account, region, streaming=True)
        stream: Any = None
        try:
            stream = await _open_stream(client, call)
            async for event in stream:
                yield event
        except Exception as exc:
            raise explain(exc, call) from exc
        finally:
            if stream is not None:
                stream.close()

    async def client(self, service: str, *, account: str | None = None, region: str | None = None) -> Any:
        """Return the shared client of a service, after verifying the account."""
        await self._verify_account(account)
        return await self._clients.client(service, account, region)

    async def account_id(self, account: str | None = None) -> str:
        """Return the account number of the credentials."""
        return (await self.identity(account)).account

    async def identity(self, account: str | None = None) -> Identity:
        """Return the owner of the credentials; CannotVerifyError when the environment file names another account."""
        if account not in self._identities:
            self._identities[account] = SingleFlight(lambda: self._identify(account))
        return await self._identities[account].get()

    async def credentials(self, account: str | None = None, *, renew: bool = False) -> Any:
        """Return botocore's frozen credentials for signing other requests, after verifying the account."""
        if renew:
            await self._reload_credentials(account)
        await self._verify_account(account)
        return await self._clients.credentials(account)

    def region_name(self, account: str | None = None) -> str | None:
        """Return the region of calls; None when it is set neither in the file, the environment nor the profile."""
        return self._clients.region_name(account)

    def profile_name(self, account: str | None = None) -> str | None:
        """Return the profile in use; None when the credentials come from elsewhere."""
        return self._clients.account_config(account).profile

    def endpoint_url(self, account: str | None = None) -> str | None:
        """Return the endpoint set in the environment file; None when it sets none."""
        return self._clients.account_config(account).endpoint_url

    def charge(self, operation: str, units: float) -> None:
        """Add billable units that no response reports; see `AwsApi.charge`."""
        self.meter.add(operation, units)

    def usage(self) -> Usage:
        """Return call counts, throttles and cost of the run so far."""
        return self.meter.usage()

    async def _send(self, call: Call, account: str | None, region: str | None, *, attempts: int) -> dict[str, Any]:
        from botocore import xform_name

        await self._verify_account_for(call, account)
        client = await self._clients.client(call.service, account, region)
        method = getattr(client, xform_name(call.operation), None)
        if method is None or client.meta.method_to_api_mapping.get(xform_name(call.operation)) != call.operation:
            raise unknown_operation(client, call.service, call.operation)
        for attempt in range(1, attempts + 1):
            try:
                response: dict[str, Any] = await method(**call.params)
                return await _read_bodies(response, call)
            except Exception as exc:
                error = await self._explained(exc, call, account)
                if (time := CALL_TIME.get()) is not None:
                    time.refused = error
                if not error.transient or attempt == attempts:
                    raise error from exc
            await self._clock.sleep(self._jitter() * min(MAX_BACKOFF_S, BACKOFF_S * 2**attempt))
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _explained(self, exc: Exception, call: Call, account: str | None) -> AwsError:
        """Return the error of a request; raises what is wrong with the credentials when the response cannot tell.

        The response to a HEAD request has no body and thus no error code: S3 answers expired keys with a bare 400.
        """
        error = explain(exc, call)
        if error.code == "400" and call.operation != "GetCallerIdentity":
            await self._identify(account)
        return error

    async def _verify_account(self, account: str | None) -> None:
        if self._clients.account_config(account).account is not None:
            await self.identity(account)

    async def _verify_account_for(self, call: Call, account: str | None) -> None:
        # GetCallerIdentity is the verification, so it cannot wait for it.
        if call.operation != "GetCallerIdentity":
            await self._verify_account(account)

    async def _reload_credentials(self, account: str | None) -> bool:
        """Load renewed credentials, and verify their account again; False when there are no new ones."""
        if not await self._clients.reload_credentials(account):
            return False
        credential_source = self._clients.credential_source(account)
        for alias in [
            alias for alias in self._identities if self._clients.credential_source(alias) == credential_source
        ]:
            del self._identities[alias]
        return True

    async def _identify(self, account: str | None) -> Identity:
        # A separate task, but in the context of the call that waits for it, whose clock it must not start.
        CALL_TIME.set(None)
        call = self._call("sts", "GetCallerIdentity", {}, account, None)
        corrected_s = ahead_s(self._clock)
        response = await self._send(call, account, None, attempts=MAX_ATTEMPTS)
        skew_s = response["ResponseMetadata"][SKEW_S]
        identity = Identity(
            account=response["Account"],
            arn=response["Arn"],
            clock_skew_s=None if skew_s is None else corrected_s + skew_s,
        )
        expected = self._clients.account_config(account).account
        if expected is not None and identity.account != expected:
            raise CannotVerifyError(
                f"the credentials belong to AWS account {identity.account}, "
                f"but {'[aws]' if account is None else f'[aws.accounts.{account}]'} expects {expected}; "
                "no other request was sent; use credentials of that account or correct `account`",
                Reason.WRONG_ACCOUNT,
            )
        return identity

    def _call(
        self, service: str, operation: str, params: Mapping[str, Any], account: str | None, region: str | None
    ) -> Call:
        config = self._clients.account_config(account)
        return Call(
            service=service,
            operation=operation,
            params=params,
            place=Place(account or "", region or ""),
            region=region or config.region,
            profile=config.profile,
            endpoint_url=config.endpoint_url,
            renewal_hint=lambda: self._clients.renewal_hint(account),
        )


async def _read_bodies(response: dict[str, Any], call: Call) -> dict[str, Any]:
    for key, value in response.items():
        if hasattr(value, "read"):
            body = bytearray()
            # A read returns the bytes that have arrived, perhaps fewer than requested; only an empty read is the end.
            while len(body) <= MAX_BODY_BYTES and (chunk := await value.read(READ_BYTES)):
                body += chunk
            value.close()
            if len(body) > MAX_BODY_BYTES:
                message = f"{call}: the response is larger than {MAX_BODY_BYTES // 1024 // 1024} MiB; read it in parts"
                raise _beyond_limit(message, call.service, call.operation)
            response[key] = bytes(body)
    return response


def _beyond_limit(message: str, service: str, operation: str) -> AwsError:
    return AwsError(message, code=RESPONSE_LIMIT, reason=Reason.LIMIT, service=service, operation=operation)


async def _open_stream(client: Any, call: Call) -> Any:
    """Send `call` and return botocore's event stream, which the caller closes; raises botocore's exceptions."""
    from botocore import xform_name

    response = await getattr(client, xform_name(call.operation))(**call.params)
    return next(value for value in response.values() if hasattr(value, "__aiter__"))
