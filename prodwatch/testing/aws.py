"""An AWS that answers from a script and remembers what it was asked."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any

import msgspec

from prodwatch.aws.interface import AwsApi, AwsError, RawAnswer
from prodwatch.model.result import Usage
from prodwatch.model.status import Reason

Answer = Callable[[Mapping[str, Any]], dict[str, Any]]
Events = Callable[[Mapping[str, Any]], AsyncGenerator[dict[str, Any], None]]


class ScriptedAws(AwsApi):
    """Answers `service:Operation` by the function registered for it; records every call."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.streams: dict[str, Events] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.failing: dict[str, AwsError] = {}

    async def call(
        self,
        service: str,
        operation: str,
        params: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        """Answer by the script; an operation without one gives an empty response."""
        name = f"{service}:{operation}"
        self.calls.append((name, dict(params or {})))
        if name in self.failing:
            raise self.failing[name]
        return self.answers[name](params or {}) if name in self.answers else {}

    async def pages(
        self,
        service: str,
        operation: str,
        params: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the one page the script has."""
        yield await self.call(service, operation, params)

    async def raw(
        self,
        service: str,
        operation: str,
        params: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> RawAnswer:
        """Answer by the script, as JSON."""
        return RawAnswer(msgspec.json.encode(await self.call(service, operation, params)))

    async def events(
        self,
        service: str,
        operation: str,
        params: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield what the script's stream yields; one that is not scripted ends at once."""
        await self.call(service, operation, params)
        script = self.streams.get(f"{service}:{operation}")
        if script is not None:
            async for event in script(params or {}):
                yield event

    async def client(self, service: str, *, account: str | None = None, region: str | None = None) -> Any:
        """Refuse: a script has no client."""
        raise LookupError(f"a scripted AWS has no {service} client")

    async def account_id(self, account: str | None = None) -> str:
        """Return the account every script lives in."""
        return "123456789012"

    def region_name(self, account: str | None = None) -> str | None:
        """Return the region every script lives in."""
        return "eu-west-1"

    async def credentials(self, account: str | None = None, *, renew: bool = False) -> Any:
        """Refuse: a script has nothing to sign with."""
        raise LookupError("a scripted AWS has no credentials")

    def charge(self, operation: str, units: float) -> None:
        """Note the units as a call with no parameters but them."""
        self.calls.append((operation, {"units": units}))

    def usage(self) -> Usage:
        """Return the calls so far, free of charge."""
        counts: dict[str, int] = {}
        for name, _ in self.calls:
            counts[name] = counts.get(name, 0) + 1
        return Usage(calls=counts)

    def fail(self, name: str, reason: Reason, code: str = "Error") -> None:
        """Have an operation fail until further notice."""
        service, _, operation = name.partition(":")
        self.failing[name] = AwsError(f"{name} failed", code=code, reason=reason, service=service, operation=operation)

    def count(self, name: str) -> int:
        """Return how often an operation was called."""
        return sum(called == name for called, _ in self.calls)
