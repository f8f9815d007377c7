"""Notices that this machine's wall clock was set back, which would make what was just read look like the future."""

from __future__ import annotations

from prodwatch.clock import Clock

STEP_S = 0.5
"""Less is a clock that is being slowed down; the margin of every window covers that."""


class SetBack:
    """Compares the wall clock with the monotonic one, which nobody sets; a sleeping machine looks like a step ahead."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._base_s = self._difference_s()

    def take_s(self) -> float:
        """Return by how many seconds the clock was set back since the last call, 0.0 when it was not."""
        before_s, self._base_s = self._base_s, self._difference_s()
        by_s = before_s - self._base_s
        return by_s if by_s >= STEP_S else 0.0

    def _difference_s(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic_s()
