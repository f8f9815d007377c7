"""Check type: HTTP requests."""
