"""CloudWatch Logs: what is stored, when it can be seen, and the operations that read it."""
