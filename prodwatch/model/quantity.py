"""Quantities with a unit: a duration is never a bare number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

import msgspec

NS_PER_S = 1_000_000_000


class Duration(msgspec.Struct, frozen=True, order=True):
    """A duration, exact to the nanosecond."""

    ns: int

    @classmethod
    def from_s(cls, seconds: float | Decimal) -> Duration:
        """Convert seconds, exactly from an int or Decimal.

        A float is a measurement and is rounded to 1 µs below 10 ms, else to 10 µs.
        """
        if isinstance(seconds, float):
            # Digits of a clock below a microsecond are noise.
            step_ns = 1_000 if abs(seconds) < 0.01 else 10_000
            return cls(round(seconds * NS_PER_S / step_ns) * step_ns)
        return cls(round(seconds * NS_PER_S))

    @classmethod
    def from_ms(cls, milliseconds: float | Decimal) -> Duration:
        """Convert milliseconds, as `from_s` converts seconds."""
        return cls.from_s(milliseconds / 1000 if isinstance(milliseconds, float) else Decimal(milliseconds) / 1000)

    @property
    def s(self) -> float:
        """Seconds."""
        return self.ns / NS_PER_S

    @property
    def ms(self) -> float:
        """Milliseconds."""
        return self.ns / 1_000_000

    def __str__(self) -> str:
        """Return the literal that the assertion language parses into the same value."""
        for unit_ns, unit in ((NS_PER_S, "s"), (1_000_000, "ms"), (1_000, "us")):
            if abs(self.ns) >= unit_ns:
                return f"{Decimal(self.ns) / unit_ns:f}{unit}"
        return f"{self.ns}ns"


class Headers(Mapping[str, str]):
    """HTTP headers in the order received; names are case-insensitive and every value is kept.

    As a mapping it yields each name in lower case with its first value.
    """

    __slots__ = ("pairs",)

    def __init__(self, pairs: tuple[tuple[str, str], ...] = ()) -> None:
        self.pairs = pairs

    def get_all(self, name: str) -> list[str]:
        """Return every value of `name`, in order; empty when absent."""
        lower_name = name.lower()
        return [value for key, value in self.pairs if key.lower() == lower_name]

    def __getitem__(self, name: str) -> str:
        """Return the first value of `name`; KeyError when absent."""
        values = self.get_all(name)
        if not values:
            raise KeyError(name)
        return values[0]

    def __iter__(self) -> Iterator[str]:
        """Iterate over distinct names, lower case, in the order received."""
        return iter(dict.fromkeys(key.lower() for key, _ in self.pairs))

    def __len__(self) -> int:
        """Count distinct names."""
        return len({key.lower() for key, _ in self.pairs})

    def __repr__(self) -> str:
        return f"Headers({self.pairs!r})"
