"""Check type: always pass, fail or skip."""
