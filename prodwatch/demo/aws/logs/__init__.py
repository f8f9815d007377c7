"""CloudWatch Logs: stored events, their visibility, and the operations."""
