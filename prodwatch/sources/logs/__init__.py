"""CloudWatch Logs, polled with overlap: what becomes visible in time is shown once and only once."""
