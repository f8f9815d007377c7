"""prodwatch: checks, live telemetry and a verdict on a release, in one terminal tool."""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["__version__"]
