"""Check type: flows and waiting."""
