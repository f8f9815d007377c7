"""The same door to AWS with the end of a window in every log query: what comes after it is not even fetched."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from prodwatch.aws.account_scope import ScopedAws
from prodwatch.aws.api import AwsApi, RawAnswer


class Windowed(ScopedAws):
    """Reads log events up to and including `until`, whoever asks."""

    def __init__(self, aws: AwsApi, until: datetime) -> None:
        super().__init__(aws, None, None)
        self._until_ms = int(until.timestamp() * 1000)

    async def call(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None, **options: Any
    ) -> dict[str, Any]:
        """Call an operation; see `AwsApi.call`."""
        return await super().call(service, operation, self._ended(operation, params or {}), **options)

    async def raw(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None, **options: Any
    ) -> RawAnswer:
        """Call an operation and return its body unread; see `AwsApi.raw`."""
        return await super().raw(service, operation, self._ended(operation, params or {}), **options)

    def _ended(self, operation: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        if operation != "FilterLogEvents":
            return params
        # AWS refuses a window that ends before it begins, which overlapping scans of an old window ask for.
        return {**params, "endTime": max(self._until_ms, int(params.get("startTime", 0)))}
