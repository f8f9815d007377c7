"""Guards the messages of others: a receive raises their count, and a queue's redrive policy may give them up for it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from prodwatch.model.status import Reason, Status
from prodwatch.probes.aws_support import AwsCalls, refuse

SAFE_RECEIVES = 3
"""Smallest redrive limit; with a lower one, our receive could move a message to the dead-letter queue."""
MAX_REMEMBERED = 1000
"""Messages of one queue whose receive count is remembered."""


class RedriveGuard:
    """Receive limit of one queue, and how often a run has received each of its messages."""

    def __init__(self, limit: int | None, counts: dict[str, int], *, wait_left_s: float) -> None:
        self._limit = limit
        self._counts = counts
        self._wait_left_s = wait_left_s

    @classmethod
    async def admit(cls, calls: AwsCalls, url: str) -> RedriveGuard:
        """Return the guard of one receive; ProbeError when it could move a message to the dead-letter queue."""
        limit = await _redrive_limit(calls, url)
        counts: dict[str, int] = calls.context.memory.setdefault(f"sqs {url}", {})
        _refuse_unsafe(url, limit, counts)
        return cls(limit, counts, wait_left_s=calls.context.wait_left_s)

    def lost(self) -> None:
        """Record a receive without a response: any of the known messages may have been received once more."""
        self._counts.update({id_: count + 1 for id_, count in self._counts.items()})

    def received(self, messages: Iterable[Mapping[str, Any]]) -> float:
        """Record messages that stay in the queue; return the shortest pause before the next receive, in seconds."""
        ids = [self._count(message) for message in messages]
        if self._limit is None or not ids:
            return 0.0
        # What may still be received without risk is spread over the time that is left.
        left = self._limit - 1 - max(self._counts.get(id_, 0) for id_ in ids)
        return self._wait_left_s / left if left > 0 else 0.0

    def _count(self, message: Mapping[str, Any]) -> str:
        """Remember how often a message has been received; return its id."""
        counts, id_ = self._counts, str(message["MessageId"])
        count = (message.get("Attributes") or {}).get("ApproximateReceiveCount")
        counts[id_] = int(count) if count else counts.get(id_, 0) + 1
        while len(counts) > MAX_REMEMBERED:
            # The one furthest from its limit.
            counts.pop(min(counts, key=lambda known: counts[known]))
        return id_


async def _redrive_limit(calls: AwsCalls, url: str) -> int | None:
    """Return after how many receives the queue gives a message up; None without a limit, or when it is accepted."""
    if calls.params.get("accept_redrive"):
        return None
    # Every queue has an ARN: a response without it is not the queue's, while one without a policy may be.
    request = {"QueueUrl": url, "AttributeNames": ["RedrivePolicy", "QueueArn"]}
    # Not through `calls`, whose first call is the exchange that a result shows.
    answer = await calls.aws.call("sqs", "GetQueueAttributes", request, timeout_s=calls.left_s())
    attributes = answer.get("Attributes") or {}
    policy = attributes.get("RedrivePolicy")
    if policy is None:
        return None
    try:
        return int(json.loads(policy)["maxReceiveCount"])
    except (ValueError, KeyError, TypeError):
        message = f'the redrive policy of queue "{url.rsplit("/", 1)[-1]}" cannot be read, so looking at it is not safe'
        raise refuse(Status.ERROR, Reason.PROTECTED, message) from None


def _refuse_unsafe(url: str, limit: int | None, counts: Mapping[str, int]) -> None:
    """Raise ProbeError when one more receive could move a message of others to the dead-letter queue."""
    if limit is None:
        return
    most = max(counts.values(), default=0)
    if limit >= SAFE_RECEIVES and most < limit - 1:
        return
    seen = f" and one has been received {most} times" if most else ""
    message = (
        f'queue "{url.rsplit("/", 1)[-1]}" moves a message to its dead-letter queue after {limit} receives{seen}, '
        "so looking at it again could lose messages of others; `accept_redrive = true` accepts that"
    )
    raise refuse(Status.ERROR, Reason.PROTECTED, message)
