"""A scripted AWS whose responses depend on account and region."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec

from prodwatch.aws.interface import AwsError, RawAnswer
from prodwatch.model.identity import HOME, Place
from prodwatch.model.status import Reason
from prodwatch.testing.aws import ScriptedAws

PlacedAnswer = Callable[[Place, Mapping[str, Any]], dict[str, Any]]


class PlacedAws(ScriptedAws):
    """Answers `service:Operation` by a function of place and parameters; records the place of every call."""

    def __init__(self) -> None:
        super().__init__()
        self.placed: dict[str, PlacedAnswer] = {}
        self.failing_in: dict[tuple[str, Place], AwsError] = {}
        self.asked: list[tuple[str, Place]] = []

    async def call(
        self,
        service: str,
        operation: str,
        params: Mapping[str, Any] | None = None,
        *,
        account: str | None = None,
        region: str | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        """Answer for the place; operations without a script of this kind answer as in the base class."""
        name, place = f"{service}:{operation}", Place(account or "", region or "")
        self.asked.append((name, place))
        if (name, place) in self.failing_in:
            raise self.failing_in[name, place]
        if name in self.placed:
            self.calls.append((name, dict(params or {})))
            return self.placed[name](place, params or {})
        return await super().call(service, operation, params)

    async def pages(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None, **options: Any
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the pages of a response with `pages`, else the response as the only one."""
        response = await self.call(service, operation, params, **options)
        for page in response.get("pages", [response]):
            yield page

    async def raw(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None, **options: Any
    ) -> RawAnswer:
        """Answer by the script, as JSON."""
        return RawAnswer(msgspec.json.encode(await self.call(service, operation, params, **options)))

    def fail_in(
        self, place: Place, name: str, reason: Reason = Reason.ACCESS_DENIED, code: str = "AccessDeniedException"
    ) -> None:
        """Have an operation fail in one place until further notice."""
        service, _, operation = name.partition(":")
        self.failing_in[name, place] = AwsError(
            f"{name} failed in {place or 'the own region'}",
            code=code,
            reason=reason,
            service=service,
            operation=operation,
        )


EAST = Place(region="us-east-1")
PAY = Place("pay")
PLACES = (HOME, EAST, PAY)
