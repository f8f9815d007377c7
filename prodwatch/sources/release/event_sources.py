"""Reads which event sources send a function its events in order, shard by shard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.model.environment import FunctionTarget
from prodwatch.model.status import Reason
from prodwatch.sources.error_status import DENIED_EVERY_S

EVERY_S = 300.0
"""Pause between reads of the event sources of one function."""
_INACTIVE = frozenset(("Disabled", "Disabling", "Deleting"))


class _Sources(NamedTuple):
    """Event sources of one function as last read."""

    due_s: float
    """Monotonic second of the next read."""
    ordered: tuple[str, ...] = ()
    error: str | None = None


_NOT_READ = _Sources(float("-inf"))


class OrderedSourceReader:
    """Reads the event source mappings of each function every five minutes."""

    def __init__(self, aws: AwsApi, clock: Clock, clean: Callable[[str], str]) -> None:
        self._aws = aws
        self._clock = clock
        self._clean = clean
        self._sources: dict[FunctionTarget, _Sources] = {}

    async def of(self, function: FunctionTarget) -> tuple[str, ...]:
        """Return the ordered event sources of a function's alias, as last read.

        Raises AwsError when the user's limit is exhausted.
        """
        known = self._sources.get(function, _NOT_READ)
        now_s = self._clock.monotonic_s()
        if now_s < known.due_s:
            return known.ordered
        try:
            sources = _Sources(now_s + EVERY_S, await self._read(function))
        except AwsError as error:
            if error.reason is Reason.LIMIT:
                raise
            denied = error.reason is Reason.ACCESS_DENIED
            sources = known._replace(due_s=now_s + (DENIED_EVERY_S if denied else EVERY_S), error=error.message)
        self._sources[function] = sources
        return sources.ordered

    def notes(self) -> list[str]:
        """Return one sentence per function whose event sources could not be read."""
        return [f"event sources of {each.name}: {known.error}" for each, known in self._sources.items() if known.error]

    async def _read(self, function: FunctionTarget) -> tuple[str, ...]:
        name = f"{function.name}:{function.alias}" if function.alias else function.name
        pages = self._aws.pages(
            "lambda",
            "ListEventSourceMappings",
            {"FunctionName": name},
            account=function.account,
            region=function.region,
        )
        found = [
            words
            async for page in pages
            for mapping in page.get("EventSourceMappings") or ()
            if mapping.get("State") not in _INACTIVE and (words := ordered_source(mapping)) is not None
        ]
        return tuple(dict.fromkeys(map(self._clean, found)))


def ordered_source(mapping: Mapping[str, Any]) -> str | None:
    """Return the name of a source that sends in order, from its mapping; None for any other source."""
    parts = str(mapping.get("EventSourceArn") or "").split(":", 5)
    service, resource = (parts[2], parts[5]) if len(parts) == 6 else ("", "")
    name = resource.partition("/")[2]
    if service == "kinesis":
        return f"Kinesis stream {name.partition('/')[0]}"
    if service == "dynamodb":
        return f"DynamoDB stream of table {name.partition('/')[0]}"
    if service == "sqs":
        return f"FIFO queue {resource}" if resource.endswith(".fifo") else None
    if service == "rds":
        return f"DocumentDB change stream {resource.rpartition(':')[2]}"
    if service == "kafka" or mapping.get("SelfManagedEventSource"):
        return f"Kafka topic {', '.join(mapping.get('Topics') or ('of unknown name',))}"
    return None
