"""Former name of `prodwatch.testing.check_runner`, kept until 0.3."""

from __future__ import annotations

import warnings

from prodwatch.testing.check_runner import Bench, by_id

__all__ = ["Bench", "by_id"]

warnings.warn("prodwatch.testing.bench is now prodwatch.testing.check_runner", DeprecationWarning, stacklevel=2)
