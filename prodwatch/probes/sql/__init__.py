"""Check type: SQL statements."""
