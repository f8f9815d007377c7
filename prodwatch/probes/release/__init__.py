"""Check type: Lambda releases."""
