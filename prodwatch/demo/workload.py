"""Interfaces between the embedded AWS and the workload on it: signals in, invocations and requests out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvent:
    """One event as CloudWatch stores it."""

    timestamp_ms: int
    stream: str
    message: str
    ingested_ms: int
    visible_ms: int
    """Wall time from which reads return it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSample:
    """Values of one metric in one period of 60 s."""

    timestamp_s: int
    """Start of the minute."""
    values: tuple[float, ...]
    counts: tuple[float, ...]
    visible_s: float
    """Wall time from which reads return it."""


class TracedCall(NamedTuple):
    """One call of a traced request as X-Ray's service graph counts it; services are (name, type)."""

    caller: tuple[str, str]
    """Type `client`, with the entry's name, for calls from outside."""
    called: tuple[str, str]
    start_s: float
    end_s: float
    flag: Literal["", "fault", "error", "throttle"] = ""


class History(Protocol):
    """Past signals, computed from a seed on each read: pure functions of the window, nothing stored."""

    def log_groups(self) -> Mapping[str, int]:
        """Return log group → creation time in epoch ms."""
        ...

    def log_events(self, group: str, start_ms: int, end_ms: int) -> Iterable[LogEvent]:
        """Yield the group's events with start ≤ timestamp ≤ end, ordered by timestamp."""
        ...

    def segments(self, start_s: float, end_s: float) -> Iterable[Mapping[str, Any]]:
        """Yield X-Ray segment documents starting in the window."""
        ...

    def calls(self, start_s: float, end_s: float) -> Iterable[TracedCall]:
        """Yield the calls of all traces that begin in start ≤ t < end, as in `segments`, without the documents."""
        ...

    def metric_names(self) -> Iterable[tuple[str, str, Mapping[str, str]]]:
        """Yield (namespace, metric, dimensions) of every past series."""
        ...

    def metric_samples(
        self, namespace: str, metric: str, dimensions: Mapping[str, str], start_s: int, end_s: int
    ) -> Iterable[MetricSample]:
        """Yield the samples of one exact series with start ≤ minute < end."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One Lambda Invoke as the API received it."""

    function: str
    qualifier: str | None
    payload: bytes
    kind: str
    """`RequestResponse`, `Event`, `DryRun`."""
    trace_header: str | None
    log_tail: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InvocationResult:
    """Lambda's response."""

    payload: bytes
    executed_version: str
    request_id: str
    function_error: str | None = None
    log_tail: str | None = None
    """Last 4 kB of the invocation's log, not yet base64."""


Invoker = Callable[[Invocation], Awaitable[InvocationResult]]
"""Raises KeyError for an unknown function or qualifier; the API then returns ResourceNotFoundException."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRequest:
    """One HTTP request to something that is not an AWS API (the shop's API Gateway)."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WebResponse:
    """The response to it."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


WebHandler = Callable[[WebRequest], Awaitable[WebResponse]]
