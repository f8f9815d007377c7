"""Live signals in the plain terminal: options, output and signal handling of `logs`, `traces` and `metrics`."""
