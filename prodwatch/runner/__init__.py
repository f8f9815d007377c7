"""Runs checks: order, limits, deadlines, retry, polling, flows, cleanup; nothing is green by default."""
