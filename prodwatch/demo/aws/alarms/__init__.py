"""CloudWatch alarms, evaluated from the metrics minute by minute."""
