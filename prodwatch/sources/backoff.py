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
        self._ceiling_s = min(cap_s, base_s)

    def next_s(self) -> float:
        """Return the seconds to wait after one more failure."""
        ceiling_s = self._ceiling_s
        # Doubling the bounded ceiling, not raising 2 to the number of failures: after 1,023 of them that overflows.
        self._ceiling_s = min(self._cap_s, ceiling_s * 2)
        return self._uniform(0, ceiling_s)

    def reset(self) -> None:
        """Reset the ceiling after a success."""
        self._ceiling_s = min(self._cap_s, self._base_s)
