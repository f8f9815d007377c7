"""Live sources in the plain terminal: `logs`, `traces` and `metrics` share how they begin, speak and end."""
