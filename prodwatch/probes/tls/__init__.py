"""Check type: TLS certificates."""
