"""Pseudo-random numbers computed from the seed: evenly distributed over any window."""

from __future__ import annotations

import hashlib
from functools import lru_cache

MASK = 0xFFFF_FFFF
BLOCK_S = 64
"""Interval after which the sequence is shifted by a new amount, so that no pattern is visible."""
DIMENSIONS = 6


def _steps() -> tuple[int, ...]:
    # Kronecker's sequence with the generalised golden ratio: any window of it is evenly distributed in all
    # dimensions together, so a share of 6 % is 6 % in every minute and tests of the demo do not depend on chance.
    ratio = 1.5
    for _ in range(64):
        ratio = (1 + ratio) ** (1 / (DIMENSIONS + 1))
    return tuple(round(2**32 / ratio**power) | 1 for power in range(1, DIMENSIONS + 1))


STEPS = _steps()


class SeededRandom:
    """`DIMENSIONS` sequences of 32-bit numbers, addressed by second and slot."""

    def __init__(self, seed: int, name: str) -> None:
        self._key = f"{seed}/{name}/"
        self.start = lru_cache(maxsize=256)(self._start)
        """`start(second, slots)`: see `_start`."""
        self._level = lru_cache(maxsize=256)(self._new_level)

    def _start(self, second: int, slots: int) -> tuple[int, ...]:
        """Return the six numbers of the second's first of `slots`; each next slot adds `STEPS` modulo 2³²."""
        turn = self.digest(second // BLOCK_S)
        index = second * slots
        return tuple(
            (index * step + int.from_bytes(turn[4 * axis : 4 * axis + 4], "big")) & MASK
            for axis, step in enumerate(STEPS)
        )

    def digest(self, value: object) -> bytes:
        """Return 32 bytes derived from `value`."""
        return hashlib.blake2b(f"{self._key}{value}".encode(), digest_size=32).digest()

    def wave(self, second: int, period_s: int) -> float:
        """Return smooth noise between -1 and 1 that changes over `period_s`."""
        block, within = divmod(second, period_s)
        left, right = self._level(block, period_s), self._level(block + 1, period_s)
        share = within / period_s
        return left + (right - left) * share * share * (3 - 2 * share)

    def _new_level(self, block: int, period_s: int) -> float:
        return int.from_bytes(self.digest(f"wave {period_s} {block}")[:4], "big") / 2**31 - 1


class Ids:
    """Dissimilar identifiers of requests, computed from their number."""

    _SPREAD = 0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835
    _WIDE = (1 << 128) - 1

    def __init__(self, random: SeededRandom) -> None:
        self._salt = int.from_bytes(random.digest("ids")[:16], "big")

    def hex(self, index: int) -> str:
        """Return 32 hexadecimal digits unique to `index`."""
        mixed = ((index + 1) * self._SPREAD + self._salt) & self._WIDE
        mixed ^= mixed >> 61  # one multiplication leaves the low digits of adjacent ids alike
        return f"{mixed * self._SPREAD & self._WIDE:032x}"
