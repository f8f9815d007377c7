"""Shared code of the AWS probes: calls within the step's time limit, failures as sentences, the recorded exchange."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from prodwatch.aws.call_time_limits import STEP_TIME, StepTime, shared_reading
from prodwatch.aws.cli_command import aws_command
from prodwatch.aws.default_account_and_region import ScopedAws
from prodwatch.aws.error_codes import is_malformed_request
from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.aws.page_rules import unread_rest
from prodwatch.aws.request_hooks import BODY_BYTES, SKEW_S, WIRE_S
from prodwatch.clock import AWS_CLOCK_TOLERANCE_S, ahead_s
from prodwatch.errors import CannotVerifyError
from prodwatch.model.quantity import Duration
from prodwatch.model.result import Correlation, Exchange
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation, ProbeContext
from prodwatch.text.redact import MASK, SECRET_OPERATIONS
from prodwatch.text.units import format_bytes, parse_duration

_encode = msgspec.json.Encoder(decimal_format="number").encode

READING_SERVICES = frozenset(("application-signals", "cloudwatch", "codedeploy", "logs", "xray"))
"""Services that only report on a target: their own errors are not evidence against it."""
_ABSENT = frozenset(("ResourceNotFound", "ResourceNotFoundException"))
AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
MAX_READ_BYTES = 256 * 1024 * 1024
"""Size of all pages of one reading together, which are kept in memory until they are judged."""
SHOWN_ITEMS = 50
"""Elements of a list that are kept in the recorded exchange."""
FUTURE_S = 60.0
"""Tolerance in seconds for this machine's clock being behind that of the writer of a timestamp."""


class ProbeError(Exception):
    """Ends a probe; carries the observation with the failure."""

    def __init__(self, failure: Failure, *, document: Mapping[str, Any] | None = None, complete: bool = True) -> None:
        super().__init__(failure.message)
        self.observation = Observation(failure=failure, document=document or {}, complete=complete)


def refuse(status: Status, reason: Reason, message: str) -> ProbeError:
    """Return the error that ends a probe with a failure and no document."""
    return ProbeError(Failure(status=status, reason=reason, message=message))


class AwsCalls:
    """The calls of one probe: they share the step's timeout, and the first one is the recorded exchange."""

    def __init__(
        self,
        params: Mapping[str, Any],
        context: ProbeContext,
        service: str,
        *,
        time: StepTime | None = None,
        skew_s: float = 0.0,
    ) -> None:
        self.params = params
        self.context = context
        self.service = service
        self.aws: AwsApi = ScopedAws(context.aws, context.account, context.region)
        self.request_ids: list[str] = []
        self.notices: list[str] = []
        self.traced = False
        """Whether the trace id travelled with a call."""
        self.time = StepTime(context.clock, context.timeout_s) if time is None else time
        self.unread: Failure | None = None
        """Why the reading is incomplete, its first reason; None while it is not."""
        self.skew_s = skew_s
        """Local clock minus AWS's clock in seconds that `now` corrects."""
        self.measured_skew_s = 0.0
        """Seconds by which the clock of the run was ahead of AWS's in the first response that differed from it."""
        self._corrected_s = ahead_s(context.clock)
        self._told_time = False
        self._wire_s = 0.0
        self._shown: tuple[str, str, Mapping[str, Any]] | None = None
        self._response: Any = None

    async def call(
        self, operation: str, params: Mapping[str, Any], *, service: str | None = None, retries: bool = True
    ) -> dict[str, Any]:
        """Call an operation within the remaining time of the step; a response that has more is marked as incomplete."""
        service = service or self.service
        first = self._show(service, operation, params)
        response = await self.aws.call(service, operation, params, timeout_s=self.left_s(), retries=retries)
        self._met(response, first=first)
        self._look_for_more(service, operation, response, params)
        return response

    async def pages(
        self, operation: str, params: Mapping[str, Any], *, service: str | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Iterate over pages, all read within the remaining time of the step.

        When a page after the first cannot be read, the pages end and the reading is marked as incomplete. An error of
        the first page is raised.
        """
        service = service or self.service
        first = self._show(service, operation, params)
        page: dict[str, Any] | None = None
        read = read_bytes = 0
        late = False
        try:
            async for page in self.aws.pages(service, operation, params, timeout_s=self.left_s()):
                read += 1
                read_bytes += page.get("ResponseMetadata", {}).get(BODY_BYTES, 0)
                self._met(page, first=first)
                first = False
                yield page
                if read_bytes > MAX_READ_BYTES:
                    limit = f"{_pages(read)} of more than {format_bytes(MAX_READ_BYTES)} together"
                    message = f"{service} {operation} was not read to its end: {limit}; narrow what is asked for"
                    self.incomplete(message, reason=Reason.LIMIT, status=Status.ERROR)
                    return
                if late:
                    self._out_of_time(service, operation, read)
                    return
                late = self.time.over()
        except AwsError as error:
            if not read:
                raise
            self.met(error)
            if error.reason is Reason.TIMEOUT:
                self._out_of_time(service, operation, read)
            else:
                message = f"{service} {operation} was not read to its end: after {_pages(read)}, {error.message}"
                self.incomplete(message, reason=failure_of(error).reason, status=Status.ERROR)
            return
        if page is not None:
            self._look_for_more(service, operation, page, params, paginated=True)

    def _out_of_time(self, service: str, operation: str, read: int) -> None:
        within = f"{_pages(read)} in {self.context.timeout_s:g} s; raise `timeout`"
        self.incomplete(f"{service} {operation} was not read to its end: {within}")

    def _look_for_more(
        self,
        service: str,
        operation: str,
        response: Mapping[str, Any],
        params: Mapping[str, Any],
        *,
        paginated: bool = False,
    ) -> None:
        rest = unread_rest(service, operation, response, params, paginated=paginated)
        if rest is not None:
            self.incomplete(rest)

    def incomplete(
        self, message: str, *, reason: Reason = Reason.NO_DATA, status: Status = Status.INCONCLUSIVE
    ) -> None:
        """Record that the source was not read to its end, and why; also a notice."""
        self.notice(message)
        if self.unread is None:
            self.unread = Failure(status=status, reason=reason, message=message)

    def now(self) -> datetime:
        """Return the time by AWS's clock, as far as a response has shown it: the end of a relative window."""
        self._told_time = True
        return self.context.clock.now() - timedelta(seconds=self.skew_s)

    def first_now(self) -> datetime:
        """Return `now` of the step's first request: a relative window stays there, or what is late would leave it."""
        self._told_time = True
        return (self.context.first_request_at or self.context.clock.now()) - timedelta(seconds=self.skew_s)

    def misplaced(self) -> bool:
        """Return whether `now` was used and AWS's responses contradict it."""
        return self._told_time and abs(self.measured_skew_s - self.skew_s) > AWS_CLOCK_TOLERANCE_S

    def corrected(self) -> AwsCalls:
        """Return the calls of another reading, by AWS's clock and in the time that is left of this one."""
        skew_s = self.measured_skew_s
        # The run's clock may follow AWS's by now.
        left_s = skew_s - (ahead_s(self.context.clock) - self._corrected_s)
        calls = AwsCalls(self.params, self.context, self.service, time=self.time, skew_s=left_s)
        side = "ahead of" if skew_s > 0 else "behind"
        calls.notice(
            f"this machine's clock is {abs(skew_s):.0f} s {side} AWS's: time windows count from AWS's; "
            "synchronise it with NTP"
        )
        return calls

    def left_s(self) -> float:
        """Return the remaining seconds of the step's timeout, always more than zero."""
        return self.time.left_s()

    def elapsed_s(self) -> float:
        """Return the seconds since the probe started, without waits in this process."""
        return self.time.elapsed_s()

    def latency(self) -> Duration:
        """Return the time AWS took, without creating clients and waiting for call rates."""
        return Duration.from_s(self._wire_s or self.elapsed_s())

    async def reaches_aws(self) -> bool:
        """Return whether the calls go to AWS itself, not to an emulator at an endpoint of its own."""
        try:
            with shared_reading():
                client = await self.aws.client(self.service)
        except (AwsError, LookupError):
            return False
        host = urlsplit(client.meta.endpoint_url).hostname or ""
        return host.endswith(AWS_DOMAINS)

    def notice(self, message: str) -> None:
        """Add a notice about the response, which does not fail the check."""
        if message not in self.notices:
            self.notices.append(message)

    def show(self, operation: str, params: Mapping[str, Any], *, service: str | None = None) -> None:
        """Make this call the recorded exchange instead of the first one."""
        self._shown = None
        self._response = None
        self._show(service or self.service, operation, params)

    def answer(self, document: Mapping[str, Any], **more: Any) -> Observation:
        """Return the observation with a document."""
        return self.dressed(Observation(document=document, **more))

    @property
    def complete(self) -> bool:
        """Whether no reading was incomplete."""
        return self.unread is None

    def dressed(self, observation: Observation) -> Observation:
        """Return `observation` with exchange, notices and latency of the calls."""
        failure = observation.failure
        if failure is not None and failure.status is Status.INCONCLUSIVE and self.unread is not None:
            failure = replace(failure, message=f"{failure.message}; {self.unread.message}")
        return replace(
            observation,
            failure=failure,
            complete=observation.complete and self.complete,
            unread=observation.unread or self.unread,
            skew_s=self.measured_skew_s,
            exchange=self._exchange(),
            correlation=Correlation(
                trace_id=self.context.trace_id if self.traced else None, request_ids=tuple(self.request_ids[:20])
            ),
            notices=(*observation.notices, *self.notices),
        )

    def met(self, error: AwsError) -> None:
        """Remember the request id of a refused call."""
        if error.request_id:
            self.request_ids.append(error.request_id)

    def _show(self, service: str, operation: str, params: Mapping[str, Any]) -> bool:
        if self._shown is not None:
            return False
        self._shown = (service, operation, params)
        return True

    def _met(self, response: Mapping[str, Any], *, first: bool) -> None:
        metadata = response.get("ResponseMetadata", {})
        self._wire_s += metadata.get(WIRE_S, 0.0)
        if not self.measured_skew_s and abs(metadata.get(SKEW_S) or 0.0) > AWS_CLOCK_TOLERANCE_S:
            self.measured_skew_s = metadata[SKEW_S]
        if metadata.get("RequestId"):
            self.request_ids.append(metadata["RequestId"])
        if first:
            self._response = response

    def _exchange(self) -> Exchange | None:
        if self._shown is None:
            return None
        service, operation, params = self._shown
        environment, account = self.context.environment, self.context.account
        target = environment.accounts.get(account, environment.aws) if account else environment.aws
        response, cut = _shown_response(operation, self._response)
        return Exchange(
            request={"service": service, "operation": operation, "params": dict(params)},
            response=response,
            aws_cli=aws_command(
                service,
                operation,
                params,
                region=self.aws.region_name(),
                profile=target.profile or environment.aws.profile,
                endpoint_url=target.endpoint_url or environment.aws.endpoint_url,
            ),
            truncated=cut,
        )


def _pages(read: int) -> str:
    return f"{read} page{'' if read == 1 else 's'}"


async def ask(
    params: Mapping[str, Any],
    context: ProbeContext,
    service: str,
    work: Callable[[AwsCalls], Awaitable[Observation]],
    *,
    denial_is_answer: bool = False,
) -> Observation:
    """Run one probe; an AWS error becomes a failure with `error.code`, `error.message` and `latency`."""
    calls = AwsCalls(params, context, service)
    token = STEP_TIME.set(calls.time)
    try:
        observation = await _observed(calls, work, denial_is_answer=denial_is_answer)
        if calls.misplaced():
            # The window was placed by a clock that AWS contradicts: what was read in it proves nothing.
            observation = await _observed(calls.corrected(), work, denial_is_answer=denial_is_answer)
            # The step began by the clock as it was.
            return replace(observation, skew_s=calls.measured_skew_s)
        return observation
    finally:
        STEP_TIME.reset(token)


async def _observed(
    calls: AwsCalls, work: Callable[[AwsCalls], Awaitable[Observation]], *, denial_is_answer: bool
) -> Observation:
    try:
        return await work(calls)
    except ProbeError as stop:
        return calls.dressed(stop.observation)
    except AwsError as error:
        calls.met(error)
        failure = failure_of(error, denial_is_answer=denial_is_answer)
        document = {"error": {"code": error.code, "message": error.message}, "latency": calls.latency()}
        return calls.dressed(Observation(document=document, failure=failure, complete=False))
    except CannotVerifyError as error:
        failure = Failure(status=Status.ERROR, reason=error.reason, message=str(error))
        return calls.dressed(Observation(failure=failure, complete=False))


def failure_of(error: AwsError, *, denial_is_answer: bool = False) -> Failure:
    """Return the failure of a refused call: `fail` for the target's fault, `error` when nothing was measured."""
    status, reason = Status.ERROR, error.reason
    answered: tuple[str, ...] = ()
    if reason is Reason.API_ERROR:
        # A malformed request is the check's own fault; anything else is how production answers.
        ours = is_malformed_request(error.service, error.operation, error.code)
        # A check of logs or metrics reads them through a service that is not its target.
        reading = error.service in READING_SERVICES and not (denial_is_answer or error.code in _ABSENT)
        status = Status.ERROR if ours or reading else Status.FAIL
        answered = ("error",)
    elif reason is Reason.ACCESS_DENIED and denial_is_answer:
        answered = ("error",)
    elif reason is Reason.TIMEOUT:
        reason = Reason.SERVICE
    return Failure(status=status, reason=reason, message=error.message, transient=error.transient, answered_by=answered)


def wire_time(response: Mapping[str, Any]) -> Duration | None:
    """Return the seconds AWS took for one response; None when they were not measured."""
    taken_s = response.get("ResponseMetadata", {}).get(WIRE_S)
    return None if taken_s is None else Duration.from_s(taken_s)


def seconds(value: Any, default: str | float) -> float:
    """Return a key's duration in seconds: `"5s"`, a Duration, or a number of seconds."""
    value = default if value is None else value
    if isinstance(value, str):
        return parse_duration(value).s
    return value.s if isinstance(value, Duration) else float(value)


def moment(value: Any, key: str, calls: AwsCalls) -> datetime:
    """Return the instant of `since` or `until`: `"5m"` ago, an RFC 3339 time, `"release"` or `"start"`.

    A start in the future is refused, because an empty result would be no evidence.
    """
    moment = _moment(value, key, calls)
    if key == "since" and (moment - calls.now()).total_seconds() > FUTURE_S:
        message = f"`since` is in the future ({moment.isoformat(timespec='seconds')}), so there is nothing to read yet"
        raise refuse(Status.INCONCLUSIVE, Reason.NO_DATA, message)
    return moment


def too_young(since: Any, start: datetime, calls: AwsCalls, *, lag_s: float) -> bool:
    """Return whether a window of fixed length (`since = "1s"`) is always shorter than the delay of a signal in AWS.

    Such a window is always empty, so it proves no absence. A window with a fixed start grows beyond the delay.
    """
    if isinstance(since, datetime) or not re.fullmatch(r"[-\d.a-zµ]+", str(since)) or str(since) == "release":
        return False
    if str(since) == "start":
        # This window grows, too, but a check that has just begun has looked too early.
        lag_s += AWS_CLOCK_TOLERANCE_S
    return (calls.now() - start).total_seconds() < lag_s


def _moment(value: Any, key: str, calls: AwsCalls) -> datetime:
    now = calls.first_now()
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, Duration):
        return now - timedelta(seconds=abs(value.s))
    text = str(value).strip()
    if text == "start":
        began = calls.context.started_at
        # A line of the first moment must not be missed because its writer's clock is behind.
        margin = timedelta(seconds=calls.skew_s + AWS_CLOCK_TOLERANCE_S)
        return now - timedelta(seconds=AWS_CLOCK_TOLERANCE_S) if began is None else began - margin
    if text == "release":
        started = calls.context.release_started_at
        if started is None:
            message = f'`{key} = "release"` cannot be placed in time: no release of [[function]] is known yet'
            raise refuse(Status.INCONCLUSIVE, Reason.NO_DATA, message)
        moment: datetime = started
        return moment
    try:
        return now - timedelta(seconds=abs(parse_duration(text).s))
    except ValueError:
        pass
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        message = f'`{key} = "{text}"` is neither a duration such as "5m", an RFC 3339 time, "release" nor "start"'
        raise refuse(Status.ERROR, Reason.INVALID, message) from None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def project_file(context: ProbeContext, path: str, key: str) -> bytes:
    """Return the bytes of a file inside the project. Raises the end of the probe for other paths."""
    root = Path(context.root).resolve()
    resolved = (root / path).resolve()
    if not resolved.is_relative_to(root):
        raise refuse(Status.ERROR, Reason.INVALID, f"`{key}` leaves the project: {path}")
    try:
        return resolved.read_bytes()
    except OSError as error:
        message = f"`{key}` cannot be read: {path}: {error.strerror or error}"
        raise refuse(Status.ERROR, Reason.INVALID, message) from None


def to_json(value: Any, key: str) -> bytes:
    """Return a key's value as JSON, decimals digit by digit, times as RFC 3339."""
    try:
        return _encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise refuse(Status.ERROR, Reason.INVALID, f"`{key}` cannot be sent as JSON: {error}") from None


def from_json(text: str | bytes) -> Any:
    """Parse JSON with exact decimals. Raises ValueError."""
    return json.loads(text, parse_float=Decimal)


def exact(value: Any) -> Any:
    """Return a response for assertions: floats as exact decimals, bytes as text."""
    if isinstance(value, Mapping):
        return {str(key): exact(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [exact(each) for each in value]
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode(errors="replace")
    return value


def _shown_response(operation: str, response: Any) -> tuple[Any, bool]:
    if not isinstance(response, Mapping):
        return None, False
    rest = {key: value for key, value in response.items() if key != "ResponseMetadata"}
    if SECRET_OPERATIONS.fullmatch(operation):
        return dict.fromkeys(rest, MASK), False
    cut = any(isinstance(value, list) and len(value) > SHOWN_ITEMS for value in rest.values())
    return {key: value[:SHOWN_ITEMS] if isinstance(value, list) else value for key, value in rest.items()}, cut
