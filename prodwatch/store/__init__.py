"""The current state shown by all front ends, in bounded memory, with a revision per topic."""

from prodwatch.store.check_history import CheckTrack, RoundOutcome
from prodwatch.store.store import Store, StoreLimits, Topic

__all__ = ["CheckTrack", "RoundOutcome", "Store", "StoreLimits", "Topic"]
