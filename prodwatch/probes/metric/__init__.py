"""Check type: CloudWatch metrics."""
