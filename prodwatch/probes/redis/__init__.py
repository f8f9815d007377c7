"""Check type: Redis commands."""
