from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.demo.shop.seeded_random import DIMENSIONS, MASK, STEPS, Ids, SeededRandom

SECONDS = st.integers(-10_000_000, 10_000_000)


def numbers(draws: SeededRandom, first_s: int, count_s: int, slots: int, dimension: int) -> list[int]:
    return [
        (draws.start(second, slots)[dimension] + slot * STEPS[dimension]) & MASK
        for second in range(first_s, first_s + count_s)
        for slot in range(slots)
    ]


@given(SECONDS, st.sampled_from([5, 46]), st.integers(0, DIMENSIONS - 1), st.floats(0.05, 0.95))
def test_every_minute_has_the_same_share(first_s: int, slots: int, dimension: int, share: float) -> None:
    results = numbers(SeededRandom(1, "x"), first_s, 60, slots, dimension)
    below = sum(item < share * 2**32 for item in results) / len(results)
    # Independent random draws would deviate by up to 3 × sqrt(p(1-p)/n), which is 0.08 at 300 draws.
    assert abs(below - share) < (0.06 if slots == 5 else 0.025)


@given(SECONDS)
def test_same_seed_same_numbers(second: int) -> None:
    assert SeededRandom(7, "a").start(second, 46) == SeededRandom(7, "a").start(second, 46)
    assert SeededRandom(7, "a").start(second, 46) != SeededRandom(8, "a").start(second, 46)
    assert SeededRandom(7, "a").start(second, 46) != SeededRandom(7, "b").start(second, 46)


@given(SECONDS, st.sampled_from([20, 600]))
def test_waves_are_smooth(second: int, period_s: int) -> None:
    draws = SeededRandom(3, "w")
    levels = [draws.wave(item, period_s) for item in range(second, second + 40)]
    assert all(-1 <= level <= 1 for level in levels)
    assert max(abs(after - before) for before, after in pairwise(levels)) <= 2 * 1.6 / period_s + 1e-9


def test_ids_are_unique() -> None:
    ids = Ids(SeededRandom(1, "ids"))
    seen = [ids.hex(number) for number in range(-50_000, 50_000)]
    assert len(set(seen)) == len(seen)
    assert len({item[:8] for item in seen}) > 99_000


@pytest.mark.parametrize("number", [0, -1, 10**12])
def test_ids_are_32_hexadecimal_digits(number: int) -> None:
    text = Ids(SeededRandom(1, "ids")).hex(number)
    assert len(text) == 32
    assert int(text, 16) >= 0
