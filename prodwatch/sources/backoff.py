"""Randomised exponential backoff."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Full jitter: each wait is uniform between 0 and a ceiling that doubles with every failure."""

    def __init__(
        self, *, base_s: float = 1.0, cap_s: float = 30.0, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._base_s = base_s
        self._cap_s = cap_s
        self._uniform = uniform
        self.failures = 0

    def next_s(self) -> float:
        """Count a failure and return the seconds to wait."""
        ceiling = min(self._cap_s, self._base_s * 2**self.failures)
        self.failures += 1
        return self._uniform(0, ceiling)

    def reset(self) -> None:
        """Reset the ceiling after a success."""
        self.failures = 0
