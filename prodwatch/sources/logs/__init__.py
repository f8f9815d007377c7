"""CloudWatch Logs, polled with overlap: every line that becomes visible in time is shown exactly once."""
