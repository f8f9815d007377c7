"""Check type: all, any and none of other checks."""
