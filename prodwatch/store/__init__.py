"""The current state shown by all front ends, in bounded memory, with a revision per topic; past runs in `history`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prodwatch.store.check_history import CheckTrack, RoundOutcome
    from prodwatch.store.store import Store, StoreLimits, Topic

_HOMES = {
    "CheckTrack": "check_history",
    "RoundOutcome": "check_history",
    "Store": "store",
    "StoreLimits": "store",
    "Topic": "store",
}
"""Name → its module."""

__all__ = ["CheckTrack", "RoundOutcome", "Store", "StoreLimits", "Topic"]


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: a run files its entry without loading the live state."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
