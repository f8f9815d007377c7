"""CloudWatch alarms that evaluate themselves from the metrics, minute by minute."""
