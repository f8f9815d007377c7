"""Number of examples of a property: few in the fast suite, ten times as many in the slow one, which runs them all."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet
from hypothesis import HealthCheck, settings

FAST, SLOW = 30, 300


def choose_profile(*, slow: bool) -> None:
    """Load the settings of all properties."""
    # A shared, noisy machine makes every limit on wall time a coin toss; what a property says does not depend on it.
    settings.register_profile(
        "prodwatch",
        deadline=None,
        max_examples=SLOW if slow else FAST,
        suppress_health_check=[HealthCheck.too_slow],
        print_blob=True,
    )
    settings.load_profile("prodwatch")


def examples(times: float) -> int:
    """Return `times` the usual number of examples, for a property that needs more or fewer."""
    return int(settings.get_profile("prodwatch").max_examples * times)


def slow_but(fast: Container[Any], values: Iterable[Any]) -> list[ParameterSet]:
    """Return the values of one parameter, each that is not in `fast` marked as slow.

    For a rule that a few cases hold and all of them confirm.
    """
    return [pytest.param(value, marks=() if value in fast else pytest.mark.slow) for value in values]


def mark_properties_slow(items: list[pytest.Item]) -> None:
    """Select every property for a run of the slow tests."""
    for item in items:
        if isinstance(item, pytest.Function) and getattr(item.obj, "is_hypothesis_test", False):
            item.add_marker(pytest.mark.slow)
