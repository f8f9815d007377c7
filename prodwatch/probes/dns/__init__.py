"""Check type: DNS queries."""
