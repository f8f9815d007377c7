"""Bounds of a run: concurrency, time limits, stop reasons, serial groups, the network self-check."""
