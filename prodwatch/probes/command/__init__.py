"""Check type: local commands."""
