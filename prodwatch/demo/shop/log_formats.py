"""Log lines of Lambda and its functions, as text and as JSON, identical to the real ones."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring as _quoted
from typing import Protocol

RUNTIME_ARN = "arn:aws:lambda:eu-west-1::runtime:5eaca0ecada617668d4d59f66bf32f963e95d17ca326aad52b85465d04c429f5"


@lru_cache(maxsize=4096)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def stamp(at_ms: int) -> str:
    """Return epoch milliseconds as `2026-11-20T14:03:51.884Z`."""
    return f"{_second(at_ms // 1000)}.{at_ms % 1000:03d}Z"


@lru_cache(maxsize=64)
def day(second: int) -> str:
    """Return the date prefix of a log stream for a multiple of 86400 seconds."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y/%m/%d/")


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerException:
    """An exception that a handler did not catch."""

    type: str
    message: str
    frames: tuple[tuple[str, int, str, str], ...]
    """(file, line, function, source) from the outside in."""

    @property
    def stack(self) -> list[str]:
        """Return the traceback as the runtime lists it."""
        return [
            f'  File "/var/task/{file}", line {line}, in {function}\n    {source}\n'
            for file, line, function, source in self.frames
        ]


class Writer(Protocol):
    """One log format. Times are epoch milliseconds, durations milliseconds."""

    def init(self, at_ms: int, version: str) -> str:
        """Return the line of a cold start."""
        ...

    def start(self, at_ms: int, request_id: str, version: str) -> str:
        """Return the line that opens an invocation."""
        ...

    def app(self, at_ms: int, request_id: str, level: str, message: str, trace_id: str) -> str:
        """Return one line of the application."""
        ...

    def error(self, at_ms: int, request_id: str, exception: HandlerException) -> str:
        """Return the runtime's line for an uncaught exception."""
        ...

    def end(self, request_id: str) -> str | None:
        """Return the line that closes an invocation, None when the format has no such line."""
        ...

    def report(
        self,
        at_ms: int,
        request_id: str,
        duration_ms: float,
        init_ms: float,
        memory_mb: int,
        trace: tuple[str, str] | None,
        error_type: str,
    ) -> str:
        """Return the line with the numbers; `trace` is (trace id, segment id) of a sampled invocation."""
        ...


class TextWriter:
    """The older format: START, END and REPORT lines."""

    def init(self, _at_ms: int, _version: str) -> str:
        """Return the line of a cold start."""
        return f"INIT_START Runtime Version: python:3.13.v58\tRuntime Version ARN: {RUNTIME_ARN}\n"

    def start(self, _at_ms: int, request_id: str, version: str) -> str:
        """Return the line that opens an invocation."""
        return f"START RequestId: {request_id} Version: {version}\n"

    def app(self, at_ms: int, request_id: str, level: str, message: str, _trace_id: str) -> str:
        """Return one line of the application."""
        return f"[{level}]\t{stamp(at_ms)}\t{request_id}\t{message}\n"

    def error(self, _at_ms: int, _request_id: str, exception: HandlerException) -> str:
        """Return the exception with its traceback, one event of several lines."""
        stack = "".join(exception.stack)
        return f"[ERROR] {exception.type}: {exception.message}\nTraceback (most recent call last):\n{stack}"

    def end(self, request_id: str) -> str | None:
        """Return the line that closes an invocation."""
        return f"END RequestId: {request_id}\n"

    def report(
        self,
        _at_ms: int,
        request_id: str,
        duration_ms: float,
        init_ms: float,
        memory_mb: int,
        trace: tuple[str, str] | None,
        error_type: str,
    ) -> str:
        """Return the REPORT line, tabs and all."""
        init = f"Init Duration: {init_ms:.2f} ms\t" if init_ms else ""
        status = f"Status: error\tError Type: {error_type}\t" if error_type else ""
        xray = f"\nXRAY TraceId: {trace[0]}\tSegmentId: {trace[1]}\tSampled: true\t" if trace else ""
        return (
            f"REPORT RequestId: {request_id}\tDuration: {duration_ms:.2f} ms\tBilled Duration: "
            f"{math.ceil(duration_ms)} ms\tMemory Size: {memory_mb} MB\tMax Memory Used: {memory_mb // 4 + 11} MB\t"
            f"{init}{status}{xray}\n"
        )


class JsonWriter:
    """`LogFormat=JSON`: platform lines and application lines are JSON objects."""

    def init(self, at_ms: int, version: str) -> str:
        """Return the line of a cold start."""
        return (
            f'{{"time":"{stamp(at_ms)}","type":"platform.initStart","record":{{"initializationType":"on-demand",'
            f'"phase":"init","runtimeVersion":"python:3.13.v58","runtimeVersionArn":"{RUNTIME_ARN}",'
            f'"functionVersion":"{version}"}}}}'
        )

    def start(self, at_ms: int, request_id: str, version: str) -> str:
        """Return the line that opens an invocation."""
        return (
            f'{{"time":"{stamp(at_ms)}","type":"platform.start","record":{{"requestId":"{request_id}",'
            f'"version":"{version}"}}}}'
        )

    def app(self, at_ms: int, request_id: str, level: str, message: str, trace_id: str) -> str:
        """Return one line of the application."""
        return (
            f'{{"timestamp":"{stamp(at_ms)}","level":"{level}","message":{_quoted(message)},"logger":"shop",'
            f'"requestId":"{request_id}","xray_trace_id":"{trace_id}"}}'
        )

    def error(self, at_ms: int, request_id: str, exception: HandlerException) -> str:
        """Return the exception as the runtime's formatter writes it."""
        file, line, function, _ = exception.frames[-1]
        message = _quoted(f"{exception.type}: {exception.message}")
        return (
            f'{{"timestamp":"{stamp(at_ms)}","level":"ERROR","message":{message},'
            f'"logger":"root","stackTrace":{_stack(exception)},"errorType":"{exception.type}","errorMessage":'
            f'{_quoted(exception.message)},"requestId":"{request_id}","location":"/var/task/{file}:{function}:{line}"}}'
        )

    def end(self, _request_id: str) -> str | None:
        """Return None: in this format the report closes an invocation."""
        return None

    def report(
        self,
        at_ms: int,
        request_id: str,
        duration_ms: float,
        init_ms: float,
        memory_mb: int,
        trace: tuple[str, str] | None,
        error_type: str,
    ) -> str:
        """Return `platform.report`."""
        init = f',"initDurationMs":{init_ms:.2f}' if init_ms else ""
        status = f'"status":"error","errorType":"{error_type}"' if error_type else '"status":"success"'
        tracing = (
            f',"tracing":{{"spanId":"{trace[1]}","type":"X-Amzn-Trace-Id","value":"Root={trace[0]};Parent={trace[1]};'
            'Sampled=1"}'
            if trace
            else ""
        )
        return (
            f'{{"time":"{stamp(at_ms)}","type":"platform.report","record":{{"requestId":"{request_id}","metrics":'
            f'{{"durationMs":{duration_ms:.2f},"billedDurationMs":{math.ceil(duration_ms)},"memorySizeMB":{memory_mb},'
            f'"maxMemoryUsedMB":{memory_mb // 4 + 11}{init}}}{tracing},{status}}}}}'
        )


@lru_cache(maxsize=64)
def _stack(exception: HandlerException) -> str:
    return json.dumps(exception.stack)


WRITERS: dict[str, Writer] = {"text": TextWriter(), "json": JsonWriter()}


def access_line(
    at_ms: int,
    request_id: str,
    route: str,
    path: str,
    status: int,
    latency_ms: float,
    integration_id: str,
    trace_id: str,
) -> str:
    """Return one line of the HTTP API's access log."""
    method, _, _ = route.partition(" ")
    return (
        f'{{"requestId":"{request_id}","requestTime":"{stamp(at_ms)}","httpMethod":"{method}","routeKey":"{route}",'
        f'"path":{_quoted(path)},"status":"{status}","protocol":"HTTP/1.1","responseLatency":"{latency_ms:.0f}",'
        f'"integrationRequestId":"{integration_id}","xrayTraceId":"{trace_id}"}}'
    )
