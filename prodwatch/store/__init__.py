"""What is known now, in bounded rings with a revision per topic."""

from prodwatch.store.check_results import CheckTrack, Outcome
from prodwatch.store.store import Store, StoreLimits, Topic

__all__ = ["CheckTrack", "Outcome", "Store", "StoreLimits", "Topic"]
