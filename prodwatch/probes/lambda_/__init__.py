"""Check type: Lambda invocations."""
