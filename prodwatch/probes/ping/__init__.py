"""Check type: ICMP echoes."""
