"""Check type: CloudWatch alarms."""
