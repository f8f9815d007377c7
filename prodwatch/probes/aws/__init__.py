"""Check type: any AWS API call."""
