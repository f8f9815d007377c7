"""CloudWatch metrics: samples by minute, statistics of any kind over any period."""
