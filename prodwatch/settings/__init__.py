"""TOML into checked values: every problem at once, each with file, line and column."""
