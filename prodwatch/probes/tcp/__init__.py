"""Check type: TCP connects."""
