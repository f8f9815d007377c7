"""Check type: CloudWatch Logs."""
