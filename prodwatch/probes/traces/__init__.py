"""Check type: X-Ray traces."""
