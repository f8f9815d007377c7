"""The door to AWS as a run holds it: built when somebody knocks, because a run without AWS needs none of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from prodwatch.clock import Clock
from prodwatch.model.environment import Environment
from prodwatch.model.result import Usage

if TYPE_CHECKING:
    from prodwatch.aws.session import Aws


def late_aws(environment: Environment, environ: Mapping[str, str], clock: Clock) -> Aws:
    """Return what behaves as `Aws(environment, environ, clock)` and is none before it is used."""
    return cast("Aws", _Late(environment, environ, clock))


class _Late:
    """Hands everything on to a door that it builds for the first of it."""

    def __init__(self, environment: Environment, environ: Mapping[str, str], clock: Clock) -> None:
        self._given = (environment, environ, clock)
        self._door: Aws | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._door is not None:
            await self._door.__aexit__(kind, exc, trace)

    def usage(self) -> Usage:
        """Return what was spent; nothing before anybody knocked."""
        return Usage() if self._door is None else self._door.usage()

    def __getattr__(self, name: str) -> Any:
        if self._door is None:
            from prodwatch.aws.session import Aws

            self._door = Aws(*self._given)
        return getattr(self._door, name)
