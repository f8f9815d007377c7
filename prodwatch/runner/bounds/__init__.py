"""Bounds of a run: concurrency, time limits, serial groups."""
